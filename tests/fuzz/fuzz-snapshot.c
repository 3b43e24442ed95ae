/*
 * Fuzzes the reading of snapshots: the input is a file; once more with checksums and size that fit,
 * so that what stands in the sections is looked at; and what could be read is compared with itself,
 * written and read again.
 *
 * Sources: hv/bytes.c hv/snapshot-file.c hv/snapshot-config.c hv/snapshot-diff.c hv/record.c
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/state.h"
#include "hv/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void see_pages(void *context, const char *part, uint32_t first, uint32_t last)
{
    abort(); /* it is compared with itself */
}

static void see_field(void *context, const char *table, const char *field, uint32_t index,
                      uint32_t count, uint64_t a, uint64_t b)
{
    abort();
}

static void see_piece(void *context, const char *name, const uint8_t *a, const uint8_t *b,
                      size_t count)
{
    abort();
}

/* NULL, with a line that says why. */
static struct snapshot_file *parse(const uint8_t *bytes, size_t count)
{
    char why[SNAPSHOT_ERROR] = "";
    struct snapshot_about about;
    struct snapshot_config *config = malloc(sizeof *config);
    uint8_t *copy = malloc(count + 1);
    if (!copy || !config)
        exit(0);
    if (count)
        memcpy(copy, bytes, count);
    snapshot_parse_about(copy, count, &about, config, why);
    free(config);
    *why = 0;
    struct snapshot_file *f = snapshot_parse(copy, count, why);
    if (!f && !*why)
        abort();
    return f;
}

static void try(const uint8_t *bytes, size_t count)
{
    static const struct snapshot_differ differ = {see_field, see_pages, see_piece, NULL};
    struct snapshot_file *f = parse(bytes, count);
    struct state_buffer again = {0};
    if (!f)
        return;
    snapshot_diff(f, f, &differ);
    snapshot_sort(f);
    if (snapshot_serialise(f, &again))
        abort();
    struct snapshot_file *g = parse(again.bytes, again.count);
    if (!g || g->about.id != f->about.id || g->parts != f->parts)
        abort();
    snapshot_free(g);
    snapshot_free(f);
    state_buffer_free(&again);
}

enum { HEAD = 12, SECTION_HEAD = 32, SIZE_AT = HEAD + SECTION_HEAD + 8 };

static void put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Gives a section the length that is left, if it says more, and a checksum that fits; returns where
 * the next one begins. */
static size_t seal(uint8_t *bytes, size_t count, size_t at)
{
    uint64_t length = 0, left = count - at - SECTION_HEAD;
    struct digest digest;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[at + 16 + (size_t)i];
    length = length < left ? length : left;
    put_u64(bytes + at + 16, length);
    digest_init(&digest);
    digest_bytes(&digest, bytes + at, 16);
    digest_u64(&digest, length);
    digest_bytes(&digest, bytes + at + SECTION_HEAD, length);
    put_u64(bytes + at + 24, digest.value);
    return at + SECTION_HEAD + (size_t)length;
}

/* A small snapshot, so that the fuzzer begins with something that is one. */
static size_t begin(uint8_t *out, size_t size)
{
    static const uint8_t page[SNAPSHOT_PAGE] = {1, 2, 3};
    struct snapshot_file *f = snapshot_new();
    struct state_buffer b = {0};
    if (!f)
        return 0;
    f->about.id = 1;
    state_buffer_add(&f->tables, "\1\0\4\0hart\1\0\0\0\2\0pc\2\1\0\0\0\0\0\0\x80", 23);
    struct snapshot_part *part = snapshot_add_part(f, "memory", 100000, 1, false);
    snapshot_add_page(f, part, 3, page);
    snapshot_add_page(f, part, 5, NULL);
    size_t count = !snapshot_serialise(f, &b) && b.count <= size ? b.count : 0;
    if (count)
        memcpy(out, b.bytes, count);
    state_buffer_free(&b);
    snapshot_free(f);
    return count;
}

/* The input's bytes are xor-ed into a snapshot; what is longer follows it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint8_t *whole = calloc(1, count + 8192);
    size_t size = whole ? begin(whole, 8192) : 0;
    if (!size) {
        free(whole);
        return 0;
    }
    try(bytes, count);
    for (size_t i = 0; i < count; i++)
        whole[HEAD + i] ^= bytes[i];
    size = HEAD + count > size ? HEAD + count : size;
    put_u64(whole + SIZE_AT, size);
    for (size_t at = HEAD; at + SECTION_HEAD <= size;)
        at = seal(whole, size, at);
    try(whole, size);
    free(whole);
    return 0;
}
