/*
 * What this host offers to guests through KVM, and why not, told so that a student understands it.
 */
#ifndef VITRINE_KVM_HOST_H
#define VITRINE_KVM_HOST_H

#include <stdbool.h>
#include <stdint.h>

enum { KVM_HOST_TEXT = 240, KVM_HOST_FEATURES = 32 };

enum kvm_access {
    KVM_USABLE,
    KVM_NO_DEVICE, /* there is no /dev/kvm: no module, or no such processor */
    KVM_REFUSED,   /* it is there, but not for this user */
    KVM_STRANGE,   /* it answers, but not as KVM does */
};

struct kvm_host_feature {
    const char *name;    /* "dirty ring" */
    const char *meaning; /* what it is good for */
    int value;           /* 0: not there; else what KVM says: 1, or a size or count */
};

struct kvm_host {
    enum kvm_access access;
    char reason[KVM_HOST_TEXT]; /* if it is not usable: one line */
    char remedy[KVM_HOST_TEXT]; /* and what to do about it */
    char processor[64];         /* as it calls itself */
    char extension[48];         /* "Intel VT-x", "AMD-V", or "none that this system shows" */
    char module[48];    /* the kernel module that does the work: "kvm_intel" ...; "" unknown */
    bool virtualized;   /* this host is itself a guest: what follows is nested */
    bool nested_paging; /* EPT or NPT, as far as the module tells */
    int api;
    unsigned features;
    struct kvm_host_feature feature[KVM_HOST_FEATURES];
    uint64_t exit_ns;   /* median of an exit's round trip; 0: not measured */
    uint64_t create_ns; /* to make a VM with a vCPU and 16 MiB */
};

/* Looks; `fd` is an open /dev/kvm (stays the caller's) or -1. Takes about 20 ms: it measures with a
 * guest of three instructions. Never fails: what is not there is told. */
void kvm_host_look(int fd, struct kvm_host *out);

#endif
