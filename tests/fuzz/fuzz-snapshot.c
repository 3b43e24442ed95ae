/*
 * Fuzzes the reading of snapshots: the input is a file; once more with checksums and size that fit,
 * so that what stands in the sections is looked at; and what could be read is compared with itself,
 * written and read again. The same for the disk's overlay: the input is one, once more with the
 * checksum that fits; what could be read is made again, and must be the same blocks.
 *
 * Parts: cpu/state.c hv/bytes.c hv/record.c hv/snapshot-file.c hv/snapshot-config.c
 * Parts: hv/snapshot-diff.c hv/snapshot-overlay.c hv/qcow2*.c hv/storage*.c
 * Packages: zlib
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/state.h"
#include "hv/snapshot_priv.h"

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

enum { HEAD = 12, SECTION_HEAD = 32, SIZE_AT = HEAD + SECTION_HEAD + 8, ROOM = 4 * SNAPSHOT_PAGE };

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

/* A small snapshot, so that the fuzzer begins with something that is one: with a configuration, and
 * a map that says where the guest's page 0 is. */
static size_t begin(uint8_t *out, size_t size)
{
    static const uint8_t page[SNAPSHOT_PAGE] = {1, 2, 3};
    static const uint8_t map[SNAPSHOT_PAGE] = {0x00, 0x30, 0x00, 0x80};
    struct snapshot_file *f = snapshot_new();
    struct state_buffer b = {0};
    if (!f || !(f->config = calloc(1, sizeof *f->config)))
        exit(0);
    f->about.id = 1;
    strcpy(f->config->image.path, "a.elf");
    state_buffer_add(&f->tables, "\1\0\4\0hart\1\0\0\0\2\0pc\2\1\0\0\0\0\0\0\x80", 23);
    struct snapshot_part *part = snapshot_add_part(f, "memory", 100000, 1, false);
    snapshot_add_page(f, part, 3, page);
    snapshot_add_page(f, part, 5, NULL);
    part = snapshot_add_part(f, "map", SNAPSHOT_PAGE, 1, false);
    snapshot_add_page(f, part, 0, map);
    size_t count = !snapshot_serialise(f, &b) && b.count <= size ? b.count : 0;
    if (count)
        memcpy(out, b.bytes, count);
    state_buffer_free(&b);
    snapshot_free(f);
    return count;
}

/* ---- the disk's overlay --------------------------------------------------------------------- */

enum { BLOCKS = 40, CONFIG = 77 };

static struct snapshot_file *with_disk(void)
{
    struct snapshot_file *f = snapshot_new();
    if (!f || !snapshot_add_part(f, "disk", BLOCKS * SNAPSHOT_PAGE - 512, 1, true))
        exit(0);
    return f;
}

static void make(const struct snapshot_part *part, struct state_buffer *out)
{
    char why[SNAPSHOT_ERROR];
    if (snapshot_overlay_make(part, "disk.img", "raw", CONFIG, out, why))
        abort();
}

/* Takes the bytes. */
static struct snapshot_file *take_overlay(uint8_t *bytes, size_t count)
{
    char why[SNAPSHOT_ERROR] = "";
    struct snapshot_file *f = with_disk();
    int error = snapshot_overlay_take(f, bytes, count, CONFIG, why);
    if (error && !*why)
        abort();
    if (!error)
        return f;
    snapshot_free(f);
    return NULL;
}

static void try_overlay(const uint8_t *bytes, size_t count)
{
    static const struct snapshot_differ differ = {see_field, see_pages, see_piece, NULL};
    struct state_buffer again = {0};
    uint8_t *copy = malloc(count + 1);
    if (!copy)
        exit(0);
    if (count)
        memcpy(copy, bytes, count);
    struct snapshot_file *f = take_overlay(copy, count);
    if (!f)
        return;
    make(&f->part[0], &again);
    struct snapshot_file *g = take_overlay(again.bytes, again.count);
    if (!g)
        abort();
    snapshot_diff(f, g, &differ);
    snapshot_free(g);
    snapshot_free(f);
}

/* The input is xor-ed into an overlay that is well, anywhere but in the backing file's name, and
 * the checksum made to fit. */
static void try_changed_overlay(const uint8_t *bytes, size_t count)
{
    static const uint8_t page[SNAPSHOT_PAGE] = {1, 2, 3};
    struct state_buffer b = {0};
    struct snapshot_file *f = with_disk();
    for (uint32_t i = 0; i < 4; i++)
        snapshot_add_page(f, &f->part[0], 3 * i, i ? page : NULL);
    make(&f->part[0], &b);
    size_t at = count ? bytes[0] * SNAPSHOT_PAGE / 8 % b.count : 0;
    for (size_t i = 1; i < count; i++)
        b.bytes[(at + i) % b.count] ^= bytes[i];
    snapshot_overlay_seal(b.bytes, b.count, CONFIG);
    try_overlay(b.bytes, b.count);
    state_buffer_free(&b);
    snapshot_free(f);
}

/* The input's bytes are xor-ed into a snapshot; what is longer follows it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint8_t *whole = calloc(1, count + ROOM);
    size_t size = whole ? begin(whole, ROOM) : 0;
    if (!size)
        abort();
    try(bytes, count);
    try_overlay(bytes, count);
    try_changed_overlay(bytes, count);
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
