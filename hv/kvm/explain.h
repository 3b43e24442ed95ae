/*
 * Why a vCPU came back, in words: the name of an exit, what it did, and, when KVM has given the
 * vCPU up, what has probably happened.
 *
 * Three exits are the end of a vCPU: a shutdown (triple fault), an internal error, a failed entry.
 * What KVM says of them is a number. kvm_explain() looks at the registers, the interrupt descriptor
 * table and the instruction, and writes what a person would look up. It guesses from what is left
 * behind, and says so.
 *
 * Source: "The Definitive KVM API Documentation", section 5; Intel SDM vol. 3A, chapter 6
 * (exceptions), vol. 3C, section 26.8 (failed entries).
 */
#ifndef VITRINE_KVM_EXPLAIN_H
#define VITRINE_KVM_EXPLAIN_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/kvm/disasm.h"
#include "hv/kvm/memory.h"

/* ---- every exit ----------------------------------------------------------------------------- */

/* Name and meaning from kvm-exit.def: "port I/O". Of a reason that is not there, those of UNKNOWN.
 */
const char *kvm_exit_name(uint32_t reason);
const char *kvm_exit_meaning(uint32_t reason);
/* The n-th row's reason, for lists; -1 after the last. */
int kvm_exit_nth(unsigned n);
/* What this exit did, one line: "out to port 0x3f8: 1 byte, 0x41", "read of 4 bytes at 0xfee00020".
 */
void kvm_exit_text(const struct kvm_run *run, char *out, size_t size);

/* ---- the end of a vCPU ---------------------------------------------------------------------- */

enum { KVM_EXPLAIN_LINES = 8, KVM_EXPLAIN_TEXT = 192 };

struct kvm_explanation {
    int count; /* lines, the first a summary */
    char line[KVM_EXPLAIN_LINES][KVM_EXPLAIN_TEXT];
};

/* For KVM_EXIT_SHUTDOWN, KVM_EXIT_INTERNAL_ERROR and KVM_EXIT_FAIL_ENTRY; other exits get their
 * name, text and meaning. The registers are those that the vCPU was left with. */
void kvm_explain(const struct kvm_run *run, const struct kvm_regs *regs,
                 const struct kvm_sregs *sregs, const struct kvm_memory *memory, unsigned width,
                 struct kvm_disasm *disasm, struct kvm_explanation *out);

/* "#GP general protection": exception 0..31, "interrupt" above. */
const char *kvm_exception_name(unsigned vector);

#endif
