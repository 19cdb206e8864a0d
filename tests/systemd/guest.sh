# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# guest.sh: shell functions in the guest, for each command of tests/systemd/life.
portal=127.0.0.1:3260 web=s3vtl-web.service target=iqn.2026-11.s3vtl:office

of() { systemctl show -P "$1" "${2:-s3vtl.service}"; } # PROPERTY [UNIT]
is() { # PROPERTY VALUE [UNIT]
    local value
    value=$(of "$1" "${3:-s3vtl.service}")
    echo "$1=$value"
    [ "$value" = "$2" ]
}
# Asks until it is so; where the guest is emulated, four times as long.
within() { # SECONDS COMMAND...
    local until=$((SECONDS + $1 * $(cat /host/slow))); shift
    until "$@"; do [ $SECONDS -lt $until ] || return 1; sleep 0.3; done
}
none() { ! grep .; }
json() { s3vtl status --json | tr -d ' \n'; }
figures() { json | grep -o "\"$1\":[^,}]*" | sed 's/.*://'; } # of all that have such a key
backlog_is_0() { figures local_only_bytes | sort -u | tee -a /dev/stderr | grep -qx 0 && ! figures local_only_bytes | grep -vx 0; }
trouble() { json | grep -o '"store":{[^}]*}' | grep -o '"trouble":"[^"]*"'; }
well() { s3vtl status >/dev/null && ! trouble; }
listens() { ss -Hltnp 'sport = :3260' | tee -a /dev/stderr | grep -q "$1"; }

changer() { lsscsi -g | awk '$2 == "mediumx" { print $NF }'; }
# The first drive, whichever the kernel found first: LUN 2.
first_drive() { lsscsi 2>/dev/null | awk '$2 == "tape" && $1 ~ /:2\]$/ { sub("/dev/st", "/dev/nst", $NF); print $NF }'; }
tape=$(first_drive)
drives_are_there() { tape=$(first_drive); [ -n "$(changer)" ] && [ -c "$tape" ]; }
drives_are_ready() { drives_are_there && mt -f $tape status | grep -q ONLINE; }
session() { cat /sys/class/iscsi_session/session*/state /sys/class/iscsi_session/session*/targetname 2>/dev/null | paste -sd' '; }
set_key() { sed -i "s|^$1 = .*|$1 = $2|" /etc/s3vtl/s3vtl.conf; }
# What comes back of file N of the tape must be what was written.
reads() { # N FILE
    mt -f $tape rewind && mt -f $tape fsf "$1" && dd if=$tape bs=64k of=/tmp/back 2>/tmp/dd && cmp /tmp/back "$2"
}

# The console, as docs/web.md sets it up.
certificate() { # a new one
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj /CN=guest -addext subjectAltName=DNS:guest -keyout /tmp/web.key -out /tmp/web.pem &&
        install -m 600 -o s3vtl-web /tmp/web.key /etc/s3vtl/web.key && install -m 644 /tmp/web.pem /etc/s3vtl/web.pem
}
asks() { # PATH [TOKEN]: its answer, header included
    printf 'GET %s HTTP/1.1\r\nHost: guest\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n' "$1" "${2:-}" | openssl s_client -quiet -connect 10.0.2.15:8098 2>/dev/null
}
shows() { # who connects now sees the certificate of /tmp/web.pem
    openssl s_client -connect 10.0.2.15:8098 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint | diff - <(openssl x509 -in /tmp/web.pem -noout -fingerprint)
}
console_answers() { asks / | grep "<title>s3vtl" && asks /api/status "$(cat /etc/s3vtl/web-token)" | grep -o '"barcode":"PKG001L8"'; }
