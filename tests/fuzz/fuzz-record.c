/*
 * Fuzzes the reading of recorded sessions: the input is the file, and once more the file with a
 * checksum that fits, so that what stands in it is looked at.
 *
 * Sources: hv/bytes.c hv/record.c
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/state.h"
#include "hv/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void try(const uint8_t *bytes, size_t count)
{
    char why[RECORD_ERROR] = "";
    struct record *r = record_parse(bytes, count, why);
    if (r ? r->entry[r->count - 1].kind != RECORD_END : !*why)
        abort();
    record_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const uint8_t begin[12] = {'V', 'I', 'T', 'R', 'R', 'E', 'C', 0, RECORD_VERSION};
    struct digest digest;
    size_t size = sizeof begin + count;
    uint8_t *whole = malloc(size + 8);
    if (!whole)
        return 0;
    try(bytes, count);
    memcpy(whole, begin, sizeof begin);
    memcpy(whole + sizeof begin, bytes, count);
    digest_init(&digest);
    digest_bytes(&digest, whole, size);
    for (int i = 0; i < 8; i++)
        whole[size + (size_t)i] = (uint8_t)(digest.value >> 8 * i);
    try(whole, size + 8);
    free(whole);
    return 0;
}
