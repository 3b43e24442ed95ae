/*
 * A bare virtual machine for tests of what looks into one: memory and one vCPU, no devices.
 */
#ifndef VITRINE_TESTS_KVM_PROBE_H
#define VITRINE_TESTS_KVM_PROBE_H

#include <linux/kvm.h>
#include <stdbool.h>

#include "hv/kvm/memory.h"

struct kvm_probe {
    int vm, vcpu;
    struct kvm_memory memory;
    struct kvm_run *run;
};

/* Is there a /dev/kvm to be used? If not, says so in a TAP comment with the reason. */
bool kvm_probe_can(void);
/* Creates one with `size` bytes of memory, whose processor is called Intel's (so that what is
 * reserved is what the SDM says) and has `width` bits of physical address; 0: the host's CPUID as
 * it is. The test fails if that cannot be done. */
struct kvm_probe kvm_probe_new(uint64_t size, unsigned width);
void kvm_probe_free(struct kvm_probe *probe);
/* Does the host offer this feature to guests: a bit of the CPUID leaf's EAX, EBX, ECX or EDX
 * ('a'..'d')? */
bool kvm_probe_offers(unsigned leaf, char reg, unsigned bit);
/* One KVM_RUN. Returns the exit reason. */
unsigned kvm_probe_run(struct kvm_probe *probe);

/* Where kvm_probe_long_mode() puts things. */
enum {
    KVM_PROBE_PML4 = 0x1000,
    KVM_PROBE_GDT = 0x6000,
    KVM_PROBE_IDT = 0x7000,
    KVM_PROBE_TSS = 0x8000,
    KVM_PROBE_HANDLER = 0x9000,
    KVM_PROBE_CODE = 0x10000,
    KVM_PROBE_STACK = 0x20000,
};

/* Registers for 64-bit code at CPL 0, and in memory what they need: the first 2 MiB mapped as they
 * are, for users too; a GDT (8 code, 16 data), an IDT of 32 gates to one handler, a TSS with the
 * stack. */
void kvm_probe_long_mode(struct kvm_memory *memory, struct kvm_regs *regs, struct kvm_sregs *sregs);

#endif
