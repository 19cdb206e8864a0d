# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# proxy.sh: a real HTTP proxy (tinyproxy) for a test. Source it in bash.
#   proxy_start DIR [USER PASSWORD]   on a free port of the loopback; sets PROXY_URL and PROXY_PID. What it does is in DIR/proxy.log
#   proxy_stop

proxy_start() { # DIR [USER PASSWORD]
    local port i
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (umask 077; printf 'Port %s\nListen 127.0.0.1\nTimeout 600\nMaxClients 200\nLogFile "%s/proxy.log"\nLogLevel Connect\n%b' \
        "$port" "$1" "${2:+BasicAuth $2 $3\n}" >"$1/proxy.conf")
    tinyproxy -d -c "$1/proxy.conf" >"$1/proxy.out" 2>&1 &
    PROXY_PID=$!
    PROXY_URL=http://127.0.0.1:$port
    for ((i = 0; i < 100; i++)); do
        kill -0 $PROXY_PID 2>/dev/null || { cat "$1/proxy.out" >&2; return 1; }
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
        sleep 0.05
    done
    return 1
}

proxy_stop() {
    [ -z "${PROXY_PID:-}" ] || { kill "$PROXY_PID" 2>/dev/null; wait "$PROXY_PID" 2>/dev/null; }
    PROXY_PID=
}
