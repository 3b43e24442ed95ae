/*
 * The firmware's two ways in: from reset, and from a trap.
 *
 * Reset prepares M mode (sbi.c) and leaves it for the kernel at 0x80400000 with a0 (hart) and a1
 * (device tree) as the machine handed them over. A trap saves the integer registers on the
 * firmware's own stack, whose top rests in mscratch while a kernel runs, and calls sbi_trap().
 */
    .section .text.start, "ax"
    .globl _start, firmware_start
_start:
firmware_start:
    la   sp, stack_top_of_firmware
    csrw mscratch, sp
    la   t0, trap
    csrw mtvec, t0
    mv   s0, a0
    mv   s1, a1
    call sbi_init
    mv   a0, s0
    mv   a1, s1
    csrw satp, zero
    mret                        # sbi_init has chosen S mode and 0x80400000

/* x1 to x31 at 4 * n(sp), where sbi_trap() finds and changes them. */
    .balign 4
trap:
    csrrw sp, mscratch, sp
    addi sp, sp, -128
    .irp n, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, \
         25, 26, 27, 28, 29, 30, 31
    sw   x\n, 4 * \n(sp)
    .endr
    csrr t0, mscratch
    sw   t0, 4 * 2(sp)          # the kernel's stack pointer
    mv   a0, sp
    call sbi_trap
    lw   t0, 4 * 2(sp)
    csrw mscratch, t0
    .irp n, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, \
         25, 26, 27, 28, 29, 30, 31
    lw   x\n, 4 * \n(sp)
    .endr
    addi sp, sp, 128
    csrrw sp, mscratch, sp
    mret

    .bss
    .balign 16
    .skip 2048
stack_top_of_firmware:
