#!/bin/sh
# The terminal: raw while the guest has it, given back on every way out; the escapes; no busy
# waiting. A pseudo-terminal comes from script(1).
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"
has_pty || skip_all "no script(1) that knows -e"

# Echoes what is typed until a newline, and then exits with the number of characters. Sleeps in WFI
# until there is something to read.
assemble "$work/echo.elf" <<'END'
    .globl _start
_start:
    la   t0, trap
    csrw mtvec, t0
    li   s0, 0x10000000
    li   s1, 0
    li   t0, 1
    sb   t0, 1(s0)          # the UART interrupts when it has received
    li   t0, 0x0c000028
    li   t1, 1
    sw   t1, 0(t0)          # PLIC: priority of source 10
    li   t0, 0x0c002000
    li   t1, 1 << 10
    sw   t1, 0(t0)          # PLIC: enabled for M mode of hart 0
    li   t0, 0x800
    csrw mie, t0            # wakes WFI; mstatus.MIE is off, no trap is taken
    li   a0, '>'
    sb   a0, 0(s0)
1:  wfi
2:  lbu  a0, 5(s0)
    andi a0, a0, 1
    beqz a0, 1b
    lbu  a1, 0(s0)
    sb   a1, 0(s0)
    li   a2, '\n'
    beq  a1, a2, 3f
    addi s1, s1, 1
    j    2b
3:  slli s1, s1, 16
    li   a1, 0x3333
    or   a1, a1, s1
    li   a0, 0x100000
    sw   a1, 0(a0)
trap:
    j    trap
END

# Runs the guest on a terminal of its own, types the text once the guest is ready, and writes down
# the terminal's settings before and after, and the exit status.
cat >"$work/inside" <<END
stty -g >"$work/before"
sh -c 'echo \$\$ >"$work/pid"; exec env --default-signal=HUP,TERM,ABRT "\$@"' sh "$vitrine" run "\$@" 2>"$err"
echo \$? >"$work/status"
stty -g >"$work/after"
END
on_terminal() { # text, options...
    text=$1
    shift
    rm -f "$work/before" "$work/after" "$work/status" "$work/pid"
    : >"$out"
    : >"$err"
    {
        await grep -q '>' "$out"
        # shellcheck disable=SC2059 # the text has escapes
        printf "$text"
        let_go
        await test -s "$work/after"
    } | on_pty "bash -m '$work/inside' '$work/echo.elf' $*"
    status=$(cat "$work/status" 2>/dev/null)
}

restored() { [ -s "$work/after" ] && cmp -s "$work/before" "$work/after"; }

for under in bare hv; do
    on_terminal 'abc\n' --under $under
    check "$under: what is typed arrives" status_is 3
    check "$under: the guest echoes it" grep -q 'abc' "$out"
    check "$under: the terminal is given back at the end" restored

    on_terminal '\003\004\n' --under $under
    check "$under: Ctrl-C and Ctrl-D are the guest's" status_is 2
    on_terminal '\001a\001b\n' --under $under
    check "$under: Ctrl-A a types Ctrl-A, Ctrl-A and another key nothing" status_is 1
    on_terminal '\001h\001x' --under $under
    check "$under: Ctrl-A h helps" grep -q 'Ctrl-A x' "$err"
    check "$under: Ctrl-A x leaves" status_is 0
    check "$under: and gives the terminal back" restored
done

# The debugger on a terminal: Ctrl-C pauses the guest, an empty line repeats, `quit` leaves. The guest
# says when it runs.
assemble "$work/spin.elf" <<'END'
    .globl _start
_start:
    nop
    nop
    nop
    nop
    li a0, 0x10000000
    li a1, '#'
    sb a1, 0(a0)
    li a1, '\n'
    sb a1, 0(a0)
1:  j 1b
END
for under in bare hv; do
    rm -f "$work/pid"
    : >"$out"
    status=0
    {
        await grep -q '^(vitrine)' "$out"
        printf 'step 2\n\nrun\n'
        await grep -q '#' "$out"
        printf '\003'
        await grep -q 'paused' "$out"
        printf 'quit\n'
        let_go
    } | on_pty "echo \$\$ >$work/pid; exec $vitrine debug $work/spin.elf --under $under" || status=$?
    check "$under: the debugger prompts" grep -q '^(vitrine)' "$out"
    check "$under: an empty line repeats" grep -q 'stepped; 4 instructions' "$out"
    check "$under: Ctrl-C pauses the guest" grep -q 'paused' "$out"
    check "$under: and quit leaves" status_is 0
done

# Signals: typed nothing, the guest sleeps meanwhile.
for signal in TERM HUP ABRT; do
    rm -f "$work/pid"
    : >"$out"
    {
        await test -s "$work/pid"
        await grep -q '>' "$out"
        pid=$(cat "$work/pid")
        before=$(ticks "$pid")
        sleep 2
        [ $signal = TERM ] && echo $(($(ticks "$pid") - before)) >"$work/ticks"
        kill -$signal "$pid"
    } &
    killer=$!
    on_terminal '' --under hv
    kill $killer 2>/dev/null
    wait $killer
    check "SIG$signal gives the terminal back" restored
done
idle() { [ -s "$work/ticks" ] && [ "$(cat "$work/ticks")" -lt 20 ]; }
if [ -r /proc/self/stat ]; then
    check "a guest that waits for a key takes no time of the host" idle
else
    skip "a guest that waits for a key takes no time of the host" "no /proc"
fi
finish
