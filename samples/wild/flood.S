/*
 * Floods the UART with 100,000 bytes as fast as it can, without asking whether it is ready, and
 * ends. 1,250 lines of 79 characters and a newline. `flood-forever` is the same and never ends.
 */
#include "virt.h"

    .section .text.start, "ax"
    .globl _start
_start:
    li   a0, UART
again:
    li   s0, 1250
line:
    li   s1, 79
    li   a1, '!'
character:
    sb   a1, 0(a0)
    addi a1, a1, 1
    addi s1, s1, -1
    bnez s1, character
    li   a1, '\n'
    sb   a1, 0(a0)
    addi s0, s0, -1
    bnez s0, line
#ifdef FOREVER
    j    again
#endif
    li   t0, FINISHER
    li   t1, FINISHER_PASS
    sw   t1, 0(t0)
stop:
    j    stop
