/* Copies words between two buffers of 8 MiB, 16 MiB in all. */
#include "bench.h"

ROUNDS(30, 1);
enum { WORDS = 1 << 21 };
static uint32_t buffer[2][WORDS];

uint32_t kernel(uint32_t rounds)
{
    uint32_t sum = 0, words = rounds > 1 ? WORDS : WORDS / 16;
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t *to = buffer[r & 1];
        const uint32_t *from = buffer[~r & 1];
        for (uint32_t i = 0; i < words; i++)
            to[i] = from[i] + 1;
        sum = sum * 31 + to[r * 4099 % words];
    }
    return sum;
}
