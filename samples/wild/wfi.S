/*
 * Sleeps for ever: WFI with no interrupt enabled. Nothing inside the machine can wake it, and no
 * input either. An emulator should notice, or at least not burn the host's processor.
 */
    .section .text.start, "ax"
    .globl _start
_start:
    csrw mie, zero
sleep:
    wfi
    j    sleep
