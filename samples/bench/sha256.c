/* SHA-256 (FIPS 180-4) of blocks that depend on the digest before; constants are made, not copied:
 * the fractional parts of roots of primes, section 4.2.2. */
#include "bench.h"

ROUNDS(60000, 200);
static uint32_t constant[64], state[8];

/* The first 32 fractional bits of the cube (or square) root of p, bit by bit in 96-bit integers. */
static int cube_is_above(uint64_t root, uint32_t p, int power)
{
    uint32_t r[4] = {(uint32_t)root, (uint32_t)(root >> 32), 0, 0}, product[4] = {1, 0, 0, 0};
    for (int n = 0; n < power; n++) {
        uint32_t next[4] = {0};
        for (int i = 0; i < 4; i++) {
            uint64_t carry = 0;
            for (int j = 0; j + i < 4; j++) {
                carry += (uint64_t)product[i] * r[j] + next[i + j];
                next[i + j] = (uint32_t)carry;
                carry >>= 32;
            }
        }
        for (int i = 0; i < 4; i++)
            product[i] = next[i];
    }
    return product[power] >= p;
}

static uint32_t root_fraction(uint32_t p, int power)
{
    uint64_t root = 0;
    for (int bit = 36; bit >= 0; bit--)
        if (!cube_is_above(root | 1ull << bit, p, power))
            root |= 1ull << bit;
    return (uint32_t)root;
}

static void make_constants(void)
{
    int n = 0;
    for (uint32_t p = 2; n < 64; p++) {
        uint32_t d = 2;
        while (d * d <= p && p % d)
            d++;
        if (d * d <= p)
            continue;
        if (n < 8)
            state[n] = root_fraction(p, 2);
        constant[n++] = root_fraction(p, 3);
    }
}

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))

static void digest_block(uint32_t w[64])
{
    for (int i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (ROTATE(x, 7) ^ ROTATE(x, 18) ^ x >> 3) + w[i - 7] +
               (ROTATE(y, 17) ^ ROTATE(y, 19) ^ y >> 10);
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5],
             g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = h + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + ((e & f) ^ (~e & g)) +
                      constant[i] + w[i];
        uint32_t t2 = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) +
                      ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

uint32_t kernel(uint32_t rounds)
{
    static uint32_t w[64];
    make_constants();
    for (uint32_t r = 0; r < rounds; r++) {
        for (int i = 0; i < 16; i++)
            w[i] = state[i & 7] + r * (uint32_t)i;
        digest_block(w);
    }
    return state[0] ^ state[7];
}
