#!/bin/sh
# Linux as an x86 guest, by both ways in, to its first program and to a reset. Slow where KVM interprets
# the guest's kernel, so `make check-slow` runs it and `make check` does not.
#
# The kernel is one that samples/x86/linux.sh has built: in the folder VITRINE_LINUX_X86, else in
# samples/x86/linux of the build folder or of build/ in the source. VITRINE_BUILD_LINUX=yes builds it.
# VITRINE_LINUX_DEBIAN may be the kernel of a Debian package (/boot/vmlinuz-...): it gets a shell, too.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_kvm

linux=${VITRINE_LINUX_X86:-$samples/x86/linux}
[ -e "$linux/vmlinux" ] || [ -n "$VITRINE_LINUX_X86" ] || linux=$top_srcdir/build/samples/x86/linux
if [ ! -e "$linux/vmlinux" ] && [ "$VITRINE_BUILD_LINUX" = yes ]; then
    linux=${VITRINE_LINUX_X86:-$samples/x86/linux}
    "$top_srcdir/samples/x86/linux.sh" "$linux" >"$out" 2>&1 ||
        { sed 's/^/# /' "$out"; echo "Bail out! samples/x86/linux.sh has failed"; exit 99; }
fi
[ -e "$linux/vmlinux" ] || skip_all \
    "no Linux kernel: build it with samples/x86/linux.sh, or set VITRINE_BUILD_LINUX=yes"

# What a software backend cannot do the kernel must not use.
args='console=ttyS0 reboot=k panic=-1'
kvm_is_software && args="$args noxsave nofsgsbase mitigations=off no_timer_check norandmaps \
clearcpuid=smap,smep,cx16,invpcid,pcid,popcnt,rdrand,rdseed"

printed() { tr -d '\r' <"$out" | grep -Eq -- "$1"; }
says() { check "$way: $1" printed "$2"; }

boot() { # seconds, arguments...
    status=0
    timeout -k 5 $(($1 + 60)) "$vitrine" run --no-reboot --max-seconds "$@" --json="$work/json" \
        </dev/null >"$out" 2>"$err" || status=$?
}

head -c 1M /dev/zero >"$work/disk.img"

# To the first program, which computes and tells the result by the address of its fault.
for way in vmlinux bzImage; do
    boot 1800 "$linux/$way" --initrd "$linux/nocall.cpio" --kernel-args "$args" --memory 128M \
        --disk "$work/disk.img"
    says "the kernel's first line" '\] Linux version 6\.1\.[0-9]+ '
    says "the memory map is ours" 'BIOS-e820: \[mem 0x0000000000100000-0x0000000007ffffff\] usable'
    says "the hypervisor is found" 'Hypervisor detected: KVM$'
    says "the clock is the hypervisor's" 'kvm-clock: Using msrs '
    says "the console is COM1" 'ttyS0 at I/O 0x3f8 \(irq = 4'
    says "the disk is there" 'virtio_blk virtio[0-9]+: \[vda\] 2048 512-byte logical blocks'
    says "the first program begins" 'Run /init as init process'
    says "and has computed what it must, with 64 pages on demand" 'init\[1\]: segfault at 5eedc7e0 '
    says "the kernel panics, as it must" 'Kernel panic - not syncing: Attempted to kill init'
    check "$way: the reset ends the run with 0" status_is 0
done

# A shell needs system calls.
shell() { # kernel
    status=0
    : >"$out"
    { # what is typed before the shell has asked for it would be lost
        tries=0
        until printed '^/ # ' || [ $tries = 600 ]; do
            sleep 0.2
            tries=$((tries + 1))
        done
        # shellcheck disable=SC2016 # the guest's shell computes
        printf 'echo result $((6 * 7))\ncat /proc/interrupts\nreboot -f\n'
    } | timeout -k 5 260 "$vitrine" run --no-reboot --max-seconds 200 "$1" \
        --initrd "$linux/initramfs.cpio" --kernel-args "$args" --memory 256M >"$out" 2>"$err" ||
        status=$?
    says "the first program" '^Linux 6\.[0-9.]+[^ ]*, up after '
    says "a command computes" '^result 42$'
    says "interrupts of the console arrive" '^ +4: +[1-9][0-9]* .*ttyS0'
    check "$way: reboot -f ends the run with 0" status_is 0
}

for way in vmlinux debian; do
    kernel=$linux/vmlinux
    [ $way = vmlinux ] || kernel=$VITRINE_LINUX_DEBIAN
    if kvm_is_software; then
        skip "$way: a shell on COM1" "this KVM cannot run syscall"
    elif [ -z "$kernel" ]; then
        skip "$way: a shell on COM1" "VITRINE_LINUX_DEBIAN names no kernel"
    else
        shell "$kernel"
    fi
done
finish
