/*
 * Where a random program ends (tests/random-program.h: PROGRAM_END), and how it is begun.
 *
 * The programs have the first 4 MiB of RAM for themselves; this guest lies behind it. Its first word
 * of RAM only leads here from reset.
 */
    .section .text.reset, "ax"
    .globl _start
_start:
    lui  t0, %hi(begin)
    jr   t0, %lo(begin)

    .section .text.end, "ax"    # at PROGRAM_END
end:
    la   t3, registers
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, \
         25, 26, 27
    sw   x\n, 4 * \n(t3)
    .endr
    la   t3, frame
    lw   sp, 0(t3)
    lw   ra, 4(t3)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    lw   s\n, 8 + 4 * \n(t3)
    .endr
    ret

begin:
    la   sp, stack_top
    call main
1:  j    1b

/* void run_program(void): everything zero but pc, which is 0x80000000. */
    .globl run_program
run_program:
    la   t3, frame
    sw   sp, 0(t3)
    sw   ra, 4(t3)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    sw   s\n, 8 + 4 * \n(t3)
    .endr
    sc.w zero, zero, (t3)       # ends a reservation that the last program has left
    sw   sp, 0(t3)              # in case it was for this word
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, \
         25, 26, 27, 28, 29, 30
    li   x\n, 0
    .endr
    lui  x31, 0x80000
    sfence.vma
    fence.i
    jr   x31

    .bss
    .balign 4
    .globl registers
registers: .space 4 * 32        # x1..x27 of the program that has ended
frame:     .space 4 * 14

    .section .programs, "a"
    .balign 4
    .globl programs
programs:
    .incbin PROGRAMS
