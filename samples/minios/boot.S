/*
 * The kernel's first instructions: a stack, a zeroed .bss, and on to C (main.c).
 *
 * The firmware has started hart 0 here in S mode, translation off: a0 is the hart's number, a1 the
 * address of the device tree.
 */
    .section .text.start, "ax"
    .globl _start
_start:
    csrw sie, zero
    csrw sscratch, zero         # zero: the kernel is running (trap.S)
    la   sp, boot_stack_top
    la   t0, bss_start
    la   t1, bss_end
1:  bgeu t0, t1, 2f
    sw   zero, 0(t0)
    addi t0, t0, 4
    j    1b
2:  call kernel_main            # does not return

    .data                       # not .bss, which is being zeroed
    .balign 16
    .skip 4096
boot_stack_top:
