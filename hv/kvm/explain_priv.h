/* Inside the explanations: explain.c (exits, internal errors, failed entries), triple-fault.c. */
#ifndef VITRINE_KVM_EXPLAIN_PRIV_H
#define VITRINE_KVM_EXPLAIN_PRIV_H

#include "hv/kvm/explain.h"

/* A vCPU that has been given up, and what is said of it. */
struct given_up {
    const struct kvm_run *run;
    const struct kvm_regs *regs;
    const struct kvm_sregs *sregs;
    struct kvm_disasm *disasm;
    struct kvm_code code;
    struct kvm_insn insn; /* at RIP */
    struct kvm_explanation *out;
};

/* Adds a line; what does not fit any more is left out. */
void explain_line(struct given_up *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds the line that says where RIP is, in which mode, and on which instruction. */
void explain_where(struct given_up *v);

/* ---- triple-fault.c ------------------------------------------------------------------------- */

/* The lines about a shutdown. */
void explain_shutdown(struct given_up *v);

#endif
