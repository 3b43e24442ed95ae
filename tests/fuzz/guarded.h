/* Guest memory for fuzz targets, with no memory before and behind it: what reaches out of it ends
 * the program. */
#ifndef VITRINE_TESTS_GUARDED_H
#define VITRINE_TESTS_GUARDED_H

#include <stdlib.h>
#include <sys/mman.h>

#include "hv/kvm/memory.h"

static inline void require(bool sound)
{
    if (!sound)
        abort();
}

/* `size` bytes, `low` of them below the hole; multiples of 4 KiB. For the whole run. */
static inline struct kvm_memory guarded_memory(uint64_t size, uint64_t low)
{
    enum { GUARD = 16 << 20 };
    uint8_t *all =
        mmap(NULL, size + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(all != MAP_FAILED);
    require(mprotect(all + GUARD, size, PROT_READ | PROT_WRITE) == 0);
    return (struct kvm_memory){.fd = -1, .host = all + GUARD, .size = size, .low = low};
}

#endif
