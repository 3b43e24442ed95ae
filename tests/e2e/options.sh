#!/bin/sh
# The command line itself: help, version, options that are wrong, and that the manual page and the
# completion know every option.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"

commands="run debug record replay walk disasm devices isa draw compare snapshot migrate backup control kvm-info
    disk"
page=$top_srcdir/docs/vitrine.1

run --help
check "--help succeeds" status_is 0
for command in $commands; do
    check "--help lists $command" grep -q "^  $command " "$out"
done
run --version
check "--version succeeds" status_is 0
check "--version says which" grep -Eq '^vitrine [0-9]+\.[0-9]+' "$out"

every_option_in_page() {
    for option in $(sed -n 's/^  --\([a-z-]*\).*/\1/p' "$out"); do
        grep -Eq -- "Fl -$option( |\$)" "$page" || { echo "# --$option is not in vitrine.1"; return 1; }
    done
}
every_command_in_page() {
    for command in $commands; do
        grep -q "^\.It Cm $command\$" "$page" || return 1
    done
}
check "the manual page has every subcommand" every_command_in_page
for command in $commands; do
    run "$command" --help
    check "$command --help succeeds" status_is 0
    check "$command --help has an example" grep -q "^  vitrine $command " "$out"
    check "the manual page has every option of $command" every_option_in_page
    refuses "$command with an unknown option" "$command" --no-such-option
    refuses "$command with an unknown letter" "$command" -Z
done

refuses "no subcommand"
refuses "an unknown subcommand" fly
refuses "an unknown option" --fly
refuses "run without a guest" run
refuses "run with two guests" run a b
refuses "walk without an address" walk a
refuses "isa with an unknown table" isa fly
refuses "an option without its value" run x --memory
refuses "a value where none is taken" run x --digest=yes
for size in 0 1 3M 5M 2G 1T -4M 64X 64MM '' 99999999999999999999; do
    refuses "--memory '$size'" run x --memory "$size"
done
refuses "--under nothing known" run x --under water
refuses "--engine nothing known" run x --engine steam
refuses "--clock nothing known" run x --clock sun
refuses "--trace nothing known" run x --trace exits,tea
refuses "--trace of nothing" run x --trace ''
refuses "--max-instructions 0" run x --max-instructions 0
refuses "--misaligned nothing known" run x --misaligned maybe
refuses "--access nothing known" walk x 0 --access q
refuses "--size nothing known" draw x -o y.svg --size 10

if command -v bash >/dev/null; then
    completes() { # words..., expected
        printf '%s\n' "PATH=$top_builddir:\$PATH" ". $top_srcdir/docs/completion/vitrine" \
            "COMP_WORDS=($1); COMP_CWORD=$2; _vitrine 2>/dev/null" \
            'printf "%s\n" "${COMPREPLY[@]}"' | bash 2>"$err" >"$out"
        grep -qx -- "$3" "$out"
    }
    check "completion of a subcommand" completes "vitrine wa" 1 walk
    check "completion of an option" completes "vitrine run --max" 2 --max-instructions
    check "completion of a value" completes "vitrine run --under h" 3 hv
    check "completion of an x86 format" completes "vitrine run --boot multi" 3 multiboot2
    check "completion of kvm" completes "vitrine compare fib --engines k" 4 kvm
    check "completion of a table" completes "vitrine isa cs" 2 csrs
else
    skip "completion" "no bash"
fi

if command -v mandoc >/dev/null; then
    for file in "$top_srcdir"/docs/*.1; do
        clean() { mandoc -Tlint -Wwarning "$file" >"$out" 2>&1; }
        check "${file##*/} is clean" clean
    done
else
    skip "the manual pages are clean" "no mandoc"
fi

run isa
check "isa prints all tables" status_is 0
check "isa has an instruction" grep -Eq '^sfence\.vma +0x12000073' "$out"
check "isa has a CSR" grep -Eq '^satp +0x180 +S' "$out"
check "isa has a cause" grep -q 'load page fault' "$out"
check "isa has an exit" grep -q '^# exits' "$out"
check "isa has an exit of KVM" grep -Eq '^ +2 port I/O ' "$out"
status=0
"$vitrine" isa >/dev/full 2>"$err" || status=$?
check "a full disk is an error" status_is 2
check "and is named" grep -q 'standard output' "$err"
finish
