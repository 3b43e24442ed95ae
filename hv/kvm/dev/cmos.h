/*
 * CMOS: the clock of a PC, and 114 bytes beside it in which its maker says how it is equipped.
 * Ports 0x70 (which byte) and 0x71 (the byte).
 */
#ifndef VITRINE_KVM_CMOS_H
#define VITRINE_KVM_CMOS_H

#include "cpu/dev/device.h"
#include "hv/kvm/memory.h"

enum { CMOS_PORT = 0x70 };

struct cmos_config {
    const struct kvm_memory *memory; /* its sizes are told; looked at by cmos_new() only */
    unsigned cpus;
    /* Seconds since 1970, as the host has them. Called during the guest's accesses. */
    int64_t (*now)(void *context);
    void *context;
};

struct cmos;

/* NULL: no memory. */
struct cmos *cmos_new(const struct cmos_config *config);
struct device *cmos_device(struct cmos *cmos);

#endif
