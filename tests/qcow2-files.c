/* See qcow2-files.h. */
#include "tests/qcow2-files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/qcow2-crash.h"
#include "tests/tap.h"

#define MIB (1024 * 1024ull)

char folder[] = "/tmp/vitrine-test-qcow2.XXXXXX";
char why[QCOW2_ERROR];

void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/vitrine-test-qcow2.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    *why = '\0';
}

void teardown(void)
{
    ck_assert_int_eq(run_quietly("rm -r '%s'", folder), 0);
}

/* A path in the folder, good until the fourth call from now. */
const char *in(const char *name)
{
    static char path[4][200];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

void create(const char *name, uint64_t size, const char *backing)
{
    struct qcow2_creation c = {.size = size, .backing = backing};
    ck_assert_msg(qcow2_create(in(name), &c, why) == 0, "%s", why);
}

/* With clusters of 4 KiB. */
void create_fine(const char *name, uint64_t size, const char *backing)
{
    struct qcow2_creation c = {
        .size = size, .backing = backing, .cluster_bits = 12, .refcount_order = 4};
    ck_assert_msg(qcow2_create(in(name), &c, why) == 0, "%s", why);
}

struct qcow2 *open_well(const char *name, unsigned flags)
{
    struct qcow2 *q = qcow2_open(in(name), flags, why);
    ck_assert_msg(q, "%s", why);
    return q;
}

void close_well(struct qcow2 *q)
{
    ck_assert_int_eq(qcow2_close(q), 0);
}

void make_raw(const char *name, size_t size, int fill)
{
    struct bytes b = {0};
    char *all = malloc(size);
    memset(all, fill, size);
    bytes_write(&b, 0, all, size);
    ck_assert(bytes_to_file(&b, in(name)));
    bytes_free(&b);
    free(all);
}

void put(struct qcow2 *q, uint64_t at, int fill, size_t count)
{
    char *bytes = malloc(count);
    memset(bytes, fill, count);
    int error = qcow2_write(q, at, bytes, count);
    ck_assert_msg(error == 0, "%d %s", error, qcow2_trouble(q));
    free(bytes);
}

int get(struct qcow2 *q, uint64_t at)
{
    uint8_t byte;
    ck_assert_int_eq(qcow2_read(q, at, &byte, 1), 0);
    return byte;
}

struct qcow2_verdict check_image(struct qcow2 *q)
{
    struct qcow2_verdict v;
    int error = qcow2_check(q, false, NULL, NULL, &v);
    ck_assert_msg(error == 0, "%d %s", error, qcow2_trouble(q));
    return v;
}

void expect_clean(const char *name)
{
    struct qcow2 *q = open_well(name, QCOW2_READONLY | QCOW2_ALONE);
    struct qcow2_verdict v = check_image(q);
    ck_assert_uint_eq(v.corruptions, 0);
    ck_assert_uint_eq(v.leaks, 0);
    close_well(q);
}

/* An image of 1 MiB with clusters of 4 KiB in memory; a few of its clusters are written. */
void make_trace(struct trace *t, bool recording)
{
    create_fine("t", MIB, NULL);
    struct qcow2 *q = open_well("t", 0);
    put(q, 0, 'o', 40000);
    close_well(q);
    struct bytes b = bytes_of_file(in("t"));
    trace_init(t, &b, recording);
    bytes_free(&b);
}
