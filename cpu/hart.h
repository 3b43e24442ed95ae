/*
 * A hart: registers, mode and CSRs, and what the architecture does with them alone.
 *
 * The same struct is the computer's hart and a virtual machine's hart: a monitor that emulates a
 * privileged instruction calls the functions below on the virtual one. csr.c holds the CSRs'
 * meanings, trap.c taking and returning from traps.
 */
#ifndef VITRINE_CPU_HART_H
#define VITRINE_CPU_HART_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/clock.h"
#include "cpu/pmp.h"
#include "cpu/rv.h"
#include "cpu/state.h"

struct hart {
    uint32_t x[32];
    uint32_t pc;
    uint8_t mode;  /* enum mode */
    bool waiting;  /* in WFI: executes nothing until an interrupt is pending */

    uint64_t executed; /* instructions, those that trapped included */
    uint64_t trapped;  /* of these, how many ended in an exception (and so did not retire) */

    uint32_t mstatus, medeleg, mideleg, mie, mip;
    uint32_t mtvec, mscratch, mepc, mcause, mtval, mcounteren, mcountinhibit;
    uint32_t menvcfg, menvcfgh;
    uint32_t stvec, sscratch, sepc, scause, stval, scounteren, senvcfg, satp;
    bool seip_software;       /* the bit that software wrote to mip.SEIP, section 3.1.9 */
    bool seip_line;           /* the PLIC's wire */
    uint64_t cycle_offset;    /* mcycle = executed + this (inhibited: this alone) */
    uint64_t instret_offset;  /* minstret = executed - trapped + this (inhibited: this alone) */
    struct pmp pmp;

    bool reserved;            /* LR's reservation, lost by SC, traps, xRET, SFENCE.VMA and satp */
    uint32_t reservation;     /* virtual address of the word */

    struct clock clock;       /* mtime and the timers' comparators */
    uint32_t id;              /* mhartid */
    bool attention;           /* engines: leave the inner loop, something has changed */
};

extern const struct state_table hart_state;

/* Section 3.4: M mode, pc as given, interrupts off, no PMP, no translation. */
void hart_reset(struct hart *hart, uint32_t pc);

/* ---- csr.c -------------------------------------------------------------------------------- */

/* What a CSR access came to; a viewer may read every CSR with csr_peek(). */
enum csr_result {
    CSR_OK,
    CSR_ILLEGAL,  /* no such CSR, not in this mode, read-only, or switched off: illegal instruction */
};

/* What must be done after a write, besides the CSR itself. Or-ed. */
enum csr_effect {
    CSR_NO_EFFECT = 0,
    CSR_TRANSLATION = 1, /* satp, or SUM/MXR/MPRV/MPP: mmu_context_changed() */
    CSR_PROTECTION = 2,  /* PMP: mmu_flush() */
    CSR_INTERRUPTS = 4,  /* an interrupt may now be deliverable, or a timer has moved */
};

/* As an instruction would in the hart's current mode, with all checks. */
enum csr_result csr_read(const struct hart *hart, unsigned number, uint32_t *value);
enum csr_result csr_write(struct hart *hart, unsigned number, uint32_t value, unsigned *effects);
/* Is the access allowed in the current mode (write: also not read-only)? */
enum csr_result csr_check(const struct hart *hart, unsigned number, bool write);
/* Without checks of mode; an unknown number reads 0. For viewers, firmware and debuggers. */
uint32_t csr_peek(const struct hart *hart, unsigned number);
void csr_poke(struct hart *hart, unsigned number, uint32_t value, unsigned *effects);

/* Offset in struct hart of a CSR that is nothing but a word: reading has no effect, writing changes
 * the bits of its mask and nothing else. -1: it is more than that, or there is none. */
int csr_plain_word(unsigned number);

/* What one of the six CSR instructions did. */
struct csr_access {
    uint16_t number;
    bool writes;
    uint32_t old;
    unsigned effects; /* enum csr_effect */
};
struct insn;
/* CSRRW, CSRRS, CSRRC and their immediate forms: checks, reads, writes, sets rd. pc stays.
 * CSR_ILLEGAL: nothing was done. */
enum csr_result csr_execute(struct hart *hart, const struct insn *insn, struct csr_access *out);

/* ---- trap.c ------------------------------------------------------------------------------- */

/* Takes the trap: saves pc, cause and tval in M's or S's CSRs as medeleg/mideleg say, enters that
 * mode at its vector. cause has CAUSE_INTERRUPT for interrupts. Returns the mode entered. */
enum mode trap_take(struct hart *hart, uint32_t cause, uint32_t tval);
/* SRET and MRET, after the checks that the instruction makes. */
void trap_return_s(struct hart *hart);
void trap_return_m(struct hart *hart);
/* The cause of the interrupt to take now (with CAUSE_INTERRUPT), or 0: none. Section 3.1.9. */
uint32_t trap_pending_interrupt(const struct hart *hart);
/* Wires from the interrupt controllers. number is an IRQ_ constant. */
void hart_interrupt_line(struct hart *hart, unsigned number, bool level);
/* Brings mip.MTIP and mip.STIP up to the clock, and re-arms it. */
void hart_update_timers(struct hart *hart);
/* Forgets LR's reservation. */
static inline void hart_unreserve(struct hart *hart) { hart->reserved = false; }

static inline uint64_t hart_mtime(const struct hart *hart)
{
    return clock_mtime(&hart->clock, hart->executed);
}

#endif
