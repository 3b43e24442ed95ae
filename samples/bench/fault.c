/* Page faults, mapped on demand: 256 pages in turn, then all are unmapped. */
#include "bench.h"
#include "paged.h"

ROUNDS(500000, 2000);

uint32_t kernel(uint32_t rounds)
{
    uint32_t sum = 0;
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t page = r % DEMAND_PAGES;
        if (page == 0)
            call(CALL_UNMAP, 0, 0);
        sum += *(volatile uint32_t *)(uintptr_t)(DEMAND + page * 4096) += r;
    }
    return sum;
}
