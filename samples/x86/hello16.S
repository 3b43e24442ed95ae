/*
 * A boot sector: 512 bytes that end in 55 aa, run by a processor that believes it is an 8086.
 *
 * This is how every PC starts. The firmware loads the first sector of a disk to 0000:7c00 and jumps
 * there, in real mode: 16-bit registers, an address is segment * 16 + offset, and everything is
 * allowed. This one talks to the serial port itself, so it runs without any firmware as well.
 *
 * Watch it: `vitrine debug --kvm samples/x86/hello16.img`, then `step`.
 */
// expect: Hello from a boot sector!
#include "pc.h"

    .code16                     # as the processor starts; an assembler must be told
    .text
    .globl _start
_start:
    ljmp $0, $main              # some firmware comes by 07c0:0000: now CS is 0 for certain
main:
    xorw %ax, %ax
    movw %ax, %ds               # data is found by DS, and we use addresses from 0 on
    cld                         # lodsb goes upwards
    movw $text, %si
next:
    lodsb                       # AL = the byte at DS:SI, SI + 1
    testb %al, %al
    jz   done                   # the text ends with a zero byte
    movb %al, %ah               # keep it: IN and OUT know no register but AL
    movw $COM1_LSR, %dx
wait:
    inb  %dx, %al               # the line status: may we send?
    testb $LSR_THRE, %al
    jz   wait
    movb %ah, %al
    movw $COM1, %dx
    outb %al, %dx               # out it goes
    jmp  next
done:
    xorb %al, %al
    movw $DEBUG_EXIT, %dx
    outb %al, %dx               # the end of the run, exit code 0
stop:
    hlt                         # on a computer without that port: sleep
    jmp  stop

text:
    .asciz "Hello from a boot sector!\n"

    .org 510                    # what makes a sector a boot sector
    .byte 0x55, 0xaa
