/*
 * Memory and strings, as far as the kernel needs them. The compiler calls memset() and memcpy() for
 * large structs on its own, so they must have these names.
 */
#include "minios.h"

static bool words(const void *a, const void *b, size_t count)
{
    return (((uintptr_t)a | (uintptr_t)b | count) & 3) == 0;
}

void *memset(void *to, int value, size_t count)
{
    if (words(to, to, count)) {
        uint32_t word = (uint8_t)value * 0x01010101u;
        for (uint32_t *p = to, *end = p + count / 4; p < end; p++)
            *p = word;
    } else {
        for (uint8_t *p = to, *end = p + count; p < end; p++)
            *p = (uint8_t)value;
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t count)
{
    if (words(to, from, count)) {
        const uint32_t *f = from;
        for (uint32_t *t = to, *end = t + count / 4; t < end;)
            *t++ = *f++;
    } else {
        const uint8_t *f = from;
        for (uint8_t *t = to, *end = t + count; t < end;)
            *t++ = *f++;
    }
    return to;
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return (uint8_t)*a - (uint8_t)*b;
}

void string_copy(char *to, const char *from, size_t size)
{
    for (; size > 1 && *from; size--)
        *to++ = *from++;
    *to = '\0';
}
