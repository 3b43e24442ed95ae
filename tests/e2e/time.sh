#!/bin/sh
# Going back in time: in the debugger, with the real gdb; recording a session and replaying it.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"

assemble "$work/count.elf" <<'END'
    .globl _start, loop, store, after, cell
_start:
    li   a0, 0
    li   a1, 5
    la   a2, cell
loop:
    addi a0, a0, 1
store:
    sw   a0, 0(a2)
    bne  a0, a1, loop
after:
    csrw mscratch, a0
    li   a3, 0x100000
    li   a4, 0x75555
    li   a4, 0x73333
    sw   a4, 0(a3)
1:  j    1b
    .balign 4
cell: .word 0
END
guest=$work/count.elf

# Types these lines to the debugger.
session() { # options...
    cat >"$work/script"
    typed=$work/script
    run debug "$guest" "$@"
    typed=
}

# ---- the debugger ----------------------------------------------------------------------------

for under in bare hv; do
    for engine in interp threaded auto; do
        session --under $under --engine $engine <<'END'
run
history
who-wrote cell
regs
mem cell 4
sb
sb 2
run-back write cell
goto 6
break store
run
run
rb
regs
rb
rb
rb exit
run
END
        check "$under, $engine: the script runs" status_is 0
        check "$under, $engine: one can go back after the end" grep -q 'instruction .* of 0 to' "$out"
        check "$under, $engine: who wrote this" grep -Eq '^store:' "$out"
        check "$under, $engine: in front of it, what it will write" grep -Eq 'a0  .0x00000005' "$out"
        check "$under, $engine: and what was there before" grep -Eq '04 00 00 00' "$out"
        check "$under, $engine: goto" grep -q 'at instruction 6; 6 instructions' "$out"
        check "$under, $engine: the breakpoint before" grep -Eq 'a0  .0x00000002' "$out"
        check "$under, $engine: the beginning is the end" grep -q 'beginning of what is recorded' "$out"
    done
done
session --history off <<'END'
sb
END
check "without a history there is no way back" status_is 1
check "and it is said why" grep -q 'no way back' "$err"
session --clock host <<'END'
sb
END
check "nor with the host's clock" status_is 1
session --history 4096 <<'END'
sb
END
check "nor in too little memory" grep -q 'did not fit' "$err"
refuses "a history of no size" debug "$guest" --history much

session <<'END'
snapshot first
run
snapshots
restore 1
step
snapshot second
snapshots
forget 1
snapshots
END
check "snapshots of a simulated guest" status_is 0
check "the list has a tree" grep -q '^\*2 *after 1:' "$out"
check "a deleted one is gone" grep -q '^\*2 *after the start:' "$out"

# ---- gdb -------------------------------------------------------------------------------------

find_gdb

if [ -n "$gdb" ]; then
    for under in bare hv; do
        serve "$guest" --under $under
        {
            echo 'set pagination off'
            echo 'set confirm off'
            echo "target remote $address"
            cat <<'END'
break *after
continue
printf "there %d\n", $a0
delete
reverse-stepi
printf "back %x\n", $pc == (unsigned)&after - 4
watch *(int*)&cell
reverse-continue
printf "writer %d\n", $pc == (unsigned)&store
printf "cell %d\n", *(int*)&cell
delete
break *loop
reverse-continue
printf "loop %d\n", $a0
delete
reverse-continue
printf "start %x\n", $pc
stepi
printf "on %d\n", $pc == 0x80000004
END
            echo kill
        } >"$work/commands"
        timeout 600 $gdb -nx -batch -x "$work/commands" "$guest" </dev/null >"$out" 2>&1
        check "$under: gdb runs to the end of the loop" grep -q '^there 5' "$out"
        check "$under: reverse-stepi" grep -q '^back 1' "$out"
        check "$under: reverse-continue stops in front of the writer" grep -q '^writer 1' "$out"
        check "$under: and memory is as before" grep -q '^cell 4' "$out"
        check "$under: reverse-continue to a breakpoint" grep -q '^loop 4' "$out"
        check "$under: and to the beginning" grep -q '^start 80000000' "$out"
        check "$under: gdb knows that it is one" grep -qi 'reverse-execution history' "$out"
        check "$under: and forward again" grep -q '^on 1' "$out"
        kill $server 2>/dev/null
        wait $server
    done
    serve "$guest" --history off
    printf '%s\n' "target remote $address" 'reverse-stepi' 'kill' >"$work/commands"
    timeout 600 $gdb -nx -batch -x "$work/commands" "$guest" </dev/null >"$out" 2>&1
    check "without a history gdb does not offer it" grep -q 'does not support' "$out"
    kill $server 2>/dev/null
    wait $server
else
    skip "the real gdb" "no gdb that knows RISC-V"
fi

# ---- records ---------------------------------------------------------------------------------

rec=$work/session.rec
run record "$rec" "$guest"
check "recording leaves the guest's exit status" status_is 7
check "the record is small" [ "$(wc -c <"$rec")" -lt 4096 ]
for engine in interp threaded auto; do
    run replay "$rec" --engine $engine
    check "replayed by $engine" status_is 7
done
run run "$guest" --record "$rec"
check "run --record is the same" status_is 7
if [ -e "$samples/minios/minios.elf" ]; then
    cp "$samples/minios/fs.img" "$work/fs.img"
    chmod u+w "$work/fs.img"
    printf 'ls\nps\ncat README\nexit\n' >"$work/typed"
    run record "$rec" "$samples/minios/minios.elf" --disk "$work/fs.img" --input "$work/typed"
    cp "$out" "$work/first"
    check "a system with a shell is recorded" status_is 0
    for engine in interp auto; do
        run replay "$rec" --engine $engine
        check "and replayed by $engine" status_is 0
        check "with the same output" cmp -s "$out" "$work/first"
    done
    mv "$work/fs.img" "$work/moved.img"
    refuses "a record whose disk is not there" replay "$rec"
    run replay "$rec" --disk "$work/moved.img"
    check "the disk may be elsewhere" status_is 0
    run record "$rec" "$guest"
else
    skip "a system with a shell is recorded" "samples were not built"
fi

head -c 50 "$rec" >"$work/torn"
refuses "a torn record" replay "$work/torn"
cp "$rec" "$work/damaged"
printf '\377' | dd of="$work/damaged" bs=1 seek=40 conv=notrunc 2>/dev/null
refuses "a damaged record" replay "$work/damaged"
refuses "what is no record" replay "$guest"
refuses "a record that is not there" replay "$work/none"
refuses "a device as a record" replay /dev/null
check "which is told" grep -q ': not a regular file$' "$err"
refuses "a record in a folder that is not there" record "$work/none/x" "$guest"
refuses "a record in the place of a device" record /dev/null "$guest"
refuses "a folder as a record" replay "$work"
check "and that is why" grep -q ': Is a directory$' "$err"

# Whoever ends the program gets the record up to there.
if [ -e "$samples/minios/minios.elf" ]; then
    mkfifo "$work/keys"
    "$vitrine" record "$work/ended" "$samples/minios/minios.elf" <"$work/keys" >"$work/seen" 2>&1 &
    recorded=$!
    exec 9>"$work/keys"
    echo "echo seen" >&9
    await grep -qx 'seen.*' "$work/seen"
    kill -TERM "$recorded"
    end_of "$recorded"
    exec 9>&-
    check "a recorded run that is ended by a signal ends by it" status_is 143
    run replay "$work/ended"
    check "and has left its record" status_is 0
    check "of all that was seen" same_file "$out" "$work/seen"
else
    skip "a recorded run that is ended by a signal ends by it" "samples were not built"
fi
cp "$guest" "$work/other.elf"
printf 'x' >>"$work/other.elf"
refuses "another guest than the recorded one" replay "$rec" "$work/other.elf"
refuses "a record of the host's time" record "$rec" "$guest" --clock host
finish
