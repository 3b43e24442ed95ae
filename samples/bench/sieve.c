/* The sieve of Eratosthenes. */
#include "bench.h"

ROUNDS(400, 3);
enum { LIMIT = 1 << 16 };
static uint8_t composite[LIMIT];

uint32_t kernel(uint32_t rounds)
{
    uint32_t primes = 0;
    for (uint32_t r = 0; r < rounds; r++) {
        for (uint32_t i = 0; i < LIMIT; i++)
            composite[i] = 0;
        for (uint32_t i = 2; i * i < LIMIT; i++)
            if (!composite[i])
                for (uint32_t j = i * i; j < LIMIT; j += i)
                    composite[j] = 1;
        for (uint32_t i = 2; i < LIMIT; i++)
            primes += !composite[i];
        primes = primes * 3 + r;
    }
    return primes;
}
