/*
 * A fence outlives a crash of the host: the file with its first line, and the folder that names it.
 * What is flushed is seen by an fsync() of our own, which stands before the C library's; who claims
 * which turn is tested where guests are protected (tests/test-guard.c, tests/protect-pair.c).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hv/fence.h"
#include "tests/tap.h"

enum { MOST = 8, PATIENCE_MS = 60000 };

static char folder[] = "/tmp/test-fence-XXXXXX", path[64];

static struct {
    unsigned count;
    bool is_folder[MOST];
    off_t line[MOST]; /* bytes in the fence at that time */
    int fails;        /* errno of a folder's flush; 0: none */
} flushed;

int fsync(int fd)
{
    struct stat st, line = {0};
    bool is_folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    stat(path, &line);
    if (flushed.count < MOST) {
        flushed.is_folder[flushed.count] = is_folder;
        flushed.line[flushed.count] = line.st_size;
    }
    flushed.count++;
    if (is_folder && flushed.fails) {
        errno = flushed.fails;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/test-fence-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/fence", folder);
    memset(&flushed, 0, sizeof flushed);
}

static void teardown(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

static off_t size_of_line(void)
{
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_size;
}

/* The folder first, while there is no line, then the line; and never the folder again. */
static void expect_first_turn(const char *name)
{
    struct fence f;
    ck_assert_int_eq(fence_open(&f, name), 0);
    ck_assert_uint_eq(flushed.count, 1);
    ck_assert(flushed.is_folder[0]);
    ck_assert_int_eq(flushed.line[0], 0);
    ck_assert_int_eq(fence_begin(&f, PATIENCE_MS), 0);
    ck_assert_uint_eq(flushed.count, 2);
    ck_assert(!flushed.is_folder[1]);
    ck_assert_int_eq(flushed.line[1], size_of_line());
    ck_assert_int_gt(flushed.line[1], 0);
    fence_close(&f);
    ck_assert_int_eq(fence_open(&f, name), 0);
    ck_assert_int_eq(fence_begin(&f, PATIENCE_MS), 0);
    ck_assert_uint_eq(f.generation, 2);
    ck_assert_uint_eq(flushed.count, 3);
    ck_assert(!flushed.is_folder[2]);
    fence_close(&f);
}

START_TEST(test_new_file)
{
    expect_first_turn(path);
}
END_TEST

START_TEST(test_name_without_folder)
{
    ck_assert_int_eq(chdir(folder), 0);
    expect_first_turn("fence");
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Another program has made it, and may have died before it flushed anything. */
START_TEST(test_made_by_another)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    expect_first_turn(path);
}
END_TEST

/* A fence that a crash may lose is none, and no turn is taken. */
START_TEST(test_folder_is_not_flushed)
{
    struct fence f;
    flushed.fails = EIO;
    ck_assert_int_eq(fence_open(&f, path), -EIO);
    ck_assert_int_lt(f.fd, 0);
    ck_assert_int_eq(size_of_line(), 0);
    memset(&flushed, 0, sizeof flushed);
    expect_first_turn(path);
}
END_TEST

/* Some file systems flush no folders: they say so, and there is nothing to be done. */
START_TEST(test_folder_cannot_be_flushed)
{
    flushed.fails = EINVAL;
    expect_first_turn(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fence");
    TCase *tcase = tcase_create("fence");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, test_new_file);
    tcase_add_test(tcase, test_name_without_folder);
    tcase_add_test(tcase, test_made_by_another);
    tcase_add_test(tcase, test_folder_is_not_flushed);
    tcase_add_test(tcase, test_folder_cannot_be_flushed);
    suite_add_tcase(suite, tcase);
    return tap_run(suite);
}
