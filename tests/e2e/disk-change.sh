#!/bin/sh
# `vitrine disk rebase` and `resize`, on images of ours and of qemu-img's, with qemu-img as the judge.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"

cd "$work" || exit 99
command -v qemu-io >/dev/null || skip_all "no qemu-img and qemu-io (Debian/Ubuntu: qemu-utils)"
clean() { qemu-img check -q "$1" && "$vitrine" disk check "$1" >/dev/null; }
shows() { qemu-img compare -q "$1" "$2"; } # image, raw file
stands_on() { [ "$(qemu-img info --output=json "$1" | jq -r '."backing-filename" // "-"')" = "$2" ]; }
zero_from() { tail -c "+$(($2 + 1))" "$1" | cmp -s -n "$(($(wc -c <"$1") - $2))" - /dev/zero; }

head -c 600000 /dev/urandom >one.img
truncate -s 1M one.img
cp one.img two.img
head -c 50000 /dev/urandom | dd of=two.img bs=1 seek=300000 conv=notrunc 2>/dev/null
head -c 700000 one.img >short.img

# ---- rebase: whoever made the image, and whatever it stands on, the disk stays what it is ------
for options in compat=1.1 compat=0.10 cluster_size=512 cluster_size=2M refcount_bits=64,cluster_size=4096; do
    rm -f over.qcow2
    qemu-img create -q -f qcow2 -o "$options" -b one.img -F raw over.qcow2
    qemu-io -c "write -q -P 9 100k 90k" -c "write -q -z 280k 40k" over.qcow2 >/dev/null
    qemu-img convert -O raw over.qcow2 expected
    for to in two.img short.img one.img; do
        run disk rebase over.qcow2 --backing $to
        check "$options: to $to" status_is 0
        check "$options: the header says $to" stands_on over.qcow2 $to
        check "$options: the disk is the same on $to" shows over.qcow2 expected
        check "$options: the image is well on $to" clean over.qcow2
    done
    run disk rebase over.qcow2
    check "$options: to none" stands_on over.qcow2 -
    check "$options: the disk is the same on none" shows over.qcow2 expected
    check "$options: the image is well on none" clean over.qcow2
done

"$vitrine" disk create a.qcow2 --backing one.img
"$vitrine" disk create b.qcow2 --backing a.qcow2
qemu-io -c "write -q -P 3 0 64k" a.qcow2 >/dev/null
qemu-img convert -O raw b.qcow2 expected
refuses "a backing file that is not there" disk rebase b.qcow2 --backing none
refuses "to stand on itself" disk rebase b.qcow2 --backing b.qcow2
refuses "a circle" disk rebase a.qcow2 --backing b.qcow2
refuses "--unsafe without a name" disk rebase b.qcow2 --unsafe
refuses "a raw file" disk rebase one.img --backing two.img
check "what was refused has changed nothing" shows b.qcow2 expected
run disk rebase b.qcow2 --backing one.img
check "a layer is taken out" stands_on b.qcow2 one.img
check "and its clusters have come up" shows b.qcow2 expected
mv one.img moved.img
run disk rebase b.qcow2 --backing moved.img --unsafe
check "a file that was moved is named anew" shows b.qcow2 expected

# ---- resize ------------------------------------------------------------------------------------
for options in compat=1.1 compat=0.10 cluster_size=512; do
    rm -f over.qcow2
    qemu-img create -q -f qcow2 -o "$options" -b moved.img -F raw over.qcow2
    qemu-io -c "write -q -P 9 100k 900k" over.qcow2 >/dev/null
    qemu-img convert -O raw over.qcow2 expected
    refuses "$options: to cut off without a word" disk resize over.qcow2 512K
    run disk resize over.qcow2 523776 --shrink
    truncate -s 523776 expected
    check "$options: shrinks" shows over.qcow2 expected
    check "$options: and is well" clean over.qcow2
    run disk resize over.qcow2 70M
    qemu-img convert -O raw over.qcow2 now
    check "$options: grows, though the backing file is longer, by zeros" zero_from now 523776
    check "$options: keeps what it had" cmp -s -n 523776 now expected
    check "$options: and is well" clean over.qcow2
done
refuses "a size that is none" disk resize over.qcow2 1000
refuses "no size" disk resize over.qcow2
refuses "a raw file to resize" disk resize moved.img 2M
finish
