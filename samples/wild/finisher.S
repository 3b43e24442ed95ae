/* Ends the run with exit code 42, by the test finisher: the code is in the word's upper half. */
// expect-exit: 42
#include "virt.h"

    .section .text.start, "ax"
    .globl _start
_start:
    li   t0, FINISHER
    li   t1, (42 << 16) | FINISHER_FAIL
    sw   t1, 0(t0)
stop:
    j    stop
