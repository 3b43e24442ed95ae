/* A program begins with argc in a0, argv in a1 and its stack: main(argc, argv), then exit(). */
    .section .text.start, "ax"
    .globl _start
_start:
    call main
    call exit
