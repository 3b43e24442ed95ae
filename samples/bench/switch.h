/* The kernels that switch address spaces: TOUCHED pages are written after each switch. */
#include "bench.h"
#include "paged.h"

ROUNDS(300000, 1000);

uint32_t kernel(uint32_t rounds)
{
    uint32_t sum = 0, other = BY_ASID ? other_space_asid : other_space;
    for (uint32_t r = 0; r < rounds; r++) {
        call(CALL_SWITCH, other, !BY_ASID);
        for (int i = 0; i < TOUCHED; i++)
            sum += *(volatile uint32_t *)(uintptr_t)(SHARED + (uint32_t)i * 4096) += r + (uint32_t)i;
        sum += r;
    }
    return sum;
}
