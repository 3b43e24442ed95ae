#!/bin/sh
# The virtio sample on both computers: what it prints without and with a disk, typed input, balloon;
# random numbers that repeat; what --balloon and --rng refuse.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_samples virtio/virtio.elf

sed -n 's,^// expect: ,,p' "$top_srcdir/samples/virtio/virtio.c" >"$work/expected"
printf 'written by the host' >"$work/first"
typed_line=$work/typed
echo 'a line' >"$typed_line"

prints() { grep -Fqx -e "$1" "$out" || { echo "# no line: $1"; return 1; }; }

new_disk() {
    cp "$work/first" "$work/disk.img"
    truncate -s 4096 "$work/disk.img"
}

whole_sample() { # title, guest, options...
    title=$1 guest=$2
    shift 2
    run run "$guest" --rng --virtio-console --balloon 0 "$@"
    check "$title: ends well" status_is 0
    check "$title: prints what it promises" same_file "$out" "$work/expected"
    new_disk
    for n in 1 2; do
        typed=$typed_line run run "$guest" --rng --virtio-console --balloon 20 \
            --disk "$work/disk.img" --kernel-args echo "$@"
        check "$title: run $n from a disk ends well" status_is 0
        check "$title: reads the disk" \
            prints 'block: 8 sectors; the first begins with "written by the host"'
        check "$title: writes the disk, run $n" prints "block: run number $n"
        check "$title: the virtio console is typed at" prints 'console: you typed a line'
        check "$title: gives pages back" \
            prints 'balloon: gave back 20 pages of 20; what was 42 reads as 0'
    done
    run run "$guest" --virtio-console --disk "$work/disk.img" --disk-readonly "$@"
    check "$title: a disk that cannot be written" \
        prints 'block: run number 3, which cannot be kept'
}

guest=$samples/virtio/virtio.elf
for under in bare hv; do
    whole_sample "$under" "$guest" --under $under
done
run run "$guest"
check "nothing is there that was not asked for" prints 'virtio: done'
check "nothing else is printed then" [ "$(wc -l <"$out")" = 1 ]

digest_of() { # name, options...
    name=$1
    shift
    run run "$guest" --virtio-console --balloon 9 --digest "$@"
    cp "$err" "$work/$name"
}
digest_of interp --rng=5 --engine interp
for engine in threaded auto; do
    digest_of $engine --rng=5 --engine $engine
    check "$engine: the same state at the end" same_file "$work/interp" "$work/$engine"
done
digest_of bare --rng=5 --under bare
check "bare: the same state at the end" same_file "$work/interp" "$work/bare"
digest_of seed --rng=6
differs() { ! cmp -s "$1" "$2"; }
check "another seed, other numbers" differs "$work/interp" "$work/seed"

refuses "a balloon larger than the memory" run "$guest" --memory 16M --balloon 4097
refuses "a balloon of no number" run "$guest" --balloon many
refuses "a seed of no number" run "$guest" --rng=often
refuses "a disk that is not there" run "$guest" --disk "$work/none.img"

# ---- the debugger

printf 'balloon\nballoon 12\nballoon 99999999\nquit\n' >"$work/commands"
typed=$work/commands run debug "$guest" --balloon 3
check "debug: the balloon as asked for" prints '3 pages wanted, 0 given back'
check "debug: asks for pages" prints '12 pages wanted, 0 given back'
check "debug: but not for more than there are" grep -q 'has not so many pages' "$err"
typed=$work/commands run debug "$guest"
check "debug: a guest without a balloon" grep -q 'this guest has no balloon' "$err"

# ---- on the host's processor

if [ -w /dev/kvm ] && [ -e "$samples/x86/virtio.elf" ]; then
    whole_sample kvm "$samples/x86/virtio.elf" --kvm
    refuses "KVM: a balloon larger than the memory" \
        run "$samples/x86/virtio.elf" --kvm --memory 16M --balloon 4097
    refuses "KVM: a disk that is not there" \
        run "$samples/x86/virtio.elf" --kvm --disk "$work/none.img"
    run devices "$samples/x86/virtio.elf" --kvm --disk "$work/disk.img"
    for device in virtio-blk virtio-console virtio-rng virtio-balloon; do
        check "KVM: $device is shown" grep -q "$device" "$out"
    done
else
    skip "the sample on KVM" "no /dev/kvm"
fi
finish
