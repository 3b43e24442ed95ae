/*
 * Snapshots as files. A guest that comes out of a file goes on as the one that was never put away,
 * in every engine, bare and under the monitor; how two differ; and the calls of a running session.
 * The files themselves are tried by tests/test-snapshot-files.c.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "hv/link.h"
#include "hv/migrate.h"
#include "hv/protect.h"
#include "hv/session.h"
#include "hv/snapshot.h"
#include "tests/disk-writer.h"
#include "tests/small-guest.h"
#include "tests/snapshot-guest.h"
#include "tests/tap.h"

/* A guest that writes to one page. */
static void page_writer(void)
{
    guest_begin();
    guest_lui(S0, GUEST_DATA);
    guest_i(OP_addi, T0, T0, 1);
    guest_store(OP_sw, S0, T0, 0);
    guest_jump(1);
    guest_write(image);
}

/* ---- going on ------------------------------------------------------------------------------- */

enum { STEPS = 6, SEEDS = 4 };

static int ways(void)
{
    int engines = 0;
    while (engine_at((unsigned)engines))
        engines++;
    return 2 * engines;
}

/* A chain of snapshots, and what the guest was at each and some time after. */
static void write_chain(const char *engine, enum session_under under, struct seen at[STEPS + 1])
{
    struct session *s = start(engine, under);
    for (int i = 0; i < STEPS; i++) {
        run_on(s, STEP);
        at[i] = see(s);
        ck_assert_int_eq(keep(s, "link"), i + 1);
        same(see(s), at[i]);
    }
    run_on(s, STEP);
    at[STEPS] = see(s);
    session_free(s);
}

START_TEST(test_goes_on)
{
    const char *engine = engine_at((unsigned)_i / 2)->name;
    enum session_under under = _i % 2 ? SESSION_HV : SESSION_BARE;
    struct seen at[STEPS + 1];
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        random_guest(seed);
        snprintf(dir_path, sizeof dir_path, "%s/dir-%d", folder, (int)seed);
        write_chain(engine, under, at);
        for (int i = 0; i < STEPS; i++) {
            struct session *s = open_at(i + 1, engine);
            same(see(s), at[i]);
            run_on(s, STEP);
            same(see(s), at[i + 1]);
            session_free(s);
        }
        unlink(image);
    }
}
END_TEST

/* In one session: to files that this program has not written, and back to those that it has. */
START_TEST(test_to_and_fro)
{
    char why[SESSION_ERROR];
    struct seen at[STEPS + 1];
    enum session_under under = _i ? SESSION_HV : SESSION_BARE;
    random_guest(9);
    write_chain("auto", under, at);
    struct session *s = open_at(3, "auto");
    static const int WAY[] = {1, 5, 2, 6, 6, 4, 1, 3};
    for (unsigned i = 0; i < sizeof WAY / sizeof *WAY; i++) {
        ck_assert_msg(!session_restore(s, WAY[i], why), "%s", why);
        same(see(s), at[WAY[i] - 1]);
        run_on(s, STEP);
        same(see(s), at[WAY[i]]);
    }
    int branch = keep(s, "branch"); /* stands on 3, after one more step */
    ck_assert_int_eq(branch, STEPS + 1);
    struct view_snapshot list[16];
    ck_assert_int_eq(session_snapshots(s, list, 16), STEPS + 1);
    ck_assert_int_eq(list[STEPS].parent, 3);
    ck_assert(list[STEPS].current && !list[3].current);
    ck_assert_int_eq(session_restore(s, 77, why), -ENOENT);
    /* Without those it stands on it is still what it was. */
    ck_assert_int_eq(session_snapshot_delete(s, 3), 0);
    ck_assert_int_eq(session_snapshot_delete(s, 1), 0);
    ck_assert_int_eq(session_snapshot_delete(s, 1), -ENOENT);
    session_free(s);
    s = open_at(0, "interp");
    same(see(s), at[3]);
    session_free(s);
}
END_TEST

static void no_pages(void *context, const char *part, uint32_t first, uint32_t last)
{
    ck_abort_msg("%s: pages %u to %u differ", part, first, last);
}

static bool is_empty(const char *path)
{
    FILE *file = fopen(path, "r");
    int byte = 0;
    while (file && (byte = fgetc(file)) == 0)
        ;
    fclose(file);
    return byte == EOF;
}

/* What was written to the disk is in the snapshots, and not in its file. */
START_TEST(test_disk)
{
    char why[SESSION_ERROR] = "";
    guest_disk_writer(image);
    snprintf(disk, sizeof disk, "%s/disk", folder);
    FILE *file = fopen(disk, "w");
    ck_assert(file && !ftruncate(fileno(file), 64 * 512) && !fclose(file));
    struct session *s = start("auto", _i ? SESSION_HV : SESSION_BARE);
    run_on(s, 200000);
    keep(s, "early");
    run_on(s, 100);
    struct seen soon = see(s);
    keep(s, "soon");
    session_free(s);
    s = open_at(1, "interp");
    run_on(s, 100);
    same(see(s), soon);
    keep(s, "again");
    session_free(s);
    ck_assert(is_empty(disk));
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    struct snapshot_file *a = snapshot_dir_load(dir, 2, true, why);
    struct snapshot_file *b = snapshot_dir_load(dir, 3, true, why);
    ck_assert_uint_eq(snapshot_dir_at(dir, 0)->blocks, 8);
    struct snapshot_differ differ = {.pages = no_pages};
    snapshot_diff(a, b, &differ);
    snapshot_free(a);
    snapshot_free(b);
    snapshot_dir_close(dir);
}
END_TEST

/* What was written to the disk is not in its file, so the guest cannot go where only that is. */
START_TEST(test_disk_stays)
{
    char why[SESSION_ERROR] = "";
    int fd[2];
    guest_disk_writer(image);
    snprintf(disk, sizeof disk, "%s/disk", folder);
    FILE *file = fopen(disk, "w");
    ck_assert(file && !ftruncate(fileno(file), 64 * 512) && !fclose(file));
    struct session *s = start("auto", _i ? SESSION_HV : SESSION_BARE);
    run_on(s, 200000);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct link link = link_of_socket(fd[0], 1000);
    ck_assert_int_eq(migrate_send(s, &link, &(struct migrate_options){0}, why), MIGRATE_STAYED);
    ck_assert_msg(strstr(why, "directory of snapshots") != NULL, "%s", why);
    *why = 0;
    ck_assert_ptr_null(protect_begin(s, &link, &(struct protect_options){.epoch_ms = 10}, why));
    ck_assert_msg(strstr(why, "directory of snapshots") != NULL, "%s", why);
    ck_assert_int_eq(session_forget_past(s, why), -EBUSY);
    run_on(s, 100);
    keep(s, "goes on");
    session_free(s);
    link_close(&link);
    close(fd[1]);
    ck_assert(is_empty(disk));
}
END_TEST

static void count_field(void *context, const char *table, const char *field, uint32_t index,
                        uint32_t count, uint64_t a, uint64_t b)
{
    unsigned *seen = context;
    seen[0] += !strcmp(table, "hart") && !strcmp(field, "executed") && b - a == 100;
}

static void count_pages(void *context, const char *part, uint32_t first, uint32_t last)
{
    unsigned *seen = context;
    ck_assert_str_eq(part, "memory");
    for (uint32_t page = first; page <= last; page++)
        seen[1 + (page == (GUEST_DATA - 0x80000000u) / SNAPSHOT_PAGE ? 0 : 1)]++;
}

/* A guest that writes to one page: that page and the hart differ, and no other page. */
START_TEST(test_diff)
{
    char why[SNAPSHOT_ERROR] = "";
    page_writer();
    struct session *s = start("interp", _i ? SESSION_HV : SESSION_BARE);
    run_on(s, 300);
    keep(s, "a");
    run_on(s, 100);
    keep(s, "b");
    session_free(s);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    struct snapshot_file *a = snapshot_dir_load(dir, 1, true, why);
    struct snapshot_file *b = snapshot_dir_load(dir, 2, true, why);
    unsigned seen[3] = {0};
    struct snapshot_differ differ = {.field = count_field, .pages = count_pages, .context = seen};
    snapshot_diff(a, b, &differ);
    ck_assert_uint_eq(seen[0], 1);
    ck_assert_uint_eq(seen[1], 1);
    ck_assert_uint_eq(seen[2], 0);
    ck_assert_uint_le(snapshot_dir_at(dir, 1)->pages, 4); /* and the log of exits */
    snapshot_free(a);
    snapshot_free(b);
    snapshot_dir_close(dir);
}
END_TEST

/* A snapshot that says of very many pages of the monitor's map that they are zero: each would tell
 * of 1,024 pages of the guest, none of which is there. */
static struct snapshot_file *empty_map(uint32_t pages)
{
    struct snapshot_file *f = snapshot_new();
    ck_assert_ptr_nonnull(f);
    snapshot_add_part(f, "memory", SNAPSHOT_PAGE, 1, false);
    struct snapshot_part *map =
        snapshot_add_part(f, "map", (uint64_t)pages * SNAPSHOT_PAGE, 4, false);
    for (uint32_t i = 0; i < pages; i++)
        snapshot_add_page(f, map, i, NULL);
    ck_assert(!f->failed);
    return f;
}

START_TEST(test_diff_of_nothing)
{
    enum { PAGES = 4 << 20 };
    unsigned seen[3] = {0};
    struct snapshot_differ differ = {.pages = count_pages, .context = seen};
    struct snapshot_file *a = empty_map(PAGES), *b = empty_map(PAGES);
    snapshot_diff(a, b, &differ);
    ck_assert_uint_eq(seen[1] + seen[2], 0);
    snapshot_free(a);
    snapshot_free(b);
}
END_TEST

/* ---- the calls of a running session --------------------------------------------------------- */

/* How often the value `name` of `part` changes by `by`. */
static int changes(const struct view_differences *d, const char *part, const char *name,
                   uint64_t by)
{
    int count = 0;
    for (unsigned i = 0; i < d->count; i++)
        count += d->difference[i].kind == DIFFERENCE_VALUE &&
                 d->difference[i].b - d->difference[i].a == by &&
                 !strcmp(d->difference[i].part, part) && !strcmp(d->difference[i].name, name);
    return count;
}

/* In memory and in files alike; and the guest is what it was before. */
START_TEST(test_session_diff)
{
    static struct view_differences d;
    char why[SESSION_ERROR] = "";
    page_writer();
    struct session_config config = config_for("interp", SESSION_HV);
    struct session *s = _i ? start("interp", SESSION_HV) : session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    run_on(s, 300);
    int a = keep(s, "a");
    run_on(s, 100);
    int b = keep(s, "b");
    run_on(s, 60);
    struct seen before = see(s);
    ck_assert_msg(!session_snapshot_diff(s, a, b, &d, why), "%s", why);
    ck_assert_int_eq(changes(&d, "hart", "executed", 100), 1);
    ck_assert_int_eq(changes(&d, "hart", "t0", 33) + changes(&d, "hart", "t0", 34), 1);
    ck_assert_uint_eq(d.pages, 1);
    ck_assert_uint_eq(d.total[DIFFERENCE_MEMORY], 1);
    ck_assert_uint_eq(d.difference[d.count - 1].a, GUEST_DATA);
    ck_assert_msg(!session_snapshot_diff(s, b, 0, &d, why), "%s", why);
    ck_assert_int_eq(changes(&d, "hart", "executed", 60), 1);
    ck_assert_msg(!session_snapshot_diff(s, a, a, &d, why), "%s", why);
    ck_assert_uint_eq(d.count, 0);
    ck_assert_int_eq(session_snapshot_diff(s, a, 77, &d, why), -ENOENT);
    ck_assert_int_eq(session_snapshots(s, NULL, 0), 2);
    same(see(s), before);
    ck_assert_msg(!session_restore(s, a, why), "%s", why);
    ck_assert_msg(!session_snapshot_diff(s, a, 0, &d, why), "%s", why);
    ck_assert_uint_eq(d.count, 0);
    session_free(s);
}
END_TEST

START_TEST(test_session_directory)
{
    char why[SESSION_ERROR] = "", export[100], path[120];
    struct view_snapshot list[8];
    struct seen at[4];
    snprintf(export, sizeof export, "%s/export", folder);
    page_writer();
    struct session *s = start("interp", SESSION_BARE);
    for (int i = 0; i < 3; i++) {
        run_on(s, 100);
        at[i] = see(s);
        keep(s, "chain");
    }
    ck_assert_msg(!session_restore(s, 1, why), "%s", why);
    run_on(s, 50);
    at[3] = see(s);
    keep(s, "beside");
    ck_assert_int_eq(session_snapshot_tree(s, list, 8), 4);
    static const int TREE[][3] = {{1, 0, 1}, {2, 1, 0}, {3, 2, 1}, {4, 1, 1}}; /* id, depth, last */
    for (int i = 0; i < 4; i++)
        ck_assert(list[i].id == TREE[i][0] && list[i].depth == TREE[i][1] &&
                  list[i].last == TREE[i][2]);
    ck_assert_int_eq(session_snapshot_tree(s, list, 2), 4);
    ck_assert_msg(!session_snapshot_export(s, 3, export, why), "%s", why);
    ck_assert_msg(!session_snapshot_commit(s, 2, why), "%s", why); /* 1 is what 2 was */
    ck_assert_int_eq(session_snapshot_commit(s, 1, why), -ENOENT);
    ck_assert_int_eq(session_snapshot_import(s, export, why), 5);
    static const int IS[][2] = {{1, 1}, {3, 2}, {4, 3}, {5, 2}, {1, 1}};
    for (int i = 0; i < 5; i++) {
        ck_assert_msg(!session_restore(s, IS[i][0], why), "%s", why);
        same(see(s), at[IS[i][1]]);
    }
    run_on(s, 100);
    same(see(s), at[2]);
    keep(s, "after all that"); /* on 1, as it is now */
    ck_assert_int_eq(session_snapshot_check(s, why), 0);
    session_free(s);
    s = open_at(6, "interp");
    same(see(s), at[2]);
    file_of(4, path);
    ck_assert_int_eq(truncate(path, 300), 0);
    ck_assert_int_eq(session_snapshot_check(s, why), 1);
    ck_assert_ptr_nonnull(strstr(why, "snapshot-4"));
    session_free(s);
}
END_TEST

START_TEST(test_session_without_directory)
{
    char why[SESSION_ERROR] = "";
    page_writer();
    struct session_config config = config_for("interp", SESSION_BARE);
    struct session *s = session_new(&config, why);
    keep(s, "one");
    ck_assert_int_eq(session_snapshot_commit(s, 1, why), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(why, "no directory"));
    ck_assert_int_eq(session_snapshot_export(s, 1, "/nowhere/file", why), -ENOTSUP);
    ck_assert_int_eq(session_snapshot_import(s, "/nowhere/file", why), -ENOTSUP);
    ck_assert_int_eq(session_snapshot_check(s, why), -ENOTSUP);
    ck_assert_int_eq(session_snapshot_tree(s, NULL, 0), 1);
    session_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tcase = tcase_create("snapshot");
    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, snapshot_set_up, snapshot_tear_down);
    tcase_add_loop_test(tcase, test_goes_on, 0, ways());
    tcase_add_loop_test(tcase, test_to_and_fro, 0, 2);
    tcase_add_loop_test(tcase, test_disk, 0, 2);
    tcase_add_loop_test(tcase, test_disk_stays, 0, 2);
    tcase_add_loop_test(tcase, test_diff, 0, 2);
    tcase_add_test(tcase, test_diff_of_nothing);
    tcase_add_loop_test(tcase, test_session_diff, 0, 2);
    tcase_add_test(tcase, test_session_directory);
    tcase_add_test(tcase, test_session_without_directory);
    suite_add_tcase(suite, tcase);
    return tap_run(suite);
}
