/*
 * void context_switch(struct context *save, const struct context *load)
 *
 * Leaves one thread of the kernel and goes on with another. To the one that is left it looks like a
 * function call that takes long; so only what a call preserves has to be kept.
 */
    .text
    .globl context_switch
context_switch:
    sw   ra, 0(a0)
    sw   sp, 4(a0)
    lw   ra, 0(a1)
    lw   sp, 4(a1)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    sw   s\n, 8 + 4 * \n(a0)
    lw   s\n, 8 + 4 * \n(a1)
    .endr
    ret
