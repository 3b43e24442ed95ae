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
refuses "an option of another action" disk create new.qcow2 --size 1M --format raw
check "and nothing is made" [ ! -e new.qcow2 ]
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
    cp "$samples/minios/fs.img" fs.img
    chmod u+w fs.img
    run disk create minios.qcow2 --backing fs.img
    for disk in fs.img minios.qcow2; do
        run run "$samples/minios/minios.elf" --input minios.typed --max-instructions 2G --digest --disk "$disk"
        check "minios runs on $(basename "$disk")" status_is 0
        cat "$out" "$err" >"$(basename "$disk").session"
    done
    check "raw or overlay, minios does the same, to the last bit" same_file fs.img.session minios.qcow2.session
else
    skip "minios runs on an overlay" "no RISC-V compiler"
fi

# The virtio sample counts its runs in the disk's second sector.
prints() { grep -Fqx -e "$1" "$out"; }
counts_in_layers() { # title, guest, options...
    title=$1 guest=$2
    shift 2
    cp base.kept base.img
    rm -f over.qcow2 top.qcow2
    run disk create over.qcow2 --backing base.img
    run run "$guest" --disk over.qcow2 "$@"
    check "$title: a guest writes to an overlay" prints 'block: run number 1'
    run disk create top.qcow2 --backing over.qcow2
    run run "$guest" --disk top.qcow2 "$@"
    check "$title: another on top of it goes on" prints 'block: run number 2'
    run disk map top.qcow2 --json
    check "$title: its cluster is in the top layer" json '.[0].depth == 0 and .[0].length == 65536'
    for layer in top over; do
        run disk check $layer.qcow2
        check "$title: $layer.qcow2 is well" status_is 0
    done
    run run "$guest" --disk top.qcow2 --disk-readonly "$@"
    check "$title: a read-only overlay" prints 'block: run number 3, which cannot be kept'
    run run "$guest" --disk over.qcow2 --disk-readonly "$@"
    check "$title: the lower layer is as it was" prints 'block: run number 2, which cannot be kept'
    check "$title: the base has not changed" same_file base.img base.kept
    run disk commit top.qcow2
    check "$title: commit" silent_success
    run run "$guest" --disk over.qcow2 --disk-readonly "$@"
    check "$title: the lower layer is as the top was" \
        prints 'block: run number 3, which cannot be kept'
    check "$title: and the base has not changed" same_file base.img base.kept
}

dd if=/dev/zero of=base.img bs=512 seek=1 count=1 conv=notrunc 2>/dev/null
cp base.img base.kept
if [ -e "$samples/virtio/virtio.elf" ]; then
    guest=$samples/virtio/virtio.elf
    counts_in_layers bare "$guest" --under bare
    counts_in_layers hv "$guest" --under hv
    refuses "a disk that is none" run "$guest" --disk /dev/null
    printf 'QFI\373' >torn.qcow2
    truncate -s 1M torn.qcow2
    refuses "an image of which only the beginning is there" run "$guest" --disk torn.qcow2
    rm over.qcow2
    refuses "an image without its backing file" run "$guest" --disk top.qcow2
else
    skip "a guest writes to an overlay" "no RISC-V compiler"
fi
if [ -w /dev/kvm ] && [ -e "$samples/x86/virtio.elf" ]; then
    counts_in_layers kvm "$samples/x86/virtio.elf" --kvm
    run disk create boot.qcow2 --backing "$samples/x86/hello16.img"
    run run --kvm --disk "$samples/x86/hello16.img"
    cp "$out" expected
    run run --kvm --disk boot.qcow2
    check "kvm: boots from an overlay" same_file "$out" expected
else
    skip "kvm: a guest writes to an overlay" "no KVM here, or no x86 samples"
fi
finish
