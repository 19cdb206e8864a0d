# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# cost.sh: C1: instructions that tgtd executes for each byte written, against the least that the same safety costs (bench/floor.c).
# Sourced by scripts/bench.
#   BENCH_COST_MB=96         more megabytes in the second of two runs, whose difference counts
#   BENCH_COUNTER=           perf or valgrind; default: perf where the processor counts, else valgrind

cost_mb=${BENCH_COST_MB:-96}

cost_counter() {
    [ -z "${BENCH_COUNTER:-}" ] || { echo "$BENCH_COUNTER"; return; }
    if perf stat -x, -e instructions:u true 2>&1 | grep -q '^[0-9][0-9]*,'; then
        echo perf
    else
        echo valgrind
    fi
}

# A program called tgtd that runs tgtd and has its instructions counted: serve takes it, as it looks along PATH.
counting_tgtd() {
    local real
    real=$(command -v tgtd) || die "there is no tgtd"
    mkdir "$work/counting"
    if [ "$counter" = perf ]; then
        echo "exec perf stat -x, -e instructions:u -o '$work/count' '$real' \"\$@\""
    else
        echo "exec valgrind -q --tool=cachegrind --cache-sim=no --cachegrind-out-file='$work/count' '$real' \"\$@\""
    fi | sed '1i #!/bin/sh' >"$work/counting/tgtd"
    chmod +x "$work/counting/tgtd"
}

counted() { # the number in $work/count
    local n
    if [ "$counter" = perf ]; then
        n=$(sed -n 's/^\([0-9]*\),.*instructions.*/\1/p' "$work/count")
    else
        n=$(sed -n 's/^summary: *//p' "$work/count")
    fi
    [ -n "$n" ] || die "$counter counted nothing"
    rm -f "$work/count"
    echo "$n"
}

tgtd_instructions() { # write|encrypt MEGABYTES: of a tgtd that starts, takes them, has them stored, and ends
    local lib=$work/lib-cost
    export LIB_S3_PREFIX=cost-$1-$2
    LIB_DRIVES=1 LIB_SLOTS=1 library_make "$lib" COST01L8 || exit 1
    PATH=$work/counting:$PATH serve_library "$lib" || exit 1
    move $slot $drive 2 >/dev/null || exit 1
    on_drive 0 tape "$1" noise $(($2 * 1000000 / block * block)) "$block" >/dev/null || exit 1
    settle
    end_library || exit 1
    rm -rf "$lib"
    instructions=$(counted) || exit 1
}

floor_instructions() { # MEGABYTES [sha256] [aes]
    local bytes=$(($1 * 1000000 / block * block))
    if [ "$counter" = perf ]; then
        perf stat -x, -e instructions:u -o "$work/count" build/bench/floor $bytes "$block" "${@:2}" >/dev/null || die "floor: see above"
    else
        valgrind -q --tool=cachegrind --cache-sim=no --cachegrind-out-file="$work/count" build/bench/floor $bytes "$block" "${@:2}" \
            >/dev/null 2>"$work/valgrind.log" || die "floor: $(tail -1 "$work/valgrind.log")"
    fi
    instructions=$(counted) || exit 1
}

# What starting and ending costs is in both runs.
per_byte() { # FUNCTION ARGUMENTS...: with MB among them, which is replaced; sets instructions, for each byte
    local few mb_few=32 mb_many=$((32 + cost_mb))
    "${@/#MB/$mb_few}"
    few=$instructions
    "${@/#MB/$mb_many}"
    instructions=$(calc "($instructions - $few) / (($mb_many * 1000000 / $block * $block) - ($mb_few * 1000000 / $block * $block))")
}

cost_row() { # TEXT write|encrypt [sha256] [aes]
    local instructions ours least
    note "cost: $1"
    per_byte tgtd_instructions "$2" MB
    ours=$instructions
    per_byte floor_instructions MB "${@:3}"
    least=$instructions
    printf '  %-62s %8s %8s %8s\n' "$1" "$ours" "$least" "$(calc "$ours / $least" %.2f)"
    result C1 "$1" "instructions/byte" "$ours" "least=$least" "to_least=$(calc "$ours / $least")" "counter=$counter"
}

part_cost() {
    local counter
    counter=$(cost_counter)
    command -v "$counter" >/dev/null || die "there is no $counter"
    shm_needs $((cost_mb * 8 + 1000)) BENCH_COST_MB
    counting_tgtd
    echo "cost: instructions of tgtd in user mode for each byte written, counted by $counter; noise, $block bytes a command"
    printf '  %-62s %8s %8s %8s\n' '' s3vtl least ratio
    cost_row "a directory as the store (copy, 2 x CRC32C)" write
    cost_row "a directory, encrypted (and AES-256-GCM)" encrypt aes
    start_store weed
    cost_row "SeaweedFS over http (copy, 2 x CRC32C, SHA-256)" write sha256
    stop_store
    rm -rf "$work/counting"
}
