# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # what bench/lib.sh and scripts/bench set
# cost.sh: C1: instructions that tgtd executes for each byte written, against the least that the same safety costs (bench/floor.c).
# Sourced by scripts/bench.
#   BENCH_COST_MB=96         more megabytes in the second of two runs, whose difference counts
#   BENCH_COUNTER=           perf or valgrind; default: perf where the processor counts, else valgrind
#   BENCH_TIME_MB=2000       written for the processor's time, which nothing counts along

cost_mb=${BENCH_COST_MB:-96} time_mb=${BENCH_TIME_MB:-2000}

# valgrind counts each byte of "rep movsb" as an instruction, and libc copies large blocks so: not here, for either side.
no_rep=GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x40000000:glibc.cpu.x86_rep_stosb_threshold=0x40000000

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
        echo "$no_rep exec valgrind -q --tool=cachegrind --cache-sim=no --cachegrind-out-file='$work/count' '$real' \"\$@\""
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

# A tgtd that starts, takes so much, has it stored, and ends. COMMAND is run before it ends.
written_by_tgtd() { # write|encrypt MEGABYTES PATH COMMAND...
    local lib=$work/lib-cost
    export LIB_S3_PREFIX=cost-$1-$2
    LIB_DRIVES=1 LIB_SLOTS=1 library_make "$lib" COST01L8 || exit 1
    PATH=$3 serve_library "$lib" || exit 1
    move "$slot" "$drive" 2 >/dev/null || exit 1
    on_drive 0 tape "$1" noise $(($2 * 1000000 / block * block)) "$block" >/dev/null || exit 1
    settle 2>"$work/settle.log" || exit 1
    "${@:4}"
    end_library || exit 1
    rm -rf "$lib"
}

tgtd_instructions() { # write|encrypt MEGABYTES
    written_by_tgtd "$1" "$2" "$work/counting:$PATH" true
    instructions=$(counted) || exit 1
}

# Time in user mode so far, in ticks of a hundredth of a second.
note_user_time() {
    ticks=$(awk '{ sub(/.*\) /, ""); print $12 }' "/proc/$tgtd/stat")
}

floor_instructions() { # MEGABYTES [sha256] [aes]
    local bytes=$(($1 * 1000000 / block * block))
    if [ "$counter" = perf ]; then
        perf stat -x, -e instructions:u -o "$work/count" build/bench/floor $bytes "$block" "${@:2}" >/dev/null || die "floor: see above"
    else
        env $no_rep valgrind -q --tool=cachegrind --cache-sim=no --cachegrind-out-file="$work/count" build/bench/floor $bytes "$block" "${@:2}" \
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
    local instructions ours least ms least_ms ticks=0
    note "cost: $1"
    per_byte tgtd_instructions "$2" MB
    ours=$instructions
    per_byte floor_instructions MB "${@:3}"
    least=$instructions
    # The same without anybody counting: what the processor's own instructions for SHA-256 and AES make of it.
    written_by_tgtd "$2" "$time_mb" "$PATH" note_user_time
    ms=$(calc "$ticks * 10 * 1000 / $time_mb" %.0f)
    TIMEFORMAT=%U
    least_ms=$({ time build/bench/floor $((time_mb * 1000000 / block * block)) "$block" "${@:3}" >/dev/null; } 2>&1) || die "floor failed"
    least_ms=$(calc "$least_ms * 1e6 / $time_mb" %.0f)
    printf '  %-54s %8s %8s %6s %8s %8s %6s\n' "$1" "$ours" "$least" "$(calc "$ours / $least" %.2f)" "$ms" "$least_ms" \
        "$(calc "$ms / $least_ms" %.2f)"
    result C1 "$1" "instructions/byte" "$ours" "least=$least" "to_least=$(calc "$ours / $least")" "counter=$counter" \
        "user_ms_per_gb=$ms" "least_user_ms_per_gb=$least_ms"
}

part_cost() {
    local counter
    counter=$(cost_counter)
    command -v "$counter" >/dev/null || die "there is no $counter"
    shm_needs $((cost_mb * 8 + time_mb * 3 + 1000)) "BENCH_COST_MB or BENCH_TIME_MB"
    counting_tgtd
    echo "cost: instructions of tgtd in user mode for each byte written, counted by $counter, and milliseconds in user mode for each"
    echo "GB (10^9 bytes), nobody counting; noise, $block bytes a command"
    printf '  %-54s %8s %8s %6s %8s %8s %6s\n' '' s3vtl least ratio 's3vtl ms' 'least ms' ratio
    cost_row "a directory as the store (copy, 2 x CRC32C)" write
    cost_row "a directory, encrypted (and AES-256-GCM)" encrypt aes
    start_store weed
    cost_row "SeaweedFS over http (copy, 2 x CRC32C, SHA-256)" write sha256
    stop_store
    rm -rf "$work/counting"
}
