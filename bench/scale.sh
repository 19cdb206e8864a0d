# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # what bench/lib.sh and scripts/bench set
# scale.sh: S1, M1: a library of many slots, ten drives that write at once, and the memory that writing takes. Sourced by scripts/bench.
#   BENCH_SLOTS=1500            all with a cartridge     BENCH_DRIVES=10
#   BENCH_SCALE_MB=1500         written by all drives together, and by one for comparison
#   BENCH_SCALE_ROUNDS=3        of that                  BENCH_MEMORY_MB=3000   written by two drives, four times, for the memory

slots=${BENCH_SLOTS:-1500} drives=${BENCH_DRIVES:-10}
scale_mb=${BENCH_SCALE_MB:-1500} scale_rounds=${BENCH_SCALE_ROUNDS:-3} memory_mb=${BENCH_MEMORY_MB:-3000}

# Some drives write at once, MEGABYTES in all: prints the rate of them together, until the last one's data is safe.
write_at_once() { # DRIVES MEGABYTES
    local i pids='' bytes=$(($2 * 1000000 / $1 / block * block))
    for i in $(seq 0 $(($1 - 1))); do
        on_drive "$i" tape write noise $bytes "$block" >"$work/at-once.$i" &
        pids+=" $!"
    done
    for i in $pids; do wait "$i" || die "writing on $1 drives: see above"; done
    cat "$work"/at-once.* | awk -v bytes=$((bytes * $1)) 'NR == 1 || $5 < a { a = $5 } $6 > b { b = $6 }
        END { printf "%.1f\n", bytes / 1e6 / (b - a) }'
    rm -f "$work"/at-once.*
}

load_drives() { # N
    local i
    for i in $(seq 0 $(($1 - 1))); do move $((slot + i)) $((drive + i)) $((i + 2)) >/dev/null || exit 1; done
}

many_slots() {
    local lib=$work/lib-scale barcodes='' i out began
    for i in $(seq "$slots"); do barcodes+=" $(printf 'SC%04dL8' "$i")"; done
    began=$EPOCHREALTIME
    # What is stored is dropped: else memory for ten drives' data would be needed twice. WRITE must not wait for the store either.
    # shellcheck disable=SC2086
    LIB_DRIVES=$drives LIB_SLOTS=$slots LIB_CACHE_SIZE=0 LIB_MAX_DIRTY=64G library_make "$lib" $barcodes || exit 1
    made_s=$(calc "$EPOCHREALTIME - $began" %.1f)
    serve_library "$lib"
    out=$($speed "$LIB_PORTAL" "$LIB_TARGET" 1 elements 51) || die "READ ELEMENT STATUS: see above"
    read -r seen full elements_ms <<<"$out"
    [ "$seen $full" = "$slots $slots" ] || die "READ ELEMENT STATUS tells of $seen slots, $full of them full; there are $slots, all full"
}

many_drives() {
    local i
    load_drives "$drives"
    for i in $(seq "$scale_rounds"); do
        note "scale: $drives drives: round $i of $scale_rounds"
        warm $((scale_mb * 2))
        one+=" $(write_at_once 1 "$scale_mb")" || exit 1
        settle
        warm $((scale_mb * 2))
        all+=" $(write_at_once "$drives" "$scale_mb")" || exit 1
        settle
    done
}

# Several times over the same two cartridges, with the most memory of each time: does it grow from time to time?
memory() {
    local lib=$work/lib-memory i rates='' peaks=''
    LIB_DRIVES=2 LIB_SLOTS=2 LIB_CACHE_SIZE=512M LIB_MAX_DIRTY=2G library_make "$lib" MEM001L8 MEM002L8 || exit 1
    serve_library "$lib"
    load_drives 2
    idle_kib=$(kilobytes VmRSS)
    for i in 1 2 3 4; do
        echo 5 >"/proc/$tgtd/clear_refs" # VmHWM begins anew
        rates+=" $(write_at_once 2 "$memory_mb")" || exit 1
        peaks+=" $(kilobytes VmHWM)"
        settle
    done
    memory_rate=$(median "$rates")
    peak_kib=$(largest "$peaks")
    read -r first_kib last_kib <<<"$(awk '{ print ($1 > $2 ? $1 : $2), ($3 > $4 ? $3 : $4) }' <<<"$peaks")"
    end_library
    rm -rf "$lib"
}

part_scale() {
    local seen full elements_ms made_s one='' all='' idle_kib peak_kib first_kib last_kib memory_rate
    shm_needs $((scale_mb * (2 * scale_rounds + 2))) BENCH_SCALE_MB
    shm_needs $((memory_mb * 3 + 3000)) BENCH_MEMORY_MB
    note "scale: $slots slots"
    many_slots
    many_drives
    end_library
    rm -rf "$work/lib-scale"
    note "scale: memory of two drives"
    memory
    echo "scale: $slots slots, $drives drives; medians of $scale_rounds rounds of $scale_mb MB"
    against_goal S1 "READ ELEMENT STATUS of $slots slots, in pages of 1000" ms "$elements_ms" '<=' 5 "slots=$slots"
    figure S1 "making the library and $slots cartridges" s "$made_s"
    figure S1 "one drive writes" MB/s "$(median "$one")" "rounds=$(list "$one")"
    figure S1 "$drives drives write at once, together" MB/s "$(median "$all")" "rounds=$(list "$all")"
    against_goal S1 "$drives drives / one drive" ratio "$(calc "$(median "$all") / $(median "$one")" %.2f)" '>=' 1
    against_goal M1 "memory of tgtd, two drives writing at $memory_rate MB/s" MiB "$(calc "$peak_kib / 1024" %.0f)" '<=' 512 \
        "idle_mib=$(calc "$idle_kib / 1024" %.0f)" "rate=$memory_rate" "megabytes=$memory_mb"
    against_goal M1 "the most of the 3rd and 4th $memory_mb MB, to the 1st and 2nd" ratio "$(calc "$last_kib / $first_kib" %.2f)" '<=' 1.1 \
        "first_mib=$(calc "$first_kib / 1024" %.0f)" "last_mib=$(calc "$last_kib / 1024" %.0f)"
}
