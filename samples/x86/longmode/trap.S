/*
 * The way into the kernel by a trap, and the way out of it to CPL 3.
 *
 * On a trap the processor looks in the IDT where to go on. If it was at CPL 3 it changes to the
 * stack in the TSS. There it pushes ss, rsp, rflags, cs, rip and, for some exceptions, an error
 * code. It does not push which trap it was, so each has an entry of its own, which does.
 *
 * Source: Intel SDM volume 3, 6.12 and 6.14.
 */
#include "pc.h"

/* ---- entries: 16 bytes for each vector ------------------------------------------------------ */

#define HAS_ERROR_CODE(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21)
#define VECTORS 0x81            /* the exceptions, the interrupts, the system call */

    .text
    .globl trap_entries
    .balign 16
trap_entries:
    .set vector, 0
    .rept VECTORS
    .balign 16
    .if !(HAS_ERROR_CODE(vector))
    pushq $0                    /* so that all frames are alike */
    .endif
    pushq $vector
    jmp  trap_common
    .set vector, vector + 1
    .endr

trap_common:                    /* struct frame in longmode.h, from its end to its beginning */
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call trap                   /* trap(frame), in trap.c */
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp              /* vector and error code */
    iretq

/* ---- to CPL 3 and back ---------------------------------------------------------------------- */

/*
 * int task_run(entry, stack): remembers where it was, and goes to CPL 3 as if it returned from a
 * trap that came from there. There is no other way down. It seems to return when task_end() is
 * called.
 */
    .globl task_run
task_run:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, where_we_were

    pushq $USER_DS              /* ss */
    pushq %rsi                  /* rsp */
    pushq $(RFLAGS_IF + 2)      /* rflags: the timer may interrupt; bit 1 is always 1 */
    pushq $USER_CS              /* cs */
    pushq %rdi                  /* rip */
    .irp r, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    movq $0, %\r                /* the kernel's values are not the task's business */
    .endr
    iretq

/* task_end(status): drops the trap's frame, and returns from task_run(). */
    .globl task_end
task_end:
    movl %edi, %eax
    movq where_we_were, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 8
where_we_were:
    .space 8
