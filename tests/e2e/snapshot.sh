#!/bin/sh
# Snapshots in a directory: every action of vitrine snapshot, the debugger, a system with a disk, an
# x86 guest; and what is refused.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"

assemble "$work/count.elf" <<'END'
    .globl _start, loop, after, cell
_start:
    li   a0, 0
    li   a1, 500
    la   a2, cell
loop:
    addi a0, a0, 1
    sw   a0, 0(a2)
    bne  a0, a1, loop
after:
    li   a3, 0x100000
    li   a4, 0x73333
    sw   a4, 0(a3)
1:  j    1b
    .balign 4096
cell: .word 0
END
guest=$work/count.elf
dir=$work/dir
says() { grep -Eq -- "$1" "$out"; }
complains() { grep -Eq -- "$1" "$err"; }

for under in bare hv; do
    rm -rf "$dir"
    run snapshot create "$dir" start "$guest" --under $under --at loop
    check "$under: create to a symbol" status_is 0
    check "$under: its number is told" says '^snapshot 1$'
    run snapshot create "$dir" middle --from start --at 300
    check "$under: create from a snapshot" status_is 0
    run snapshot create "$dir" --from 1 --at 30
    run snapshot create "$dir" end --from middle --at after
    check "$under: and to a symbol again" status_is 0
    run snapshot list "$dir"
    check "$under: list" says '^ +2 +1 .* 304 .* middle$'
    run snapshot tree "$dir"
    check "$under: tree: the root" says '^`-- 1 start'
    check "$under: tree: a branch" says '^    \|-- 2 middle'
    check "$under: tree: on the branch" says '^    \|   `-- 4 end'
    check "$under: tree: the other branch" says '^    `-- 3 '
    run snapshot show "$dir" middle
    check "$under: show: a register" says 'a0 +0x00000064'
    check "$under: show: layers from the top" says '^ +2 .* middle$'
    run snapshot diff "$dir" 1 middle
    check "$under: diff: a register" says '^hart +a0 +0x0 -> 0x64$'
    check "$under: diff: the page that was written, and no other" \
        [ "$(grep -c '^memory' "$out")" = 1 ]
    check "$under: diff: its address" says '^memory +0x80001000\.\.0x80001fff  1 pages$'
    run snapshot diff "$dir" 2 2
    check "$under: diff: of the same" says '^they are equal$'
    for engine in interp threaded auto; do
        run snapshot restore "$dir" middle --engine $engine
        check "$under, $engine: restore goes on" status_is 7
    done
    run run --session "$dir" --from 3
    check "$under: so does run" status_is 7
    run snapshot export "$dir" end "$work/one.snapshot"
    check "$under: export" status_is 0
    run snapshot delete "$dir" 2
    check "$under: delete" status_is 0
    run snapshot tree "$dir"
    check "$under: what stood on it stands on its parent" says '^    `-- 4 end|^    \|-- 4 end'
    run snapshot restore "$dir" end
    check "$under: and is whole" status_is 7
    run snapshot commit "$dir" end
    check "$under: commit" status_is 0
    run snapshot show "$dir" 1
    check "$under: the parent is what it was" says 'a0 +0x000001f4'
    run snapshot restore "$dir" 3
    check "$under: the one beside it is whole" status_is 7
    run snapshot import "$dir" "$work/one.snapshot"
    check "$under: import" says '^snapshot [0-9]+$'
    run snapshot import "$work/other-$under" "$work/one.snapshot"
    check "$under: import into a new directory" status_is 0
    run snapshot restore "$work/other-$under" 1
    check "$under: which one can go on from" status_is 7
    run snapshot check "$dir"
    check "$under: nothing is damaged" says '^[0-9]+ snapshots, 0 damaged$'
done

# ---- the debugger ----------------------------------------------------------------------------

cat >"$work/script" <<'END'
until loop
step 30
snapshot ten
digest
step 30
snapshot twenty
restore 1
step 30
digest
END
rm -rf "$dir"
typed=$work/script
run debug "$guest" --session "$dir"
check "debug keeps snapshots in the directory" status_is 0
first=$(grep '^digest' "$out" | tail -n 1)
printf 'snapshots\nrestore 2\ndigest\nrestore 1\nforget 2\nsnapshots\n' >"$work/script"
run debug --session "$dir" --from ten
check "and goes on in another program" status_is 0
check "with the same state" [ "$(grep '^digest' "$out" | tail -n 1)" = "$first" ]
check "the list has both, and which one it is" says '^\*1  after the start: .* ten$'
typed=

# ---- a system with a disk --------------------------------------------------------------------

if [ -e "$samples/minios/minios.elf" ]; then
    rm -rf "$dir"
    cp "$samples/minios/fs.img" "$work/fs.img"
    chmod u+w "$work/fs.img"
    before=$(cksum <"$work/fs.img")
    printf 'ls\nexit\n' >"$work/typed"
    run run "$samples/minios/minios.elf" --disk "$work/fs.img" --input "$work/typed" --disk-discard
    cp "$out" "$work/whole"
    run snapshot create "$dir" boot "$samples/minios/minios.elf" --disk "$work/fs.img" --at 100000
    check "a system with a disk is kept" status_is 0
    run snapshot restore "$dir" boot --input "$work/typed"
    check "and goes on" status_is 0
    ends_as() { tail -n 3 "$work/whole" >"$work/a" && tail -n 3 "$out" | cmp -s - "$work/a"; }
    check "as the one that was never put away" ends_as
    check "the disk's file is as it was" [ "$(cksum <"$work/fs.img")" = "$before" ]
    printf 'x' | dd of="$work/fs.img" bs=1 seek=5000 conv=notrunc 2>/dev/null
    refuses "a disk that is not what it was" snapshot restore "$dir" boot
else
    skip "a system with a disk is kept" "samples were not built"
fi

# ---- x86 -------------------------------------------------------------------------------------

longmode=$samples/x86/longmode/longmode.elf
if [ -c /dev/kvm ] && [ -w /dev/kvm ] && [ -e "$longmode" ]; then
    rm -rf "$dir"
    run snapshot create "$dir" fault "$longmode" --at vm_fault
    check "an x86 guest is kept" status_is 0
    run snapshot show "$dir" fault
    check "with its registers" says 'rip +0x'
    run run "$longmode"
    whole=$status
    cp "$out" "$work/whole"
    run snapshot restore "$dir" fault
    check "and goes on to the same end" [ "$status" = "$whole" ]
    x86_ends() { [ -s "$out" ] && tail -n 1 "$work/whole" >"$work/a" && tail -n 1 "$out" | cmp -s - "$work/a"; }
    check "with the same last words" x86_ends
else
    skip "an x86 guest is kept" "no KVM here"
fi

# ---- what is refused -------------------------------------------------------------------------

rm -rf "$dir"
run snapshot create "$dir" one "$guest" --at 100
run snapshot create "$dir" two --from one --at 100
refuses "an unknown action" snapshot wipe "$dir"
refuses "too few arguments" snapshot diff "$dir" 1
refuses "a directory that is not there" snapshot list "$work/none"
refuses "a directory of something else" snapshot list "$work"
mkdir "$work/others"
refuses "to delete in a directory of something else" snapshot delete "$work/others" 1
check "and nothing was made there" [ -z "$(ls "$work/others")" ]
refuses "a file as a directory" snapshot list "$guest"
refuses "a snapshot that is not there" snapshot show "$dir" 9
refuses "a name that is not there" run --session "$dir" --from nine
refuses "--from without a directory" run --from one
refuses "another guest" snapshot create "$dir" "$guest" --memory 32M
refuses "to commit what has no parent" snapshot commit "$dir" one
refuses "to import what is no snapshot" snapshot import "$dir" "$guest"
refuses "to import that into a new directory" snapshot import "$work/new" "$guest"
check "and none is made" [ ! -e "$work/new" ]
refuses "to import a folder" snapshot import "$dir" "$work"
check "and that is why" complains ': Is a directory$'
refuses "to export in the place of a device" snapshot export "$dir" 1 /dev/null
cp "$dir/snapshot-1" "$work/whole"
printf '\377' | dd of="$dir/snapshot-1" bs=1 seek=800 conv=notrunc 2>/dev/null
refuses "a damaged file" snapshot restore "$dir" two
check "and it is named" complains 'snapshot-1: damaged: the checksum is wrong: section tables'
run snapshot check "$dir"
check "check names it, too" complains 'snapshot-1: damaged'
head -c 1000 "$work/whole" >"$dir/snapshot-1"
refuses "a torn file" snapshot show "$dir" one
run snapshot list "$dir"
check "the list says so" says 'snapshot-1: torn'
cp "$work/whole" "$dir/snapshot-1"
cp "$dir/session" "$work/session"
head -c -1 "$work/session" >"$dir/session"
run snapshot check "$dir"
check "a torn session file is named" complains 'dir/session: torn'
cp "$work/session" "$dir/session"
run snapshot restore "$dir" two
check "and whole again it is usable" status_is 7

finish
