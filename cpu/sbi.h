/*
 * The built-in SBI firmware: what an S-mode kernel expects below it, in C.
 *
 * Serves the calls of the "RISC-V Supervisor Binary Interface Specification" 2.0: base, legacy
 * console, debug console (DBCN), timer, IPI, remote fence, hart state management (one hart) and
 * system reset. It acts on a machine, so it is the firmware of the bare computer and, unchanged,
 * what answers a virtual machine's hypercalls.
 */
#ifndef VITRINE_CPU_SBI_H
#define VITRINE_CPU_SBI_H

#include <stdint.h>

struct machine;

/* Puts the hart where firmware hands over: S mode at `entry`, a0 = hart id, a1 = device tree,
 * traps and interrupts delegated, PMP open, counters readable, Sstc on. */
void sbi_boot(struct machine *machine, uint32_t entry, uint32_t dtb);

/* Serves the ecall that the hart stands at: reads a7 (extension), a6 (function), a0..a5, writes a0
 * (error) and a1 (value); pc stays (the caller moves it on). May stop the machine (system reset). */
void sbi_call(struct machine *machine);

/* "set_timer" of extension TIME ... for the exit log; "unknown call" if there is none. */
const char *sbi_call_name(uint32_t extension, uint32_t function);

#endif
