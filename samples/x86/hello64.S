/*
 * The smallest guest in long mode: seven instructions print a text and end the run.
 *
 * The monitor has done what this program would otherwise have to do first: 64-bit mode is on, the
 * first 4 GiB are mapped to themselves, interrupts are off. longmode/ does all of that by itself.
 *
 * Built twice: hello64.elf says in its header where it belongs; hello64.bin is the same bytes
 * without one, loaded to 1 MiB and entered there (`--boot flat64`). So _start comes first.
 */
// expect: Hello from 64 bits!
#include "pc.h"

    .text
    .globl _start
_start:
    leaq text(%rip), %rsi       # where the text is, relative to this instruction
    movl $end - text, %ecx      # how many bytes; writing ecx clears the upper half of rcx
    movl $COM1, %edx            # which port: that of the serial port's data
    rep outsb                   # ecx times: the byte at rsi goes to port dx, rsi + 1
    movl $DEBUG_EXIT, %edx      # which port: that ends the run
    xorl %eax, %eax             # the exit code: 0
    outb %al, %dx               # the end
stop:
    hlt                         # is not reached; if it is: sleep
    jmp  stop

text:
    .ascii "Hello from 64 bits!\n"
end:
