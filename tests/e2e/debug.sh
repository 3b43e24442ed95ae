#!/bin/sh
# `vitrine debug` as a script, and `walk`, `disasm`, `devices`, `draw`.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"

assemble "$work/count.elf" <<'END'
    .globl _start, loop, after, cell
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
    li   a4, 0x5555
    sw   a4, 0(a3)
1:  j    1b
leaf:
    lw   a5, 0(a2)
    ret
    .balign 4
cell: .word 0x11223344
END
guest=$work/count.elf

# Types these lines to the debugger.
session() { # options...
    cat >"$work/script"
    typed=$work/script
    run debug "$guest" "$@"
    typed=
}

for under in bare hv; do
    session --under $under <<'END'
# a comment
break loop
run
regs
step 1
regs
delete 1
break after
run
csrs
step
csrs
continue
END
    check "$under: a script runs" status_is 0
    check "$under: stops at the breakpoint" grep -Eq '^loop:' "$out"
    check "$under: registers" grep -Eq 'a1  .0x00000005' "$out"
    check "$under: a changed register is marked" grep -Eq 'a0  \*0x00000001' "$out"
    check "$under: and a changed CSR" grep -Eq 'mscratch +0x340 M\*0x00000005' "$out"
    check "$under: and then it switches itself off" grep -Eqi 'power|switched|exit' "$out"

    session --under $under <<'END'
watch w cell
run
mem cell 4
run
mem cell 4
watch r cell
break
END
    check "$under: watchpoints stop" [ "$(grep -ci watchpoint "$out")" -ge 2 ]
    check "$under: memory after the first store" grep -Eq ' 01 00 00 00' "$out"
    check "$under: breakpoints are listed" grep -Eq '^2: read at' "$out"

    session --under $under <<'END'
until loop
step 2
over
where
END
    check "$under: over runs through a call" grep -Eq '0x[0-9a-f]+ loop\+0x' "$out"

    session --under $under <<'END'
digest
run
reset
digest
END
    digests_agree() { [ "$(grep '^digest' "$out" | sort -u | wc -l)" = 1 ]; }
    check "$under: reset brings the first state back" digests_agree

    session --under $under <<'END'
engine
step 10
engine threaded
step 10
engine steam
END
    engines_change() { grep -q 'interp$' "$out" && grep -q 'threaded$' "$out"; }
    check "$under: the engine can be changed" engines_change
    check "$under: to one that there is" grep -q 'no such engine' "$err"
done

session --under hv <<'END'
until after
exit
regs both
walk loop x
tables
tlb
dis after 3
exits
devices
input hello
END
check "the views print" status_is 0
check "an exit names its reason" grep -q 'CSR access' "$out"
check "registers side by side" grep -Eq 'pc +0x[0-9a-f]+ +0x800000[0-9a-f]+' "$out"
check "the shadow table" grep -q "shadow table" "$out"
check "the monitor's map" grep -q "monitor's map, gPA -> hPA" "$out"
check "disassembly marks what traps" grep -q 'mscratch.*\[traps\]' "$out"

session --under hv <<'END'
step
fly
step
END
check "an unknown command ends a script with 1" status_is 1
check "and is named" grep -q "fly" "$err"
for line in 'break nowhere_at_all' 'until' 'mem' 'walk 0 q' 'delete 99' 'tables x' 'regs x' 'step x' \
    'watch' 'mem 0 99999999' 'dis nowhere' 'step 1 2 3'; do
    session --under hv <<END
$line
END
    check "a bad command ends a script: $line" status_is 1
done

run walk "$guest" cell --at after --access w
check "walk succeeds" status_is 0
check "walk shows the guest's side" grep -q 'guest table' "$out"
check "walk shows the shadow's side" grep -Eq 'shadow table +gVA 0x8[0-9a-f]+ -> hPA 0x8[0-9a-f]+' "$out"
run walk "$guest" cell --at 3 --under bare
check "walk on the bare computer has one table" [ "$(grep -c 'table' "$out")" = 1 ]
run walk "$guest" cell --at 1000 --max-instructions 10
check "walk to a point that is not reached fails" status_is 124
run disasm "$guest" leaf
check "disasm shows a symbol" grep -q '^leaf:' "$out"
check "and only that" [ "$(wc -l <"$out")" = 3 ]
run disasm "$guest"
check "disasm shows a whole image" grep -q '^after:' "$out"
run devices "$guest" --at 3
check "devices shows the UART" grep -q '^uart at 0x10000000' "$out"

for kind in svg pdf png; do
    for what in translation tables exits timeline layers protection; do
        run draw "$guest" --at after --what $what -o "$work/$what.$kind"
        check "draw $what as $kind" [ -s "$work/$what.$kind" ]
    done
done
# What the README shows is what a newcomer sees.
if [ -e "$samples/paging.elf" ]; then
    sed -n 's/^    (vitrine) //p' "$top_srcdir/README.md" >"$work/script"
    typed=$work/script
    run debug "$samples/paging.elf"
    typed=
    # Of its lines, those without a part left out: the translations and where it stopped.
    sed -n -E 's/^ +(watchpoint:|guest table|monitor.s map|shadow table|level [01])/\1/p' \
        "$top_srcdir/README.md" >"$work/shown"
    shown() {
        [ "$(wc -l <"$work/shown")" -ge 8 ] || return 1
        while IFS= read -r line; do
            grep -qF -- "$line" "$out" || { echo "# not printed: $line"; return 1; }
        done <"$work/shown"
    }
    check "the README's steps show what it says" shown
else
    skip "the README's steps show what it says" "samples were not built"
fi

check "an SVG is one" grep -q '<svg' "$work/translation.svg"
check "a PDF is one" grep -qa '^%PDF' "$work/translation.pdf"
finish
