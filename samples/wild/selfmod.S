/*
 * Rewrites an instruction that it has already executed, ten thousand times, with FENCE.I after each
 * change, and checks that always the new one is executed. Catches engines that keep decoded or
 * translated instructions for too long.
 */
// expect: selfmod: ok
#include "virt.h"

    .section .text.start, "ax"
    .globl _start
_start:
    li   s0, 0                  # the round
    la   s1, patch
    lw   s2, 0(s1)              # addi a0, zero, 0
round:
    slli t0, s0, 21             # its immediate is in bits 20 to 31: use 11 of them
    srli t0, t0, 1
    or   t0, t0, s2
    sw   t0, 0(s1)
    fence.i
patch:
    addi a0, zero, 0
    slli t1, s0, 21
    srli t1, t1, 21
    bne  a0, t1, bad
    addi s0, s0, 1
    li   t0, 10000
    bltu s0, t0, round

    la   a0, text
    li   a1, UART
next:
    lbu  a2, 0(a0)
    beqz a2, done
    sb   a2, 0(a1)
    addi a0, a0, 1
    j    next
done:
    li   t1, FINISHER_PASS
    j    finish
bad:
    li   t1, (1 << 16) | FINISHER_FAIL
finish:
    li   t0, FINISHER
    sw   t1, 0(t0)
stop:
    j    stop

    .section .rodata
text:
    .asciz "selfmod: ok\n"
