/*
 * Ends the run as the public conformance programs do: by a store to the word `tohost`, which the
 * emulator finds by its symbol. 1 means passed, an odd n failed case n >> 1. Between the symbols
 * begin_signature and end_signature lies the result that the architecture tests compare: here 16
 * words, the first powers of 3.
 *
 * QEMU knows `tohost` on its `spike` machine only; on `virt` this guest spins for ever.
 */
// expect-exit: 0
    .section .text.start, "ax"
    .globl _start
_start:
    la   a0, begin_signature
    la   a1, end_signature
    li   a2, 1
next:
    sw   a2, 0(a0)
    slli a3, a2, 1
    add  a2, a2, a3
    addi a0, a0, 4
    bltu a0, a1, next

    la   t0, tohost
    li   t1, 1
    sw   t1, 0(t0)
    sw   zero, 4(t0)            # the upper half of the 64-bit word
stop:
    j    stop

    .data
    .balign 64
    .globl tohost, fromhost, begin_signature, end_signature
tohost:
    .dword 0
    .size tohost, 8
    .balign 64
fromhost:
    .dword 0
    .size fromhost, 8
    .balign 64
begin_signature:
    .skip 64
end_signature:
    .dword 0
