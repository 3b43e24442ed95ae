/* Multiplication of 64 by 64 integer matrices. */
#include "bench.h"

ROUNDS(250, 1);
enum { N = 64 };
static uint32_t a[N][N], b[N][N], c[N][N];

static void multiply(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            uint32_t sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

uint32_t kernel(uint32_t rounds)
{
    uint32_t x = 7, sum = 0;
    for (int i = 0; i < N * N; i++) {
        a[i / N][i % N] = (x = next_random(x));
        b[i / N][i % N] = x >> 7;
    }
    for (uint32_t r = 0; r < rounds; r++) {
        multiply();
        sum = sum * 31 + c[r % N][sum % N];
        a[r % N][r % 61] ^= sum;
    }
    return sum;
}
