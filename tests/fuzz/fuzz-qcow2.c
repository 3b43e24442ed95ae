/*
 * Fuzzes qcow2 images: the input is the image's file, in memory. Whatever it says, opening,
 * reading, mapping, checking, writing, repairing and resizing end in time and touch nothing else.
 *
 * Most inputs would fail at the magic number, so that is put there; and the mutator begins with a
 * small image that is well. The last byte says what to do.
 *
 * Parts: hv/qcow2*.c hv/storage.c tests/storage-trace.c
 * Packages: zlib
 */
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2.h"
#include "tests/storage-trace.h"

enum { PART = 1 << 16, READS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool sound)
{
    if (!sound)
        abort();
}

/* ---- what to begin with ------------------------------------------------------------------- */

enum { CLUSTER = 512, CLUSTERS = 9 };

static void put(uint8_t *bytes, size_t at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        bytes[at + i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

/* 512 times the same letter, as a raw deflate stream (RFC 1951). */
static const uint8_t DEFLATED[] = {0x2b, 0x2b, 0x1b, 0x05, 0x23, 0x19, 0x00, 0x00};

/* Header, refcount table, refcount block, L1, L2, two clusters of data, one with a compressed one
 * in it; and what to do. */
static size_t make_image(uint8_t *bytes)
{
    memset(bytes, 0, CLUSTERS * CLUSTER);
    put(bytes, 4, 4, 3);            /* version */
    put(bytes, 20, 4, 9);           /* cluster_bits */
    put(bytes, 24, 8, 64 << 10);    /* size */
    put(bytes, 36, 4, 2);           /* L1 entries */
    put(bytes, 40, 8, 3 * CLUSTER); /* L1 */
    put(bytes, 48, 8, CLUSTER);     /* refcount table */
    put(bytes, 56, 4, 1);
    put(bytes, 96, 4, 4); /* counts of 16 bits */
    put(bytes, 100, 4, 104);
    put(bytes, CLUSTER, 8, 2 * CLUSTER);
    for (unsigned i = 0; i < 8; i++)
        put(bytes, 2 * CLUSTER + 2 * i, 2, 1);
    put(bytes, 3 * CLUSTER, 8, 1ull << 63 | 4 * CLUSTER);
    put(bytes, 4 * CLUSTER, 8, 1ull << 63 | 5 * CLUSTER);
    put(bytes, 4 * CLUSTER + 80, 8, 1ull << 63 | 6 * CLUSTER | 1);
    put(bytes, 4 * CLUSTER + 8, 8, 1ull << 62 | 7 * CLUSTER);
    memcpy(bytes + 7 * CLUSTER, DEFLATED, sizeof DEFLATED);
    return 8 * CLUSTER + 1;
}

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    if (count < 8 * CLUSTER && max >= CLUSTERS * CLUSTER)
        count = make_image(bytes);
    return LLVMFuzzerMutate(bytes, count, max);
}

/* ---- what is done to it ------------------------------------------------------------------- */

/* Pieces all over the disk, as the map shows them. */
static void look(struct qcow2 *q, uint8_t *buffer)
{
    struct qcow2_place p;
    uint64_t size = qcow2_size(q), at = 0;
    for (int i = 0; i < READS && at < size; i++, at += p.length) {
        if (qcow2_extent(q, at, &p))
            break;
        require(p.length > 0 && p.length <= size - at);
        qcow2_read(q, at, buffer, p.length < PART ? (size_t)p.length : PART);
    }
    if (size > 512)
        qcow2_read(q, size - 512, buffer, 512);
}

/* What was written is there, unless an error was returned. */
static void change(struct qcow2 *q, uint8_t *buffer, uint8_t how)
{
    uint64_t size = qcow2_size(q), at = size / 256 * how;
    size_t part = size - at < 5000 ? (size_t)(size - at) : 5000;
    uint8_t first = 0;
    memset(buffer, how, part);
    if (part && qcow2_write(q, at, buffer, part) == 0 && qcow2_read(q, at, &first, 1) == 0)
        require(first == how);
    qcow2_zero(q, at / 2, part);
    qcow2_discard(q, 0, part);
    qcow2_flush(q);
}

/* The header is written anew: another size, no backing file any more. */
static void change_header(struct qcow2 *q, uint8_t how)
{
    char why[QCOW2_ERROR];
    struct qcow2_rebasing none = {.unsafe = true};
    uint64_t size = how & 8 ? qcow2_size(q) / 1024 * 512 : (qcow2_size(q) | 511) + 1 + 512u * how;
    if (how & 2 && qcow2_resize_on(q, size, true, why) == 0)
        require(qcow2_size(q) == size);
    if (how & 4)
        qcow2_rebase_on(q, NULL, NULL, &none, why);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static uint8_t buffer[PART];
    char why[QCOW2_ERROR];
    struct trace t;
    struct qcow2_verdict verdict;
    struct bytes content = {0};
    if (count < 8)
        return 0;
    uint8_t how = bytes[count - 1];
    bytes_write(&content, 0, bytes, count);
    bytes_write(&content, 0, "QFI\xfb", 4);
    trace_init(&t, &content, false);
    bytes_free(&content);
    struct qcow2 *q =
        qcow2_open_on(&t.storage, "fuzz", QCOW2_ALONE | (how & 1 ? QCOW2_READONLY : 0), why);
    if (q) {
        look(q, buffer);
        change(q, buffer, how);
        qcow2_check(q, !(how & 1), NULL, NULL, &verdict);
        change_header(q, how);
        look(q, buffer);
        qcow2_close(q);
    } else {
        require(strlen(why) > 6);
    }
    trace_free(&t);
    return 0;
}
