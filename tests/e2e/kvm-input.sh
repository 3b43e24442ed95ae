#!/bin/sh
# x86 files that are no guests, or do not fit: one line, exit 2. And /dev/kvm that cannot be used.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_kvm

x86=$samples/x86
bad=$work/bad
complains() { grep -q -- "$1" "$err"; }

# Overwrites bytes of $bad, a fresh copy of $good: offset, then bytes as octal escapes.
patched() {
    cp "$good" "$bad"
    chmod u+w "$bad"
    while [ $# -gt 1 ]; do
        # shellcheck disable=SC2059 # the format is the point
        printf "$2" | dd of="$bad" bs=1 seek="$1" conv=notrunc 2>/dev/null
        shift 2
    done
}
field() { od -An -tu"$2" -j"$1" -N"$2" "$good" | tr -d ' '; }

refuses "a guest that is not there" run --kvm "$work/none"
refuses "a folder" run --kvm "$work"
: >"$work/empty"
refuses "an empty file" run --kvm "$work/empty"
refuses "a device" run --kvm /dev/zero
echo text >"$work/text"
refuses "a file of no format" run --kvm "$work/text"
check "and the line says what a flat image needs" complains 'needs its format'
refuses "a name with a newline" run --kvm "$work/no
ne"
refuses "nothing at all" run --kvm
refuses "an unknown format" run "$x86/hello64.elf" --boot elf128
for format in bzimage pvh multiboot multiboot2 elf32 bootsector; do
    refuses "hello64.elf as $format" run "$x86/hello64.elf" --boot $format
done

# ---- ELF -----------------------------------------------------------------------------------------

truncated() { # what, step, last
    length=4
    while [ $length -lt "$3" ]; do
        head -c $length "$good" >"$bad"
        run run "$bad" --kvm --max-seconds 1
        refused || { echo "# at $length bytes"; return 1; }
        length=$((length + $2))
    done
}
good=$x86/hello64.elf
check "ELF64, truncated in its headers" truncated "$good" 5 176
patched 18 '\363\000'
refuses "an ELF for RISC-V" run "$bad" --kvm
patched 18 '\003\000'
refuses "an ELF64 for i386" run "$bad"
patched 5 '\002'
refuses "a big-endian ELF" run "$bad" --kvm
patched 16 '\001\000'
refuses "an object file" run "$bad"
patched 16 '\003\000'
refuses "a position-independent one" run "$bad"
patched 24 '\377\377\377\377\377\377\377\377'
refuses "an entry outside every segment" run "$bad"
patched 32 '\377\377\377\377\377\377\377\177'
refuses "program headers behind the end" run "$bad"
patched 56 '\377\376'
refuses "65279 program headers" run "$bad"
header=$(field 32 8)
while [ "$(field "$header" 4)" != 1 ]; do header=$((header + 56)); done
patched $((header + 8)) '\377\377\377\177'
refuses "a segment behind the end of the file" run "$bad"
patched $((header + 24)) '\000\000\000\200'
refuses "a segment above memory" run "$bad"
patched $((header + 24)) '\000\020\000\000'
refuses "a segment over the boot information" run "$bad"
patched $((header + 24)) '\000\360\377\377\377\377\377\377'
refuses "a segment that wraps around" run "$bad"
patched $((header + 40)) '\377\377\377\377\377\377\377\177'
refuses "a segment of 2^63 bytes" run "$bad"
patched $((header + 40)) '\001\000\000\000\000\000\000\000'
refuses "a segment with more in the file than in memory" run "$bad"
good=$x86/longmode/longmode.elf
check "a PVH kernel, truncated" truncated "$good" 997 20000

# ---- Multiboot -----------------------------------------------------------------------------------

for version in multiboot multiboot2; do
    good=$x86/multiboot/$version.elf
    check "$version, truncated" truncated "$good" 331 4096
    refuses "$version as the other one" run "$good" --boot "$([ $version = multiboot ] && echo multiboot2 || echo multiboot)"
done
refuses "a module that is not there" run "$good" --initrd "$work/none"
refuses "a folder as a module" run "$good" --initrd "$work"
truncate -s 200M "$work/large"
refuses "a module larger than memory" run "$good" --initrd "$work/large"
check "and the line names the module" complains "$work/large: "
yes 'a long command line' | tr '\n' ' ' | head -c 70000 >"$work/args"
refuses "a command line of 70000 characters" run "$good" --kernel-args "$(cat "$work/args")"

# ---- Linux: as much of a bzImage as its loader looks at -------------------------------------------

# A setup header as boot.rst has it, protocol 2.15, and a kernel of 4 KiB of hlt.
good=$work/bzImage
{
    head -c 1024 /dev/zero
    head -c 4096 /dev/zero | tr '\000' '\364'
} >"$good"
patched 497 '\001' 500 '\000\001\000\000' 510 '\125\252' 512 '\353\146' 514 'HdrS' 518 '\017\002' \
    529 '\001' 532 '\000\000\020\000' 556 '\377\377\377\177' 560 '\000\000\040\000' 564 '\001' \
    566 '\001\000' 568 '\377\007\000\000' 600 '\000\000\000\001\000\000\000\000' 608 '\000\000\040\000'
mv "$bad" "$good"
run run "$good" --max-seconds 2
check "a kernel that only halts is loaded" status_is 125
truncated_bzimage() {
    for length in 515 600 800 1023 1500 5000; do
        head -c $length "$good" >"$bad"
        run run "$bad" --kvm --boot bzimage
        refused || { echo "# at $length bytes"; return 1; }
    done
}
check "truncated" truncated_bzimage
patched 518 '\000\002'
refuses "a boot protocol of last century" run "$bad"
patched 510 '\000\000'
refuses "no mark at the end of its first sector" run "$bad"
patched 600 '\000\000\000\000\377\000\000\000' 564 '\000'
refuses "a kernel that wants to be above memory" run "$bad"
patched 608 '\000\000\000\177'
refuses "one that needs 2 GiB to unpack itself" run "$bad"
refuses "memory of which it gets too little" run "$good" --memory 2M
check "and the line says how much there is" complains '2 MiB of memory'

# ---- memory, disks, firmware ---------------------------------------------------------------------

for size in 0 1 4K 1023K 1025 2T; do
    refuses "--memory $size" run "$x86/hello64.elf" --memory $size
done
for cpus in 0 65 -1 x; do
    refuses "--cpus $cpus" run "$x86/hello64.elf" --cpus $cpus
done
for seconds in 0 -1 x 10000000; do
    refuses "--max-seconds $seconds" run "$x86/hello64.elf" --max-seconds $seconds
done
refuses "a disk that is not there" run --kvm --disk "$work/none"
refuses "a disk without a boot sector" run --kvm --disk "$work/large"
head -c 100 /dev/zero >"$work/short"
refuses "a disk of 100 bytes" run --kvm --disk "$work/short"
refuses "firmware that is not there" run --firmware "$work/none" --disk "$x86/hello16.img"
refuses "firmware of a size that is none" run --firmware "$x86/hello64.elf" --disk "$x86/hello16.img"
refuses "firmware with two disks" run "$x86/hello16.img" --firmware "$work/none" --disk "$x86/hello16.img"
refuses "a network of another kind" run "$x86/hello64.elf" --net tap
refuses "--trace with --gdb" run "$x86/hello64.elf" --trace exits --gdb 0

# ---- /dev/kvm ------------------------------------------------------------------------------------

refuses "a descriptor that is not open" run "$x86/hello64.elf" --kvm-fd 77
check "is named" complains 'descriptor 77'
refuses "a descriptor of something else" run "$x86/hello64.elf" --kvm-fd 0
status=0
timeout -k 5 600 "$vitrine" run "$x86/hello64.elf" --kvm-fd 3 3<>/dev/kvm </dev/null >"$out" 2>"$err" || status=$?
check "/dev/kvm may be handed over open" status_is 0
run kvm-info --kvm-fd 77
check "kvm-info: exit status 1 where KVM cannot be used" status_is 1
check "kvm-info: says why" grep -q '^KVM cannot be used: descriptor 77 is not an open /dev/kvm' "$out"
check "kvm-info: and what to do" grep -q '^What to do: open it for reading and writing' "$out"
run kvm-info
check "kvm-info: exit status 0" status_is 0
for words in '^processor  ' '^/dev/kvm  *can be used$' 'interrupt controllers  *yes' \
    '^  one VM exit  *[0-9.]* us' '^  a new virtual machine  *[0-9.]* ms'; do
    check "kvm-info: $words" grep -q "$words" "$out"
done
run kvm-info --json="$work/info.json"
check "kvm-info: JSON in a file" grep -q '"access":"usable"' "$work/info.json"
refuses "kvm-info into no folder" kvm-info --json="$work/no/info.json"
refuses "kvm-info with an argument" kvm-info x
refuses "kvm-info with an option of others" kvm-info --memory 64M

if can_run_as_nobody; then
    run_as_nobody run "$x86/hello64.elf"
    check "a user who may not open /dev/kvm gets one line" refused
    check "which points to kvm-info" complains '^vitrine: /dev/kvm: Permission denied (vitrine kvm-info says what to do)'
    run_as_nobody kvm-info
    check "kvm-info: exit status 1" status_is 1
    check "kvm-info: what is wrong" grep -q 'this user may not open it' "$out"
    check "kvm-info: which group to join" grep -q 'usermod -aG kvm' "$out"
    run_as_nobody kvm-info --json
    check "kvm-info: JSON" grep -q '"access":"refused"' "$out"
    status=0
    timeout -k 5 600 setpriv --reuid 65534 --regid 65534 --clear-groups "$vitrine" run "$x86/hello64.elf" --kvm-fd 3 \
        3<>/dev/kvm </dev/null >"$out" 2>"$err" || status=$?
    check "but a descriptor that somebody else has opened will do" status_is 0
else
    skip "a user who may not open /dev/kvm gets one line" "not root, or no such user"
fi
finish
