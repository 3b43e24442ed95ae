/* Reads of a device register: the UART's line status. */
#include "bench.h"
#include "paged.h"

ROUNDS(2000000, 2000);

uint32_t kernel(uint32_t rounds)
{
    const volatile uint8_t *status = (const volatile uint8_t *)(uintptr_t)(0x10001000 + 5);
    uint32_t sum = 0;
    for (uint32_t r = 0; r < rounds; r++)
        sum += *status >> 5 & 1;
    return sum;
}
