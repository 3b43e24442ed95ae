#!/bin/sh
# A Linux kernel as a guest, from its first line to switching off: bare, in a virtual machine, in
# the two ways to load it, and where it is installed on QEMU. It is not built with the rest, see
# samples/linux/build.sh; VITRINE_LINUX is the folder that it was built in.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"

linux=${VITRINE_LINUX:-$samples/linux}
[ -e "$linux/Image" ] || linux=$top_srcdir/build/samples/linux
[ -e "$linux/Image" ] || skip_all "no Linux kernel: build it with samples/linux/build.sh"

# What init says, without what differs from kernel to kernel and from machine to machine.
same_steps() {
    sed -n 's,^.*// expect: ,,p' "$top_srcdir/samples/linux/init.c" >"$work/expected"
    tr -d '\r' <"$out" | sed -n -e '/^init: cpu/d' -e 's/^\(init: hello from Linux\) [^ ]*/\1/' \
        -e 's/^\(init: up for\) [0-9]*/\1/' -e '/^init: /p' >"$work/printed"
    [ -s "$work/expected" ] || return 1
    same_file "$work/expected" "$work/printed" ||
        { diff "$work/expected" "$work/printed" | sed 's/^/# /'; return 1; }
}

knows_the_processor() {
    grep -q '^init: cpu isa *: rv32ima' "$out" && grep -q '^init: cpu mmu *: sv32' "$out"
}
has_crashed_child() { grep -q 'unhandled signal 11 code 0x1 at 0x00000010' "$out"; }
switched_off() { tail -n 1 "$out" | grep -q 'reboot: Power down'; }

boot() { # what, guest, options...
    what=$1
    guest=$2
    shift 2
    run run "$linux/$guest" --disk "$linux/disk.img" --disk-readonly --max-instructions 1G "$@"
    check "$what: the run ends well" status_is 0
    check "$what: init's steps are right" same_steps
    check "$what: the kernel has switched off" switched_off
}

for under in bare hv; do
    boot "$under" Image --under $under --digest
    cp "$out" "$work/console-$under"
    cp "$err" "$work/digest-$under"
    check "$under: init sees the processor of the device tree" knows_the_processor
    check "$under: the kernel reports the child that crashes" has_crashed_child
done
check "the console has the same bytes bare and in a virtual machine" \
    same_file "$work/console-bare" "$work/console-hv"
check "bare and virtual end in the same state" same_file "$work/digest-bare" "$work/digest-hv"

for engine in interp threaded; do
    boot "$engine" Image --under hv --engine $engine --digest
    check "$engine: the same bytes on the console" same_file "$work/console-bare" "$out"
    check "$engine: the same state at the end" same_file "$work/digest-bare" "$err"
done

boot "ELF" linux.elf --under hv
boot "16 MiB of memory" Image --under hv --memory 16M

# The first instruction of process 1, at 0x11000: not in the kernel's table, so the kernel gets a
# fault and loads the page; then not in the shadow table, so the monitor fills that.
cat >"$work/script" <<'END'
break 0x11000
run
walk 0x11000 x
run
walk 0x11000 x
step
exits 1
walk 0x11000 x
END
first_faults() {
    sed -n -e 's/^  \(guest table\|shadow table\).* -> \([a-z]*\).*/\1: \2/p' \
        -e 's/^exit.*: \(shadow fault\),.*/\1/p' "$out" >"$work/printed"
    cat >"$work/expected" <<'END'
guest table: instruction
shadow table: instruction
guest table: g
shadow table: instruction
shadow fault
guest table: g
shadow table: h
END
    same_file "$work/expected" "$work/printed"
}
typed=$work/script
run debug "$linux/linux.elf"
typed=
check "process 1: a script of the debugger ends well" status_is 0
check "process 1: one page fault for the kernel, one for the monitor" first_faults

arguments_are_used() { tr -d '\r' <"$out" | grep -q 'command line: console=hvc0 loglevel=7$'; }
boot "the firmware's console" Image --under hv --kernel-args 'console=hvc0 loglevel=7'
check "the kernel takes its arguments from the device tree" arguments_are_used

run run "$linux/Image" --under hv --max-instructions 1G
says_no_disk() { grep -q '^init: no disk' "$out"; }
check "without a disk: the run ends well" status_is 0
check "without a disk: init says so" says_no_disk

if command -v qemu-system-riscv32 >/dev/null && [ -e "$samples/firmware/firmware.elf" ]; then
    status=0
    timeout 600 qemu-system-riscv32 -M virt -cpu rv32,sstc=off -m 64M -nographic -monitor none \
        -serial stdio -bios "$samples/firmware/firmware.elf" -kernel "$linux/Image" \
        -global virtio-mmio.force-legacy=false \
        -drive "file=$linux/disk.img,if=none,format=raw,id=disk,readonly=on" \
        -device virtio-blk-device,drive=disk </dev/null >"$out" 2>"$err" || status=$?
    check "QEMU: the run ends well" status_is 0
    check "QEMU: init's steps are right" same_steps
else
    skip "QEMU: init's steps are right" "no qemu-system-riscv32, or no firmware for it"
fi
finish
