/* The line that each kernel prints, by a function that puts one character. */
#ifndef SAMPLES_BENCH_PRINT_H
#define SAMPLES_BENCH_PRINT_H

#include "bench.h"

static void print(void (*put)(char c), uint32_t rounds, uint32_t checksum)
{
    char digits[10];
    int n = 0;
    for (const char *c = NAME; *c; c++)
        put(*c);
    for (const char *c = " rounds "; *c; c++)
        put(*c);
    do
        digits[n++] = (char)('0' + rounds % 10);
    while (rounds /= 10);
    while (n)
        put(digits[--n]);
    for (const char *c = " checksum "; *c; c++)
        put(*c);
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[checksum >> shift & 15]);
    put('\n');
}

#endif
