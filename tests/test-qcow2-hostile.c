/* qcow2 files that lie: headers, tables, and random damage. They are refused by a clear line, or do
 * no harm. */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/qcow2-files.h"
#include "tests/tap.h"

#define MIB (1024 * 1024ull)

/* ---- what is refused ---------------------------------------------------------------------- */

enum { WIDE = 8, HALF = 4 };

/* Fields of the header, what they become, and why that is refused. */
static const struct {
    const char *what;
    size_t at, size;
    uint64_t value;
    const char *reason;
} header_cases[] = {
    {"magic", 0, HALF, 0x51464900, "not a qcow2 image"},
    {"version 1", 4, HALF, 1, "version"},
    {"version 4", 4, HALF, 4, "version"},
    {"backing name behind the file", 8, WIDE, 1ull << 40, "backing file's name is not inside"},
    {"backing name of 4 GiB", 16, HALF, UINT32_MAX, "longer than 1023"},
    {"clusters of 256 bytes", 20, HALF, 8, "512 bytes to 2 MiB"},
    {"clusters of 4 MiB", 20, HALF, 22, "512 bytes to 2 MiB"},
    {"clusters of 2^4G bytes", 20, HALF, UINT32_MAX, "512 bytes to 2 MiB"},
    {"a disk of 16 EiB", 24, WIDE, UINT64_MAX, "makes no sense"},
    {"a disk larger than L1", 24, WIDE, 1ull << 40, "too small for its disk"},
    {"encryption", 32, HALF, 1, "encrypted"},
    {"encryption by LUKS", 32, HALF, 2, "encrypted"},
    {"no L1 table", 36, HALF, 0, "too small for its disk"},
    {"an L1 table of 1 GiB", 36, HALF, 1 << 27, "larger than 32 MiB"},
    {"an L1 table of 32 MiB", 36, HALF, 1 << 22, "not inside the file"},
    {"L1 in the header", 40, WIDE, 0, "not inside the file"},
    {"L1 not at a cluster", 40, WIDE, 4096 * 3 + 512, "not inside the file"},
    {"L1 behind the file", 40, WIDE, 1ull << 40, "not inside the file"},
    {"L1 at the end of the world", 40, WIDE, UINT64_MAX & ~4095ull, "not inside the file"},
    {"refcounts in the header", 48, WIDE, 0, "refcount table is not inside"},
    {"refcounts behind the file", 48, WIDE, 1ull << 50, "refcount table is not inside"},
    {"refcounts of 16 TiB", 56, HALF, UINT32_MAX, "larger than 8 MiB"},
    {"refcounts of 4 MiB", 56, HALF, 1024, "refcount table is not inside"},
    {"no refcounts", 56, HALF, 0, "no refcount table"},
    {"dirty", 72, WIDE, 1, "dirty"},
    {"corrupt", 72, WIDE, 2, "marked corrupt"},
    {"external data", 72, WIDE, 4, "another file"},
    {"compression type", 72, WIDE, 8, "compression type"},
    {"extended L2", 72, WIDE, 16, "subclusters"},
    {"unknown feature", 72, WIDE, 32, "not known"},
    {"unknown feature, the last", 72, WIDE, 1ull << 63, "not known"},
    {"counts of 128 bits", 96, HALF, 7, "more than 64 bits"},
    {"a short header", 100, HALF, 96, "too short"},
    {"a long header", 100, HALF, 5000, "first cluster"},
    {"an extension behind the header", 108, HALF, 5000, "extension is not inside"},
    {"internal snapshots", 60, HALF, 1, "internal snapshots"},
    {"L1 on the refcount table", 40, WIDE, 4096, "two tables"},
};

static void set_number(struct bytes *b, size_t at, size_t size, uint64_t value)
{
    uint64_t wide = htobe64(value);
    uint32_t half = htobe32((uint32_t)value);
    bytes_write(b, at, size == WIDE ? (void *)&wide : (void *)&half, size);
}

START_TEST(headers_that_are_refused)
{
    struct trace t;
    make_trace(&t, true);
    set_number(&t.now, header_cases[_i].at, header_cases[_i].size, header_cases[_i].value);
    if (header_cases[_i].at == 16) /* the length counts only beside an offset */
        set_number(&t.now, 8, WIDE, 200);
    if (header_cases[_i].at == 8)
        set_number(&t.now, 16, HALF, 10);
    if (header_cases[_i].at == 108)
        set_number(&t.now, 104, HALF, 0x12345678);
    ck_assert_ptr_null(qcow2_open_on(&t.storage, "memory", 0, why));
    ck_assert_msg(!strncmp(why, "memory: ", 8) && strstr(why, header_cases[_i].reason), "%s: %s",
                  header_cases[_i].what, why);
    ck_assert_uint_eq(t.ops, 0);
    trace_free(&t);
}
END_TEST

START_TEST(files_that_are_no_images)
{
    make_raw("empty", 1, 0);
    make_raw("short", 71, 0);
    ck_assert_ptr_null(qcow2_open(in("empty"), 0, why));
    ck_assert_msg(strstr(why, "/empty: not a qcow2 image"), "%s", why);
    ck_assert_ptr_null(qcow2_open(in("short"), 0, why));
    ck_assert_ptr_null(qcow2_open(in("none"), 0, why));
    ck_assert_msg(strstr(why, "/none: No such file"), "%s", why);
    ck_assert_ptr_null(qcow2_open(folder, QCOW2_READONLY, why));
    ck_assert_msg(strstr(why, "regular file"), "%s", why);
}
END_TEST

/* ---- tables that lie ---------------------------------------------------------------------- */

/* Where things are in the image of make_trace(): a cluster each, in this order. */
enum { FINE = 4096, AT_REFTABLE = FINE, AT_REFBLOCK = 2 * FINE, AT_L1 = 3 * FINE };

static uint64_t number_at(const struct bytes *b, size_t at)
{
    uint64_t wide;
    memcpy(&wide, b->at + at, sizeof wide);
    return be64toh(wide);
}

/* Entries, what they become, and what a read of the disk's first byte and a write there give. */
enum { IN_L1, IN_L2, IN_REFTABLE };
static const struct {
    const char *what;
    int table;
    uint64_t entry;
    int reads, writes; /* 0 or -errno; 1: opening for writing is refused */
} table_cases[] = {
    {"L2 table in the header", IN_L1, 1ull << 63, -EIO, -EIO},
    {"L2 table where L1 is", IN_L1, 1ull << 63 | AT_L1, 0, 1},
    {"L2 table where the counts are", IN_L1, 1ull << 63 | AT_REFBLOCK, -EIO, 1},
    {"L2 table behind the file", IN_L1, 1ull << 63 | 1ull << 40, -EIO, 1},
    {"L2 table not at a cluster", IN_L1, 1ull << 63 | (AT_L1 + 512), -EIO, 1},
    {"reserved bits of L1", IN_L1, 0x7f00000000000000, -EIO, -EIO},
    {"data in the header", IN_L2, 1ull << 63 | 512, -EIO, -EIO},
    {"data where L1 is", IN_L2, 1ull << 63 | AT_L1, 0, -EIO},
    {"data where the refcount table is", IN_L2, 1ull << 63 | AT_REFTABLE, 0, -EIO},
    {"data where the counts are", IN_L2, 1ull << 63 | AT_REFBLOCK, 0, -EIO},
    {"data behind the file", IN_L2, 1ull << 63 | 1ull << 40, -EIO, -EIO},
    {"data at the end of the world", IN_L2, 0x80fffffffffff000, -EIO, -EIO},
    {"data not at a cluster", IN_L2, 1ull << 63 | (5 * FINE + 512), -EIO, -EIO},
    {"reserved bits of L2", IN_L2, 1ull << 61 | 6 * FINE, -EIO, -EIO},
    {"compressed data in the header", IN_L2, 1ull << 62 | 100, -EIO, -EIO},
    {"compressed data behind the file", IN_L2, 1ull << 62 | 1ull << 40, -EIO, -EIO},
    {"compressed data that is none", IN_L2, 1ull << 62 | 6 * FINE, -EIO, 0},
    {"refcount block in the header", IN_REFTABLE, 256, 0, -EIO},
    {"refcount block behind the file", IN_REFTABLE, 1ull << 40, 0, 1},
    {"refcount block where L1 is", IN_REFTABLE, AT_L1, 0, 1},
    {"reserved bits of the refcount table", IN_REFTABLE, AT_REFBLOCK + 1, 0, -EIO},
    {"no refcount block", IN_REFTABLE, 0, 0, -EIO},
};

static size_t place_of(const struct bytes *b, int table)
{
    return table == IN_L1         ? (size_t)AT_L1
           : table == IN_REFTABLE ? (size_t)AT_REFTABLE
                                  : (size_t)(number_at(b, AT_L1) & 0x00fffffffffffe00ull);
}

static void expect_untouched(const struct trace *t, const struct bytes *before, size_t l2)
{
    ck_assert(!memcmp(t->now.at, before->at, 4 * FINE)); /* header, counts, L1 */
    ck_assert(!memcmp(t->now.at + l2, before->at + l2, FINE));
}

START_TEST(tables_that_lie)
{
    struct trace t;
    struct qcow2_verdict v;
    struct bytes before = {0};
    uint8_t bytes[FINE] = "x";
    make_trace(&t, false);
    size_t l2 = place_of(&t.now, IN_L2);
    set_number(&t.now, place_of(&t.now, table_cases[_i].table), WIDE, table_cases[_i].entry);
    bytes_copy(&before, &t.now);
    struct qcow2 *q = qcow2_open_on(&t.storage, "memory", QCOW2_READONLY, why);
    ck_assert_msg(q, "%s", why);
    int error = qcow2_read(q, 0, bytes, 1);
    ck_assert_msg(error == table_cases[_i].reads, "%s: read gave %d", table_cases[_i].what, error);
    ck_assert(!error || !strncmp(qcow2_trouble(q), "memory: corrupt: ", 17));
    ck_assert_int_eq(qcow2_check(q, false, NULL, NULL, &v), 0);
    ck_assert_msg(v.corruptions, "%s: check sees nothing", table_cases[_i].what);
    qcow2_close(q);
    q = qcow2_open_on(&t.storage, "memory", 0, why);
    ck_assert_msg(!q == (table_cases[_i].writes == 1), "%s: %s", table_cases[_i].what, why);
    if (q) {
        error = qcow2_write(q, 0, bytes, FINE); /* overwrites what is there, or a new cluster */
        error = error ? error : qcow2_write(q, 500000, bytes, FINE);
        error = error ? error : qcow2_flush(q);
        ck_assert_msg(error == table_cases[_i].writes, "%s: write gave %d, %s",
                      table_cases[_i].what, error, qcow2_trouble(q));
        qcow2_close(q);
    }
    if (table_cases[_i].writes)
        expect_untouched(&t, &before, l2);
    bytes_free(&before);
    trace_free(&t);
}
END_TEST

/* ---- one table for all ---------------------------------------------------------------------- */

enum { AT_MANY = 256 * FINE, L1_MAX = 32 << 20, MANY = L1_MAX / 8, TABLE = FINE / 8 };

/* The largest L1 table that there can be, behind what was in the file; `times` of its entries name
 * the table that the first one named. */
static void name_again_and_again(struct bytes *b, unsigned times)
{
    uint64_t entry = number_at(b, AT_L1);
    set_number(b, AT_MANY + L1_MAX - WIDE, WIDE, 0);
    for (unsigned i = 0; i < times; i++)
        set_number(b, AT_MANY + 8 * (size_t)i, WIDE, entry);
    set_number(b, 24, WIDE, (uint64_t)MANY * TABLE * FINE);
    set_number(b, 36, HALF, MANY);
    set_number(b, 40, WIDE, AT_MANY);
}

/* To go through its disk is refused at once, by the first look-up that would be the first of two
 * thousand million; its guest reads it, and it is not written. */
static void expect_no_walk(struct qcow2 *q, const char *file)
{
    struct qcow2_place place;
    char byte = 0;
    ck_assert_int_eq(qcow2_extent(q, 0, &place), -EIO);
    ck_assert_uint_eq(qcow2_asked(q), 0);
    ck_assert_msg(strstr(qcow2_trouble(q), file) &&
                      strstr(qcow2_trouble(q), "names the L2 table at 0x5000 twice"),
                  "%s", qcow2_trouble(q));
    ck_assert_int_eq(qcow2_read(q, (uint64_t)(MANY - 1) * TABLE * FINE + 100, &byte, 1), 0);
    ck_assert_int_eq(byte, 'o');
}

START_TEST(one_table_for_all)
{
    struct trace t;
    struct qcow2_verdict v;
    make_trace(&t, false);
    name_again_and_again(&t.now, MANY);
    struct qcow2 *q = qcow2_open_on(&t.storage, "memory", QCOW2_READONLY, why);
    ck_assert_msg(q, "%s", why);
    expect_no_walk(q, "memory: ");
    size_t reads = t.reads;
    ck_assert_int_eq(qcow2_check(q, false, NULL, NULL, &v), 0);
    ck_assert_uint_gt(v.corruptions, 0);
    ck_assert_uint_lt(t.reads - reads, 10); /* the counts; and no table more than once */
    qcow2_close(q);
    ck_assert_ptr_null(qcow2_open_on(&t.storage, "memory", 0, why));
    ck_assert_msg(strstr(why, "two tables"), "%s", why);
    ck_assert(bytes_to_file(&t.now, in("base")));
    trace_free(&t);
    create("top", 0, "base");
    q = open_well("top", QCOW2_READONLY);
    expect_no_walk(q, "/base: ");
    close_well(q);
    ck_assert_int_ne(qcow2_convert(in("top"), in("copy"), "raw", why), 0);
    ck_assert_msg(strstr(why, "/base: corrupt: the L1 table names"), "%s", why);
    ck_assert_int_ne(qcow2_rebase(in("top"), &(struct qcow2_rebasing){0}, why), 0);
    ck_assert_msg(strstr(why, "/base: corrupt: the L1 table names"), "%s", why);
}
END_TEST

/* The same table with one name: a walk of that disk is one look-up for each of the table's entries,
 * and for each L1 entry without a table. */
START_TEST(a_large_table_with_one_name)
{
    struct trace t;
    struct qcow2_place place = {.length = 0};
    uint64_t data = 0;
    make_trace(&t, false);
    name_again_and_again(&t.now, 1);
    struct qcow2 *q = qcow2_open_on(&t.storage, "memory", QCOW2_READONLY, why);
    ck_assert_msg(q, "%s", why);
    for (uint64_t at = 0; at < qcow2_size(q); at += place.length) {
        ck_assert_int_eq(qcow2_extent(q, at, &place), 0);
        data += place.kind == QCOW2_DATA ? place.length : 0;
    }
    ck_assert_uint_eq(data, 10 * FINE);
    ck_assert_uint_lt(qcow2_asked(q), MANY + TABLE + 10);
    qcow2_close(q);
    trace_free(&t);
}
END_TEST

/* What is wrong further down is told by the image that was asked, and names the file. */
START_TEST(trouble_below_is_told)
{
    char byte;
    create_fine("base", MIB, NULL);
    create_fine("top", 0, "base");
    struct qcow2 *q = open_well("base", 0);
    put(q, 0, 'b', 1000);
    close_well(q);
    struct bytes b = bytes_of_file(in("base"));
    set_number(&b, place_of(&b, IN_L2), WIDE, 1ull << 62 | 4 * FINE); /* data, but not deflated */
    ck_assert(bytes_to_file(&b, in("base")));
    bytes_free(&b);
    q = open_well("top", 0);
    ck_assert_int_eq(qcow2_read(q, 0, &byte, 1), -EIO);
    ck_assert_msg(strstr(qcow2_trouble(q), "/base: corrupt: the compressed cluster at 0x4000"),
                  "%s", qcow2_trouble(q));
    put(q, 8192, 'w', 100); /* the top itself is well */
    close_well(q);
}
END_TEST

/* Nothing that can stand in a file harms: bytes are changed at random, and all is tried. */
START_TEST(random_damage_is_survived)
{
    struct trace t;
    struct bytes good;
    uint8_t *bytes = malloc(MIB);
    struct qcow2_verdict v;
    make_trace(&t, false);
    good = t.now;
    t.now = (struct bytes){0};
    srand(5 + (unsigned)_i);
    for (int round = 0; round < 400; round++) {
        bytes_copy(&t.now, &good);
        for (int n = 1 + rand() % 4; n; n--) {
            uint8_t byte = (uint8_t)(rand() % 2 ? rand() : 1 << rand() % 8);
            size_t at = (size_t)rand() % (rand() % 2 ? 112 : 5 * FINE);
            bytes_write(&t.now, at, &byte, 1);
        }
        if (rand() % 4 == 0)
            t.now.count = (size_t)rand() % t.now.count;
        struct qcow2 *q = qcow2_open_on(&t.storage, in("x"), rand() % 2 ? QCOW2_READONLY : 0, why);
        if (!q) {
            ck_assert(strlen(why) > 10 && !strchr(why, '\n'));
            continue;
        }
        size_t size = qcow2_size(q) < MIB ? (size_t)qcow2_size(q) : MIB;
        struct qcow2_place p;
        qcow2_read(q, 0, bytes, size);
        for (uint64_t at = 0; at < size && qcow2_extent(q, at, &p) == 0; at += p.length)
            ck_assert_uint_gt(p.length, 0);
        qcow2_check(q, rand() % 2, NULL, NULL, &v);
        qcow2_write(q, size / 2, bytes, size / 4);
        qcow2_zero(q, 0, size / 3);
        qcow2_flush(q);
        qcow2_close(q);
    }
    free(bytes);
    bytes_free(&good);
    trace_free(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qcow2-hostile");
    TCase *tests = tcase_create("hostile");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, headers_that_are_refused, 0, ROWS(header_cases));
    tcase_add_test(tests, files_that_are_no_images);
    tcase_add_loop_test(tests, tables_that_lie, 0, ROWS(table_cases));
    tcase_add_test(tests, one_table_for_all);
    tcase_add_test(tests, a_large_table_with_one_name);
    tcase_add_test(tests, trouble_below_is_told);
    tcase_add_loop_test(tests, random_damage_is_survived, 0, 10);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
