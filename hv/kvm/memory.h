/*
 * A KVM guest's physical memory.
 *
 * One memfd, mapped once into this program and, in one or two memory slots, into the guest: a PC
 * has a hole for devices below 4 GiB, so what does not fit below the hole goes on at 4 GiB.
 *
 *      guest-physical                       offset in the memfd
 *      0            .. low                  0
 *      low          .. 4 GiB                (devices: nothing here)
 *      4 GiB        .. 4 GiB + size - low   low
 *
 * A memfd, so that its pages can be shared with another process and mapped privately as the base of
 * an overlay. Everything that the host reads or writes for the guest (loaders, virtio rings, the
 * page walker, the debugger) goes through these functions: they check the range, whatever the guest
 * said.
 *
 * Source: "The Definitive KVM API Documentation", KVM_SET_USER_MEMORY_REGION; the hole is QEMU's.
 */
#ifndef VITRINE_KVM_MEMORY_H
#define VITRINE_KVM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/dev/dma.h"

#define KVM_LOW_MAX   0xc0000000ull  /* the hole begins at 3 GiB at the latest */
#define KVM_HIGH_BASE 0x100000000ull /* and ends at 4 GiB */

enum { KVM_PAGE = 4096 };

struct kvm_memory {
    int fd;
    bool frozen; /* the memfd keeps what it has: the mapping is private to this program */
    uint8_t *host;
    uint64_t size; /* bytes in all */
    uint64_t low;  /* of them below the hole */
    /* Bits: pages that kvm_memory_write() has changed. NULL: nobody wants to know. */
    uint64_t *written;
};

/* `size` is a multiple of 4 KiB above 0. 0 or -errno of memfd_create, ftruncate or mmap. */
int kvm_memory_init(struct kvm_memory *memory, uint64_t size);
void kvm_memory_free(struct kvm_memory *memory);

/* The host address of `count` bytes from guest-physical address `gpa` on, or NULL if they are not
 * all RAM (and, across the hole, adjacent). The guest may change what is there at any time: check
 * copies. */
uint8_t *kvm_memory_at(const struct kvm_memory *memory, uint64_t gpa, uint64_t count);

/* Copies. false, and nothing is copied, if the range is not wholly RAM. */
bool kvm_memory_read(const struct kvm_memory *memory, uint64_t gpa, void *bytes, size_t count);
bool kvm_memory_write(const struct kvm_memory *memory, uint64_t gpa, const void *bytes,
                      size_t count);

/* For devices: reads and writes as above. What is discarded goes back to the host, unless a snapshot
 * has frozen what was there: then it is overwritten with zeros. */
struct dma kvm_memory_dma(struct kvm_memory *memory);

/* Adds the content to the digest: pages that are all zero count as if they were not there. */
struct digest;
void kvm_memory_digest(const struct kvm_memory *memory, struct digest *digest);

/* All zeros again. */
void kvm_memory_clear(struct kvm_memory *memory);

#endif
