#!/bin/sh
# `vitrine debug` of x86 guests as a script: steps, breakpoints, registers, walks, exits, snapshots;
# and `walk`, `devices`, `draw`, `disasm` of them.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_kvm

x86=$samples/x86
longmode=$x86/longmode/longmode.elf
printed() { grep -Eq -- "$1" "$out"; }
complains() { grep -q -- "$1" "$err"; }

# Types these lines to the debugger.
session() { # guest, options...
    cat >"$work/script"
    typed=$work/script
    run debug "$@"
    typed=
}

# ---- steps and breakpoints -----------------------------------------------------------------------

session "$longmode" <<'END'
# a comment
step
step 3
where
break main
break
run
where
over
where
until trap
delete 1
delete 99
END
check "a script ends where a command fails" status_is 1
check "which is named" complains 'no such breakpoint'
check "the first instruction is the kernel's entry" printed '^pvh_start:$'
check "a step" printed '^stepped; vcpu 0, [0-9]+ exits$'
check "three steps, and the loop has begun" printed '^0x0010001e pvh_start\+0x1e$'
check "a breakpoint at a symbol" printed '^1: execute at 0x00[0-9a-f]+$'
check "is listed with it" printed '^1: execute at 0x00[0-9a-f]+, 1 bytes  main$'
check "stops there" printed '^breakpoint; vcpu 0, '
check "and the line of the source is told" printed 'longmode/main\.c:[0-9]+'
check "over steps through a call, or past an instruction" printed '^0x00[0-9a-f]+ main\+0x'
check "until a symbol" printed '^reached; vcpu 0, '

# Calls a function that counts; then a loop that writes to a cell, over and over.
assemble_x86 "$work/count.bin" 64 <<'END'
    lea rdi, [rip + cell]
    call leaf
    nop
1:  inc qword ptr [rdi]
    jmp 1b
leaf:
    mov eax, 5
2:  dec eax
    jnz 2b
    ret
    .balign 8
cell: .quad 0x1122334455667788
END
session "$work/count.bin" --boot flat64 <<'END'
step
regs
over
where
step 2
exits
END
check "over runs through a call" printed '^0x0010000c'
check "steps are exits of their own kind" printed ' debug +[0-9.]+ us each'
check "a changed register is marked" printed '^  rdi +\*0x00000000001000'

# Halted with interrupts off it is not stepped either: nothing would come of it, ever.
printf 'cli; hlt; nop\n' | assemble_x86 "$work/halted.bin" 64
session "$work/halted.bin" --boot flat64 <<'END'
run
step
step 2
END
ends_halted() { [ "$(grep -c '^every vCPU is halted with interrupts off' "$out")" = 3 ]; }
check "a halted vCPU is not stepped for ever" ends_halted
session "$work/count.bin" --boot flat64 --max-seconds 1 <<'END'
run
regs
mem 0x100020 8
END
check "a guest that does not stop is paused by --max-seconds" printed '^paused; '
check "and a script goes on" printed '^  0x00100020 '

session "$work/count.bin" --boot flat64 --max-seconds 2 <<'END'
watch w 0x100020 8
run
break
END
check "a watchpoint is set" printed '^1: write at 0x00100020, 8 bytes'
if kvm_is_software; then
    skip "and stops behind the write" "this KVM does not pass watchpoints on"
else
    check "and stops behind the write" printed '^watchpoint: write of 0x0*100020'
fi

# ---- looking -------------------------------------------------------------------------------------

session "$longmode" <<'END'
until vm_fault
regs
regs segment
regs control
regs debug
regs msr
regs fpu
regs sse
regs all
csrs
walk 0x40000000 x
walk 0x100000
tables guest
dis main 6
dis
mem main 16
mem phys 0x100000 8
devices
exits 3
input hello
vcpu
engine
digest
END
check "a script of questions ends well" status_is 0
for group in general segment control debug msr fpu sse; do
    check "registers: $group" printed "^$group\$"
done
check "registers: rip is where it stands" printed '^  rip +\*?0x0000000000101[0-9a-f]{3}$'
check "registers: a segment in words" printed '^  cs .* 64-bit code, .*DPL 0$'
check "registers: cr0 in words" printed '^  cr0 .* PE .*PG$'
check "registers: efer in words" printed '^  efer .* LME LMA NXE$'
check "registers: an MSR" printed '^  apic_base .* the boot processor$'
check "a walk ends where nothing is" printed '^    PDPT +entry +1 at 0x[0-9a-f]{8}: 0x00000000 not valid$'
check "with the error code of the page fault" printed '#PF, error code 0x10: '
walk_goes_down() {
    for level in PML4 PDPT directory; do
        grep -Eq "^    $level +entry +0 at 0x[0-9a-f]{8}: 0x[0-9a-f]+ " "$out" || return 1
    done
}
check "a walk names the levels as the manual does" walk_goes_down
check "a page of 2 MiB" printed 'gVA 0x00100000 -> gPA 0x00100000, rwx--ad, 2 MiB page$'
check "behind it is memory of this program" printed "^  memory slot +gPA 0x00100000 -> this program's 0x"
check "as CPL 0" printed ', as CPL 0$'
check "no talk of shadow tables" [ "$(sed -n '/^0x40000000, access x/,/^guest table,/p' "$out" | grep -c shadow)" = 0 ]
check "page tables as runs of pages" printed '^  0x00000000\.\.0x3fffffff -> 0x00000000  .* by 2 MiB$'
check "disassembly with symbols" printed '^main:$'
check "privileged instructions are marked" printed 'mov rax, cr0 +\[traps\]'
check "bytes of memory" printed '^  0x00100000  c7 05 '
check "a device at its ports" printed '^uart at ports 0x3f8\.\.0x3ff, interrupt 4: '
check "exits with their time" printed '^exit [0-9]+ vcpu 0 rip 0x[0-9a-f]+: port I/O, .*, [0-9.]+ us: uart '
check "sums of exits" printed '^ +[0-9]+  port I/O +[0-9.]+ us each '
check "how many vCPUs" printed '^vcpu 0 of 1$'

# Four levels to a page of 4 KiB, made by the guest itself when it was touched.
session "$longmode" <<'END'
break vm_fault
run
run
walk 0x40000000 x
END
pages_of_4k() {
    grep -Eq '^    table +entry +0 at 0x[0-9a-f]+: 0x[0-9a-f]+ leaf r-xu-a-, page at 0x' "$out" &&
        grep -Eq 'gVA 0x40000000 -> gPA 0x[0-9a-f]+, r-xu-a-, 4 KiB page$' "$out"
}
check "a walk of four levels" pages_of_4k

session "$longmode" --cpus 3 <<'END'
vcpu 2
regs
vcpu 3
END
check "registers of another vCPU" printed '^vcpu 2 of 3$'
check "one that is not there is an error" complains 'no such vCPU'

for line in 'tlb' 'engine interp' 'break nowhere' 'regs x' 'walk 0 q' 'watch phys 0x100000' \
    'watch w 0x100001 4' 'restore 7' 'forget 7' 'tables x'; do
    session "$work/count.bin" --boot flat64 <<END
$line
END
    check "a bad command ends a script: $line" status_is 1
done

# ---- exits, a guest that is stuck ----------------------------------------------------------------

session "$x86/hello64.elf" <<'END'
exit
exits 1
run
step
END
check "exit runs to an exit" printed '^VM exit handled; vcpu 0, 1 exits$'
check "and shows it" printed '^exit 1 vcpu 0 rip 0x00100011: port I/O, out 0x3f8, 1 byte, 0x48, '
check "the end is told" printed '^the guest has switched itself off with exit code 0; '
check "after it nothing runs" complains 'the guest has ended (reset starts it again)'

session "$x86/chaos.elf" --kernel-args 'seed=2 rounds=1' <<'END'
run
regs
mem 0x100000 16
reset
run
END
check "after a triple fault the registers can be looked at" status_is 0
check "the explanation has the instruction" printed '^at 0x100[0-9a-f]+ in long mode, 64 bit, CPL 0: ud2 '
check "and the table" printed 'the IDT ends before it'
check "and the guest starts again" [ "$(grep -c '^chaos: now it has a triple fault' "$out")" = 2 ]
check "the summary is said once a run" [ "$(grep -c '^triple fault: ' "$out")" = 2 ]

# ---- snapshots, dirty pages ----------------------------------------------------------------------

session "$longmode" <<'END'
until vm_fault
digest
snapshot first fault
END
check "a snapshot has one name" status_is 1
session "$longmode" <<'END'
until vm_fault
digest
snapshot first
break vm_fault
run
dirty
snapshot second
run
heat
snapshots
restore 1
digest
where
run
snapshots
restore 2
forget 1
snapshots
END
check "snapshots: a script" status_is 0
check "snapshots: are numbered" [ "$(grep -c '^snapshot [12]$' "$out")" = 2 ]
digests_agree() { [ "$(grep -c '^digest' "$out")" = 2 ] && [ "$(grep '^digest' "$out" | sort -u | wc -l)" = 1 ]; }
check "snapshots: a restored state is the one that was kept" digests_agree
check "snapshots: a tree, with its current one" printed '^\*2  after 1: [0-9]+ pages of its own, [0-9]+ KiB, at exit [0-9]+  second$'
check "snapshots: and after a restore" printed '^\*1  after the start: '
goes_on() { [ "$(grep -c '^page fault: fetch by CPL 3 at 0x40000000' "$out")" = 2 ]; }
check "snapshots: the guest goes on from there, and does the same again" goes_on
check "dirty: pages are counted" printed '^[1-9][0-9]* pages written since the last look, [1-9]'
check "dirty: and named" printed '^  0x[0-9a-f]{8}\.\.0x[0-9a-f]{8}  ########$'
check "heat: what was written before is cooler" printed '^  0x[0-9a-f]{8}\.\.0x[0-9a-f]{8}  #{1,7}$'

# ---- the other subcommands -----------------------------------------------------------------------

run walk "$longmode" 0x40000000 --at vm_fault --access x
check "walk at a symbol" status_is 0
check "walk: refused" printed '#PF'
run walk "$x86/hello64.elf" _start
check "walk at the start: the loader's tables" printed 'gVA 0x00100000 -> gPA 0x00100000, .*2 MiB page$'
run walk "$x86/hello16.img" 0x7c00
check "walk in real mode: translation is off" printed 'translation is off'
run devices "$x86/hello64.elf" --at 3
check "devices after three steps" printed '^uart at ports 0x3f8'
run walk "$work/count.bin" 0x100000 --boot flat64 --at 0xdead0000 --max-seconds 1
check "a point that is never reached ends by the clock" status_is 124
for what in translation tables exits; do
    run draw "$longmode" --at vm_fault --what $what -o "$work/$what.svg"
    check "draw $what" [ -s "$work/$what.svg" ]
done
run disasm "$longmode" main
check "disasm shows a symbol" printed '^main:$'
check "with what traps" printed 'mov rax, cr0 +\[traps\]'
check "and nothing behind it" [ "$(grep -c ':$' "$out")" = 1 ]
run disasm "$x86/multiboot/multiboot.elf"
check "disasm shows a 32-bit image" printed '^_start:$'
finish
