/* Reads and writes over 16 MiB: at strides of 4 KiB and a little, then at random. */
#include "bench.h"

ROUNDS(20, 1);
enum { WORDS = 1 << 22, STEPS = 1 << 19 };
static uint32_t memory[WORDS];

uint32_t kernel(uint32_t rounds)
{
    uint32_t x = 1, sum = 0, steps = rounds > 1 ? STEPS : STEPS / 8;
    for (uint32_t r = 0; r < rounds; r++) {
        for (uint32_t i = 0, at = r; i < steps; i++, at = (at + 1033) % WORDS)
            sum += memory[at] += i;
        for (uint32_t i = 0; i < steps; i++) {
            x = next_random(x);
            sum += memory[x >> 10]++;
        }
    }
    return sum;
}
