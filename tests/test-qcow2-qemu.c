/* qcow2 images and QEMU's tools: each reads, judges and goes on with what the other has written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/qcow2.h"
#include "tests/qcow2-crash.h"
#include "tests/storage-trace.h"
#include "tests/tap.h"

enum { SIZE = (3 << 20) + 1536 };

static char folder[] = "/tmp/vitrine-test-qcow2-qemu.XXXXXX";
static char why[QCOW2_ERROR];
static uint8_t model[SIZE], seen[SIZE];

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/vitrine-test-qcow2-qemu.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0); /* so that commands can name files shortly */
    *why = '\0';
}

static void teardown(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(run_quietly("rm -r '%s'", folder), 0);
}

static void save_model(const char *path)
{
    struct bytes b = {0};
    bytes_write(&b, 0, model, SIZE);
    ck_assert(bytes_to_file(&b, path));
    bytes_free(&b);
}

/* Noise, with holes: about a third of it is zero. */
static void make_model(unsigned seed)
{
    srand(seed);
    for (size_t at = 0; at < SIZE;) {
        size_t run = 1 + (size_t)rand() % 50000, kind = (size_t)rand() % 3;
        for (; run && at < SIZE; run--, at++)
            model[at] = kind == 0 ? 0 : kind == 1 ? (uint8_t)rand() : (uint8_t)(at / 1000);
    }
}

static struct qcow2 *open_well(const char *path, unsigned flags)
{
    struct qcow2 *q = qcow2_open(path, flags, why);
    ck_assert_msg(q, "%s", why);
    return q;
}

static void close_well(struct qcow2 *q)
{
    ck_assert_int_eq(qcow2_close(q), 0);
}

static void keep_line(void *context, const char *line)
{
    if (!*(char *)context)
        snprintf(context, 256, "%s", line);
}

static void expect_model(struct qcow2 *q, const char *what)
{
    char line[256] = "";
    struct qcow2_verdict v;
    ck_assert_uint_eq(qcow2_size(q), SIZE);
    int error = qcow2_read(q, 0, seen, SIZE);
    ck_assert_msg(error == 0, "%s: %d, %s", what, error, qcow2_trouble(q));
    ck_assert_msg(!memcmp(seen, model, SIZE), "%s: another disk", what);
    error = qcow2_check(q, false, keep_line, line, &v);
    ck_assert_msg(error == 0, "%s: %d, %s", what, error, qcow2_trouble(q));
    ck_assert_msg(v.corruptions + v.leaks == 0, "%s: %s", what, line);
}

/* A write, zeros or a flush, the same to the model. */
static void do_step(struct qcow2 *q)
{
    static uint8_t bytes[100000];
    size_t at = (size_t)rand() % SIZE, count = 1 + (size_t)rand() % sizeof bytes;
    count = count < SIZE - at ? count : SIZE - at;
    int error, fill = rand() % 3 ? rand() % 256 : 0;
    memset(bytes, fill, count);
    memset(model + at, fill, count);
    error = fill ? qcow2_write(q, at, bytes, count) : qcow2_zero(q, at, count);
    error = error ? error : rand() % 4 ? 0 : qcow2_flush(q);
    ck_assert_msg(error == 0, "%d, %s", error, qcow2_trouble(q));
}

/* qemu-img finds the model in an image, and nothing wrong. */
static void expect_qemu_agrees(const char *path, const char *what)
{
    save_model("model.raw");
    int status = run_quietly("qemu-img check -f qcow2 %s", path);
    ck_assert_msg(status == 0, "%s: qemu-img check: exit status %d", what, status);
    status = run_quietly("qemu-img compare -f raw -F qcow2 model.raw %s", path);
    ck_assert_msg(status == 0, "%s: qemu-img compare: exit status %d", what, status);
    status = run_quietly("qemu-img info %s", path);
    ck_assert_msg(status == 0, "%s: qemu-img info: exit status %d", what, status);
}

/* ---- their images ------------------------------------------------------------------------- */

static const char *const options[] = {
    "compat=0.10",
    "compat=1.1",
    "compat=0.10,cluster_size=512",
    "compat=0.10,cluster_size=2M",
    "cluster_size=512",
    "cluster_size=1k,refcount_bits=1",
    "cluster_size=4k,refcount_bits=2",
    "cluster_size=8k,refcount_bits=4",
    "cluster_size=32k,refcount_bits=8",
    "cluster_size=128k,refcount_bits=32",
    "cluster_size=512k,refcount_bits=64",
    "cluster_size=2M",
    "cluster_size=512,refcount_bits=64",
    "lazy_refcounts=on",
    "preallocation=metadata",
    "preallocation=falloc,cluster_size=4k",
    "preallocation=full,refcount_bits=1",
    "preallocation=metadata,cluster_size=512",
};

START_TEST(images_that_they_make_are_read_and_written)
{
    const char *o = options[_i];
    make_model(100 + (unsigned)_i);
    save_model("model.raw");
    ck_assert_int_eq(run_quietly("qemu-img convert -f raw -O qcow2 -o %s model.raw a", o), 0);
    struct qcow2 *q = open_well("a", QCOW2_READONLY);
    expect_model(q, o);
    close_well(q);
    q = open_well("a", 0);
    for (int step = 0; step < 30; step++)
        do_step(q);
    expect_model(q, o);
    close_well(q);
    expect_qemu_agrees("a", o);
}
END_TEST

START_TEST(images_that_they_create_empty)
{
    const char *o = options[_i];
    srand(200 + (unsigned)_i);
    memset(model, 0, SIZE);
    ck_assert_int_eq(run_quietly("qemu-img create -f qcow2 -o %s a %d", o, SIZE), 0);
    struct qcow2 *q = open_well("a", 0);
    expect_model(q, o);
    for (int step = 0; step < 30; step++)
        do_step(q);
    expect_model(q, o);
    close_well(q);
    expect_qemu_agrees("a", o);
}
END_TEST

START_TEST(compressed_clusters_are_read_and_replaced)
{
    static const char *const sizes[] = {"512", "4k", "64k", "2M"};
    make_model(300 + (unsigned)_i);
    save_model("model.raw");
    ck_assert_int_eq(
        run_quietly("qemu-img convert -c -f raw -O qcow2 -o cluster_size=%s model.raw a",
                    sizes[_i]),
        0);
    struct qcow2_verdict v;
    struct qcow2 *q = open_well("a", 0);
    expect_model(q, sizes[_i]);
    ck_assert_int_eq(qcow2_check(q, false, NULL, NULL, &v), 0);
    ck_assert_msg(v.compressed, "nothing is compressed");
    for (int step = 0; step < 30; step++)
        do_step(q);
    expect_model(q, sizes[_i]);
    close_well(q);
    expect_qemu_agrees("a", sizes[_i]);
}
END_TEST

static const struct {
    const char *command; /* makes the image "a" */
    const char *reason;
} refused[] = {
    {"qemu-img create -f qcow2 -o data_file=data a 1M", "another file"},
    {"qemu-img create -f qcow2 -o extended_l2=on a 1M", "subclusters"},
    {"qemu-img create -f qcow2 -o compression_type=zstd a 1M", "compression type"},
    {"qemu-img create -f qcow2 --object secret,id=s,data=x -o encrypt.format=aes,"
     "encrypt.key-secret=s a 1M",
     "encrypted"},
    /* LUKS by its number in the header: they measure the host's speed before they make one, and
     * that fails on a busy host. */
    {"qemu-img create -f qcow2 a 1M && printf '\\000\\000\\000\\002' | "
     "dd of=a bs=1 seek=32 conv=notrunc",
     "encrypted"},
    {"qemu-img create -f qcow2 a 1M && qemu-img snapshot -c one a", "internal snapshots"},
    {"qemu-img create -f qed a 1M", "not a qcow2 image"},
};

START_TEST(what_is_not_supported_is_refused_by_name)
{
    ck_assert_int_eq(run_quietly("%s", refused[_i].command), 0);
    ck_assert_ptr_null(qcow2_open("a", 0, why));
    ck_assert_msg(!strncmp(why, "a: ", 3) && strstr(why, refused[_i].reason), "%s", why);
}
END_TEST

START_TEST(internal_snapshots_can_be_read_beside)
{
    make_model(4);
    save_model("model.raw");
    ck_assert_int_eq(run_quietly("qemu-img convert -f raw -O qcow2 model.raw a && "
                                 "qemu-img snapshot -c one a"),
                     0);
    struct qcow2 *q = open_well("a", QCOW2_READONLY);
    ck_assert_int_eq(qcow2_read(q, 0, seen, SIZE), 0);
    ck_assert(!memcmp(seen, model, SIZE));
    close_well(q);
}
END_TEST

/* ---- our images --------------------------------------------------------------------------- */

/* Three layers, the lowest of them raw. */
static struct qcow2 *make_chain(void)
{
    make_model(5);
    save_model("base");
    struct qcow2_creation middle = {.backing = "base"}, top = {.backing = "middle"};
    ck_assert_msg(qcow2_create("middle", &middle, why) == 0, "%s", why);
    struct qcow2 *q = open_well("middle", 0);
    for (int step = 0; step < 8; step++)
        do_step(q);
    close_well(q);
    ck_assert_msg(qcow2_create("top", &top, why) == 0, "%s", why);
    return open_well("top", 0);
}

START_TEST(they_accept_ours_at_every_point_of_its_life)
{
    struct qcow2 *q = make_chain();
    close_well(q);
    expect_qemu_agrees("middle", "middle");
    for (int step = 0; step < 12; step++) {
        expect_qemu_agrees("top", "top");
        q = open_well("top", 0);
        do_step(q);
        close_well(q);
    }
    save_model("model.raw");
    ck_assert_int_eq(run_quietly("qemu-img convert -O raw top flat && cmp flat model.raw"), 0);
}
END_TEST

/* After a flush, with the image still open for writing: the file as a copy would find it. */
START_TEST(they_accept_ours_after_every_flush)
{
    struct qcow2 *q = make_chain();
    for (int step = 0; step < 12; step++) {
        do_step(q);
        ck_assert_int_eq(qcow2_flush(q), 0);
        ck_assert_int_eq(run_quietly("cp top copy"), 0);
        int status = run_quietly("qemu-img check copy");
        ck_assert_msg(status == 0 || status == 3, "exit status %d", status);
        save_model("model.raw");
        ck_assert_int_eq(run_quietly("qemu-img compare -f raw -F qcow2 model.raw copy"), 0);
    }
    close_well(q);
}
END_TEST

/* Both maps as lines "start length depth offset", of data only. */
static void print_map(const char *image, FILE *out)
{
    struct qcow2_place p;
    struct qcow2 *q = open_well(image, QCOW2_READONLY);
    for (uint64_t at = 0; at < qcow2_size(q); at += p.length) {
        ck_assert_int_eq(qcow2_extent(q, at, &p), 0);
        if (p.kind == QCOW2_DATA)
            fprintf(out, "%llu %llu %u %llu\n", (unsigned long long)at,
                    (unsigned long long)p.length, p.depth, (unsigned long long)p.offset);
    }
    close_well(q);
}

START_TEST(both_maps_are_the_same)
{
    memset(model, 'x', SIZE); /* no holes: theirs looks for them in the raw file too */
    save_model("base");
    struct qcow2_creation middle = {.backing = "base", .cluster_bits = 12, .refcount_order = 3};
    struct qcow2_creation top = {.backing = "middle"};
    ck_assert_int_eq(qcow2_create("middle", &middle, why), 0);
    ck_assert_int_eq(qcow2_create("top", &top, why), 0);
    srand(6);
    for (int step = 0; step < 20; step++) {
        struct qcow2 *q = open_well(step < 10 ? "middle" : "top", 0);
        do_step(q);
        close_well(q);
    }
    FILE *out = fopen("ours", "we");
    ck_assert_ptr_nonnull(out);
    print_map("top", out);
    fclose(out);
    ck_assert_int_eq(
        system("qemu-img map --output=json top | sed -n 's/.*\"start\": \\([0-9]*\\), \"length\": "
               "\\([0-9]*\\), \"depth\": \\([0-9]*\\),.*\"data\": true.*\"offset\": "
               "\\([0-9]*\\).*/\\1 \\2 \\3 \\4/p' >theirs"),
        0);
    ck_assert_int_eq(run_quietly("test $(wc -l <ours) -gt 5"), 0);
    ck_assert_int_eq(run_quietly("cmp ours theirs"), 0);
}
END_TEST

START_TEST(their_commit_and_rebase_of_ours)
{
    struct qcow2 *q = make_chain();
    for (int step = 0; step < 8; step++)
        do_step(q);
    close_well(q);
    save_model("model.raw");
    ck_assert_int_eq(run_quietly("cp base other && qemu-img rebase -f qcow2 -b other -F raw top"),
                     0);
    q = open_well("top", 0);
    ck_assert_uint_eq(qcow2_depth(q), 2);
    expect_model(q, "rebased");
    do_step(q);
    close_well(q);
    expect_qemu_agrees("top", "rebased");
    ck_assert_int_eq(run_quietly("qemu-img rebase -u -f qcow2 -b ./other -F raw top"), 0);
    q = open_well("top", 0);
    do_step(q);
    close_well(q);
    ck_assert_int_eq(run_quietly("qemu-img commit -f qcow2 top"), 0);
    save_model("model.raw");
    ck_assert_int_eq(run_quietly("cmp model.raw other"), 0);
    q = open_well("top", 0);
    expect_model(q, "emptied");
    close_well(q);
}
END_TEST

START_TEST(our_commit_and_convert_as_they_see_it)
{
    struct qcow2 *q = make_chain();
    for (int step = 0; step < 8; step++)
        do_step(q);
    close_well(q);
    ck_assert_msg(qcow2_commit("top", why) == 0, "%s", why);
    expect_qemu_agrees("top", "committed");
    expect_qemu_agrees("middle", "committed to");
    ck_assert_msg(qcow2_convert("top", "flat", "qcow2", why) == 0, "%s", why);
    expect_qemu_agrees("flat", "converted");
    ck_assert_msg(qcow2_convert("top", "flat.raw", "raw", why) == 0, "%s", why);
    ck_assert_int_eq(run_quietly("cmp model.raw flat.raw"), 0);
}
END_TEST

START_TEST(locks_are_theirs_too)
{
    struct qcow2 *q = make_chain();
    ck_assert_int_ne(run_quietly("qemu-img check top"), 0);
    ck_assert_int_ne(run_quietly("qemu-io -c 'write 0 512' top"), 0);
    ck_assert_int_ne(run_quietly("qemu-io -c 'write 0 512' middle"), 0);
    ck_assert_int_eq(run_quietly("qemu-img check middle"), 0); /* to read is well */
    close_well(q);
    ck_assert_int_eq(run_quietly("qemu-img check top"), 0);
    q = open_well("top", QCOW2_READONLY);
    ck_assert_int_eq(run_quietly("qemu-img check top"), 0);
    ck_assert_int_ne(run_quietly("qemu-io -c 'write 0 512' top"), 0);
    close_well(q);
    ck_assert_int_eq(run_quietly("qemu-io -c 'write 0 512' top"), 0);
}
END_TEST

/* Their writer and ours in turns on one image. */
START_TEST(in_turns)
{
    make_model(8);
    save_model("base");
    struct qcow2_creation c = {.backing = "base"};
    ck_assert_int_eq(qcow2_create("a", &c, why), 0);
    for (int round = 0; round < 8; round++) {
        struct qcow2 *q = open_well("a", 0);
        do_step(q);
        do_step(q);
        close_well(q);
        size_t at = (size_t)rand() % (SIZE / 512 - 200) * 512,
               count = (1 + (size_t)rand() % 199) * 512;
        memset(model + at, round + 1, count);
        ck_assert_int_eq(
            run_quietly("qemu-io -f qcow2 -c 'write -P %d %zu %zu' a", round + 1, at, count), 0);
        at = (size_t)rand() % (SIZE / 512 - 200) * 512;
        memset(model + at, 0, 65536);
        ck_assert_int_eq(
            run_quietly("qemu-io -f qcow2 -c 'write -z %s %zu 65536' a", round % 2 ? "-u" : "", at),
            0);
        q = open_well("a", 0);
        expect_model(q, "after theirs");
        close_well(q);
        expect_qemu_agrees("a", "after ours");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qcow2-qemu");
    TCase *tests = tcase_create("qemu");
    if (!have_qemu_img()) {
        puts("1..0 # SKIP no qemu-img (Debian/Ubuntu: qemu-utils)");
        return 0;
    }
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, images_that_they_make_are_read_and_written, 0, ROWS(options));
    tcase_add_loop_test(tests, images_that_they_create_empty, 0, ROWS(options));
    tcase_add_loop_test(tests, compressed_clusters_are_read_and_replaced, 0, 4);
    tcase_add_loop_test(tests, what_is_not_supported_is_refused_by_name, 0, ROWS(refused));
    tcase_add_test(tests, internal_snapshots_can_be_read_beside);
    tcase_add_test(tests, they_accept_ours_at_every_point_of_its_life);
    tcase_add_test(tests, they_accept_ours_after_every_flush);
    tcase_add_test(tests, both_maps_are_the_same);
    tcase_add_test(tests, their_commit_and_rebase_of_ours);
    tcase_add_test(tests, our_commit_and_convert_as_they_see_it);
    tcase_add_test(tests, locks_are_theirs_too);
    tcase_add_test(tests, in_turns);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
