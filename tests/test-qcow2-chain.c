/* Long chains of qcow2 images: reads that do not get slower, what is noted, and open files. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/qcow2-crash.h"
#include "tests/qcow2-files.h"
#include "tests/storage-trace.h"
#include "tests/tap.h"

#define KIB 1024ull

/* ---- a thousand layers -------------------------------------------------------------------- */

enum { LAYERS = 1000, CLUSTERS = 128, CLUSTER = 512 };

/* Layers l0000, l0001 ... of small clusters, each on the one before. They are all copies of the
 * second, but for the name in the header: to create each would open all those below it. */
static void make_chain(unsigned layers)
{
    struct qcow2_creation base = {
        .size = CLUSTERS * CLUSTER, .cluster_bits = 9, .refcount_order = 4};
    struct qcow2_creation over = base;
    over.backing = "l0000";
    ck_assert_msg(qcow2_create(in("l0000"), &base, why) == 0, "%s", why);
    ck_assert_msg(qcow2_create(in("l0001"), &over, why) == 0, "%s", why);
    struct bytes image = bytes_of_file(in("l0001"));
    uint8_t *name = memmem(image.at, image.count, "l0000", 5);
    ck_assert_ptr_nonnull(name);
    for (unsigned i = 2; i < layers; i++) {
        char below[16], file[16];
        snprintf(below, sizeof below, "l%04u", i - 1);
        snprintf(file, sizeof file, "l%04u", i);
        memcpy(name, below, 5);
        ck_assert(bytes_to_file(&image, in(file)));
    }
    bytes_free(&image);
}

static void write_layer(unsigned layer, uint64_t at, int fill, size_t count)
{
    char file[16];
    snprintf(file, sizeof file, "l%04u", layer);
    struct qcow2 *q = open_well(file, QCOW2_ALONE);
    put(q, at, fill, count);
    close_well(q);
}

static void read_all(struct qcow2 *q)
{
    for (unsigned i = 0; i < CLUSTERS; i++)
        get(q, (uint64_t)i * CLUSTER);
}

START_TEST(a_thousand_layers_are_asked_once)
{
    make_chain(LAYERS);
    write_layer(0, 0, 'a', CLUSTER);
    write_layer(700, 2 * CLUSTER, 'b', CLUSTER);
    struct qcow2 *q = open_well("l0999", 0);
    ck_assert_uint_eq(qcow2_depth(q), LAYERS);
    read_all(q);
    uint64_t first = qcow2_asked(q);
    ck_assert_uint_gt(first, (CLUSTERS - 1) * LAYERS);
    read_all(q);
    ck_assert_uint_le(qcow2_asked(q) - first, 2 * CLUSTERS);
    ck_assert_int_eq(get(q, 1), 'a');
    ck_assert_int_eq(get(q, 2 * CLUSTER), 'b');
    put(q, 2 * CLUSTER, 'c', CLUSTER); /* the top is always asked: nothing is to be forgotten */
    ck_assert_int_eq(get(q, 2 * CLUSTER), 'c');
    ck_assert_int_eq(qcow2_discard(q, 2 * CLUSTER, CLUSTER), 0);
    ck_assert_int_eq(get(q, 2 * CLUSTER), 0);
    close_well(q);
}
END_TEST

START_TEST(a_chain_has_a_bounded_depth)
{
    char name[16];
    make_chain(QCOW2_DEPTH + 1);
    snprintf(name, sizeof name, "l%04u", QCOW2_DEPTH - 1);
    write_layer(0, 0, 'd', CLUSTER);
    struct qcow2 *q = open_well(name, 0);
    ck_assert_uint_eq(qcow2_depth(q), QCOW2_DEPTH);
    ck_assert_int_eq(get(q, 17), 'd');
    close_well(q);
    struct qcow2_creation c = {.backing = name};
    ck_assert_int_eq(qcow2_create(in("top"), &c, why), -EINVAL);
    ck_assert_msg(strstr(why, "on top of each other"), "%s", why);
    snprintf(name, sizeof name, "l%04u", QCOW2_DEPTH);
    ck_assert_ptr_null(qcow2_open(in(name), 0, why));
    ck_assert_msg(strstr(why, "on top of each other"), "%s", why);
}
END_TEST

START_TEST(the_map_tells_the_layer_before_and_after)
{
    struct qcow2_place before, after;
    make_chain(20);
    write_layer(3, 5 * CLUSTER, 'x', 2 * CLUSTER);
    struct qcow2 *q = open_well("l0019", QCOW2_READONLY);
    for (uint64_t at = 0; at < qcow2_size(q); at += before.length) {
        ck_assert_int_eq(qcow2_extent(q, at, &before), 0);
        for (uint64_t i = 0; i < before.length; i += CLUSTER)
            get(q, at + i);
        ck_assert_int_eq(qcow2_extent(q, at, &after), 0);
        ck_assert_uint_eq(before.kind, after.kind);
        ck_assert_uint_eq(before.depth, after.depth);
        ck_assert_uint_eq(before.length, after.length);
        ck_assert_uint_eq(before.offset, after.offset);
        ck_assert_uint_eq(before.depth, before.kind == QCOW2_DATA ? 16 : 19);
    }
    close_well(q);
}
END_TEST

/* ---- layers of all sizes beside a model --------------------------------------------------- */

enum { MIXED = 7, MODEL = 512 << 10, ROUNDS = 4000 };

struct model {
    uint8_t disk[MODEL];
    uint64_t size;
};

/* A layer on the one before: the disk may be shorter or longer, and then shows zeros. */
static void add_layer(struct model *m, unsigned i)
{
    char name[16], below[16];
    snprintf(name, sizeof name, "m%u", i);
    snprintf(below, sizeof below, "m%u", i - 1);
    uint64_t size = (MODEL / 512 - (uint64_t)rand() % 300) * 512;
    struct qcow2_creation c = {.size = size,
                               .backing = i ? below : "raw",
                               .cluster_bits = 9 + (unsigned)rand() % 7,
                               .refcount_order = 4};
    ck_assert_msg(qcow2_create(in(name), &c, why) == 0, "%s", why);
    if (size > m->size)
        memset(m->disk + m->size, 0, size - m->size);
    m->size = size;
}

static void change(struct qcow2 *q, struct model *m)
{
    uint8_t bytes[5000];
    size_t count = 1 + (size_t)rand() % sizeof bytes;
    uint64_t at = (uint64_t)rand() % (m->size - count);
    memset(bytes, rand(), count);
    bool zero = rand() % 4 == 0;
    memcpy(m->disk + at, bytes, zero ? 0 : count);
    memset(m->disk + at, 0, zero ? count : 0);
    ck_assert_int_eq(zero ? qcow2_zero(q, at, count) : qcow2_write(q, at, bytes, count), 0);
}

static void compare(struct qcow2 *q, const struct model *m)
{
    static uint8_t bytes[MODEL];
    uint64_t at = (uint64_t)rand() % m->size;
    size_t count = (size_t)((uint64_t)rand() % (rand() % 2 ? 3000 : m->size)) + 1;
    if (count > m->size - at)
        count = (size_t)(m->size - at);
    ck_assert_int_eq(qcow2_read(q, at, bytes, count), 0);
    ck_assert(!memcmp(bytes, m->disk + at, count));
}

START_TEST(layers_of_all_sizes_equal_a_model)
{
    static struct model m;
    char name[16];
    srand(11 + (unsigned)_i);
    m.size = 300003; /* not a sector's end */
    make_raw("raw", m.size, 'r');
    memset(m.disk, 0, sizeof m.disk);
    memset(m.disk, 'r', m.size);
    for (unsigned i = 0; i < MIXED; i++) {
        add_layer(&m, i);
        snprintf(name, sizeof name, "m%u", i);
        struct qcow2 *q = open_well(name, 0);
        for (int n = 0; n < 8; n++)
            change(q, &m);
        for (int n = 0; n < ROUNDS / MIXED; n++) {
            compare(q, &m);
            if (n % 20 == 0)
                change(q, &m);
        }
        close_well(q);
    }
}
END_TEST

/* ---- open files --------------------------------------------------------------------------- */

START_TEST(the_limit_of_open_files_is_raised_or_named)
{
    struct rlimit limit;
    make_chain(60);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 40;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    close_well(open_well("l0059", QCOW2_READONLY)); /* beyond the soft limit */
    limit.rlim_cur = limit.rlim_max = 40;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_ptr_null(qcow2_open(in("l0059"), QCOW2_READONLY, why));
    ck_assert_msg(strstr(why, "than the 40 that this host allows (ulimit -Hn)"), "%s", why);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qcow2-chain");
    TCase *tests = tcase_create("chain");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, a_thousand_layers_are_asked_once);
    tcase_add_test(tests, a_chain_has_a_bounded_depth);
    tcase_add_test(tests, the_map_tells_the_layer_before_and_after);
    tcase_add_loop_test(tests, layers_of_all_sizes_equal_a_model, 0, 4);
    tcase_add_test(tests, the_limit_of_open_files_is_raised_or_named);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
