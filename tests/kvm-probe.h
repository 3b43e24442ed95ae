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

#endif
