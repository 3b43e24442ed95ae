/*
 * Into CPL 3 and back, once. There is no way back into the program: it leaves by the door with its
 * result, or by an exception that ends the run.
 */
#include "door.h"
#include "pc.h"

    .text
    .globl enter_user           /* enter_user(function, stack): SDM volume 3, 6.14.4 */
enter_user:
    pushq $USER_DS
    pushq %rsi
    pushq $2                    /* flags: interrupts off, so that only the program is measured */
    pushq $USER_CS
    pushq %rdi
    xorl %ebp, %ebp
    iretq

    .globl door_gate            /* vector DOOR: rdi and rsi are as the program has left them */
door_gate:
    call take_result

    .globl invalid_gate         /* vector 6: no error code, so rip is on the top of the stack */
invalid_gate:
    movq (%rsp), %rax
    cmpw $(DOOR << 8 | 0xcd), (%rax) /* int DOOR, come as an invalid instruction: door.h */
    je   door_gate
    movl $6, %edi
    call unexpected

    .globl gates                /* 16 bytes for each exception: its number is all that is told */
    .balign 16
gates:
    .set vector, 0
    .rept 32
    movl $vector, %edi
    call unexpected
    .set vector, vector + 1
    .balign 16
    .endr
