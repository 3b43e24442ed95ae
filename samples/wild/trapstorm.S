/*
 * Traps in its own trap handler for ever: the handler can be reached, and begins with what brought
 * the hart there. (In `jump` the handler cannot even be fetched.)
 */
    .section .text.start, "ax"
    .globl _start
_start:
    la   t0, handler
    csrw mtvec, t0
    ecall

    .balign 4
handler:
    .word 0                     # the one encoding that is illegal on every RISC-V machine
