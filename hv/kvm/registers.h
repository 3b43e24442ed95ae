/*
 * The registers of a vCPU: taking them, naming them, telling them in words, writing them back.
 *
 * KVM hands out a processor's state in several structs by several ioctls; struct kvm_cpu_state
 * holds them together. Everything that has a name is a row of registers.def, from which the list
 * for the window, the lookup for the debugger and the tooltips are made.
 *
 *     struct kvm_cpu_state cpu;
 *     int failed = kvm_cpu_state_get(vcpu_fd, &cpu);
 *     kvm_register_write(&cpu, "rip", 0x7c00, 0);
 *     failed = kvm_cpu_state_set(vcpu_fd, &cpu); // writes back what has been changed
 *
 * The ioctls must come from the thread that runs the vCPU, or while it stands still.
 * Source: "The Definitive KVM API Documentation", section 4; Intel SDM as registers.def says.
 */
#ifndef VITRINE_KVM_REGISTERS_H
#define VITRINE_KVM_REGISTERS_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kvm_msr_slot {
#define MSR(name, number, how, meaning) KVM_MSR_SLOT_##name,
#include "hv/kvm/registers.def"
    KVM_CPU_MSRS
};

/* Parts of the state, for `changed`. */
enum {
    KVM_CPU_REGS = 1,
    KVM_CPU_SREGS = 2,
    KVM_CPU_DEBUG = 4,
    KVM_CPU_FPU = 8,
};

struct kvm_cpu_state {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_debugregs debug;
    struct kvm_fpu fpu; /* x87 and SSE; the upper halves of AVX registers are not shown */
    uint64_t msr[KVM_CPU_MSRS];
    uint64_t msr_there;   /* bit n: KVM knows msr[n] */
    uint64_t msr_changed; /* bit n: by kvm_register_write() */
    unsigned changed;     /* parts that kvm_register_write() has changed */
};

/* 0, or -errno of the ioctl that failed. MSRs that KVM does not know are left out. */
int kvm_cpu_state_get(int vcpu_fd, struct kvm_cpu_state *cpu);
/* Writes back what kvm_register_write() has changed. 0, or -errno: -EINVAL if KVM refuses the
 * value, as it does with states that no processor can be in. Parts that came before in
 * registers.def are set then. */
int kvm_cpu_state_set(int vcpu_fd, struct kvm_cpu_state *cpu);

/* ---- by name -------------------------------------------------------------------------------- */

enum kvm_register_group {
    KVM_GROUP_GENERAL,
    KVM_GROUP_SEGMENT,
    KVM_GROUP_CONTROL,
    KVM_GROUP_DEBUG,
    KVM_GROUP_MSR,
    KVM_GROUP_FPU,
    KVM_GROUP_SSE,
    KVM_GROUPS
};

enum { KVM_REGISTERS_MAX = 128, KVM_REGISTER_TEXT = 96 };

struct kvm_register {
    const char *name;    /* "rax", "cr3", "lstar": as in registers.def */
    const char *meaning; /* one line */
    enum kvm_register_group group;
    unsigned bits;  /* 16, 32, 64, 80 or 128 */
    uint64_t value; /* the lower 64 bits; a segment register's selector; a table register's base */
    uint64_t high;  /* what is above; a segment's base; a table's limit */
    char text[KVM_REGISTER_TEXT]; /* the value in words, "PF ZF IF"; "" if there is nothing to tell
                                   */
};

/* All registers in the order of registers.def; `max` of KVM_REGISTERS_MAX holds them. Returns the
 * number. */
int kvm_registers_list(const struct kvm_cpu_state *cpu, struct kvm_register *out, int max);
/* One by name, capitals or not. False: there is none. */
bool kvm_register_read(const struct kvm_cpu_state *cpu, const char *name, struct kvm_register *out);
/* Changes `cpu` only. A segment register takes a selector: in real mode its base follows, else what
 * the processor has loaded from the descriptor stays. `high` counts for registers of 80 and 128
 * bits, and for the limit of gdtr and idtr. -ENOENT: no such register, or KVM does not know it;
 * -ERANGE: too wide. */
int kvm_register_write(struct kvm_cpu_state *cpu, const char *name, uint64_t value, uint64_t high);

/* "general", "segment" ...: struct view_register's. */
const char *kvm_register_group_name(enum kvm_register_group group);

/* ---- the mode ------------------------------------------------------------------------------- */

/* 16, 32 or 64: how the instructions at CS:RIP are read. */
unsigned kvm_code_bits(const struct kvm_sregs *sregs);
/* 0..3. */
unsigned kvm_cpl(const struct kvm_sregs *sregs);
/* "real mode", "protected mode, 32 bit, CPL 0", "long mode, 64 bit, CPL 3" ... into `out`. */
void kvm_mode_text(const struct kvm_regs *regs, const struct kvm_sregs *sregs, char *out,
                   size_t size);
/* The linear address of offset `rip` in CS: what the processor fetches from. */
uint64_t kvm_code_address(const struct kvm_sregs *sregs, uint64_t rip);

#endif
