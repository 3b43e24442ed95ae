/*
 * What must happen before main() of a C sample: a stack, a zeroed .bss, a place for traps to go.
 *
 * The machine starts hart 0 here in M mode, with nothing below it: a0 is the hart's number and a1
 * the address of the device tree, which are passed on to main(). What main() returns becomes the
 * exit code of the run. Interrupts are off, and a trap that nobody expected ends the run with
 * code 99 instead of running away.
 */
#include "virt.h"

    .section .text.start, "ax"
    .globl _start
_start:
    la   t0, unexpected
    csrw mtvec, t0
    csrw mie, zero
    la   sp, stack_top
    la   t0, bss_start
    la   t1, bss_end
1:  bgeu t0, t1, 2f
    sw   zero, 0(t0)
    addi t0, t0, 4
    j    1b
2:  call main
exit:                           # a0 = exit code
    li   t0, FINISHER
    li   t1, FINISHER_PASS
    beqz a0, 3f
    slli a0, a0, 16
    li   t1, FINISHER_FAIL
    or   t1, t1, a0
3:  sw   t1, 0(t0)
4:  j    4b                     # the machine has stopped; should it not, stay here

    .balign 4                   # the low two bits of mtvec are its mode
unexpected:
    li   a0, 99
    j    exit
