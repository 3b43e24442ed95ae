#!/bin/sh
# `vitrine disk`, and guests on overlays: the disk of layers as a person uses it.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"

cd "$work" || exit 99
empty() { [ ! -s "$1" ]; }
json() { jq -e "$1" "${2:-$out}" >"$work/jq.out"; }
said() { grep -q -- "$1" "$out"; }
silent_success() { [ "$status" = 0 ] && empty "$out" && empty "$err"; }

head -c 1000000 /dev/urandom >base.img
truncate -s 2M base.img
cp base.img base.kept

# ---- images ------------------------------------------------------------------------------------
run disk create over.qcow2 --backing base.img
check "create makes an overlay" silent_success
refuses "an image that is there already" disk create over.qcow2 --backing base.img
refuses "no size and no backing file" disk create new.qcow2
refuses "a size that is no size" disk create new.qcow2 --size 1000
refuses "a backing file that is not there" disk create new.qcow2 --backing none
refuses "a format that is none" disk create new.qcow2 --backing base.img --backing-format vmdk
refuses "a backing format without a file" disk create new.qcow2 --size 1M --backing-format raw
refuses "an unknown action" disk burn over.qcow2
refuses "an action without a file" disk info
refuses "an action with too many files" disk info over.qcow2 base.img
refuses "a raw file where an image is needed" disk info base.img
check "what was refused has left nothing" test ! -e new.qcow2

run disk info over.qcow2
check "info succeeds" status_is 0
check "info tells the format" said 'qcow2, version 3, clusters of 64 KiB'
check "info tells the backing file" said 'stands on   base.img, raw'
run disk create top.qcow2 --backing over.qcow2
run disk info top.qcow2 --json
check "info --json is JSON, a layer each" json 'length == 2 and
    .[0].backing == "over.qcow2" and .[1].backing_format == "raw" and .[0].size == 2097152'

run disk check top.qcow2
check "check finds nothing" status_is 0
check "check says so" said '^no errors$'
run disk check top.qcow2 --json=verdict.json
check "check --json=FILE" json '.corruptions == 0 and .leaks == 0 and .clusters == 32' verdict.json

run disk map top.qcow2
check "map shows the layer that answers" said ' 2  data .* base.img$'
run disk map top.qcow2 --json
check "map --json adds up" json '[.[].length] | add == 2097152'

run disk convert top.qcow2 flat.img --format raw
check "convert to raw" silent_success
check "convert copies the disk" same_file flat.img base.img
run disk convert base.img flat.qcow2
check "convert from raw" silent_success
run disk convert flat.qcow2 back.img --format raw
check "and back" same_file back.img base.img
refuses "a file that is there" disk convert flat.qcow2 back.img

# ---- damage ------------------------------------------------------------------------------------
cp flat.qcow2 bad.qcow2 # the first entry of the L2 table, in the fifth cluster: not "copied" any more
l1=$(od -An -tu1 -j$((3 * 65536 + 5)) -N1 bad.qcow2 | tr -d ' ') # of the L1 entry: 64 KiB units
printf '\000' | dd of=bad.qcow2 bs=1 seek=$((l1 * 65536)) conv=notrunc 2>/dev/null
run disk check bad.qcow2
check "check finds damage: exit status 1" status_is 1
check "check tells where" said '^corrupt: data at '
cp flat.qcow2 leak.qcow2 # a count for a cluster that nobody uses
printf '\001' | dd of=leak.qcow2 bs=1 seek=$((2 * 65536 + 2001)) conv=notrunc 2>/dev/null
run disk check leak.qcow2
check "check finds leaks: exit status 3" status_is 3
run disk check leak.qcow2 --repair
check "check --repair gives them back" said '^1 leaked clusters were given back$'
run disk check leak.qcow2
check "and they are gone" status_is 0

# ---- guests ------------------------------------------------------------------------------------
if [ -e "$samples/minios/minios.elf" ]; then
    sed -n 's/^< //p' "$top_srcdir/samples/minios/session.expect" >"$work/minios.typed"
    run disk create minios.qcow2 --backing "$samples/minios/fs.img"
    for disk in "$samples/minios/fs.img" minios.qcow2; do
        run run "$samples/minios/minios.elf" --input minios.typed --max-instructions 2G --digest --disk "$disk"
        check "minios runs on $(basename "$disk")" status_is 0
        cat "$out" "$err" >"$(basename "$disk").session"
    done
    check "raw or overlay, minios does the same, to the last bit" same_file fs.img.session minios.qcow2.session
else
    skip "minios runs on an overlay" "no RISC-V compiler"
fi

# A guest that writes sector 1 of its disk, flushes, and ends: a queue of two requests, made ready.
if [ -n "$RISCV_CC" ]; then
    assemble writer.elf <<'ASM'
        .globl _start
_start: li s0, 0x10001000
        sw zero, 0x070(s0)
        li t0, 3                # acknowledge, driver
        sw t0, 0x070(s0)
        li t0, 1
        sw t0, 0x024(s0)
        sw t0, 0x020(s0)        # VERSION_1
        sw zero, 0x024(s0)
        li t0, 1 << 9
        sw t0, 0x020(s0)        # FLUSH
        li t0, 11               # features OK
        sw t0, 0x070(s0)
        sw zero, 0x030(s0)
        li t0, 8
        sw t0, 0x038(s0)
        la t0, table
        sw t0, 0x080(s0)
        sw zero, 0x084(s0)
        la t0, ready
        sw t0, 0x090(s0)
        sw zero, 0x094(s0)
        la s1, used
        sw s1, 0x0a0(s0)
        sw zero, 0x0a4(s0)
        li t0, 1
        sw t0, 0x044(s0)
        li t0, 15               # driver OK
        sw t0, 0x070(s0)
        sw zero, 0x050(s0)      # notify
        li t1, 2
1:      lhu t0, 2(s1)
        bne t0, t1, 1b
        la t0, status           # both must be 0
        lw t0, 0(t0)
        slli t0, t0, 16
        li t1, 0x3333
        or t1, t1, t0
        bnez t0, 2f
        li t1, 0x5555
2:      li t0, 0x100000
        sw t1, 0(t0)
        j .
        .balign 16
table:  .word write, 0, 16; .half 1, 1
        .word data, 0, 512; .half 1, 2
        .word status, 0, 1; .half 2, 0
        .word flush, 0, 16; .half 1, 4
        .word status + 1, 0, 1; .half 2, 0
        .balign 16
ready:  .half 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0
        .balign 16
used:   .space 80
        .balign 16
write:  .word 1, 0, 1, 0
flush:  .word 4, 0, 0, 0
status: .word 0
data:   .ascii "written by the guest"
        .space 492
ASM
    for under in bare hv; do
        rm -f top.qcow2
        run disk create top.qcow2 --backing over.qcow2
        run run writer.elf --under $under --disk top.qcow2 --max-instructions 10M
        check "$under: a guest writes to an overlay" status_is 0
        run disk map top.qcow2 --json
        check "$under: its sector is in the top layer" json '.[0].depth == 0 and .[0].length == 65536
            and .[1].depth == 2'
        rm -f flat.img
        run disk convert top.qcow2 flat.img --format raw
        check "$under: the disk has it" test "$(dd if=flat.img bs=1 skip=512 count=20 2>/dev/null)" = "written by the guest"
        check "$under: the base has not changed" same_file base.img base.kept
        run disk check top.qcow2
        check "$under: the image is well" status_is 0
    done
    run run writer.elf --disk top.qcow2 --disk-readonly --max-instructions 10M
    check "a read-only overlay is not written" test "$status" != 0
    run disk commit top.qcow2
    check "commit" silent_success
    run disk map over.qcow2 --json
    check "commit writes to the next layer" json '.[0].depth == 0 and .[0].length == 65536'
    check "and no further" same_file base.img base.kept
    refuses "a disk that is damaged" run writer.elf --disk /dev/null
    printf 'QFI\373' >torn.qcow2
    truncate -s 1M torn.qcow2
    refuses "an image of which only the beginning is there" run writer.elf --disk torn.qcow2
else
    skip "a guest writes to an overlay" "no RISC-V compiler"
fi
finish
