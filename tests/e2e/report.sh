#!/bin/sh
# What `vitrine run` reports: exit status, JSON, digest, signature, traces, limits.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"

# Ends with the exit code 3 by the test finisher, after a line on the UART and a page of signature.
assemble "$work/three.elf" <<'END'
    .globl _start, begin_signature, end_signature
_start:
    la   a0, text
    li   a1, 0x10000000
1:  lbu  a2, 0(a0)
    beqz a2, 2f
    sb   a2, 0(a1)
    addi a0, a0, 1
    j    1b
2:  la   a3, begin_signature
    li   a4, 0xfeedface
    sw   a4, 4(a3)
    csrr a5, mscratch
    li   a0, 0x100000
    li   a1, 0x33333
    sw   a1, 0(a0)
3:  j    3b
text:
    .byte 'h', 'i', '"', 0xff, '\n', 0
    .balign 16
begin_signature:
    .word 0x00c0ffee, 0, 3, 4
end_signature:
END
guest=$work/three.elf

for under in bare hv; do
    run run "$guest" --under $under --digest
    check "$under: the exit status is the guest's" status_is 3
    check "$under: the console is on stdout" [ "$(head -c 2 "$out")" = hi ]
    check "$under: the digest is on stderr" grep -Eq '^digest 0x[0-9a-f]{16}$' "$err"
    cp "$err" "$work/digest"
    run run "$guest" --under $under --digest
    check "$under: the same run has the same digest" same_file "$err" "$work/digest"
    run run "$guest" --under $under --signature "$work/signature"
    printf '%s\n' 00c0ffee feedface 00000003 00000004 >"$work/wanted"
    check "$under: the signature is right" same_file "$work/signature" "$work/wanted"
    rm -f "$work/signature"

    run run "$guest" --under $under --max-instructions 10
    check "$under: the limit ends it with 124" status_is 124
    check "$under: and a line says so" [ "$(wc -l <"$err")" = 1 ]
    for trace in exits mmu insns exits,mmu,insns; do
        run run "$guest" --under $under --trace $trace
        check "$under: --trace $trace does not change the result" status_is 3
    done
    check "$under: the trace has instructions" grep -q 'lbu' "$err"
done

run run "$guest" --under hv --trace exits
cp "$err" "$work/trace"
run run "$guest" --under hv --json
if command -v jq >/dev/null; then
    jq_is() { [ "$(jq -r "$1" "$out" 2>/dev/null)" = "$2" ]; }
    check "one line of trace an exit" [ "$(wc -l <"$work/trace")" = "$(jq -r .exits "$out")" ]
    check "JSON: the status" jq_is .status 3
    check "JSON: the exit code" jq_is .exit_code 3
    check "JSON: why it stopped" jq_is .stop poweroff
    check "JSON: under what" jq_is .under hv
    check "JSON: the console" jq_is .console "hi\"$(printf '\357\277\275')"
    check "JSON: nothing of it was lost" jq_is .console_lost 0
    check "JSON: the sum of the reasons" jq_is '([.exits_by_reason[]] | add) == .exits' true
    check "JSON: instructions were counted" jq_is '.instructions > 20' true
    run run "$guest" --json="$work/report.json"
    check "JSON in a file leaves the console alone" [ "$(head -c 2 "$out")" = hi ]
    cp "$work/report.json" "$out"
    check "JSON in a file: the status" jq_is .status 3
    check "JSON in a file: no console" jq_is .console null
    run run "$guest" --json --max-instructions 10
    check "JSON of a limited run: the status" jq_is .status 124
    check "JSON of a limited run: why" jq_is .stop limit
else
    skip "JSON" "no jq"
fi
status=0
timeout -k 5 600 "$vitrine" run "$guest" </dev/null >/dev/full 2>"$err" || status=$?
check "a console that is full does not hang" status_is 2
status=0
timeout -k 5 600 "$vitrine" run "$guest" --json=/dev/full </dev/null >"$out" 2>"$err" || status=$?
check "a JSON file on a full disk is an error" status_is 2

# Echoes what is typed until a newline, and then exits with the number of characters.
assemble "$work/echo.elf" <<'END'
    .globl _start
_start:
    li   s0, 0x10000000
    li   s1, 0
1:  lbu  a0, 5(s0)
    andi a0, a0, 1
    beqz a0, 1b
    lbu  a1, 0(s0)
    sb   a1, 0(s0)
    li   a2, '\n'
    beq  a1, a2, 2f
    addi s1, s1, 1
    j    1b
2:  slli s1, s1, 16
    li   a1, 0x3333
    or   a1, a1, s1
    li   a0, 0x100000
    sw   a1, 0(a0)
3:  j    3b
END
printf 'seven!!\n' >"$work/typed"
for under in bare hv; do
    typed=$work/typed
    run run "$work/echo.elf" --under $under
    check "$under: a file on stdin is typed" status_is 7
    check "$under: and echoed" same_file "$out" "$work/typed"
    typed=
    run run "$work/echo.elf" --under $under --input "$work/typed" --digest
    check "$under: --input is typed" status_is 7
    cp "$err" "$work/digest"
    run run "$work/echo.elf" --under $under --input "$work/typed" --digest
    check "$under: the same input gives the same run" same_file "$err" "$work/digest"
    for engine in interp threaded; do
        run run "$work/echo.elf" --under $under --engine $engine --input "$work/typed" --digest
        check "$under: in $engine, too" same_file "$err" "$work/digest"
    done
    status=0
    printf 'four\n' | timeout 600 "$vitrine" run "$work/echo.elf" --under $under >"$out" 2>"$err" || status=$?
    check "$under: a pipe is typed" status_is 4
done

# Reads until a newline: sleeps until a byte comes, but after each 65,536 bytes, of which the session
# holds no more, looks for the next for long. What it ends with tells after how many looks they came.
assemble "$work/reader.elf" <<'END'
    .globl _start
_start:
    li   s0, 0x10000000
    li   t0, 1
    sb   t0, 1(s0)              # the receiver interrupts
    li   t1, 0x0c000000         # source 10 of the PLIC has priority 1
    sw   t0, 40(t1)
    li   t1, 0x0c002000
    li   t0, 1024
    sw   t0, 0(t1)
    li   t0, 0x800
    csrw mie, t0
    li   s1, 0                  # of all bytes and looks
    li   s2, 0                  # bytes
    li   s3, 0                  # looks since the last one
    li   s4, 30000
1:  lbu  a0, 5(s0)
    andi a0, a0, 1
    bnez a0, 3f
    addi s3, s3, 1
    slli t0, s2, 16
    bnez t0, 2f
    bltu s3, s4, 1b
2:  wfi
    j    1b
3:  lbu  a1, 0(s0)
    add  s1, s1, s3
    slli t0, s1, 5
    sub  s1, t0, s1
    add  s1, s1, a1
    addi s2, s2, 1
    li   s3, 0
    li   a2, '\n'
    bne  a1, a2, 1b
    li   a1, 0x5555
    li   a0, 0x100000
    sw   a1, 0(a0)
4:  j    4b
END
i=0
while [ $i -lt 2000 ]; do
    printf '%070d' $i
    i=$((i + 1))
done >"$work/long"
echo >>"$work/long"
run run "$work/reader.elf" --input "$work/long" --digest
check "a file of 140,001 bytes is typed" status_is 0
cp "$err" "$work/digest"
for engine in interp threaded; do
    run run "$work/reader.elf" --engine $engine --input "$work/long" --digest
    check "in $engine: at the same times" same_file "$err" "$work/digest"
done
typed=$work/long
run run "$work/reader.elf" --digest
check "on stdin, too" same_file "$err" "$work/digest"
typed=

# Sleeps with every interrupt off: nothing can ever wake it.
assemble "$work/sleep.elf" <<'END'
    .globl _start
_start:
    csrw mie, zero
1:  wfi
    j 1b
END
for under in bare hv; do
    run run "$work/sleep.elf" --under $under --max-instructions 1000000
    check "$under: a guest that sleeps for ever ends" [ "$status" = 125 ]
    check "$under: and a line says so" [ "$(wc -l <"$err")" = 1 ]
done
finish
