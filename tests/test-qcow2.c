/* qcow2 images: the disk in layers, files and their names, errors of the host, locks. Files that
 * lie are in test-qcow2-hostile.c, QEMU's tools in test-qcow2-qemu.c, crashes in
 * test-qcow2-crash.c. */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/disk-format.h"
#include "hv/qcow2.h"
#include "tests/qcow2-crash.h"
#include "tests/qcow2-files.h"
#include "tests/storage-trace.h"
#include "tests/tap.h"

enum { CLUSTER = 65536 };
#define MIB (1024 * 1024ull)

/* ---- layers ------------------------------------------------------------------------------- */

START_TEST(a_new_image_is_all_zero)
{
    struct qcow2_place p;
    create("a", 10 * MIB, NULL);
    struct qcow2 *q = open_well("a", 0);
    ck_assert_uint_eq(qcow2_size(q), 10 * MIB);
    ck_assert_int_eq(get(q, 0), 0);
    ck_assert_int_eq(get(q, 10 * MIB - 1), 0);
    ck_assert_int_eq(qcow2_extent(q, 0, &p), 0);
    ck_assert_int_eq(p.kind, QCOW2_NOWHERE);
    ck_assert_uint_eq(p.length, 10 * MIB);
    close_well(q);
    expect_clean("a");
}
END_TEST

START_TEST(ranges_are_checked)
{
    char bytes[1024] = "";
    create("a", 10 * MIB, NULL);
    struct qcow2 *q = open_well("a", 0);
    ck_assert_int_eq(qcow2_read(q, 10 * MIB - 512, bytes, 1024), -EINVAL);
    ck_assert_int_eq(qcow2_write(q, 10 * MIB - 512, bytes, 1024), -EINVAL);
    ck_assert_int_eq(qcow2_write(q, UINT64_MAX, bytes, 1024), -EINVAL);
    ck_assert_int_eq(qcow2_zero(q, 512, UINT64_MAX), -EINVAL);
    ck_assert_int_eq(qcow2_read(q, 10 * MIB, bytes, 0), 0);
    close_well(q);
    q = open_well("a", QCOW2_READONLY);
    ck_assert_int_eq(qcow2_write(q, 0, bytes, 512), -EROFS);
    ck_assert_int_eq(qcow2_zero(q, 0, 512), -EROFS);
    ck_assert_int_eq(qcow2_flush(q), 0);
    close_well(q);
}
END_TEST

/* The picture in qcow2.h, and that a longer disk reads zero behind its backing file. */
START_TEST(an_overlay_shows_what_is_below)
{
    struct qcow2_place p;
    make_raw("base", 4 * CLUSTER, 'b');
    create("a", 6 * CLUSTER, "base");
    struct qcow2 *q = open_well("a", 0);
    put(q, 100, 'W', 50);
    ck_assert_int_eq(qcow2_zero(q, 2 * CLUSTER, CLUSTER), 0);
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(get(q, 99), 'b');
        ck_assert_int_eq(get(q, 100), 'W');
        ck_assert_int_eq(get(q, 149), 'W');
        ck_assert_int_eq(get(q, 150), 'b');
        ck_assert_int_eq(get(q, CLUSTER), 'b');
        ck_assert_int_eq(get(q, 2 * CLUSTER), 0);
        ck_assert_int_eq(get(q, 3 * CLUSTER - 1), 0);
        ck_assert_int_eq(get(q, 3 * CLUSTER), 'b');
        ck_assert_int_eq(get(q, 4 * CLUSTER), 0);
        close_well(q);
        q = open_well("a", 0);
    }
    static const struct {
        unsigned cluster, depth;
        enum qcow2_kind kind;
        unsigned clusters;
    } expected[] = {{0, 0, QCOW2_DATA, 1},
                    {1, 1, QCOW2_DATA, 1},
                    {2, 0, QCOW2_ZERO, 1},
                    {3, 1, QCOW2_DATA, 1},
                    {4, 1, QCOW2_NOWHERE, 2}};
    for (int i = 0; i < ROWS(expected); i++) {
        ck_assert_int_eq(qcow2_extent(q, expected[i].cluster * (uint64_t)CLUSTER, &p), 0);
        ck_assert_uint_eq(p.depth, expected[i].depth);
        ck_assert_int_eq(p.kind, expected[i].kind);
        ck_assert_uint_eq(p.length, expected[i].clusters * (uint64_t)CLUSTER);
    }
    struct qcow2_verdict v = check_image(q);
    ck_assert_uint_eq(v.corruptions + v.leaks, 0);
    ck_assert_uint_eq(v.data, 1);
    ck_assert_uint_eq(v.zero, 1);
    close_well(q);
    struct bytes base = bytes_of_file(in("base")); /* is as it was */
    for (size_t i = 0; i < base.count; i++)
        ck_assert_int_eq(base.at[i], 'b');
    bytes_free(&base);
}
END_TEST

/* Random programs on the top of a stack that grows, against an array. */
START_TEST(a_stack_of_overlays_is_a_disk)
{
    enum { SIZE = 1 << 20, LAYERS = 6 };
    uint8_t *model = malloc(SIZE), *seen = malloc(SIZE), *bytes = malloc(SIZE);
    srand(11 + (unsigned)_i);
    make_raw("layer0", SIZE - 1536, 'r');
    memset(model, 0, SIZE);
    memset(model, 'r', SIZE - 1536);
    for (unsigned n = 1; n <= LAYERS; n++) {
        char name[16], below[16];
        snprintf(name, sizeof name, "layer%u", n);
        snprintf(below, sizeof below, "layer%u", n - 1);
        struct qcow2_creation c = {.size = SIZE,
                                   .backing = below,
                                   .cluster_bits = n % 2 ? 9 + (unsigned)rand() % 8 : 0,
                                   .refcount_order = (unsigned)rand() % 7};
        ck_assert_msg(qcow2_create(in(name), &c, why) == 0, "%s", why);
        struct qcow2 *q = open_well(name, 0);
        ck_assert_uint_eq(qcow2_depth(q), n + 1);
        for (unsigned step = 0; step < 60; step++) {
            uint32_t at = (uint32_t)rand() % SIZE, count = 1 + (uint32_t)rand() % 40000;
            count = count < SIZE - at ? count : SIZE - at;
            int fill = rand() % 3 ? rand() % 256 : 0;
            memset(model + at, fill, count);
            memset(bytes, fill, count);
            ck_assert_int_eq(rand() % 2 && !fill ? qcow2_zero(q, at, count)
                                                 : qcow2_write(q, at, bytes, count),
                             0);
            if (rand() % 10 == 0)
                ck_assert_int_eq(qcow2_flush(q), 0);
            if (rand() % 20 == 0) {
                close_well(q);
                q = open_well(name, 0);
            }
        }
        ck_assert_int_eq(qcow2_read(q, 0, seen, SIZE), 0);
        ck_assert(!memcmp(seen, model, SIZE));
        close_well(q);
        expect_clean(name);
    }
    free(model);
    free(seen);
    free(bytes);
}
END_TEST

START_TEST(a_discard_gives_whole_clusters_back)
{
    struct qcow2_place p;
    make_raw("base", MIB, 'b');
    create_fine("a", 0, "base");
    struct qcow2 *q = open_well("a", 0);
    put(q, 8192, 'w', 3 * 4096);
    ck_assert_int_eq(qcow2_discard(q, 100, MIB - 100), 0);
    ck_assert_int_eq(get(q, 8192), 0);
    ck_assert_int_eq(get(q, 0), 'b'); /* not ours: nothing to give back */
    put(q, 8192, 'w', 3 * 4096);
    ck_assert_int_eq(qcow2_discard(q, 8192 + 512, 2 * 4096), 0);
    ck_assert_int_eq(get(q, 8192 + 512), 'w');
    ck_assert_int_eq(get(q, 8192 + 4096), 0);
    ck_assert_int_eq(get(q, 8192 + 2 * 4096), 'w');
    ck_assert_int_eq(qcow2_find(q, 8192 + 4096, &p), 0);
    ck_assert_int_eq(p.kind, QCOW2_ZERO);
    ck_assert_int_eq(qcow2_discard(q, MIB, 1), -EINVAL);
    close_well(q);
    expect_clean("a");
}
END_TEST

START_TEST(room_is_given_back_and_used_again)
{
    struct stat first, second;
    create_fine("a", 8 * MIB, NULL);
    struct qcow2 *q = open_well("a", 0);
    put(q, 0, 1, 2 * MIB);
    ck_assert_int_eq(qcow2_flush(q), 0);
    ck_assert_int_eq(stat(in("a"), &first), 0);
    for (int round = 1; round < 20; round++) {
        ck_assert_int_eq(qcow2_zero(q, 0, 2 * MIB), 0);
        ck_assert_int_eq(qcow2_flush(q), 0);
        put(q, (uint64_t)(round % 4) * 2 * MIB, round, 2 * MIB);
        ck_assert_int_eq(qcow2_flush(q), 0);
        ck_assert_int_eq(get(q, (uint64_t)(round % 4) * 2 * MIB), round);
        ck_assert_int_eq(qcow2_zero(q, (uint64_t)(round % 4) * 2 * MIB, 2 * MIB), 0);
        ck_assert_int_eq(qcow2_flush(q), 0);
    }
    close_well(q);
    ck_assert_int_eq(stat(in("a"), &second), 0);
    ck_assert_int_le(second.st_size, first.st_size + 64 * 1024);
    expect_clean("a");
}
END_TEST

/* ---- files and their names ---------------------------------------------------------------- */

START_TEST(nothing_is_overwritten_by_a_new_image)
{
    struct qcow2_creation c = {.size = MIB};
    make_raw("a", 512, 'x');
    ck_assert_int_eq(qcow2_create(in("a"), &c, why), -EINVAL);
    ck_assert_msg(strstr(why, "/a: File exists"), "%s", why);
    struct bytes b = bytes_of_file(in("a"));
    ck_assert_uint_eq(b.count, 512);
    bytes_free(&b);
}
END_TEST

static const struct {
    const char *backing, *format;
    uint64_t size;
    const char *reason;
} create_cases[] = {
    {NULL, NULL, 100, "multiple of 512"},
    {NULL, NULL, 1ull << 62, "larger clusters"},
    {"none", NULL, 0, "No such file"},
    {"", NULL, 0, "empty"},
    {".", NULL, 0, "regular file"},
    {"json:{}", NULL, 0, "colon"},
    {"base", "qcow2", 0, "not a qcow2 image"},
    {"base", "vmdk", 0, "format 'vmdk'"},
};

START_TEST(an_image_that_cannot_be_is_not_made)
{
    struct qcow2_creation c = {.size = create_cases[_i].size,
                               .backing = create_cases[_i].backing,
                               .backing_format = create_cases[_i].format};
    make_raw("base", 1024, 'b');
    ck_assert_int_eq(qcow2_create(in("a"), &c, why), -EINVAL);
    ck_assert_msg(strstr(why, create_cases[_i].reason), "%s", why);
    ck_assert_int_ne(access(in("a"), F_OK), 0);
    ck_assert_int_eq(run_quietly("test \"$(ls '%s')\" = base", folder), 0);
}
END_TEST

START_TEST(relative_names_start_at_the_images_folder)
{
    ck_assert_int_eq(mkdir(in("sub"), 0777), 0);
    make_raw("sub/base", 2 * CLUSTER, 'b');
    create("sub/a", 0, "base");
    struct qcow2 *q = open_well("sub/a", 0);
    ck_assert_uint_eq(qcow2_size(q), 2 * CLUSTER);
    ck_assert_int_eq(get(q, 5), 'b');
    close_well(q);
    create("b", 0, "sub/a");
    q = open_well("b", 0);
    ck_assert_int_eq(get(q, 5), 'b');
    ck_assert_uint_eq(qcow2_depth(q), 3);
    close_well(q);
}
END_TEST

/* Writes another backing name of the same length into the header. */
static void rename_backing(const char *name, const char *from, const char *to)
{
    struct bytes b = bytes_of_file(in(name));
    uint8_t *at = memmem(b.at, 512, from, strlen(from));
    ck_assert_ptr_nonnull(at);
    memcpy(at, to, strlen(to));
    ck_assert(bytes_to_file(&b, in(name)));
    bytes_free(&b);
}

START_TEST(a_chain_without_end_is_refused)
{
    create("one", MIB, NULL);
    create("two", 0, "one");
    create("six", 0, "two");
    rename_backing("two", "one", "six");
    ck_assert_ptr_null(qcow2_open(in("six"), 0, why)); /* its own lock is the first obstacle */
    ck_assert_ptr_null(qcow2_open(in("six"), QCOW2_READONLY, why));
    ck_assert_msg(strstr(why, "circle"), "%s", why);
    rename_backing("two", "six", "two");
    ck_assert_ptr_null(qcow2_open(in("six"), 0, why));
    ck_assert_msg(strstr(why, "circle"), "%s", why);
    rename_backing("two", "two", "a:b");
    ck_assert_ptr_null(qcow2_open(in("six"), QCOW2_READONLY, why));
    ck_assert_msg(strstr(why, "not a file's name"), "%s", why);
    rename_backing("two", "a:b", "non");
    ck_assert_ptr_null(qcow2_open(in("six"), QCOW2_READONLY, why));
    ck_assert_msg(strstr(why, "/non: No such file"), "%s", why);
}
END_TEST

START_TEST(one_writer_or_many_readers)
{
    create("base", MIB, NULL);
    create("a", 0, "base");
    struct qcow2 *first = open_well("a", QCOW2_READONLY), *second = open_well("a", QCOW2_READONLY);
    ck_assert_ptr_null(qcow2_open(in("a"), 0, why));
    ck_assert_msg(strstr(why, "/a: in use"), "%s", why);
    ck_assert_ptr_null(qcow2_open(in("base"), 0, why)); /* others read through it */
    ck_assert_msg(strstr(why, "/base: in use"), "%s", why);
    close_well(first);
    close_well(second);
    first = open_well("a", 0);
    ck_assert_ptr_null(qcow2_open(in("a"), QCOW2_READONLY, why));
    ck_assert_ptr_null(qcow2_open(in("a"), 0, why));
    ck_assert_msg(strstr(why, "in use"), "%s", why);
    close_well(first);
    close_well(open_well("a", 0));
}
END_TEST

/* ---- commit and convert ------------------------------------------------------------------- */

START_TEST(commit_writes_into_the_backing_file)
{
    bool raw = _i;
    if (raw)
        make_raw("base", MIB, 'b');
    else
        create_fine("base", MIB, NULL);
    create_fine("a", 0, "base");
    struct qcow2 *q = open_well("a", 0);
    put(q, 5000, 'w', 100000);
    ck_assert_int_eq(qcow2_zero(q, 500000, 100000), 0);
    uint8_t *before = malloc(MIB), *after = malloc(MIB);
    ck_assert_int_eq(qcow2_read(q, 0, before, MIB), 0);
    close_well(q);
    ck_assert_msg(qcow2_commit(in("a"), why) == 0, "%s", why);
    ck_assert_int_eq(qcow2_convert(in("base"), in("copy"), "raw", why), 0);
    struct bytes copy = bytes_of_file(in("copy"));
    ck_assert_uint_eq(copy.count, MIB);
    ck_assert(!memcmp(copy.at, before, MIB));
    q = open_well("a", 0);
    ck_assert_int_eq(qcow2_read(q, 0, after, MIB), 0);
    ck_assert(!memcmp(after, before, MIB));
    close_well(q);
    if (!raw)
        expect_clean("base");
    ck_assert_int_eq(qcow2_commit(in("copy"), why), -EINVAL);
    ck_assert_msg(strstr(why, "/copy: not a qcow2 image"), "%s", why);
    bytes_free(&copy);
    free(before);
    free(after);
}
END_TEST

START_TEST(commit_refuses_what_it_cannot_do)
{
    create("alone", MIB, NULL);
    ck_assert_int_eq(qcow2_commit(in("alone"), why), -EINVAL);
    ck_assert_msg(strstr(why, "no backing file"), "%s", why);
    create("long", 2 * MIB, "alone");
    ck_assert_int_eq(qcow2_commit(in("long"), why), -EINVAL);
    ck_assert_msg(strstr(why, "smaller"), "%s", why);
    create("a", 0, "alone");
    struct qcow2 *q = open_well("a", 0);
    ck_assert_int_eq(qcow2_commit(in("a"), why), -EINVAL);
    ck_assert_msg(strstr(why, "in use"), "%s", why);
    close_well(q);
}
END_TEST

START_TEST(convert_refuses_what_it_cannot_do)
{
    make_raw("raw", 1000, 'r');
    ck_assert_int_eq(qcow2_convert(in("raw"), in("raw"), "raw", why), -EINVAL);
    ck_assert_int_eq(qcow2_convert(in("raw"), in("a"), "vmdk", why), -EINVAL);
    ck_assert_int_eq(qcow2_convert(in("none"), in("a"), "raw", why), -EINVAL);
    ck_assert_int_eq(qcow2_convert(in("raw"), in("no/a"), "qcow2", why), -EINVAL);
    ck_assert_int_eq(run_quietly("test \"$(ls '%s')\" = raw", folder), 0);
    ck_assert_int_eq(qcow2_convert(in("raw"), in("a"), "qcow2", why), 0);
    struct qcow2 *q = open_well("a", QCOW2_READONLY);
    ck_assert_uint_eq(qcow2_size(q), 1024);
    ck_assert_int_eq(get(q, 999), 'r');
    ck_assert_int_eq(get(q, 1000), 0);
    close_well(q);
}
END_TEST

/* ---- errors of the host ------------------------------------------------------------------- */

static struct qcow2 *open_trace(struct trace *t)
{
    struct qcow2 *q = qcow2_open_on(&t->storage, "memory", 0, why);
    ck_assert_msg(q, "%s", why);
    return q;
}

/* The file cannot grow: the write fails, the next one may succeed, and nothing is damaged. */
START_TEST(a_full_disk)
{
    struct trace t;
    char bytes[9000];
    memset(bytes, 'n', sizeof bytes);
    make_trace(&t, false);
    struct qcow2 *q = open_trace(&t);
    t.fail_write = 1 + (size_t)_i;
    int failed = 0;
    for (uint64_t at = 30000; at < 300000; at += 30000) {
        int error = qcow2_write(q, at, bytes, sizeof bytes);
        ck_assert(error == 0 || error == -ENOSPC);
        int flushed = qcow2_flush(q);
        ck_assert(flushed == 0 || flushed == -ENOSPC);
        failed += error || flushed;
        if (flushed)
            ck_assert_int_eq(qcow2_flush(q), 0);
        if (error)
            ck_assert_int_eq(qcow2_write(q, at, bytes, sizeof bytes), 0);
        ck_assert_int_eq(get(q, at), 'n');
    }
    ck_assert_int_eq(failed, 1);
    close_well(q);
    q = open_trace(&t);
    struct qcow2_verdict v = check_image(q);
    ck_assert_uint_eq(v.corruptions, 0);
    for (uint64_t at = 30000; at < 300000; at += 30000)
        ck_assert_int_eq(get(q, at), 'n');
    ck_assert_int_eq(get(q, 29999), 'o');
    close_well(q);
    trace_free(&t);
}
END_TEST

/* After a flush has failed nobody knows what has arrived: no more writes. */
START_TEST(a_flush_that_fails)
{
    struct trace t;
    make_trace(&t, false);
    struct qcow2 *q = open_trace(&t);
    t.fail_flush = 1 + (size_t)_i;
    put(q, 100000, 'n', 9000);
    ck_assert_int_eq(qcow2_flush(q), -EIO);
    ck_assert_int_eq(qcow2_flush(q), -EIO);
    ck_assert_int_eq(qcow2_write(q, 0, "x", 1), -EIO);
    ck_assert_int_eq(qcow2_zero(q, 0, 4096), -EIO);
    ck_assert_int_eq(get(q, 5), 'o');
    qcow2_close(q);
    q = open_trace(&t);
    struct qcow2_verdict v = check_image(q);
    ck_assert_uint_eq(v.corruptions, 0);
    close_well(q);
    trace_free(&t);
}
END_TEST

/* A crash between the two steps of a flush: counts are written, references are not. */
START_TEST(leaks_are_given_back)
{
    struct trace t;
    struct bytes content = {0};
    make_trace(&t, true);
    struct qcow2 *q = open_trace(&t);
    put(q, 100000, 'n', 9000);
    ck_assert_int_eq(qcow2_flush(q), 0);
    bytes_copy(&content, &t.first);
    for (size_t i = 0; i < t.ops && t.op[i].bytes; i++)
        bytes_write(&content, t.op[i].at, t.op[i].bytes, t.op[i].count);
    close_well(q);
    bytes_copy(&t.now, &content);
    q = open_trace(&t);
    struct qcow2_verdict v = check_image(q);
    ck_assert_uint_eq(v.corruptions, 0);
    ck_assert_uint_eq(v.leaks, 3); /* clusters of 4 KiB that 9000 bytes from 100000 on touch */
    ck_assert_int_eq(qcow2_check(q, true, NULL, NULL, &v), 0);
    ck_assert_uint_eq(v.leaks, 0);
    ck_assert_uint_eq(v.repaired, 3);
    close_well(q);
    q = open_trace(&t);
    v = check_image(q);
    ck_assert_uint_eq(v.leaks + v.corruptions, 0);
    ck_assert_int_eq(get(q, 100000), 0);
    ck_assert_int_eq(get(q, 5), 'o');
    close_well(q);
    bytes_free(&content);
    trace_free(&t);
}
END_TEST

/* How many flushes of the file a flush takes, and that many writes need no more than few. */
START_TEST(flushes_are_few)
{
    struct trace t;
    make_trace(&t, true);
    struct qcow2 *q = open_trace(&t);
    size_t flushes = 0;
    put(q, 0, 'a', 40000); /* in place */
    ck_assert_int_eq(qcow2_flush(q), 0);
    for (size_t i = 0; i < t.ops; i++)
        flushes += !t.op[i].bytes;
    ck_assert_uint_eq(flushes, 1);
    ck_assert_int_eq(qcow2_flush(q), 0);
    size_t before = t.ops;
    for (uint64_t at = 100000; at < 400000; at += 4096) /* new clusters */
        put(q, at, 'b', 512);
    ck_assert_int_eq(qcow2_flush(q), 0);
    flushes = 0;
    for (size_t i = before; i < t.ops; i++)
        flushes += !t.op[i].bytes;
    ck_assert_uint_eq(flushes, 2);
    before = t.ops;
    ck_assert_int_eq(qcow2_flush(q), 0); /* nothing to do */
    ck_assert_uint_eq(t.ops, before);
    close_well(q);
    trace_free(&t);
}
END_TEST

/* ---- as a guest's disk -------------------------------------------------------------------- */

START_TEST(a_disk_is_opened_by_its_first_bytes)
{
    char sector[DISK_SECTOR] = "hello", back[DISK_SECTOR];
    make_raw("raw", MIB, 'r');
    create("a", 0, "raw");
    for (int image = 0; image < 2; image++) {
        struct disk *disk = disk_format_open(in(image ? "a" : "raw"), false, why);
        ck_assert_msg(disk, "%s", why);
        ck_assert_uint_eq(disk_sectors(disk), MIB / DISK_SECTOR);
        ck_assert_int_eq(disk_write(disk, 3, sector, sizeof sector), 0);
        ck_assert_int_eq(disk_flush(disk), 0);
        ck_assert_int_eq(disk_read(disk, 3, back, sizeof back), 0);
        ck_assert_mem_eq(back, sector, sizeof back);
        ck_assert_int_eq(disk_write(disk, MIB / DISK_SECTOR, sector, sizeof sector), -EINVAL);
        ck_assert_int_eq(disk_zero(disk, 3, sizeof sector), 0);
        ck_assert_int_eq(disk_read(disk, 3, back, sizeof back), 0);
        ck_assert_int_eq(back[0], 0);
        ck_assert_int_eq(disk_discard(disk, 0, 4 * DISK_SECTOR), 0);
        ck_assert_int_eq(disk_zero(disk, MIB / DISK_SECTOR, sizeof sector), -EINVAL);
        ck_assert_int_eq(disk_discard(disk, MIB / DISK_SECTOR, sizeof sector), -EINVAL);
        ck_assert_int_eq(disk_close(disk), 0);
        disk = disk_format_open(in(image ? "a" : "raw"), true, why);
        ck_assert_ptr_nonnull(disk);
        ck_assert_int_eq(disk_write(disk, 3, sector, sizeof sector), -EROFS);
        ck_assert_int_eq(disk_zero(disk, 3, sizeof sector), -EROFS);
        ck_assert_int_eq(disk_discard(disk, 3, sizeof sector), -EROFS);
        ck_assert_int_eq(disk_close(disk), 0);
    }
    create("none", 512, NULL);
    truncate(in("none"), 100);
    ck_assert_ptr_null(disk_format_open(in("none"), false, why));
    ck_assert_msg(strstr(why, "/none: "), "%s", why);
}
END_TEST

/* A guest cannot make its raw disk an overlay of a file of the host. */
START_TEST(a_raw_disk_stays_raw)
{
    char sector[2 * DISK_SECTOR] = "QFI\xfb", before[DISK_SECTOR];
    make_raw("raw", MIB, 'r');
    struct disk *disk = disk_format_open(in("raw"), false, why);
    ck_assert_ptr_nonnull(disk);
    ck_assert_int_eq(disk_write(disk, 0, sector, sizeof sector), -EPERM);
    ck_assert_int_eq(disk_read(disk, 0, before, sizeof before), 0);
    ck_assert_int_eq(before[0], 'r');
    ck_assert_int_eq(disk_write(disk, 1, sector, sizeof sector), 0);
    ck_assert_int_eq(disk_close(disk), 0);
    create("a", MIB, NULL); /* in an image it is data as any other */
    disk = disk_format_open(in("a"), false, why);
    ck_assert_int_eq(disk_write(disk, 0, sector, sizeof sector), 0);
    ck_assert_int_eq(disk_close(disk), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qcow2");
    TCase *tests = tcase_create("qcow2");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, a_new_image_is_all_zero);
    tcase_add_test(tests, ranges_are_checked);
    tcase_add_test(tests, an_overlay_shows_what_is_below);
    tcase_add_loop_test(tests, a_stack_of_overlays_is_a_disk, 0, 4);
    tcase_add_test(tests, a_discard_gives_whole_clusters_back);
    tcase_add_test(tests, room_is_given_back_and_used_again);
    tcase_add_test(tests, nothing_is_overwritten_by_a_new_image);
    tcase_add_loop_test(tests, an_image_that_cannot_be_is_not_made, 0, ROWS(create_cases));
    tcase_add_test(tests, relative_names_start_at_the_images_folder);
    tcase_add_test(tests, a_chain_without_end_is_refused);
    tcase_add_test(tests, one_writer_or_many_readers);
    tcase_add_loop_test(tests, commit_writes_into_the_backing_file, 0, 2);
    tcase_add_test(tests, commit_refuses_what_it_cannot_do);
    tcase_add_test(tests, convert_refuses_what_it_cannot_do);
    tcase_add_loop_test(tests, a_full_disk, 0, 8);
    tcase_add_loop_test(tests, a_flush_that_fails, 0, 2);
    tcase_add_test(tests, leaks_are_given_back);
    tcase_add_test(tests, flushes_are_few);
    tcase_add_test(tests, a_disk_is_opened_by_its_first_bytes);
    tcase_add_test(tests, a_raw_disk_stays_raw);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
