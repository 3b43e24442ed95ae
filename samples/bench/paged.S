/*
 * The traps of the small supervisor. It lives on pages of its own: S mode may not execute U's.
 *
 * The shortest handlers come first, and may change t0. All else goes the long way: sscratch has the
 * frame, all registers are saved in it, C handles the trap (paged.c), all are loaded.
 */
#include "paged.h"

    .section .kernel.text, "ax"
    .globl supervisor_trap
    .balign 4
supervisor_trap:
    csrr t0, scause
    addi t0, t0, -8             # ecall from U?
    bnez t0, long_way
    beqz a7, nothing
    li   t0, CALL_SWITCH
    bne  a7, t0, long_way
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    csrr t0, satp
    xor  t0, t0, a0
    csrw satp, t0
    beqz a1, 1f
    sfence.vma
1:  sret
nothing:
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    addi a0, a0, 1
    sret

long_way:
    csrrw sp, sscratch, sp
    .irp r, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sw   x\r, 4 * \r(sp)
    .endr
    csrr t0, sscratch
    sw   t0, 4 * 2(sp)
    csrr t0, sepc
    sw   t0, 0(sp)
    mv   a0, sp
    csrr a1, scause
    csrr a2, stval
    call supervisor
    lw   t0, 0(sp)
    csrw sepc, t0
    lw   t0, 4 * 2(sp)
    csrw sscratch, t0
    .irp r, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    lw   x\r, 4 * \r(sp)
    .endr
    csrrw sp, sscratch, sp
    sret

/* M mode's timer: the next is due one interval later. t-registers are in mscratch's frame. */
    .globl machine_timer
    .balign 4
machine_timer:
    csrrw sp, mscratch, sp
    sw   t0, 0(sp)
    sw   t1, 4(sp)
    sw   t2, 8(sp)
    la   t0, ticks
    lw   t1, 0(t0)
    addi t1, t1, 1
    sw   t1, 0(t0)
    li   t0, 0x0200bff8         # mtime; its upper half stays 0 in a run
    lw   t1, 0(t0)
    la   t2, timer_interval
    lw   t2, 0(t2)
    add  t1, t1, t2
    li   t0, 0x02004000         # mtimecmp
    sw   t1, 0(t0)
    lw   t0, 0(sp)
    lw   t1, 4(sp)
    lw   t2, 8(sp)
    csrrw sp, mscratch, sp
    mret
