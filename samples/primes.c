/*
 * Two ways to count primes: pure computing, without traps, devices or translation.
 *
 * This is the guest with which engines are measured. The sieve strides through memory, trial
 * division sits in the divider and in branches that are hard to foresee. Both must find the same
 * number of primes. `primes` executes about 300 million instructions; `primes-short` is the same
 * with ROUNDS=1 and smaller limits, about 2 million, for tests.
 */
// expect: sieve: 78498 primes below 1000000
// expect: division: 12251 primes below 131072
// expect: checksum 0x6704c42d
// expect-short: sieve: 7837 primes below 80000
// expect-short: division: 1469 primes below 12288
// expect-short: checksum 0x1011fa12
#include "uart.h"

#ifdef SHORT
enum { ROUNDS = 1, SIEVE_LIMIT = 80000, DIVISION_LIMIT = 12288 };
#else
enum { ROUNDS = 9, SIEVE_LIMIT = 1000000, DIVISION_LIMIT = 131072 };
#endif

static uint8_t composite[SIEVE_LIMIT];
static uint32_t checksum;

/* Mixes a number into the checksum, so that a wrong prime cannot hide behind a right count. */
static void mix(uint32_t value)
{
    checksum = (checksum << 5 | checksum >> 27) ^ value * 2654435761u;
}

/* Eratosthenes: strike out the multiples of each prime, count what is left. */
static uint32_t sieve(void)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < SIEVE_LIMIT; n++)
        composite[n] = n < 2;
    for (uint32_t n = 2; n * n < SIEVE_LIMIT; n++)
        if (!composite[n])
            for (uint32_t m = n * n; m < SIEVE_LIMIT; m += n)
                composite[m] = 1;
    for (uint32_t n = 0; n < SIEVE_LIMIT; n++)
        if (!composite[n]) {
            count++;
            mix(n);
        }
    return count;
}

static int is_prime(uint32_t n)
{
    if (n % 2 == 0)
        return n == 2;
    for (uint32_t d = 3; d * d <= n; d += 2)
        if (n % d == 0)
            return 0;
    return n > 1;
}

static uint32_t division(void)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < DIVISION_LIMIT; n++)
        if (is_prime(n)) {
            count++;
            mix(n);
        }
    return count;
}

static void report(const char *how, uint32_t count, uint32_t limit)
{
    uart_puts(how);
    uart_dec(count);
    uart_puts(" primes below ");
    uart_dec(limit);
    uart_putc('\n');
}

int main(void)
{
    uint32_t by_sieve = 0, by_division = 0;
    for (int round = 0; round < ROUNDS; round++) {
        by_sieve = sieve();
        by_division = division();
    }
    report("sieve: ", by_sieve, SIEVE_LIMIT);
    report("division: ", by_division, DIVISION_LIMIT);
    uart_puts("checksum ");
    uart_hex(checksum);
    uart_putc('\n');

    /* The two must agree where they overlap. */
    uint32_t overlap = 0;
    uint32_t smaller = SIEVE_LIMIT < DIVISION_LIMIT ? SIEVE_LIMIT : DIVISION_LIMIT;
    for (uint32_t n = 0; n < smaller; n++)
        overlap += !composite[n];
    return overlap != by_division;
}
