/*
 * Disks that change hands with their guests: raw images, qcow2 images and chains of them. Whatever
 * breaks, one side at a time writes the file, all is there that the guest has written, and the image
 * is clean. make faults breaks at every point (faults/handover.c).
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/dev/disk.h"
#include "hv/disk-format.h"
#include "hv/qcow2.h"
#include "tests/disk-pair.h"
#include "tests/tap.h"

enum { EACH = 2 }; /* every so many'th call */

static const struct fault_plan UNBROKEN;

/* ---- locks ---------------------------------------------------------------------------------- */

static struct disk_pair files;

static void setup(void)
{
    disk_pair_make(&files, DISK_RAW);
}

static void teardown(void)
{
    disk_pair_remove(&files);
}

static struct disk *opened(struct disk *disk, const char *why)
{
    ck_assert_msg(disk != NULL, "%s", why);
    return disk;
}

/* One writer and nobody else, or any number of readers; the message names the file. */
START_TEST(test_locks)
{
    char why[DISK_ERROR] = "";
    struct disk *writer = opened(disk_format_open(files.disk, false, why), why);
    ck_assert_ptr_null(disk_format_open(files.disk, false, why));
    ck_assert_ptr_nonnull(strstr(why, files.disk));
    ck_assert_ptr_nonnull(strstr(why, "in use"));
    ck_assert_ptr_null(disk_format_open(files.disk, true, why));
    disk_close(writer);
    struct disk *a = opened(disk_format_open(files.disk, true, why), why);
    struct disk *b = opened(disk_format_open(files.disk, true, why), why);
    struct disk *c = opened(disk_format_open_discard(files.disk, false, why), why);
    ck_assert(!disk_is_readonly(c));
    ck_assert_ptr_null(disk_format_open(files.disk, false, why));
    disk_close(a);
    disk_close(b);
    disk_close(c);
}
END_TEST

static char byte_at(struct disk *disk, uint64_t sector)
{
    char bytes[DISK_SECTOR];
    ck_assert_int_eq(disk_read(disk, sector, bytes, sizeof bytes), 0);
    return bytes[0];
}

/* From one to the other and back: each sees what the other has written, and while it is away nothing
 * can be written. */
START_TEST(test_hands)
{
    char why[DISK_ERROR] = "", bytes[DISK_SECTOR];
    struct disk_pair p;
    disk_pair_make(&p, (enum disk_kind)_i);
    struct disk *here = opened(disk_format_open(p.disk, false, why), why);
    struct disk *there = opened(disk_format_open_away(p.disk, false, why), why);
    for (int turn = 'a'; turn < 'h'; turn++) {
        memset(bytes, turn, sizeof bytes);
        ck_assert_int_eq(disk_write(here, (uint64_t)(turn - 'a') * 200, bytes, sizeof bytes), 0);
        ck_assert_int_eq(disk_write(there, 0, bytes, sizeof bytes), -EBUSY);
        ck_assert_int_eq(disk_take(there, why), -EBUSY);
        ck_assert_ptr_nonnull(strstr(why, p.disk));
        ck_assert_int_eq(disk_settle(here), 0);
        ck_assert_int_eq(disk_look(there, why), 0);
        disk_give(here);
        ck_assert_int_eq(disk_take(there, why), 0);
        ck_assert_int_eq(disk_take(there, why), 0);
        ck_assert_int_eq(disk_flush(here), -EBUSY);
        for (int old = 'a'; old <= turn; old++)
            ck_assert_int_eq(byte_at(there, (uint64_t)(old - 'a') * 200), old);
        struct disk *other = here;
        here = there;
        there = other;
    }
    disk_close(here);
    disk_close(there);
    const char *wrong = disk_pair_check_image(&p);
    ck_assert_msg(!wrong, "%s", wrong);
    disk_pair_remove(&p);
}
END_TEST

/* What was not flushed when it was given away is dropped, and never written over the other's work. */
START_TEST(test_given_unflushed)
{
    char why[DISK_ERROR] = "", bytes[DISK_SECTOR] = "x";
    struct disk_pair p;
    disk_pair_make(&p, DISK_CHAIN);
    struct disk *here = opened(disk_format_open(p.disk, false, why), why);
    struct disk *there = opened(disk_format_open_away(p.disk, false, why), why);
    ck_assert_int_eq(disk_write(here, 0, bytes, sizeof bytes), 0);
    disk_give(here);
    ck_assert_int_eq(disk_take(there, why), 0);
    ck_assert_int_eq(byte_at(there, 0), 0);
    bytes[0] = 'y';
    ck_assert_int_eq(disk_write(there, 1024, bytes, sizeof bytes), 0);
    disk_close(there);
    disk_close(here);
    const char *wrong = disk_pair_check_image(&p);
    ck_assert_msg(!wrong, "%s", wrong);
    struct disk *after = opened(disk_format_open(p.disk, true, why), why);
    ck_assert_int_eq(byte_at(after, 1024), 'y');
    disk_close(after);
    disk_pair_remove(&p);
}
END_TEST

/* An image that has been replaced by another is not taken for the old one. */
START_TEST(test_another_image)
{
    char why[DISK_ERROR] = "";
    struct disk *there = opened(disk_format_open_away(files.disk, false, why), why);
    ck_assert_int_eq(truncate(files.disk, 1 << 20), 0);
    ck_assert_int_eq(disk_look(there, why), -EINVAL);
    ck_assert_int_eq(disk_take(there, why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "size"));
    disk_close(there);
}
END_TEST

/* ---- with a guest --------------------------------------------------------------------------- */

static const struct {
    enum disk_kind kind;
    enum session_under from, to;
} WAYS[] = {
    {DISK_RAW, SESSION_HV, SESSION_HV},     {DISK_QCOW2, SESSION_HV, SESSION_HV},
    {DISK_CHAIN, SESSION_BARE, SESSION_HV}, {DISK_CHAIN, SESSION_HV, SESSION_BARE},
    {DISK_CHAIN, SESSION_HV, SESSION_HV},
};

START_TEST(test_migrates)
{
    unsigned calls;
    const char *wrong =
        disk_pair_migrate(WAYS[_i].kind, WAYS[_i].from, WAYS[_i].to, &UNBROKEN, &calls);
    ck_assert_msg(!wrong, "%s", wrong);
}
END_TEST

START_TEST(test_protects)
{
    unsigned calls;
    const char *wrong =
        disk_pair_protect(WAYS[_i].kind, WAYS[_i].from, WAYS[_i].to, &UNBROKEN, &calls);
    ck_assert_msg(!wrong, "%s", wrong);
}
END_TEST

static const struct {
    enum fault fault;
    unsigned part;
} FAULTS[] = {{FAULT_CUT, 0}, {FAULT_CUT, 5}, {FAULT_LOSE, 0}};

/* Check's loop index: which fault, at which side. */
START_TEST(test_broken_migration)
{
    struct fault_plan plan = {FAULTS[_i / 2].fault, _i % 2, 0, FAULTS[_i / 2].part};
    unsigned calls = UINT_MAX;
    for (plan.call = (unsigned)_i % EACH; plan.call < calls; plan.call += EACH) {
        const char *wrong = disk_pair_migrate(DISK_CHAIN, SESSION_HV, SESSION_HV, &plan, &calls);
        ck_assert_msg(!wrong, "%s at call %u", wrong, plan.call);
        calls = calls > plan.call ? UINT_MAX : 0;
    }
    ck_assert_uint_gt(plan.call, 12);
}
END_TEST

START_TEST(test_broken_protection)
{
    struct fault_plan plan = {FAULTS[_i / 2].fault, _i % 2, 0, FAULTS[_i / 2].part};
    unsigned calls = UINT_MAX;
    for (plan.call = (unsigned)_i % EACH; plan.call < calls; plan.call += EACH) {
        const char *wrong = disk_pair_protect(DISK_CHAIN, SESSION_HV, SESSION_HV, &plan, &calls);
        ck_assert_msg(!wrong, "%s at call %u", wrong, plan.call);
        calls = calls > plan.call ? UINT_MAX : 0;
    }
    ck_assert_uint_gt(plan.call, 20);
}
END_TEST

/* The primary's process is killed, and the backup's. */
START_TEST(test_killed)
{
    struct fault_plan plan = {FAULT_DIE, _i % 2, 9, 3};
    bool died = true;
    for (; died; plan.call += 3 * EACH) {
        const char *wrong = _i < 2 ? disk_pair_kill_migration(DISK_CHAIN, &plan, &died)
                                   : disk_pair_kill_protection(DISK_CHAIN, &plan, &died);
        ck_assert_msg(!wrong, "%s at call %u", wrong, plan.call);
    }
    ck_assert_uint_gt(plan.call, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handover");
    TCase *locks = tcase_create("locks"), *guests = tcase_create("guests");
    tcase_add_checked_fixture(locks, setup, teardown);
    tcase_add_test(locks, test_locks);
    tcase_add_loop_test(locks, test_hands, 0, DISK_KINDS);
    tcase_add_test(locks, test_given_unflushed);
    tcase_add_test(locks, test_another_image);
    suite_add_tcase(suite, locks);
    tcase_set_timeout(guests, 600);
    tcase_add_loop_test(guests, test_migrates, 0, ROWS(WAYS));
    tcase_add_loop_test(guests, test_protects, 0, ROWS(WAYS));
    tcase_add_loop_test(guests, test_broken_migration, 0, 2 * ROWS(FAULTS));
    tcase_add_loop_test(guests, test_broken_protection, 0, 2 * ROWS(FAULTS));
    tcase_add_loop_test(guests, test_killed, 0, 4);
    suite_add_tcase(suite, guests);
    return tap_run(suite);
}
