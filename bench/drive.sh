# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # what bench/lib.sh and scripts/bench set
# drive.sh: W1, W2, D1, R2: how fast a drive of ours, tgt's own tape emulation and a null device are for the same client.
# Sourced by scripts/bench.
#   BENCH_MB=512         megabytes in one measurement     BENCH_ROUNDS=5    measurements of each kind
#   BENCH_BLOCK=262144   bytes a command

mb=${BENCH_MB:-512} rounds=${BENCH_ROUNDS:-5}
declare -A rate took tail_us max_us # "target kind" -> one figure a round

# ---- the three targets ----

drive_library() {
    local i barcodes=''
    for i in $(seq 1 "$rounds"); do barcodes="$barcodes $(printf 'BENCH%03dL8' "$i")"; done
    # shellcheck disable=SC2086
    LIB_DRIVES=1 LIB_SLOTS=$((rounds + 1)) LIB_CACHE_SIZE=64G LIB_MAX_DIRTY=64G library_make "$work/lib" $barcodes ||
        exit 1
    serve_library "$work/lib"
}

adm() {
    TGT_IPC_SOCKET=$work/ipc tgtadm -C "$control" --lld iscsi "$@" >>"$work/tgtadm.log" 2>&1 ||
        die "tgtadm $*: $(tail -1 "$work/tgtadm.log")"
}

# The parameters that "s3vtl serve" sets, so that only the device differs.
tune() { # TID
    local p
    for p in MaxRecvDataSegmentLength=1048576 FirstBurstLength=1048576 MaxBurstLength=4194304 InitialR2T=No \
        ImmediateData=Yes; do
        adm --mode target --op update --tid "$1" --name "${p%%=*}" --value "${p#*=}"
    done
}

# tgt's own devices in a tgtd of their own, whatever else runs on this host.
start_tgt() {
    tgt_portal=127.0.0.1:$(library_free_port)
    control=$(($$ % 30000 + 1000))
    TGT_IPC_SOCKET=$work/ipc tgtd -f -C $control --iscsi portal="$tgt_portal" >"$work/tgtd.log" 2>&1 &
    tgtd_pid=$!
    local i
    for i in $(seq 100); do
        TGT_IPC_SOCKET=$work/ipc tgtadm -C $control --mode system --op show >/dev/null 2>&1 && break
        if ! kill -0 $tgtd_pid 2>/dev/null || [ "$i" = 100 ]; then die "tgtd does not start: $(tail -1 "$work/tgtd.log")"; fi
        sleep 0.1
    done
    adm --mode target --op new --tid 1 --targetname iqn.2026-11.s3vtl:bench-ssc
    adm --mode target --op new --tid 2 --targetname iqn.2026-11.s3vtl:bench-null
    adm --mode logicalunit --op new --tid 2 --lun 1 --device-type disk --bstype null --backing-store none
    for i in 1 2; do
        tune $i
        adm --mode target --op bind --tid $i --initiator-address ALL
    done
}

end_tgt() {
    kill -KILL "$tgtd_pid" 2>/dev/null
    wait "$tgtd_pid" 2>/dev/null
    tgtd_pid=''
    rm -rf "${work:?}/ssc" "${work:?}/lib"
}

# A new image for tgt's tape, as s3vtl writes to new files too: writing over a file whose memory is there already is faster.
fresh_image() {
    [ ! -e "$work/ssc" ] || adm --mode logicalunit --op delete --tid 1 --lun 1
    rm -f "$work/ssc"
    # Twice the size: the image takes more than the data.
    tgtimg --op new --device-type tape --barcode=BENCH001 --size=$((mb * 2)) --type=data --file="$work/ssc" \
        --thin-provisioning >"$work/tgtimg.log" 2>&1 || die "tgtimg: $(tail -1 "$work/tgtimg.log")"
    adm --mode logicalunit --op new --tid 1 --lun 1 --device-type tape --backing-store "$work/ssc"
}

# ---- measuring ----

measure() { # NAME KIND PORTAL TARGET LUN TYPE
    local how data=noise out mbs median p999 max
    case $2 in
        write-noise) how="write" ;;
        write-text) how="write" data=text ;;
        read) how="read" ;;
    esac
    [ "$how" = read ] || warm $((mb * 5 / 2))
    out=$($speed "$3" "$4" "$5" "$6" $how $data $((mb * 1000000 / block * block)) "$block") || die "$1, $2: see above"
    read -r mbs median p999 max _ <<<"$out"
    rate["$1 $2"]+=" $mbs"
    took["$1 $2"]+=" $median"
    tail_us["$1 $2"]+=" $p999"
    max_us["$1 $2"]+=" $max"
}

drive_round() { # NUMBER
    local kind first=$((slot + $1 - 1))
    move "$first" "$drive" 2 >/dev/null || exit 1
    # Text first: so what is read afterwards is noise.
    for kind in write-text write-noise read; do
        measure s3vtl $kind "$LIB_PORTAL" "$LIB_TARGET" 2 tape
        settle
        [ $kind = read ] || fresh_image
        measure ssc $kind "$tgt_portal" iqn.2026-11.s3vtl:bench-ssc 1 tape
        measure null $kind "$tgt_portal" iqn.2026-11.s3vtl:bench-null 1 disk
    done
    squeezed+=" $(build/bench/squeeze $((mb * 1000000)) "$block")" || die "squeeze: see above"
    move "$drive" "$first" >/dev/null || exit 1
    settle
    s3vtl "$work/lib" tape remove --force "$(printf 'BENCH%03dL8' "$1")" >/dev/null || die "tape remove: see above"
}

drive_row() { # ID KIND TEXT
    local s t n us tail_ max
    s=$(median "${rate["s3vtl $2"]}") t=$(median "${rate["ssc $2"]}") n=$(median "${rate["null $2"]}")
    us=$(median "${took["s3vtl $2"]}") tail_=$(median "${tail_us["s3vtl $2"]}") max=$(largest "${max_us["s3vtl $2"]}")
    awk -v text="$3" -v s="$s" -v t="$t" -v n="$n" -v us="$us" -v tl="$tail_" -v max="$max" \
        -v range="$(spread "${rate["s3vtl $2"]}")" 'BEGIN {
        printf "%-26s %8.0f %8.0f %8.0f %10.2f %10.2f %8d %8d %8d %11s\n", text, s, t, n, s / t, s / n, us, tl, max, range }'
    result "$1" "$3" MB/s "$s" "rounds=$(list "${rate["s3vtl $2"]}")" "tgt_ssc=$t" "null=$n" "to_tgt_ssc=$(calc "$s / $t")" \
        "to_null=$(calc "$s / $n")" "us_median=$us" "us_99_9=$tail_" "us_max=$max" \
        "tgt_ssc_us_median=$(median "${took["ssc $2"]}")" "tgt_ssc_us_99_9=$(median "${tail_us["ssc $2"]}")" \
        "tgt_ssc_us_max=$(largest "${max_us["ssc $2"]}")" "null_us_median=$(median "${took["null $2"]}")"
}

drive_goal() { # ID TEXT OPERATOR LIMIT KIND OTHER
    against_goal "$1" "$2" ratio "$(calc "$(median "${rate["s3vtl $5"]}") / $(median "${rate["$6 $5"]}")" %.2f)" "$3" "$4"
}

part_drive() {
    local i squeezed=''
    shm_needs $((mb * 7)) BENCH_MB
    drive_library
    start_tgt
    for i in $(seq "$rounds"); do
        note "drive: round $i of $rounds"
        drive_round "$i"
    done
    end_library
    end_tgt
    echo "drive: MB/s (10^6 bytes), $block bytes a command, queue depth 1, medians of $rounds rounds of $mb MB; times of one command on"
    echo "s3vtl in microseconds, the largest of all rounds"
    printf '%-26s %8s %8s %8s %10s %10s %8s %8s %8s %11s\n' '' s3vtl 'tgt ssc' null s3vtl/ssc s3vtl/null median 99.9% largest 's3vtl range'
    drive_row W1 write-noise 'write, no compression'
    drive_row W1 write-text 'write, half compresses'
    drive_row R2 read 'read'
    drive_goal W1 'W1  write, to the null device' ">=" 0.5 write-noise null
    drive_goal W2 'W2  write, to tgt ssc' ">=" 3 write-noise ssc
    printf '      no target in this tgtd can be more than %s: that is the null device\n' \
        "$(calc "$(median "${rate["null write-noise"]}") / $(median "${rate["ssc write-noise"]}")" %.2f)"
    drive_goal R2 'R2  read, to the null device' ">=" 0.5 read null
    local d
    d=$(calc "$(median "${rate["s3vtl write-text"]}") / $(median "$squeezed")" %.2f)
    against_goal D1 "D1  write, half compresses, to zstd -1 alone ($(median "$squeezed") MB/s)" ratio "$d" ">=" 0.9 \
        "zstd_rounds=$(list "$squeezed")"
}
