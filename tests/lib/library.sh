# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# library.sh: shell functions that make, start and stop a library for a test. Source it in bash.
#
#   VARIANT            plain (default), asan or tsan: which build runs
#   LIB_STORE          dir (default: DIR/store) or s3: then LIB_S3_URL, LIB_S3_BUCKET, LIB_S3_CREDENTIALS, LIB_S3_PREFIX, LIB_S3_REGION,
#                      LIB_S3_CA, LIB_S3_STYLE, LIB_S3_KIND, and LIB_S3_ADMIN with LIB_S3_PASSWORD (a file): the admin interface
#   LIB_DRIVES LIB_SLOTS LIB_IMPORT_EXPORT LIB_DRIVE_TYPE
#   LIB_DURABILITY LIB_MAX_DIRTY LIB_CACHE_SIZE LIB_SEGMENT_SIZE LIB_IDLE_SEAL
#   LIB_CHAP=1 LIB_MUTUAL=1      CHAP, one-way and mutual, with the names and passwords below
#   LIB_PORT           the portal's port (default: a free one)
#   LIB_STATE          state_dir (default: DIR/state)
#   LIB_PROGRAM        what serves instead of our build
#   LIB_EXTRA          more lines for the end of the configuration
#
#   library_make DIR [BARCODE...]   writes DIR/s3vtl.conf, initialises the library, makes the cartridges
#   library_start DIR               serves until library_stop; returns when initiators can log in; sets LIB_PORTAL, LIB_TARGET
#   library_stop DIR                clean stop; its exit status is serve's, or 1 when a sanitizer complained
#   library_kill DIR                kill -9
#   s3vtl DIR ARGUMENTS...          the command with this library's configuration
# What serve says is in DIR/serve.log.

LIB_USER=backup LIB_PASSWORD=correct-horse-1 LIB_TARGET_USER=library LIB_TARGET_PASSWORD=battery-staple-2

_lib_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
_lib_build() {
    case ${VARIANT:-plain} in
        plain) echo "$_lib_root/build" ;;
        *) echo "$_lib_root/build/$VARIANT" ;;
    esac
}

library_free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

_lib_secret() { # FILE CONTENT
    (umask 077; printf '%s\n' "$2" >"$1")
}

_lib_store() { # DIR
    if [ "${LIB_STORE:-dir}" = dir ]; then
        printf 'type = dir\npath = %s/store\n' "$1"
        return
    fi
    printf 'type = s3\nurl = %s\nbucket = %s\ncredentials_file = %s\n' "$LIB_S3_URL" "$LIB_S3_BUCKET" "$LIB_S3_CREDENTIALS"
    [ -z "${LIB_S3_PREFIX:-}" ] || echo "prefix = $LIB_S3_PREFIX"
    [ -z "${LIB_S3_REGION:-}" ] || echo "region = $LIB_S3_REGION"
    [ -z "${LIB_S3_CA:-}" ] || echo "ca_file = $LIB_S3_CA"
    [ -z "${LIB_S3_STYLE:-}" ] || echo "style = $LIB_S3_STYLE"
    [ -z "${LIB_S3_KIND:-}" ] || echo "kind = $LIB_S3_KIND"
    [ -z "${LIB_S3_ADMIN:-}" ] || printf 'admin_url = %s\nadmin_password_file = %s\n' "$LIB_S3_ADMIN" "$LIB_S3_PASSWORD"
}

_lib_chap() { # DIR
    [ -n "${LIB_CHAP:-}${LIB_MUTUAL:-}" ] || return 0
    _lib_secret "$1/chap" "$LIB_PASSWORD"
    printf 'chap_user = %s\nchap_password_file = %s/chap\n' "$LIB_USER" "$1"
    [ -n "${LIB_MUTUAL:-}" ] || return 0
    _lib_secret "$1/mutual" "$LIB_TARGET_PASSWORD"
    printf 'mutual_user = %s\nmutual_password_file = %s/mutual\n' "$LIB_TARGET_USER" "$1"
}

library_config() { # DIR
    local dir=$1 port=${LIB_PORT:-$(library_free_port)}
    mkdir -p "$dir"
    cat >"$dir/s3vtl.conf" <<END
[library]
name = test
state_dir = ${LIB_STATE:-$dir/state}
drives = ${LIB_DRIVES:-2}
slots = ${LIB_SLOTS:-16}
import_export = ${LIB_IMPORT_EXPORT:-4}
drive_type = ${LIB_DRIVE_TYPE:-LTO-8}

[iscsi]
portal = 127.0.0.1:$port
$(_lib_chap "$dir")

[store]
$(_lib_store "$dir")

[spool]
durability = ${LIB_DURABILITY:-local}
max_dirty = ${LIB_MAX_DIRTY:-8G}
cache_size = ${LIB_CACHE_SIZE:-16G}
segment_size = ${LIB_SEGMENT_SIZE:-40M}
idle_seal = ${LIB_IDLE_SEAL:-30s}
${LIB_EXTRA:-}
END
}

s3vtl() { # DIR ARGUMENTS...
    local dir=$1
    shift
    "$(_lib_build)/s3vtl" -c "$dir/s3vtl.conf" "$@"
}

library_make() { # DIR [BARCODE...]
    local dir=$1
    shift
    library_config "$dir" || return
    s3vtl "$dir" library init >"$dir/init.log" 2>&1 || { cat "$dir/init.log" >&2; return 1; }
    [ $# -eq 0 ] || s3vtl "$dir" tape create "$@" >>"$dir/init.log" 2>&1 || { cat "$dir/init.log" >&2; return 1; }
}

# A sanitizer starts at the first malloc. In tgtd that is one in the constructor of some library (of libgpg-error in bindtextdomain, of
# libp11-kit in newlocale) that holds a lock of libc, which the start takes too (by dlerror) and then unlocks twice: whoever wants it next waits
# for ever. So the first malloc is one of a library whose constructor is before all others.
_lib_first() { # DIR
    echo '#include <stdlib.h>
void *volatile first; __attribute__((constructor)) static void start(void) { free(first = malloc(1)); }' |
        gcc -shared -fPIC -Wl,-z,initfirst -x c -o "$1/first.so" - && echo "$1/first.so"
}

# tgtd itself is Debian's; a sanitizer's runtime must be there before it loads the module.
_lib_sanitizer() { # DIR
    case ${VARIANT:-plain} in
        asan)
            export S3VTL_TGTD_PRELOAD
            S3VTL_TGTD_PRELOAD=$(gcc -print-file-name=libasan.so):$(_lib_first "$1")
            export ASAN_OPTIONS="log_path=$1/sanitizer:detect_leaks=1:exitcode=0:halt_on_error=0:detect_odr_violation=0"
            export UBSAN_OPTIONS="log_path=$1/sanitizer:print_stacktrace=1"
            ;;
        tsan)
            export S3VTL_TGTD_PRELOAD
            S3VTL_TGTD_PRELOAD=$(gcc -print-file-name=libtsan.so):$(_lib_first "$1")
            export TSAN_OPTIONS="log_path=$1/sanitizer:ignore_noninstrumented_modules=1:exitcode=0:second_deadlock_stack=1"
            ;;
        *) unset S3VTL_TGTD_PRELOAD ;;
    esac
}

library_start() { # DIR
    local dir=$1 line part='' left=120
    rm -f "$dir"/ready "$dir"/sanitizer.*
    mkfifo "$dir/ready" || return
    # Opened for reading and writing, so that serve never writes to a pipe without a reader.
    exec {_lib_fd}<>"$dir/ready"
    (
        _lib_sanitizer "$dir"
        exec "${LIB_PROGRAM:-$(_lib_build)/s3vtl}" -c "$dir/s3vtl.conf" serve
    ) >"$dir/ready" 2>>"$dir/serve.log" &
    echo $! >"$dir/serve.pid"
    while ! read -r -t 1 line <&"$_lib_fd"; do
        part+=$line # the second may end in the middle of a line
        if ! kill -0 "$(cat "$dir/serve.pid")" 2>/dev/null; then
            echo "library in $dir did not start:" >&2
            tail -5 "$dir/serve.log" >&2
            exec {_lib_fd}<&-
            return 1
        fi
        if [ $((left -= 1)) -eq 0 ]; then
            echo "library in $dir is not ready after 120 s:" >&2
            tail -5 "$dir/serve.log" >&2
            exec {_lib_fd}<&-
            library_kill "$dir"
            return 1
        fi
    done
    exec {_lib_fd}<&-
    line=$part$line
    case $line in
        ready\ *) ;;
        *) echo "library in $dir: expected \"ready ...\", got \"$line\"" >&2; return 1 ;;
    esac
    LIB_TARGET=$(awk '{ print $2 }' <<<"$line")
    LIB_PORTAL=$(sed -n 's/^portal = //p' "$dir/s3vtl.conf")
    export LIB_TARGET LIB_PORTAL
}

# tgtd leaks a little of its own; a leak is ours when our code called the allocator.
_lib_complaints() { # DIR
    local f bad=0
    for f in "$1"/sanitizer.*; do
        [ -s "$f" ] || continue
        if grep -Eq 'WARNING: ThreadSanitizer|runtime error:|ERROR: AddressSanitizer' "$f" ||
            grep -A1 -E '^ +#0 .*(alloc|strdup)' "$f" | grep -Eq '^ +#1 .*(bs_s3vtl|/s3vtl)'; then
            echo "sanitizer: see $f" >&2
            sed -n '1,40p' "$f" >&2
            bad=1
        fi
    done
    return $bad
}

library_stop() { # DIR
    local pid rc
    pid=$(cat "$1/serve.pid")
    kill -TERM "$pid"
    wait "$pid"
    rc=$?
    [ $rc -eq 0 ] || { echo "serve ended with status $rc:" >&2; tail -5 "$1/serve.log" >&2; }
    _lib_complaints "$1" || rc=1
    return $rc
}

library_kill() { # DIR
    local pid child children
    pid=$(cat "$1/serve.pid")
    children=$(pgrep -P "$pid")
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    # Its tgtd dies with it, and has the state until it is gone. Whoever has it as a child then may take long to ask for its end: a zombie has nothing.
    for child in $children; do
        until ! readlink "/proc/$child/exe" >/dev/null; do read -r -t 0.02 <> <(:); done
    done
    return 0
}
