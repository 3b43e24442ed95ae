#!/bin/sh
# The terminal: raw while the guest has it, given back on every way out; the escapes; no busy
# waiting. A pseudo-terminal comes from script(1).
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"
script -qec true /dev/null </dev/null >/dev/null 2>&1 || skip_all "no script(1) that knows -e"

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
env --default-signal=HUP,TERM,ABRT "$vitrine" run "\$@" 2>"$err" &
echo \$! >"$work/pid"
ended=150 # stopped by SIGTTOU: it had asked for the terminal before it got it
while [ \$ended = 150 ]; do
    fg >/dev/null 2>&1
    ended=\$?
done
echo \$ended >"$work/status"
stty -g >"$work/after"
END
# A minute at most, for a busy host; what comes of it is checked.
wait_until() {
    tries=0
    until "$@" || [ $tries = 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}
on_terminal() { # text, options...
    text=$1
    shift
    rm -f "$work/before" "$work/after" "$work/status"
    : >"$out"
    : >"$err"
    {
        wait_until grep -q '>' "$out"
        # shellcheck disable=SC2059 # the text has escapes
        printf "$text"
        wait_until test -s "$work/after"
    } | script -qefc "bash -m '$work/inside' '$work/echo.elf' $*" /dev/null >"$out" 2>&1
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

# The debugger on a terminal: Ctrl-C pauses the guest, an empty line repeats, `quit` leaves.
assemble "$work/spin.elf" <<'END'
    .globl _start
_start:
    li a0, 0
1:  addi a0, a0, 1
    j 1b
END
for under in bare hv; do
    {
        sleep 1
        printf 'step 2\n\nrun\n'
        sleep 1
        printf '\003'
        sleep 1
        printf 'quit\n'
    } | script -qefc "exec $vitrine debug $work/spin.elf --under $under" /dev/null >"$out" 2>&1
    status=$?
    check "$under: the debugger prompts" grep -q '^(vitrine)' "$out"
    check "$under: an empty line repeats" grep -q 'stepped; 4 instructions' "$out"
    check "$under: Ctrl-C pauses the guest" grep -q 'paused' "$out"
    check "$under: and quit leaves" status_is 0
done

# Signals: typed nothing, the guest sleeps meanwhile. What does not end by the signal is killed, so
# that the test fails instead of waiting for ever.
ticks() { awk '{ print $14 + $15 }' "/proc/$(cat "$work/pid")/stat"; }
for signal in TERM HUP ABRT; do
    rm -f "$work/pid"
    {
        sleep 2
        [ $signal = TERM ] && ticks >"$work/ticks"
        kill -$signal "$(cat "$work/pid")"
        sleep 5
        kill -KILL "$(cat "$work/pid")" 2>/dev/null
    } &
    killer=$!
    on_terminal '' --under hv
    kill $killer 2>/dev/null
    wait
    check "SIG$signal gives the terminal back" restored
done
idle() { [ -s "$work/ticks" ] && [ "$(cat "$work/ticks")" -lt 50 ]; }
if [ -r /proc/self/stat ]; then
    check "a guest that waits for a key takes no time of the host" idle
else
    skip "a guest that waits for a key takes no time of the host" "no /proc"
fi
finish
