# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# machine.sh: shell functions that run a guest of tests/systemd/image and commands in it. Source it in bash.
#   machine_start IMAGE DIR   boots a throw-away copy, by KVM where that works, else emulated; sets MACHINE_ACCEL. DIR/share is /host in the guest,
#                             DIR/console what its kernel says. This host's loopback is 10.0.2.2 there
#   machine [-t SECONDS] TEXT runs TEXT as root in a bash there, and gives what it says and its exit status; 125 after SECONDS (60)
#   machine_reboot            by systemctl; returns when it takes commands again
#   machine_stop              switches it off
# shellcheck disable=SC2034

_machine_qemu() { # ACCELERATOR CPU
    rm -f "$MACHINE_DIR/port.in" "$MACHINE_DIR/port.out" "$MACHINE_DIR/overlay"
    mkfifo "$MACHINE_DIR/port.in" "$MACHINE_DIR/port.out"
    qemu-img create -q -f qcow2 -b "$(realpath "$MACHINE_IMAGE/disk")" -F raw "$MACHINE_DIR/overlay" || return
    exec {MACHINE_IN}<>"$MACHINE_DIR/port.in" {MACHINE_OUT}<>"$MACHINE_DIR/port.out"
    qemu-system-x86_64 -nodefaults -vga none -accel "$1" -cpu "$2" -smp "${MACHINE_CPUS:-2}" -m 1024 -display none -serial "file:$MACHINE_DIR/console" \
        -kernel "$MACHINE_IMAGE/vmlinuz" -initrd "$MACHINE_IMAGE/initrd" \
        -append "console=ttyS0 root=/dev/vda rw fsck.mode=skip quiet loglevel=4 systemd.show_status=0 net.ifnames=0 mitigations=off panic=-1 tsc=reliable" \
        -drive "file=$MACHINE_DIR/overlay,if=virtio,format=qcow2,cache=unsafe" -netdev user,id=n0 -device virtio-net-pci,netdev=n0,romfile= \
        -device virtio-rng-pci -device virtio-serial -chardev "pipe,id=p0,path=$MACHINE_DIR/port" -device virtserialport,chardev=p0,name=agent \
        -virtfs "local,path=$MACHINE_DIR/share,mount_tag=host,security_model=none" </dev/null >"$MACHINE_DIR/qemu" 2>&1 {MACHINE_IN}>&- {MACHINE_OUT}>&- &
    MACHINE_PID=$!
}

# A line of the agent's, within SECONDS, while the guest runs.
_machine_hear() { # SECONDS
    local until=$((SECONDS + $1)) part
    while kill -0 "$MACHINE_PID" 2>/dev/null && [ $SECONDS -lt $until ]; do
        if IFS= read -r -t 1 -u "$MACHINE_OUT" part; then
            MACHINE_HEARD=$MACHINE_PART$part MACHINE_PART=
            return 0
        fi
        MACHINE_PART+=$part # the second may end in the middle of a line
    done
    return 1
}

_machine_up() { # SECONDS
    _machine_hear "$1" && [ "${MACHINE_HEARD%% *}" = up ]
}

machine_start() { # IMAGE DIR
    local limit
    MACHINE_IMAGE=$1 MACHINE_DIR=$2 MACHINE_N=0 MACHINE_PART=
    mkdir -p "$MACHINE_DIR/share"
    # A KVM that is there may not work: inside of other virtual machines it often does not. One without the processor's help (kvm-pvm) emulates,
    # and in 40 s has not come as far as qemu by itself.
    MACHINE_ACCEL=kvm
    [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo && _machine_qemu kvm host && _machine_up 40 && return
    MACHINE_ACCEL=tcg
    # Under emulation, beside others, a kernel now and then hangs before it has run anything: that is said, and tried once more.
    for limit in 120 180; do
        machine_stop
        _machine_qemu tcg,thread=multi,tb-size=512 Nehalem && _machine_up $limit && return
        echo "# the guest did not boot within $limit s"
        tail -5 "$MACHINE_DIR/qemu" "$MACHINE_DIR/console" 2>/dev/null
    done
    machine_stop
    return 1
}

machine() { # [-t SECONDS] TEXT
    local limit=60
    [ "$1" != -t ] || { limit=$2; shift 2; }
    MACHINE_N=$((MACHINE_N + 1))
    printf '%s\n' "$1" >"$MACHINE_DIR/share/do.$MACHINE_N"
    echo "$MACHINE_N" >&"$MACHINE_IN"
    _machine_hear "$limit" || { cat "$MACHINE_DIR/share/out.$MACHINE_N" 2>/dev/null; echo "no answer in $limit s: $1"; return 125; }
    cat "$MACHINE_DIR/share/out.$MACHINE_N"
    [ "${MACHINE_HEARD%% *}" = "$MACHINE_N" ] || { echo "the guest says \"$MACHINE_HEARD\" to $MACHINE_N"; return 125; }
    return "${MACHINE_HEARD##* }"
}

machine_reboot() {
    # The agent may be gone before it has answered.
    MACHINE_N=$((MACHINE_N + 1))
    echo 'systemctl --no-block reboot' >"$MACHINE_DIR/share/do.$MACHINE_N"
    echo "$MACHINE_N" >&"$MACHINE_IN"
    _machine_hear 240 || return
    [ "${MACHINE_HEARD%% *}" != "$MACHINE_N" ] || _machine_hear 240 || return
    [ "${MACHINE_HEARD%% *}" = up ]
}

machine_stop() {
    [ -n "${MACHINE_PID:-}" ] || return 0
    kill "$MACHINE_PID" 2>/dev/null
    wait "$MACHINE_PID" 2>/dev/null
    MACHINE_PID=
    exec {MACHINE_IN}>&- {MACHINE_OUT}>&-
}
