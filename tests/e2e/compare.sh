#!/bin/sh
# `vitrine compare`: options, what it says about guests that fail or compute something else, the
# forms of its report, and the short variants of the kernels.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"
[ -e "$top_srcdir/samples/bench/kernels.def" ] || [ -e "$samples/bench/kernels.def" ] ||
    skip_all "no list of kernels"

says() { grep -q -- "$1" "$out"; }
complains() { grep -q -- "$1" "$err"; }
# The engines of the simulated computer; where x86 guests can run there is one more.
engine_count=$("$vitrine" compare x --engines none 2>&1 | sed 's/.*but: //; s/, kvm$//' | tr ',' '\n' | wc -l)
kvm=0
(exec 3<>/dev/kvm) 2>/dev/null && [ -e "$samples/x86/hello64.elf" ] && kvm=1

# ---- kernels in a folder of our own: two of the list, one that computes and one that traps ----

kernel_of() { "$vitrine" compare --help | sed -n "s/^  \\([a-z0-9-]*\\)  *$1 .*/\\1/p" | head -n 1; }
kernel=$(kernel_of compute)
traps=$(kernel_of trap)
check "the list has a kernel that computes" [ -n "$kernel" ]
check "and one that traps" [ -n "$traps" ]

# Prints the line of a kernel, after 2,000 reads of a CSR that trap to the monitor.
guest() { # file, name, checksum, exit word
    assemble "$1" <<END
    .globl _start
_start:
    li   t0, 2000
1:  csrr t1, mscratch
    addi t0, t0, -1
    bnez t0, 1b
    la   a0, text
    li   a1, 0x10000000
2:  lbu  a2, 0(a0)
    beqz a2, 3f
    sb   a2, 0(a1)
    addi a0, a0, 1
    j    2b
3:  li   a0, 0x100000
    li   a1, $4
    sw   a1, 0(a0)
4:  j    4b
text:
    .asciz "hello\n$2 rounds 2000 checksum $3\n"
END
}
native() { # checksum
    printf '#!/bin/sh\necho "%s rounds $1 checksum %s"\n' "$kernel" "$1" >"$work/$kernel"
    chmod +x "$work/$kernel"
}
# The same for x86-64, with an exit for each byte.
x86_guest() { # file, name, checksum
    cat >"$work/x86.S" <<END
    .globl _start
_start:
    leaq text(%rip), %rsi
    movl \$end - text, %ecx
    movl \$0x3f8, %edx
    rep outsb
    movl \$0x501, %edx
    xorl %eax, %eax
    outb %al, %dx
text:
    .ascii "hello\n$2 rounds 2000 checksum $3\n"
end:
END
    ${CC:-gcc} -m64 -nostdlib -static -no-pie -Wl,-N -Wl,-Ttext=0x100000 \
        -Wl,--no-warn-rwx-segments -Wl,--build-id=none -o "$1" "$work/x86.S"
}
[ $kvm = 1 ] && x86_guest "$work/$kernel-x86.elf" "$kernel" 00c0ffee
guest "$work/$kernel-m.elf" "$kernel" 00c0ffee 0x5555
guest "$work/$traps-s.elf" "$traps" 12345678 0x5555
cp "$work/$kernel-m.elf" "$work/$kernel-s.elf"
native 00c0ffee

run compare "$kernel" "$traps" --dir "$work" --runs 2 --json="$work/json" --svg "$work/chart.svg"
check "two kernels are compared" status_is 0
check "the table has the rounds and the checksum" says "2000 rounds, checksum 00c0ffee"
check "the table has the native program" says "^  native "
check "the table has the modes" says "interp    bare, no paging"
check "the table has the means" says "geometric means"
check "nothing is on stderr" [ ! -s "$err" ]
# Digits and their number apart, the form is the same each time.
form() { sed 's/[0-9][0-9.,]*/0/g; s/ -/ 0/g; s/0 [kMG]/0/g; s/  */ /g' "$out"; }
form >"$work/form"
run compare "$kernel" "$traps" --dir "$work" --runs 2
form >"$work/again"
check "the table has the same form each time" same_file "$work/form" "$work/again"

if command -v jq >/dev/null; then
    is() { [ "$(jq -r "$1" "$work/json" 2>/dev/null)" = "$2" ]; }
    check "JSON: runs" is .runs 2
    check "JSON: every engine" is '.engines | length' $((engine_count + kvm))
    check "JSON: kvm, or why not" is '(.engines | contains(["kvm"])) == (.no_kvm == null)' true
    check "JSON: two kernels" is '.kernels | length' 2
    check "JSON: rows of the first" is '.kernels[0].rows | length' $((1 + 3 * engine_count + kvm))
    check "JSON: rows of the second" is '.kernels[1].rows | length' $((2 * engine_count))
    check "JSON: no errors" is '[.kernels[].rows[] | select(.error)] | length' 0
    check "JSON: the checksum" is '.kernels[0].checksum' 00c0ffee
    check "JSON: native is native" is '.kernels[0].rows[0] | [.mode, .of_native] | join(" ")' "native 1"
    check "JSON: guests have a ratio" \
        is '[.kernels[0].rows[] | .of_native] | all(. != null and . > 0)' true
    check "JSON: instructions are the same in each row" \
        is '[.kernels[1].rows[].instructions] | unique | length' 1
    check "JSON: exits of the monitor" \
        is '[.kernels[1].rows[] | select(.mode == "hv") | .exits >= 2000] | all' true
    check "JSON: rates of the trap kernel" \
        is '[.kernels[1].rows[].operations_per_second > 0] | all' true
    check "JSON: ratios only where there is a native program" \
        is '[.kernels[1].rows[].of_native] | all(. == null)' true
    if [ $kvm = 1 ]; then
        check "JSON: the row of kvm" is \
            '.kernels[0].rows[] | select(.mode == "kvm") | "\(.engine) \(.exits > 40) \(.ns_per_exit > 0) \(.of_native > 0) \(has("instructions"))"' \
            'kvm true true true false'
        check "the table has the row of kvm" says '^  kvm  .* x86-64, CPL 3 '
    else
        skip "JSON: the row of kvm" "/dev/kvm cannot be opened"
    fi
    check "JSON: a mean for each engine and mode" is '.means | length' $((3 * engine_count + kvm))
    run compare "$kernel" --dir "$work" --runs 1 --engines interp --json
    cp "$out" "$work/json"
    check "JSON on stdout is alone there" is '.engines | join(",")' interp
else
    skip "JSON" "no jq"
fi

# ---- the chart ---------------------------------------------------------------------------------

if command -v xmllint >/dev/null; then
    check "the chart is well-formed" xmllint --noout --nonet "$work/chart.svg"
else
    skip "the chart is well-formed" "no xmllint"
fi
check "the chart has a title" grep -q '<title>Guests' "$work/chart.svg"
for kind in png pdf; do
    run compare "$kernel" --dir "$work" --runs 1 --engines interp --svg "$work/chart.$kind" --size 640x400
    check "a chart as $kind" [ -s "$work/chart.$kind" ]
done

# ---- without KVM -------------------------------------------------------------------------------

no_rows_of_kvm() { ! grep -q '^  kvm ' "$out"; }
if can_run_as_nobody; then
    run_as_nobody compare "$kernel" --dir "$work" --runs 1
    check "without /dev/kvm the others are compared" status_is 0
    check "and a note says why there is no kvm" says '^No rows of kvm: /dev/kvm: Permission denied'
    check "and there is none" no_rows_of_kvm
    run_as_nobody compare "$kernel" --dir "$work" --runs 1 --engines kvm
    check "to ask for it is an error" refused
else
    skip "without /dev/kvm the others are compared" "not root, or no user who may not open it"
fi
if [ $kvm = 1 ]; then
    run compare "$kernel" --dir "$work" --runs 1 --engines kvm
    check "KVM alone" status_is 0
    x86_guest "$work/$kernel-x86.elf" "$kernel" 00c0ffef
    run compare "$kernel" --dir "$work" --runs 1 --engines interp,kvm
    check "another checksum under KVM is an error" says '^  kvm .* error: checksum 00c0ffef differs'
    rm "$work/$kernel-x86.elf"
    run compare "$kernel" --dir "$work" --runs 1 --engines kvm
    check "a missing x86 guest is told of" says 'no x86 guest to compare with: .*-x86.elf'
fi

# ---- what goes wrong in a run ------------------------------------------------------------------

native 00c0ffef
run compare "$kernel" --dir "$work" --runs 1
check "another checksum is an error" status_is 1
check "and is marked" says "error: checksum 00c0ffee differs from native's 00c0ffef"
guest "$work/$kernel-m.elf" "$kernel" 00c0ffee 0x33333
native 00c0ffee
run compare "$kernel" --dir "$work" --runs 1 --engines interp
check "a guest that fails is an error" status_is 1
check "with its exit code" says "interp    bare, no paging    error: the guest ended with exit code 3"
check "and the others are measured" says "^  interp    bare, Sv32 .* [0-9]\.[0-9]"
rm "$work/$kernel"
run compare "$kernel" --dir "$work" --runs 1
check "a missing native program is told of" says "no native program to compare with: $work/$kernel"
printf '#!/bin/sh\nkill -SEGV $$\n' >"$work/$kernel"
chmod +x "$work/$kernel"
run compare "$kernel" --dir "$work" --runs 1 --engines interp
check "a native program that crashes is an error" says "native .*error: killed by signal 11"
rm "$work/$kernel-m.elf"
refuses "a kernel without its file" compare "$kernel" --dir "$work"
check "and the file is named" complains "$kernel-m.elf"

assemble "$work/endless.elf" <<'END'
    .globl _start
_start:
    j    _start
END
run compare "$work/endless.elf" --runs 1 --max-instructions 100000
check "a guest without end is an error" status_is 1
check "and ended by the limit" [ "$(grep -c 'error: .* after 100000 instructions' "$out")" = $((2 * engine_count)) ]
assemble "$work/asleep.elf" <<'END'
    .globl _start
_start:
    csrw mie, zero
1:  wfi
    j    1b
END
run compare "$work/asleep.elf" --runs 1
check "a guest that sleeps for ever is an error" status_is 1
run compare "$work/$traps-s.elf" --runs 1
check "an ELF by its path" status_is 0
check "has no native twin" says "has no native twin"

# ---- bad input ---------------------------------------------------------------------------------

refuses "no kernel" compare
refuses "an unknown kernel" compare steam
check "and the known ones are listed" complains " $kernel .*, all"
refuses "an unknown engine" compare "$kernel" --engines interp,steam
check "and the known ones are listed" complains "interp"
for runs in 0 100 -1 x ''; do
    refuses "--runs '$runs'" compare "$kernel" --runs "$runs"
done
refuses "a folder that is not there" compare "$kernel" --dir "$work/none"
refuses "a file that is not there" compare "$work/none.elf"
echo text >"$work/text.elf"
refuses "a file that is no guest" compare "$work/text.elf"
refuses "a drawing of an unknown kind" compare "$work/endless.elf" --svg "$work/chart.gif"
refuses "a drawing that cannot be written" compare "$work/endless.elf" --svg "$work/none/chart.svg"
refuses "a report that cannot be written" compare "$work/endless.elf" --json="$work/none/json"

# ---- the kernels themselves --------------------------------------------------------------------

if [ -e "$samples/bench/$kernel-m-short.elf" ]; then
    run compare all --short --runs 1
    check "every kernel computes the same everywhere" status_is 0
    check "and none of them has an error" [ "$(grep -c error: "$out")" = 0 ]
else
    skip "every kernel computes the same everywhere" "samples/bench was not built"
fi
finish
