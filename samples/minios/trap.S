/*
 * The way into the kernel and back: every trap comes here.
 *
 * sscratch says where from. While a process runs it holds the top of that process' kernel stack;
 * while the kernel runs it is zero, and the interrupted stack is used on. The registers are saved
 * as a struct frame (minios.h), which is all that remains of the process until trap_return.
 */
    .set FRAME, 144

    .macro each_register action
    .irp n, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, \
         25, 26, 27, 28, 29, 30, 31
    \action x\n, 4 * \n(sp)
    .endr
    .endm

    .text
    .globl trap_vector, trap_return
    .balign 4
trap_vector:
    csrrw sp, sscratch, sp
    bnez sp, 1f
    csrr sp, sscratch           # the kernel was interrupted: its own stack
1:  addi sp, sp, -FRAME
    each_register sw
    csrr t0, sscratch
    sw   t0, 4 * 2(sp)          # sp as it was before the trap
    csrw sscratch, zero
    csrr t0, sepc
    csrr t1, sstatus
    sw   t0, 128(sp)
    sw   t1, 132(sp)
    mv   a0, sp
    call trap_handle

/* A new process begins its life here, with sp at its frame (proc.c). */
trap_return:
    lw   t0, 128(sp)
    lw   t1, 132(sp)
    csrw sepc, t0
    csrw sstatus, t1
    andi t1, t1, 0x100          # SPP: back into the kernel?
    bnez t1, 2f
    addi t0, sp, FRAME
    csrw sscratch, t0
2:  each_register lw
    lw   sp, 4 * 2(sp)
    sret
