/*
 * What a guest's CPUID instruction says: the host's list, changed for one vCPU of several.
 *
 * KVM passes on what the processor below says of its own packages, cores and threads, or zeros:
 * which of the two depends on its version (api.rst, 9.1, "CPU topology"). So all of that is said
 * anew here, for one package in which each vCPU is a core of its own with one thread.
 *
 * Source: Intel SDM vol. 2A, CPUID; AMD64 APM vol. 3, appendix E; api.rst, KVM_GET_SUPPORTED_CPUID.
 */
#ifndef VITRINE_KVM_CPUID_H
#define VITRINE_KVM_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>

/* Entries that kvm_cpuid_change() may add to a list. */
enum { KVM_CPUID_MORE = 8 };

struct kvm_cpuid_vcpu {
    unsigned index, vcpus; /* index < vcpus, both below 255: APIC IDs have 8 bits */
    bool tsc_deadline;     /* KVM's APIC has this mode of the timer */
};

/* Changes a list of KVM_GET_SUPPORTED_CPUID, or one that was changed for another vCPU, into what
 * KVM_SET_CPUID2 takes for this one. There is room for cpuid->nent + KVM_CPUID_MORE entries. */
void kvm_cpuid_change(struct kvm_cpuid2 *cpuid, const struct kvm_cpuid_vcpu *vcpu);

#endif
