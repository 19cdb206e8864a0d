# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # what bench/lib.sh and scripts/bench set
# index.sh: L1, L2: a full cartridge of many files: what finding one of them asks of the store, and what loading the cartridge costs.
# The cartridge has all of its head and maps, and of its data only the segments that are read. Sourced by scripts/bench.
#   BENCH_TAPE=12000000000000   bytes     BENCH_FILES=10000     BENCH_LOCATE=12   files that are looked for
#   BENCH_LOADS=5               times that it is loaded

tape_bytes=${BENCH_TAPE:-12000000000000} files=${BENCH_FILES:-10000}
locates=${BENCH_LOCATE:-12} loads=${BENCH_LOADS:-5}

# A proxy that writes a line for each request, the data's or any other.
count_requests() { # HOST:PORT
    mkdir "$work/proxy"
    echo 'any any slow=0 0' >"$work/proxy/rule"
    python3 tests/faults/proxy.py "$1" "$work/proxy" 2>"$work/proxy/log" &
    children+=" $!"
    await_file "$work/proxy/port" $!
    : >"$work/proxy/hits"
}

requests() {
    wc -l <"$work/proxy/hits"
}

index_tape() { # makes the cartridge, and a library that has it
    local lib=$work/lib-index out i
    chosen=''
    for i in $(seq "$locates"); do chosen+=" $(((i * 7919 * 613) % files))"; done
    export LIB_S3_PREFIX=index
    LIB_DRIVES=1 LIB_SLOTS=2 library_make "$lib" || exit 1
    # shellcheck disable=SC2086
    out=$(build/bench/synth "$lib/s3vtl.conf" SYNTH1L8 "$tape_bytes" "$files" "$block" $chosen) || die "synth: see above"
    read -r segments map_bytes index_bytes <<<"$out"
    rm -rf "$lib/state"
    count_requests "${S3_URL#http://}"
    sed -i "s|^url = .*|url = http://127.0.0.1:$(cat "$work/proxy/port")|" "$lib/s3vtl.conf"
    local began=$EPOCHREALTIME
    s3vtl "$lib" library rebuild >"$lib/rebuild.log" || die "library rebuild: see above"
    rebuild_s=$(calc "$EPOCHREALTIME - $began" %.1f)
    state_bytes=$(stat -c %s "$lib/state/state.db")
}

load_often() { # each time in a tgtd that has not loaded it yet
    local i before
    load_ms='' load_kib='' load_requests=''
    for i in $(seq "$loads"); do
        serve_library "$work/lib-index"
        before=$(kilobytes VmRSS)
        local asked
        asked=$(requests)
        load_ms+=" $(move "$slot" "$drive" 2)" || exit 1
        load_kib+=" $(($(kilobytes VmRSS) - before))"
        load_requests+=" $(($(requests) - asked))"
        [ "$i" = "$loads" ] && break
        move "$drive" "$slot" >/dev/null || exit 1
        end_library
    done
}

locate_all() {
    local f asked there out
    # No gap between the counts: what comes late counts too, for the next LOCATE.
    asked=$(requests)
    locate_us='' locate_requests='' first_ms='' first_requests=''
    for f in $chosen; do
        locate_us+=" $(on_drive 0 locate "$f")" || exit 1
        there=$(requests)
        locate_requests+=" $((there - asked))"
        # The same LOCATE again asks for nothing more, so what comes is the READ's.
        out=$(on_drive 0 locate "$f" "$block") || exit 1
        first_ms+=" $(calc "${out#* } / 1000" %.1f)"
        asked=$(requests)
        first_requests+=" $((asked - there))"
    done
}

part_index() {
    local chosen segments map_bytes index_bytes rebuild_s state_bytes percent
    local load_ms load_kib load_requests locate_us locate_requests first_ms first_requests
    shm_needs 4000 BENCH_LOCATE
    start_store weed
    note "index: a cartridge of $tape_bytes bytes"
    index_tape
    load_often
    note "index: $locates files"
    locate_all
    percent=$(calc "($map_bytes + $index_bytes) * 100 / $tape_bytes" %.5f)
    echo "index: a cartridge of $(calc "$tape_bytes / 1e12" %.1f) TB, $files files, $segments segments; on SeaweedFS"
    against_goal L1 "requests for a LOCATE, the most" "" "$(largest "$locate_requests")" '<=' 0 "files=$locates" \
        "us_median=$(median "$locate_us")" "us_max=$(largest "$locate_us")"
    against_goal L1 "requests for LOCATE and the first block, the most" "" "$(largest "$first_requests")" '<=' 2 "files=$locates" \
        "ms_median=$(median "$first_ms")"
    against_goal L2 "loading it into a drive, the longest of $loads" ms "$(largest "$load_ms")" '<=' 1000 "times=$(list "$load_ms")" \
        "requests=$(largest "$load_requests")"
    against_goal L2 "memory of tgtd for it, the most" MiB "$(calc "$(largest "$load_kib") / 1024" %.1f)" '<=' 64
    against_goal L2 "head, maps and indices in segments, of the data" % "$percent" '<=' 0.01 "head_and_maps=$map_bytes" \
        "in_segments=$index_bytes"
    figure L2 "state.db with it" MiB "$(calc "$state_bytes / 1048576" %.1f)"
    figure L2 "rebuilding the library from the bucket" s "$rebuild_s"
    figure L1 "LOCATE, median" us "$(median "$locate_us")"
    move "$drive" "$slot" >/dev/null || exit 1
    end_library
    end_children
    stop_store
    rm -rf "$work/lib-index" "$work/proxy"
}
