#!/bin/sh
# Each sample prints what its source promises ("expect:" lines), bare, in a virtual machine, and
# where it is installed on QEMU's `virt` machine.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_samples hello.elf

source_of() { # sample
    for suffix in S c; do
        [ -e "$top_srcdir/samples/$1.$suffix" ] && echo "$top_srcdir/samples/$1.$suffix"
    done
}

has_expected() {
    [ -s "$work/expected" ] || return 1
    tr -d '\r' <"$out" >"$work/printed"
    cmp -s "$work/expected" "$work/printed" || { diff "$work/expected" "$work/printed" | sed 's/^/# /'; return 1; }
}

compare() { # sample, key of its expect lines
    sed -n "s,^.*$2: ,,p" "$(source_of "${1%-short}")" >"$work/expected"
    for under in bare hv; do
        run run "$samples/$1.elf" --under $under
        check "$1 ends well, $under" status_is 0
        check "$1 prints what it promises, $under" has_expected
    done
    if ! command -v qemu-system-riscv32 >/dev/null; then
        skip "$1 prints what it promises, QEMU" "no qemu-system-riscv32"
        return
    fi
    status=0
    timeout 600 qemu-system-riscv32 -M virt -cpu rv32,c=false -m 64M -bios none -nographic -monitor none -serial stdio \
        -kernel "$samples/$1.elf" </dev/null >"$out" 2>"$err" || status=$?
    check "$1 ends well, QEMU" status_is 0
    check "$1 prints what it promises, QEMU" has_expected
}

compare hello expect
compare primes-short expect-short
compare traps expect
compare paging expect
[ -n "$VITRINE_TEST_LONG" ] && compare primes expect

digests_agree() { [ -s "$work/bare" ] && cmp -s "$work/bare" "$work/hv"; }
for sample in hello primes-short traps paging; do
    for under in bare hv; do
        run run "$samples/$sample.elf" --under $under --digest
        cp "$err" "$work/$under"
    done
    check "$sample ends in the same state bare and in a virtual machine" digests_agree
done
finish
