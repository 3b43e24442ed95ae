/*
 * Guest memory as a device sees it: two functions, whatever the memory is.
 *
 * A device that fetches and stores by itself (DMA) gets a struct dma from whoever plugs it in, so
 * that the same device works in the simulated computer (cpu/ram.h, 32-bit addresses) and on KVM
 * (hv/kvm/memory.h). Addresses are the guest's physical ones and come from the guest: any value may
 * come, and what is not wholly RAM is refused.
 */
#ifndef VITRINE_CPU_DMA_H
#define VITRINE_CPU_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DMA_PAGE = 4096 };

struct dma {
    /* Copy `count` bytes. false, and nothing is copied: the range is not wholly RAM (or the host
     * has no memory left). */
    bool (*read)(void *memory, uint64_t address, void *bytes, size_t count);
    bool (*write)(void *memory, uint64_t address, const void *bytes, size_t count);
    /* The guest does without these pages (both numbers are multiples of DMA_PAGE): they read as
     * zero from now on, and the host gets back what memory it can. false as above. */
    bool (*discard)(void *memory, uint64_t address, uint64_t count);
    void *memory;
};

static inline bool dma_read(const struct dma *d, uint64_t address, void *bytes, size_t count)
{
    return d->read(d->memory, address, bytes, count);
}

static inline bool dma_write(const struct dma *d, uint64_t address, const void *bytes, size_t count)
{
    return d->write(d->memory, address, bytes, count);
}

static inline bool dma_discard(const struct dma *d, uint64_t address, uint64_t count)
{
    return d->discard(d->memory, address, count);
}

/* The simulated computer's memory. What engines have derived from it is told (ram_changed). */
struct ram;
struct dma ram_dma(struct ram *ram);

#endif
