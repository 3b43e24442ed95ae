/*
 * A kernel in S mode that overwrites its own page tables with rubbish and goes on.
 *
 * It maps RAM with one entry, switches translation on, and stores pseudo-random words over its root
 * table through that very mapping, flushing the TLB after each. Sooner or later its own entry is
 * hit; from then on it executes, loads and stores wherever the rubbish leads, or traps for ever.
 * Nothing that it does may leave its machine. It never ends by itself.
 */
    .section .text.start, "ax"
    .globl _start
_start:
    li   t0, -1
    csrw pmpaddr0, t0
    li   t0, 0x1f
    csrw pmpcfg0, t0
    li   t0, -1
    csrw medeleg, t0            # it is to look after its faults itself
    la   t0, kernel
    csrw mepc, t0
    li   t0, 0x1000             # MPP = S
    csrc mstatus, t0
    li   t0, 0x0800
    csrs mstatus, t0
    mret

    .balign 4
kernel:
    la   t0, store              # a fault: go on with the next word
    csrw stvec, t0
    la   s0, root
    li   t0, 0x200000cf         # RAM where it is, 4 MiB, V R W X A D
    li   t1, 0x800              # entry 512, for 0x80000000
    add  t1, t1, s0
    sw   t0, 0(t1)
    srli t0, s0, 12
    li   t1, 0x80000000
    or   t0, t0, t1
    csrw satp, t0
    sfence.vma
    li   s1, 2463534242         # state of a xorshift generator
    .balign 4
store:
    slli t0, s1, 13
    xor  s1, s1, t0
    srli t0, s1, 17
    xor  s1, s1, t0
    slli t0, s1, 5
    xor  s1, s1, t0
    srli t0, s1, 20
    andi t0, t0, -4             # which entry: 0 .. 4092
    add  t0, s0, t0
    sw   s1, 0(t0)              # what: anything
    sfence.vma
    lw   t1, 0(s1)
    j    store

    .section .bss
    .balign 4096
root:
    .skip 4096
