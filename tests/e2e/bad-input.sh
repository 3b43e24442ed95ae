#!/bin/sh
# Files that are no guests, no disks, or cannot be written: one line, exit 2, nothing written.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_samples hello.elf

good=$samples/hello.elf
bad=$work/bad.elf

# Overwrites bytes of $bad, a fresh copy of the good guest: offset, then bytes as octal escapes.
patched() {
    cp "$good" "$bad"
    chmod u+w "$bad"
    while [ $# -gt 1 ]; do
        # shellcheck disable=SC2059 # the format is the point
        printf "$2" | dd of="$bad" bs=1 seek="$1" conv=notrunc 2>/dev/null
        shift 2
    done
}

# A number in the file, little-endian: offset, bytes.
field() { od -An -tu"$2" -j"$1" -N"$2" "$good" | tr -d ' '; }

refuses "a guest that is not there" run "$work/none.elf"
refuses "a folder" run "$work"
: >"$work/empty"
refuses "an empty file" run "$work/empty"
refuses "a name with a newline" run "$work/no
ne.elf"

patched 4 '\002'
refuses "a 64-bit ELF" run "$bad"
patched 5 '\002'
refuses "a big-endian ELF" run "$bad"
patched 18 '\003\000'
refuses "an ELF for another machine" run "$bad"
patched 16 '\001\000'
refuses "an object file" run "$bad"
patched 42 '\010\000'
refuses "program headers of 8 bytes" run "$bad"
patched 44 '\140\352'
refuses "60000 program headers" run "$bad"
patched 28 '\377\377\377\377'
refuses "program headers behind the end" run "$bad"
patched 24 '\000\000\000\000'
refuses "an entry outside every segment" run "$bad"
patched 24 '\001\000\000\200'
refuses "an entry that is no multiple of 4" run "$bad"

# The first PT_LOAD header: a table of its fields.
header=$(field 28 4)
while [ "$(field "$header" 4)" != 1 ]; do header=$((header + 32)); done
offset=$((header + 4)) paddr=$((header + 12)) filesz=$((header + 16)) memsz=$((header + 20))
patched "$offset" '\377\377\377\177'
refuses "a segment behind the end of the file" run "$bad"
patched "$filesz" '\377\377\377\177' "$memsz" '\377\377\377\177'
refuses "a segment longer than the file" run "$bad"
patched "$memsz" '\001\000\000\000'
refuses "a segment with more in the file than in memory" run "$bad"
patched "$memsz" '\360\377\377\377'
refuses "a segment of 4 GiB" run "$bad"
patched "$memsz" '\000\000\000\177'
refuses "a segment of 2 GiB" run "$bad"
patched "$paddr" '\000\000\000\000'
refuses "a segment below memory" run "$bad"
patched "$paddr" '\000\000\000\360'
refuses "a segment above memory" run "$bad"
patched "$paddr" '\000\360\377\377' "$memsz" '\000\040\000\000'
refuses "a segment that wraps around" run "$bad"

headers=$((header + 32))
truncated_everywhere() {
    length=1
    while [ $length -lt $headers ]; do
        head -c $length "$good" >"$bad"
        # Without its magic number it is no ELF but a flat binary, which is allowed.
        if [ $length -ge 4 ]; then
            run run "$bad" --max-instructions 1000
            refused || { echo "# at $length bytes"; return 1; }
        fi
        length=$((length + 1))
    done
}
check "truncated at every byte of its headers, it is refused" truncated_everywhere

# Section headers are needed for symbols only: damaged ones must not matter, or be refused.
survives() { [ "$status" = 0 ] || refused; }
for patch in '50 \377\377' '46 \000\000' '48 \377\377' '32 \377\377\377\377'; do
    # shellcheck disable=SC2086 # offset and bytes
    patched $patch
    run run "$bad" --max-instructions 1000000
    check "damaged section headers ($patch) are survived" survives
done
for byte in 0 1 2 3; do
    patched $(($(field 32 4) + byte * 37)) '\377\377\377\377'
    run run "$bad" --max-instructions 1000000
    check "damaged sections ($byte) are survived" survives
done

refuses "a disk that is not there" run "$good" --disk "$work/none.img"
refuses "a folder as a disk" run "$good" --disk "$work"
printf x >"$work/odd.img"
refuses "a disk that is no multiple of 512" run "$good" --disk "$work/odd.img"
: >"$work/zero.img"
run run "$good" --disk "$work/zero.img"
check "an empty disk is survived" survives
head -c 4096 /dev/zero >"$work/disk.img"
run run "$good" --disk "$work/disk.img"
check "a good disk is taken" status_is 0
chmod a-w "$work/disk.img"
if [ "$(id -u)" != 0 ]; then
    refuses "a disk that cannot be written" run "$good" --disk "$work/disk.img"
else
    skip "a disk that cannot be written is refused" "root may write everything"
fi
run run "$good" --disk "$work/disk.img" --disk-readonly
check "with --disk-readonly it is taken" status_is 0

# ---- outputs ---------------------------------------------------------------------------------

# Nothing of a guest's console may be lost without a word, or get into another file.
says_why() { [ "$status" = 2 ] && [ "$(cat "$err")" = "vitrine: standard output: $1" ]; }
status=0
timeout -k 5 600 "$vitrine" run "$good" >/dev/full 2>"$err" </dev/null || status=$?
check "a full disk below the console is told" says_why "No space left on device"
cksum <"$work/disk.img" >"$work/before"
for closed in '>&-' '<&- >&-'; do
    status=0
    eval 'timeout -k 5 600 "$vitrine" run "$good" --disk "$work/disk.img" --disk-readonly 2>"$err" '"$closed" || status=$?
    check "a closed output is told ($closed)" says_why "Bad file descriptor"
done
cksum <"$work/disk.img" >"$work/after"
check "and nothing is printed to another file" same_file "$work/before" "$work/after"

refuses "a JSON file that cannot be written" run "$good" --json="$work/no/folder.json"
refuses "a folder as a JSON file" run "$good" --json="$work"
refuses "a signature of a guest without one" run "$good" --signature "$work/signature"
check "and nothing is written" [ ! -e "$work/signature" ]
refuses "an input file that is not there" run "$good" --input "$work/none"
refuses "an input that is a folder" run "$good" --input "$work"
refuses "a drawing without a file" draw "$good"
refuses "a drawing of an unknown kind of file" draw "$good" -o "$work/x.gif"
refuses "a drawing that cannot be written" draw "$good" -o "$work/no/x.svg"
refuses "a point that is nowhere" walk "$good" 0x80000000 --at no_such_symbol
refuses "an address that is none" walk "$good" no_such_symbol
refuses "a symbol that is none" disasm "$good" no_such_symbol
refuses "a port that is none" run "$good" --gdb fly
refuses "a port that is too large" run "$good" --gdb 99999
refuses "an address that is not here" run "$good" --gdb 203.0.113.1:0
finish
