/* Fibonacci numbers, recursively: calls and returns. */
#include "bench.h"

ROUNDS(35, 20); /* which number */

static __attribute__((noinline)) uint32_t fib(uint32_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint32_t kernel(uint32_t rounds)
{
    return fib(rounds) * 2654435761u;
}
