/* A byte-code interpreter: each byte is an indirect jump. */
#include "bench.h"

ROUNDS(3000000, 10000);

static const uint8_t program[] = {0, 5, 1, 3, 2, 4, 0, 1, 1, 2, 5, 3, 0, 4, 2, 1, 1, 0, 6};

uint32_t kernel(uint32_t rounds)
{
    static const void *const label[] = {&&add, &&xor, &&scale, &&subtract, &&rotate, &&mix, &&again};
    uint32_t a = 1, b = 2, c = 3;
    const uint8_t *p = program;
#define NEXT goto *label[*p++]
    NEXT;
add:
    a += b;
    NEXT;
xor:
    b ^= a;
    NEXT;
scale:
    c += a * 3;
    NEXT;
subtract:
    a = c - b;
    NEXT;
rotate:
    b = b << 3 | b >> 29;
    NEXT;
mix:
    c ^= a >> 2;
    NEXT;
again:
    p = program;
    if (--rounds)
        NEXT;
    return a + b + c;
}
