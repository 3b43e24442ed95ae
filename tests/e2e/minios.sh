#!/bin/sh
# A session at minios's shell: what is typed and what must be printed stand in session.expect ("< "
# begins a typed line). The same text bare, in a virtual machine, with its own firmware, and on QEMU.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_samples minios/minios.elf

minios=$samples/minios

take_session() { # file
    sed -n 's/^< //p' "$top_srcdir/samples/minios/$1" >"$work/typed"
    grep -v '^< ' "$top_srcdir/samples/minios/$1" >"$work/expected"
}

same_session() {
    tr -d '\r' <"$out" >"$work/printed"
    cmp -s "$work/expected" "$work/printed" ||
        { diff "$work/expected" "$work/printed" | head -n 30 | sed 's/^/# /'; return 1; }
}

# The session on Vitrine: what, guest, options...
play() {
    what=$1
    guest=$2
    shift 2
    run run "$minios/$guest" --input "$work/typed" --max-instructions 2G "$@"
    check "$what: minios ends well" status_is 0
    check "$what: minios prints what it must" same_session
}

play_qemu() { # what, options...
    what=$1
    shift
    if ! command -v qemu-system-riscv32 >/dev/null; then
        skip "$what: minios prints what it must" "no qemu-system-riscv32"
        return
    fi
    status=0
    timeout 600 qemu-system-riscv32 -M virt -m 64M -bios none -nographic -monitor none -serial stdio \
        -global virtio-mmio.force-legacy=false -kernel "$minios/minios-fw.elf" "$@" \
        <"$work/typed" >"$out" 2>"$err" || status=$?
    check "$what: minios ends well" status_is 0
    check "$what: minios prints what it must" same_session
}

take_session session.expect
cp "$minios/fs.img" "$work/disk.img"
for under in bare hv; do
    play "$under" minios.elf --under $under --disk "$work/disk.img" --digest
    cp "$err" "$work/digest-$under"
    play "$under, own firmware" minios-fw.elf --under $under --disk "$work/disk.img"
done
check "bare and virtual end in the same state" same_file "$work/digest-bare" "$work/digest-hv"
play_qemu QEMU -drive "file=$work/disk.img,if=none,format=raw,id=disk" -device virtio-blk-device,drive=disk

take_session session-nodisk.expect
for under in bare hv; do
    play "$under, no disk" minios.elf --under $under
done
play_qemu "QEMU, no disk"
finish
