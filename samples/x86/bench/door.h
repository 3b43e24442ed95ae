/*
 * The door from CPL 3 to the small kernel below: `int DOOR`, arguments in rdi and rsi.
 *
 * It is a software interrupt, the oldest way of x86 to call a kernel, and not `syscall`: some
 * backends of KVM run CPL 3 natively without the processor's virtualization, and `syscall` would
 * enter the host there. On these `int` comes as an invalid instruction; entry.S sees through that.
 */
#ifndef SAMPLES_X86_BENCH_DOOR_H
#define SAMPLES_X86_BENCH_DOOR_H

#define DOOR 0x30

#endif
