# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # what bench/lib.sh and scripts/bench set
# sets.sh: S2 to S9: what a second media set of one datastore costs with [dedup], in the line, in the store, in time and in reading.
# Sourced by scripts/bench.
#   BENCH_SETS_MB=2400        megabytes of the made-up datastore (tests/dedup/pbs_set.c)     BENCH_SETS_CHANGED=20   per mille of its chunks
#   BENCH_SETS_LINE=20@125    milliseconds of round trip before the store, @megabytes a second
#   BENCH_SETS_DRIVE_MB=800   of that which is written at the drive's speed: all of it is in memory several times
#   BENCH_SETS_MANY_MB=480    of the datastore of which there are ten sets
#   BENCH_SETS_ROUNDS=3       of what is measured without a line

sets_mb=${BENCH_SETS_MB:-2400} sets_changed=${BENCH_SETS_CHANGED:-20} drive_mb=${BENCH_SETS_DRIVE_MB:-800} many_mb=${BENCH_SETS_MANY_MB:-480}
sets_rounds=${BENCH_SETS_ROUNDS:-3}

make_set() { # DIRECTORY MEGABYTES SET [CHANGED]: prints bytes on tape, of chunks, that no earlier set had
    mkdir -p "$1" && build/dedup/pbs_set "$1" "$2" "$3" "${4:-$sets_changed}" 11 | tee "$1.sizes" || die "pbs_set: see above"
}

on_tape() { # DIRECTORY HOW [TRACE]: prints MB/s ... BEGAN ENDED
    on_drive 0 tape "$2" files "$1" "$block" ${3:+"$3"}
}

# A library of so many tapes SET001L8 ... whose segments stay on this disk, so that what is in the store is known by their files.
sets_library() { # DIRECTORY TAPES PATTERN
    local i barcodes=''
    for i in $(seq "$2"); do barcodes+=" $(printf 'SET%03dL8' "$i")"; done
    # shellcheck disable=SC2086
    LIB_DRIVES=1 LIB_SLOTS=$2 LIB_CACHE_SIZE=64G LIB_MAX_DIRTY=${BENCH_DIRTY:-4G} LIB_SEGMENT_SIZE=40M LIB_EXTRA="
[dedup]
tapes = $3" library_make "$1" $barcodes || exit 1
    serve_library "$1"
}

load_tape() { move $((slot + $1 - 1)) "$drive" 2 >/dev/null || exit 1; }
unload_tape() { move "$drive" $((slot + $1 - 1)) >/dev/null || exit 1; }

# Of all its cartridges, or of one: bytes of the segments that are in the store.
stored_of() { # [BARCODE]
    s3vtl "$serving" --json tape list | python3 -c 'import json, sys
print(sum(c["stored_bytes"] for c in json.load(sys.stdin)["cartridges"] if len(sys.argv) < 2 or c["barcode"] == sys.argv[1]))' "$@"
}

store_bytes() { # sent|received: bytes, by the library's own count
    curl -sf "http://$sets_metrics/metrics" | awk -v name="^s3vtl_store_$1_bytes_total" '$0 ~ name { n += $2 } END { printf "%.0f", n }'
}

# ---- two sets, over the line ----

sets_line() {
    local url='' sizes1 sizes2 first second sent ours plain spool fresh unique host
    sizes1=($(make_set "$work/set1" "$sets_mb" 1)) sizes2=($(make_set "$work/set2" "$sets_mb" 2))
    fresh=${sizes2[2]} host=${sizes2[0]} unique=$((sizes1[2] + sizes2[2]))
    start_store weed
    through "$S3_URL" "${BENCH_SETS_LINE:-20@125}"
    sets_metrics=127.0.0.1:$(library_free_port)
    export LIB_S3_URL=$url LIB_S3_PREFIX=sets
    sets_library "$work/lib" 2 "*
[metrics]
listen = $sets_metrics"
    note "sets: the first set, ${host} bytes"
    load_tape 1
    on_tape "$work/set1" write >/dev/null || exit 1
    unload_tape 1
    settle
    first=$(stored_of SET001L8)
    note "sets: the second set, $fresh bytes of it new"
    load_tape 2
    sent=$(store_bytes sent)
    warm "$sets_mb"
    ours=$(on_tape "$work/set2" write) || exit 1
    unload_tape 2
    settle
    ours=$(calc "$EPOCHREALTIME - $(cut -d' ' -f5 <<<"$ours")" %.2f)
    sent=$(($(store_bytes sent) - sent))
    second=$(stored_of SET002L8)
    # As much, by a client that does nothing else, in objects of a segment.
    plain=$(seq $(((fresh + (40 << 20) - 1) / (40 << 20))) | sed 's|^|plain/|' |
        build/bench/plain put "$url" "$S3_BUCKET" "$S3_CREDENTIALS" 4 $(((fresh + (fresh + (40 << 20) - 1) / (40 << 20) - 1) / ((fresh + (40 << 20) - 1) / (40 << 20)))) "$work/w.plain") || die "plain put: see above"
    plain=$(calc "$fresh / 1e6 / ${plain% *}" %.2f)
    end_library
    end_children
    stop_store
    rm -rf "$work/lib"
    figure S0 "set 1: what is stored of it" MB "$(calc "$first / 1e6" %.1f)" "host_mb=$(calc "${sizes1[0]} / 1e6" %.1f)"
    against_goal S2 "S2  sent for set 2, to what is new in it ($(calc "$fresh / 1e6" %.1f) MB)" ratio "$(calc "$sent / $fresh")" "<=" 1.1 "sent=$sent" "fresh=$fresh"
    against_goal S4 "S4  sets 1 and 2 in the store, to their unique bytes" ratio "$(calc "($first + $second) / $unique")" "<=" 1.05 "stored=$((first + second))" "unique=$unique"
    # What the spool alone takes for it.
    sets_library "$work/lib" 1 off
    load_tape 1
    warm "$sets_mb"
    spool=$(on_tape "$work/set2" write) || exit 1
    unload_tape 1
    end_library
    rm -rf "$work/lib"
    spool=$(calc "$host / 1e6 / ${spool%% *}" %.2f)
    against_goal S3 "S3  set 2 off-site, to a client that sends what is new ($plain s; spool $spool s)" ratio \
        "$(calc "$ours / ($plain > $spool ? $plain : $spool)")" "<=" 1.3 "seconds=$ours" "plain_seconds=$plain" "spool_seconds=$spool"
    rm -rf "$work"/set1* "$work"/set2*
}

# ---- the drive: new data, and the same again ----

sets_drive() {
    local i null fresh_rates='' same_rates='' off_rates='' null_rates='' out
    make_set "$work/set1" "$drive_mb" 1 >/dev/null
    make_set "$work/set2" "$drive_mb" 2 >/dev/null
    start_tgt
    for i in $(seq "$sets_rounds"); do
        note "sets: the drive, round $i of $sets_rounds"
        for how in off new same null; do
            warm $((drive_mb * 5 / 2)) # the spool, the store and as much again
            case $how in
                off) sets_library "$work/off" 1 off; load_tape 1; out=$(on_tape "$work/set2" write) || exit 1; unload_tape 1; settle; end_library; rm -rf "$work/off"; off_rates+=" ${out%% *}" ;;
                new) sets_library "$work/lib" 2 '*'; load_tape 1; out=$(on_tape "$work/set2" write) || exit 1; unload_tape 1; settle; fresh_rates+=" ${out%% *}" ;;
                same) load_tape 2; out=$(on_tape "$work/set2" write) || exit 1; unload_tape 2; settle; end_library; rm -rf "$work/lib"; same_rates+=" ${out%% *}" ;;
                null) out=$($speed "$tgt_portal" iqn.2026-11.s3vtl:bench-null 1 disk write files "$work/set2" "$block") || die "null: see above"; null_rates+=" ${out%% *}" ;;
            esac
        done
    done
    end_tgt
    rm -rf "$work"/set1* "$work"/set2*
    null=$(median "$null_rates")
    figure S5 "MB/s: null device $(calc "$null" %.0f), dedup off $(calc "$(median "$off_rates")" %.0f), new data $(calc "$(median "$fresh_rates")" %.0f), the same again" MB/s "$(median "$same_rates")" \
        "null_rounds=$(list "$null_rates")" "off_rounds=$(list "$off_rates")" "new_rounds=$(list "$fresh_rates")" "same_rounds=$(list "$same_rates")"
    against_goal S6 "S6  new data with dedup on, to the null device" ratio "$(calc "$(median "$fresh_rates") / $null" %.2f)" ">=" 0.5
    against_goal S7 "S7  the same data again, to the null device" ratio "$(calc "$(median "$same_rates") / $null" %.2f)" ">=" 0.8
}

# ---- ten sets ----

write_many() { # SET TAPE
    many_sizes=($(make_set "$work/many$1" "$many_mb" "$1"))
    load_tape "$2"
    on_tape "$work/many$1" write >/dev/null || exit 1
    unload_tape "$2"
    settle
}

# On a directory, whose files are counted: ten sets, and five more over the first.
sets_kept() {
    local i live=0 stored
    sets_library "$work/lib" 10 '*'
    for i in $(seq 15); do
        note "sets: set $i of 15"
        write_many "$i" $(((i - 1) % 10 + 1))
        rm -rf "${work:?}/many$i"
        # Live in the end: all of set 6, and what each one after it added.
        [ "$i" -lt 6 ] || live=$((live + (i == 6 ? many_sizes[1] : many_sizes[2])))
    done
    s3vtl "$work/lib" library gc >/dev/null || die "library gc: see above"
    stored=$(find "$work/lib/store" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')
    against_goal S8 "S8  ten sets, the first five written over by others: in the store, to what is unique and live" ratio \
        "$(calc "$stored / $live")" "<=" 1.25 "stored=$stored" "live=$live"
    end_library
    rm -rf "$work/lib"
}

# Over the line.
sets_read() {
    local i url=''
    start_store weed
    through "$S3_URL" "${BENCH_SETS_LINE:-20@125}"
    sets_metrics=127.0.0.1:$(library_free_port)
    export LIB_S3_URL=$url LIB_S3_PREFIX=many
    sets_library "$work/lib" 10 "*
[metrics]
listen = $sets_metrics"
    for i in $(seq 10); do
        note "sets: set $i of 10, to be read"
        write_many "$i" "$i"
        [ "$i" = 1 ] || [ "$i" = 10 ] || rm -rf "${work:?}/many$i"
    done
    read_first_and_tenth
    end_library
    end_children
    stop_store
    rm -rf "$work/lib" "$work"/many*
}

# With nothing cached, in turns.
read_first_and_tenth() {
    local r t o before first='' tenth='' fetched=(0 0 0 0 0 0 0 0 0 0 0)
    for r in 1 2; do
        for t in 1 10; do
            end_library
            rm -rf "$work/lib/state"
            s3vtl "$work/lib" library rebuild >"$work/lib/rebuild.log" || die "library rebuild: see above"
            serve_library "$work/lib"
            load_tape $t
            warm $((many_mb * 2))
            before=$(store_bytes received)
            o=$(on_tape "$work/many$t" read) || exit 1
            fetched[t]=$(($(store_bytes received) - before))
            unload_tape $t
            [ $t = 1 ] && first+=" ${o%% *}" || tenth+=" ${o%% *}"
        done
    done
    against_goal S9 "S9  cold read of set 10, to set 1's ($(median "$first") MB/s)" ratio "$(calc "$(median "$tenth") / $(median "$first")" %.2f)" ">=" 0.8 \
        "first_rounds=$(list "$first")" "tenth_rounds=$(list "$tenth")" "first_fetched=${fetched[1]}" "tenth_fetched=${fetched[10]}"
}

part_sets() {
    echo "sets: media sets of a made-up datastore, $sets_changed per mille of the chunks changed from one to the next; over a line of ${BENCH_SETS_LINE:-20@125} (ms@MB/s)"
    shm_needs $((sets_mb * 7)) BENCH_SETS_MB
    sets_line
    sets_drive
    sets_kept
    sets_read
}
