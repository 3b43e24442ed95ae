/*
 * Jumps into nowhere: an address with neither memory nor device. The access fault goes to mtvec,
 * which points there too, so the hart traps for ever without executing anything again.
 */
    .section .text.start, "ax"
    .globl _start
_start:
    li   t0, 0x00800000
    csrw mtvec, t0
    jr   t0
