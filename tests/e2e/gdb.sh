#!/bin/sh
# The GDB stub, driven by the real gdb and by a program that sends it rubbish.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"

assemble "$work/count.elf" <<'END'
    .globl _start, loop, after, cell, leaf
_start:
    li   a0, 0
    li   a1, 5
    la   a2, cell
loop:
    addi a0, a0, 1
    sw   a0, 0(a2)
    call leaf
    bne  a0, a1, loop
after:
    csrw mscratch, a0
    li   a3, 0x100000
    li   a4, 0x75555
    li   a4, 0x73333
    sw   a4, 0(a3)
1:  j    1b
leaf:
    lw   a5, 0(a2)
    ret
    .balign 4
cell: .word 0x11223344
END
assemble "$work/spin.elf" <<'END'
    .globl _start
_start:
    li a0, 0
1:  addi a0, a0, 1
    j 1b
END

# Does the debugger wait for something? It sleeps, and has not worked for a while.
waits() { # pid
    before=$(ticks "$1") && sleep 0.3 && [ "$(ticks "$1")" = "$before" ] &&
        grep -q ') S ' "/proc/$1/stat"
}

# Does the guest run by now?
control=$work/control
runs() { ask status | grep -q '^ok running'; }

# Waits for the server's end: $status.
served() { end_of $server TERM; }

find_gdb

# Commands on stdin, one a line, for gdb on the guest.
debugger() { # guest
    {
        echo 'set pagination off'
        echo 'set confirm off'
        echo "target remote $address"
        cat
    } >"$work/commands"
    timeout 600 $gdb -nx -batch -x "$work/commands" "$1" </dev/null >"$out" 2>&1
}

if [ -n "$gdb" ]; then
    for under in bare hv; do
        serve "$work/count.elf" --under $under
        debugger "$work/count.elf" <<'END'
printf "entry %x\n", $pc
break *loop
continue
printf "first %d\n", $a0
stepi
printf "second %d\n", $a0
delete
watch *(int*)&cell
continue
printf "cell %d\n", *(int*)&cell
continue
printf "cell now %d\n", *(int*)&cell
delete
rwatch *(int*)&cell
continue
delete
tbreak *after
continue
set $a0 = 77
set $mscratch = 0
stepi
printf "mscratch %d\n", $mscratch
printf "priv %d\n", $priv
printf "misa %x\n", $misa
set var *(int*)&cell = 0x55667788
x/xw &cell
x/4i &loop
monitor help
monitor walk cell
monitor status
monitor exits
info registers csr
continue
END
        check "$under: gdb sees the entry" grep -q '^entry 80000000' "$out"
        check "$under: gdb stops at a breakpoint" grep -q '^first 0' "$out"
        check "$under: gdb steps" grep -q '^second 1' "$out"
        check "$under: gdb watches a write" grep -q '^cell 1' "$out"
        check "$under: gdb watches the next write" grep -q '^cell now 2' "$out"
        check "$under: gdb watches a read" grep -q '^Value = 2' "$out"
        check "$under: gdb writes registers" grep -q '^mscratch 77' "$out"
        check "$under: gdb sees the mode" grep -q '^priv 3' "$out"
        check "$under: gdb sees misa" grep -q '^misa 40141101' "$out"
        check "$under: gdb writes memory" grep -Eq 'cell>:.*0x55667788' "$out"
        check "$under: gdb disassembles" grep -Eq 'loop>:.*a0,a0,1' "$out"
        check "$under: gdb knows the CSRs" grep -q '^satp' "$out"
        check "$under: monitor commands" grep -q 'monitor exits' "$out"
        check "$under: gdb sees the end" grep -q 'exited with code 07' "$out"
        served
        check "$under: the exit status is the guest's" status_is 7

        serve "$work/spin.elf" --under $under
        printf '%s\n' 'detach' | debugger "$work/spin.elf"
        printf '%s\n' 'printf "going %d\n", $a0 > 0' 'kill' | debugger "$work/spin.elf"
        check "$under: after detach the guest runs on, and gdb may come again" grep -q '^going 1' "$out"
        served
        check "$under: kill ends it" status_is 0

        serve "$work/spin.elf" --under $under --control "$control"
        printf '%s\n' 'set pagination off' "target remote $address" 'continue' \
            'printf "interrupted %d\n", $a0 > 0' 'kill' >"$work/commands"
        $gdb -nx -batch -x "$work/commands" "$work/spin.elf" </dev/null >"$out" 2>&1 &
        debugger=$!
        await runs
        await waits $debugger
        kill -INT $debugger
        end_of $debugger
        check "$under: Ctrl-C interrupts" grep -q '^interrupted 1' "$out"
        kill $server 2>/dev/null
        served
    done
else
    skip "the real gdb" "no gdb that knows RISC-V"
fi

# What the rubbish has written may be the guest's end: then the server has ended in order.
survived() {
    case $status in
    0) kill -0 $server && kill $server ;;
    3) served && [ "$status" -lt 124 ] && ! grep -qE 'Sanitizer|runtime error' "$err" ;;
    *) kill $server && false ;;
    esac
}

for under in bare hv; do
    for seed in 1 2 3 4; do
        serve "$work/spin.elf" --under $under
        status=0
        timeout 600 "$top_builddir/tests/e2e/gdb-fuzz" "${address##*:}" $seed 1000 >"$out" || status=$?
        check "$under: rubbish with seed $seed is survived" survived
        served
    done
done
finish
