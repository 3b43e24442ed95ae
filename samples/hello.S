/*
 * The smallest guest: a loop of five instructions prints a text, one store ends the run.
 *
 * The machine starts here in M mode with nothing below it: no stack, no C, no operating system.
 * A byte that is stored to the UART's first register appears on the console. A real ns16550a wants
 * to be asked first whether it is ready (uart.h does); those of `virt` machines always are.
 *
 * Watch it: `vitrine debug samples/hello.elf`, then `step`.
 */
// expect: Hello from the glass case!
#include "virt.h"

    .section .text.start, "ax"
    .globl _start
_start:
    la   a0, text
    li   a1, UART
next:
    lbu  a2, 0(a0)              # the next character
    beqz a2, done               # the text ends with a zero byte
    sb   a2, 0(a1)              # out it goes
    addi a0, a0, 1
    j    next
done:
    li   a0, FINISHER
    li   a1, FINISHER_PASS
    sw   a1, 0(a0)              # the end of the run, exit code 0
stop:
    j    stop

    .section .rodata
text:
    .asciz "Hello from the glass case!\n"
