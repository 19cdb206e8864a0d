# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # what bench/lib.sh and scripts/bench set
# store.sh: W3, R1: writing through to a real S3 service and reading back from it with nothing cached, against a plain client that puts
# and gets objects of the same size, as many at a time. Sourced by scripts/bench.
#   BENCH_STORES="weed renterd"   renterd only where Go is
#   BENCH_WAYS="0 50 20@125"      milliseconds of round trip before the store, @megabytes a second of the line
#   BENCH_STORE_MB=1200           of one measurement         BENCH_RENTERD_MB=400     the same on renterd
#   BENCH_STORE_ROUNDS=3                                     BENCH_PARALLEL=4         transfers at a time, of both
#   BENCH_DIRTY=480M              max_dirty: what may wait for the store before WRITE does

store_rounds=${BENCH_STORE_ROUNDS:-3} parallel=${BENCH_PARALLEL:-4}
segment=$((40 << 20))

through() { # URL WAY: sets url, the same by a longer way
    local megabytes_s=
    url=$1
    [ "$2" != 0 ] || return 0
    [ "${2#*@}" = "$2" ] || megabytes_s=${2#*@}
    # shellcheck disable=SC2086
    build/bench/delay "${1#http://}" "${2%@*}" "$work/delay.port" $megabytes_s &
    children+=" $!"
    await_file "$work/delay.port" $!
    url=http://127.0.0.1:$(cat "$work/delay.port")
    rm -f "$work/delay.port"
}

ours_write() {
    local out began us us_999 us_max
    out=$(on_drive 0 tape write noise $((megabytes * 1000000 / block * block)) "$block" "$work/w.ours") || exit 1
    settle
    read -r _ us us_999 us_max began _ <<<"$out"
    w_us+=" $us" w_us_999+=" $us_999" w_us_max+=" $us_max"
    w_ours+=" $(calc "$megabytes / ($EPOCHREALTIME - $began)" %.1f)"
    peaks+=" $(kilobytes VmHWM)"
}

plain_write() { # ROUND
    local out
    out=$(seq $((megabytes * 1000000 / segment)) | sed "s|^|plain/$label/$1/|" |
        build/bench/plain put "$url" "$S3_BUCKET" "$S3_CREDENTIALS" "$parallel" $segment "$work/w.plain") || die "plain put: see above"
    w_plain+=" ${out% *}"
}

ours_read() {
    local out
    out=$(on_drive 0 tape read noise $((megabytes * 1000000 / block * block)) "$block" "$work/r.ours") || exit 1
    r_ours+=" ${out%% *}"
}

plain_read() { # the objects of the cartridge itself
    local out
    out=$(build/bench/plain get "$url" "$S3_BUCKET" "$S3_CREDENTIALS" "$parallel" $segment "$work/r.plain" <"$work/keys") ||
        die "plain get: see above"
    r_plain+=" ${out% *}"
}

store_round() { # ROUND BARCODE: who begins takes turns
    local order=(ours plain)
    [ $(($1 % 2)) = 1 ] || order=(plain ours)
    move $((slot + $1 - 1)) "$drive" 2 >/dev/null || exit 1
    for who in "${order[@]}"; do
        warm $((megabytes * 5 / 2))
        "${who}_write" "$1"
    done
    move "$drive" $((slot + $1 - 1)) >/dev/null || exit 1
    settle
    find "$serving/state/spool/$2" -type f -printf "$LIB_S3_PREFIX/tapes/$2/seg/%f\n" | sort >"$work/keys"
    end_library
    rm -rf "$lib/state"
    s3vtl "$lib" library rebuild >"$lib/rebuild.log" || die "library rebuild: see above"
    serve_library "$lib"
    move $((slot + $1 - 1)) "$drive" 2 >/dev/null || exit 1
    for who in "${order[@]}"; do
        warm $((megabytes * 3 / 2))
        "${who}_read"
    done
    move "$drive" $((slot + $1 - 1)) >/dev/null || exit 1
    settle
    s3vtl "$lib" tape remove --force "$2" >/dev/null || die "tape remove: see above"
}

store_case() { # STORE WAY
    local i barcodes='' text
    local label=$1-${2/@/ms-} w_ours='' w_plain='' r_ours='' r_plain='' peaks='' lib=$work/lib-$1-$2 url=''
    local w_us='' w_us_999='' w_us_max=''
    start_store "$1"
    through "$S3_URL" "$2"
    export LIB_S3_URL=$url LIB_S3_PREFIX=bench-${2/@/-}
    for i in $(seq "$store_rounds"); do barcodes+=" $(printf 'STORE%03dL8' "$i")"; done
    # shellcheck disable=SC2086
    LIB_DRIVES=1 LIB_SLOTS=$store_rounds LIB_CACHE_SIZE=64G LIB_MAX_DIRTY=${BENCH_DIRTY:-480M} LIB_SEGMENT_SIZE=40M \
        LIB_EXTRA='' library_make "$lib" $barcodes || exit 1
    sed -i "/^\[store\]/a parallel = $parallel" "$lib/s3vtl.conf"
    serve_library "$lib"
    for i in $(seq "$store_rounds"); do
        note "store: $1, $(way_text "$2"): round $i of $store_rounds"
        store_round "$i" "$(printf 'STORE%03dL8' "$i")"
    done
    end_library
    end_children
    stop_store
    rm -rf "$lib"
    text="$([ "$1" = weed ] && echo SeaweedFS || echo renterd)$([ "$2" = 0 ] || echo ", $(way_text "$2")")"
    store_row W3 "written to $text" "$w_ours" "$w_plain" "w" "$2" "$1" "peak_rss_mib=$(calc "$(largest "$peaks") / 1024" %.0f)" \
        "us_median=$(median "$w_us")" "us_99_9=$(median "$w_us_999")" "us_max=$(largest "$w_us_max")"
    printf '  a WRITE then, milliseconds: median %s, 99.9%% %s, largest %s\n' "$(calc "$(median "$w_us") / 1000" %.1f)" \
        "$(calc "$(median "$w_us_999") / 1000" %.1f)" "$(calc "$(largest "$w_us_max") / 1000" %.1f)"
    store_row R1 "read cold from $text" "$r_ours" "$r_plain" "r" "$2" "$1"
}

way_text() { # WAY
    [ "${1#*@}" = "$1" ] && echo "$1 ms away" || echo "${1%@*} ms away at ${1#*@} MB/s"
}

store_row() { # ID TEXT OURS PLAIN w|r WAY STORE [NAME=VALUE...]
    local o p met
    o=$(median "$3") p=$(median "$4")
    met=$(meets "$(calc "$o / $p" %.2f)" '>=' 0.95)
    printf '%-58s %7.0f %7.0f %6.2f %-7s %10s %10s\n' "$2" "$o" "$p" "$(calc "$o / $p")" "$([ "$met" = true ] && echo met || echo MISSED)" \
        "$(spread "$3")" "$(spread "$4")"
    result "$1" "$2" MB/s "$o" "goal=>= 0.95 of plain" "met=$met" "rounds=$(list "$3")" "plain=$p" "plain_rounds=$(list "$4")" "to_plain=$(calc "$o / $p")" \
        "store=$7" "way=$6" "megabytes=$megabytes" "picture=$1-$7-${6/@/ms-}.svg" "${@:8}"
    picture "$1-$7-${6/@/ms-}" "$1: $2 (last round)" "$work/$5.ours" "s3vtl, as the host sees it" "$work/$5.plain" "plain client"
}

part_store() {
    local s d megabytes
    echo "store: MB/s, medians of $store_rounds rounds, $parallel transfers at a time, segments of 40 MiB"
    printf '%-58s %7s %7s %-14s %10s %10s\n' '' s3vtl plain ' ratio >=0.95' 's3vtl' 'plain'
    for s in ${BENCH_STORES:-weed renterd}; do
        if [ "$s" = renterd ] && ! command -v go >/dev/null && [ ! -x build/venv/bin/go ]; then
            note "store: no Go here: renterd is left out"
            continue
        fi
        [ "$s" = renterd ] && megabytes=${BENCH_RENTERD_MB:-400} || megabytes=${BENCH_STORE_MB:-1200}
        shm_needs $((megabytes * (2 * store_rounds + 4))) "BENCH_STORE_MB, BENCH_RENTERD_MB or BENCH_STORE_ROUNDS"
        for d in ${BENCH_WAYS:-0 50 20@125}; do store_case "$s" "$d"; done
    done
}
