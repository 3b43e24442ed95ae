/*
 * A fuzz target without a fuzzer, for every make check: some thousand inputs, the same each time.
 *
 * Linked with a target. Each input is the one before, changed a little by the target's own mutator
 * (if it has one) and by LLVMFuzzerMutate() below; every so often it begins anew. With arguments it
 * runs those files instead, for what a fuzzer has found.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SEEDED_INPUTS /* a target that takes its time makes do with fewer */
#define SEEDED_INPUTS 4000
#endif

enum { INPUTS = SEEDED_INPUTS, SIZE = 16384, ANEW = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
    __attribute__((weak));

static uint64_t state = 2026;

static uint32_t next(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

/* Grows by random bytes, or changes some: single bits, or bytes that are often at some limit. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max)
{
    static const uint8_t LIMITS[] = {0, 1, 0x7f, 0x80, 0xff};
    if (!count || next() % 4 == 0) {
        size_t more = 1 + next() % 128;
        for (; more && count < max; more--)
            bytes[count++] = (uint8_t)next();
    }
    for (unsigned n = 1 + next() % 8; n; n--) {
        uint8_t *at = &bytes[next() % count];
        if (next() % 2)
            *at ^= (uint8_t)(1u << next() % 8);
        else
            *at = next() % 2 ? LIMITS[next() % sizeof LIMITS] : (uint8_t)next();
    }
    return count;
}

static size_t change(uint8_t *bytes, size_t count)
{
    return LLVMFuzzerCustomMutator ? LLVMFuzzerCustomMutator(bytes, count, SIZE, next())
                                   : LLVMFuzzerMutate(bytes, count, SIZE);
}

static int run_file(const char *name)
{
    static uint8_t bytes[1 << 20];
    FILE *file = fopen(name, "rb");
    if (!file) {
        perror(name);
        return 2;
    }
    size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return LLVMFuzzerTestOneInput(bytes, count);
}

/* The input in a block of its own size: a checker sees what reads behind its end. */
static void run_bytes(const uint8_t *bytes, size_t count)
{
    uint8_t *copy = malloc(count ? count : 1);
    if (!copy)
        abort();
    memcpy(copy, bytes, count);
    LLVMFuzzerTestOneInput(copy, count);
    free(copy);
}

int main(int argc, char **argv)
{
    static uint8_t bytes[SIZE];
    size_t count = 0;
    int failed = 0;
    for (int i = 1; i < argc && !failed; i++)
        failed = run_file(argv[i]);
    if (argc > 1)
        return failed;
    printf("1..1\n");
    fflush(stdout);
    for (int i = 0; i < INPUTS; i++) {
        count = change(bytes, i % ANEW ? count : 0);
        run_bytes(bytes, count);
    }
    printf("ok 1 - %d inputs\n", INPUTS);
    return 0;
}
