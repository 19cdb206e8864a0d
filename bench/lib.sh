# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # what scripts/bench and a store's env set
# lib.sh: what the parts of the speed measurement share: stores, figures, the table's lines and the JSON. Sourced by scripts/bench.

speed=build/bench/speed
# shellcheck disable=SC2034 # for the parts
slot=$((0x0400)) drive=$((0x0100)) # first addresses

die() {
    echo "bench: $*" >&2
    exit 1
}

note() { # What is going on, for who waits.
    echo "bench: $*" >&2
}

# ---- figures ----

sorted() {
    tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -g
}

median() {
    sorted "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

largest() {
    sorted "$1" | tail -1
}

spread() {
    sorted "$1" | awk '{ v[NR] = $1 } END { printf "%.0f-%.0f", v[1], v[NR] }'
}

calc() { # EXPRESSION [FORMAT]
    awk "BEGIN { printf \"${2:-%.3f}\", $1 }"
}

list() { # "1 2 3": [1,2,3]
    sorted "$1" | paste -sd , | sed 's/.*/[&]/'
}

# One figure for result.json. A value that is no number, list, true or false is text.
result() { # ID WHAT UNIT VALUE [NAME=VALUE...]
    local line pair v
    line="{\"id\": \"$1\", \"what\": \"$2\", \"unit\": \"$3\", \"value\": $4"
    shift 4
    for pair; do
        v=${pair#*=}
        [[ $v =~ ^(-?[0-9]+(\.[0-9]+)?|\[.*\]|true|false)$ ]] || v="\"$v\""
        line+=", \"${pair%%=*}\": $v"
    done
    echo "$line}" >>"$work/results"
}

# The goal's answer, for the table and as met=true|false.
meets() { # VALUE OPERATOR LIMIT
    awk "BEGIN { exit !($1 $2 $3) }" && echo true || echo false
}

# A figure with its goal: one line of the table, one of the JSON.
against_goal() { # ID WHAT UNIT VALUE OPERATOR LIMIT [NAME=VALUE...]
    local met
    met=$(meets "$4" "$5" "$6")
    printf '  %-62s %12s %-8s goal %s %s: %s\n' "$2" "$4" "$3" "$5" "$6" "$([ "$met" = true ] && echo met || echo MISSED)"
    result "$1" "$2" "$3" "$4" "goal=$5 $6" "met=$met" "${@:7}"
}

figure() { # ID WHAT UNIT VALUE [NAME=VALUE...]
    printf '  %-62s %12s %-8s\n' "$2" "$4" "$3"
    result "$@"
}

# ---- a library ----

serving='' # the directory of the one that runs
serve_library() { # DIR
    library_start "$1" || die "see above"
    serving=$1
    local i
    for i in $(seq 100); do # the child's name changes when it becomes tgtd (or what runs it)
        tgtd=$(pgrep -P "$(cat "$1/serve.pid")" | head -1)
        [ -n "$tgtd" ] && break
        [ "$i" -lt 100 ] || die "no tgtd below serve"
        sleep 0.05
    done
}

end_library() {
    library_stop "$serving" || die "see above"
    serving=''
}

# What is to be stored in the background is not to slow down what comes next.
settle() {
    timeout 600 build/s3vtl -c "$serving/s3vtl.conf" flush --remote || die "the library did not store its data within ten minutes"
}

on_drive() { # N ARGUMENTS: a run on drive N (from 0)
    $speed "$LIB_PORTAL" "$LIB_TARGET" $(($1 + 2)) "${@:2}" || die "drive $1, ${*:2}: see above"
}

move() { # FROM TO [DRIVE_LUN]: prints milliseconds
    $speed "$LIB_PORTAL" "$LIB_TARGET" 1 move "$@" || die "MOVE MEDIUM $*: see above"
}

kilobytes() { # NAME: of tgtd's /proc status: VmRSS, VmHWM
    awk -v name="$1:" '$1 == name { print $2 }' "/proc/$tgtd/status"
}

# ---- stores ----

shm_needs() { # MEGABYTES SETTING
    local free
    free=$(df --output=avail -BM /dev/shm | tail -1 | tr -dc 0-9)
    [ "$free" -ge "$1" ] || die "/dev/shm has $free MB free, $1 are needed: lower $2"
}

# Memory that a virtual machine has not used for a while must come from its host first: get it before the clock runs.
warm() { # MEGABYTES
    dd if=/dev/zero of="$work/warm" bs=1M count="$1" 2>/dev/null || die "/dev/shm is full"
    rm -f "$work/warm"
}

store='' # of the S3 service that runs: its script and directory
start_store() { # weed|renterd
    case $1 in
        weed) tests/s3/seaweed start "$work/store" || die "SeaweedFS does not start: see above" ;;
        renterd) tests/renterd/rig start "$work/store" -packing || die "renterd does not start: see above" ;;
        *) die "there is no store \"$1\": weed, renterd" ;;
    esac
    store=$1
    # shellcheck disable=SC1091
    . "$work/store/env"
    export LIB_STORE=s3 LIB_S3_URL=$S3_URL LIB_S3_BUCKET=$S3_BUCKET LIB_S3_CREDENTIALS=$S3_CREDENTIALS
}

stop_store() {
    case $store in
        weed) tests/s3/seaweed stop "$work/store" ;;
        renterd) tests/renterd/rig stop "$work/store" ;;
    esac
    store=''
    rm -rf "$work/store"
    unset LIB_STORE LIB_S3_URL LIB_S3_BUCKET LIB_S3_CREDENTIALS LIB_S3_PREFIX
}

children='' # of this measurement's own: relays and proxies
await_file() { # FILE PID
    local i
    for i in $(seq 200); do
        [ -s "$1" ] && return
        if ! kill -0 "$2" 2>/dev/null || [ "$i" = 200 ]; then die "no $1: what should write it has ended"; fi
        sleep 0.05
    done
}

end_children() {
    # shellcheck disable=SC2086
    [ -z "$children" ] || kill $children 2>/dev/null
    # shellcheck disable=SC2086
    [ -z "$children" ] || wait $children 2>/dev/null
    children=''
}

# ---- pictures ----

# Lines "BEGIN END BYTES" become "SECONDS MB/S", each interval's bytes spread evenly over it; the first begin is 0.
rate_over_time() { # TRACE BIN
    awk -v bin="$2" '
        NR == 1 || $1 < t0 { t0 = $1 }
        { b[NR] = $1; e[NR] = $2; n[NR] = $3 }
        END {
            for (i = 1; i <= NR; i++) {
                from = b[i] - t0; to = e[i] - t0
                if (to <= from) to = from + 1e-6
                for (k = int(from / bin); k * bin < to; k++) {
                    lo = from > k * bin ? from : k * bin; hi = to < (k + 1) * bin ? to : (k + 1) * bin
                    sum[k] += n[i] * (hi - lo) / (to - from)
                    if (k > last) last = k
                }
            }
            for (k = 0; k <= last; k++) printf "%.2f %.1f\n", (k + 0.5) * bin, sum[k] / bin / 1e6
        }' "$1"
}

picture() { # NAME TITLE TRACE LABEL TRACE LABEL: NAME.svg among the results
    local bin
    bin=$(awk 'NR == 1 || $1 < a { a = $1 } $2 > b { b = $2 } END { s = (b - a) / 40; printf "%.2f", s < 0.1 ? 0.1 : s }' "$3" "$5")
    rate_over_time "$3" "$bin" >"$work/1.dat"
    rate_over_time "$5" "$bin" >"$work/2.dat"
    gnuplot <<END || die "gnuplot failed: see above"
set terminal svg size 900,420 background "white"
set output "$results/$1.svg"
set title "$2"
set xlabel "seconds"
set ylabel "MB/s"
set yrange [0:*]
set grid
plot "$work/1.dat" using 1:2 with lines linewidth 2 title "$4", "$work/2.dat" using 1:2 with lines linewidth 2 title "$6"
END
}
