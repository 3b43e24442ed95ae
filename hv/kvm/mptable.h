/*
 * The MultiProcessor tables: what a PC's firmware told of processors and interrupts before ACPI.
 *
 *      floating pointer ("_MP_") ─> configuration table ("PCMP"): processors, the ISA bus, the
 *                                   IOAPIC, which interrupt arrives at which of its inputs
 *
 * They say what ACPI's MADT says (acpi.h), in a form that a kernel reads in some twenty lines and
 * without AML: small kernels look here only. Linux prefers ACPI, but looks for the pointer all the
 * same, and finds it at once at the first place but one; without any it maps and unmaps 4,096
 * places.
 *
 * Source: Intel MultiProcessor Specification 1.4, chapter 4.
 */
#ifndef VITRINE_KVM_MPTABLE_H
#define VITRINE_KVM_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "hv/kvm/boot.h"

enum { MPTABLE_POINTER_SIZE = 16, MPTABLE_MAX = 6144 };

struct mptable {
    uint8_t pointer[MPTABLE_POINTER_SIZE];
    uint8_t table[MPTABLE_MAX];
    uint32_t size; /* of the table, in use */
    uint16_t entries;
};

/* The table is for guest-physical address `at` (a multiple of 16), the pointer for any place where
 * it is looked for: the first kilobyte of the EBDA, the last of base memory, or the BIOS's ROM. Of
 * `config` only cpus and virtio are looked at, both within the limits of boot.h. */
void mptable_build(struct mptable *mp, uint32_t at, const struct kvm_boot_config *config);

#endif
