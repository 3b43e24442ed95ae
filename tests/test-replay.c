/*
 * Running backwards: whatever moment of the past one goes to, and however often, it is the moment
 * that there was. Random guests and a small system with a disk and somebody who types, in every
 * engine, bare and under the monitor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/moments.h"
#include "tests/random-program.h"
#include "tests/small-guest.h"
#include "tests/tap.h"

START_TEST(test_random_guests)
{
    static struct seen seen[MOMENTS];
    *moments_disk = 0;
    for (uint64_t n = 0, done = 0; done < (uint64_t)moments_share(5); n++) {
        uint64_t seed = (uint64_t)_i * 100 + n + 1;
        moments_random(seed, n % 3 == 2 ? PROGRAM_LONG : 0);
        struct session *s = moments_start(_i, moments_image, 64u << 20);
        int count = moments_along(s, seen, &seed, n % 2 ? 2000 : 100000, NULL);
        if (count > 10) { /* else it has soon fallen asleep */
            moments_visit(s, seen, count, &seed, 40);
            done++;
        }
        session_free(s);
        unlink(moments_image);
    }
}
END_TEST

/* A system with timers, a disk and a shell. */
START_TEST(test_minios)
{
    static struct seen seen[MOMENTS];
    uint64_t seed = (uint64_t)_i + 77;
    moments_find_minios();
    moments_copy_disk();
    uint64_t hash = moments_disk_hash();
    struct session *s = moments_start(_i, moments_minios, 64u << 20);
    int count = moments_along(s, seen, &seed, 1000000, moments_type);
    ck_assert_int_gt(count, moments_share(MOMENTS) / 2);
    moments_visit(s, seen, count, &seed, 60);
    ck_assert(moments_disk_hash() == hash); /* written blocks are in memory */
    session_free(s);
    unlink(moments_disk);
}
END_TEST

/* By the translator's windows: what it writes to a page that was frozen must be heard of. */
START_TEST(test_fast_writes)
{
    enum { KEEP = 20 };
    static struct seen seen[KEEP];
    int id[KEEP];
    uint64_t seed = 9;
    char why[SESSION_ERROR];
    *moments_disk = 0;
    moments_make_writer();
    struct session *s = moments_open(moments_image, "auto", _i ? SESSION_HV : SESSION_BARE, 0);
    moments_wait(s, session_step(s, 5000000));
    for (int n = 0; n < KEEP; n++) {
        moments_wait(s, session_step(s, 1 + random_below(&seed, n % 3 ? 3000000 : 300)));
        seen[n] = moments_look(s);
        id[n] = session_snapshot(s, "", why);
        ck_assert_int_gt(id[n], 0);
    }
    for (int n = 0; n < moments_share(60); n++) {
        uint32_t at = random_below(&seed, KEEP);
        moments_wait(s, session_step(s, 1 + random_below(&seed, n % 4 ? 1000 : 3000000)));
        ck_assert_int_eq(session_restore(s, id[at], why), 0);
        moments_check(s, &seen[at]);
    }
    moments_finish(s);
}
END_TEST

START_TEST(test_after_the_end)
{
    moments_find_minios();
    *moments_disk = 0;
    char hello[512];
    const char *top = getenv("top_builddir");
    snprintf(hello, sizeof hello, "%s/samples/hello.elf", top ? top : ".");
    struct session *s = moments_start(_i, hello, 64u << 20);
    moments_wait(s, session_step(s, 20));
    struct seen early = moments_look(s);
    struct view_status end = moments_wait(s, session_run(s));
    ck_assert_int_eq(end.state, SESSION_ENDED);
    struct seen late = moments_look(s);
    ck_assert_int_eq(session_step(s, 1), -ESHUTDOWN);
    struct view_status back = moments_wait(s, session_step_back(s, end.instructions - 20));
    ck_assert_int_eq(back.state, SESSION_STOPPED);
    size_t before = moments_printed;
    moments_check(s, &early);
    back = moments_wait(s, session_run(s));
    ck_assert_int_eq(back.state, SESSION_ENDED);
    ck_assert_int_eq(back.exit_code, end.exit_code);
    moments_check(s, &late);
    ck_assert_uint_eq(moments_printed, before);
    back = moments_wait(s, session_goto(s, 20));
    back = moments_wait(s, session_goto(s, end.instructions));
    ck_assert_int_eq(back.stop, STOPPED_POWEROFF);
    moments_check(s, &late);
    back = moments_wait(s, session_goto(s, end.instructions + 1000)); /* there is nothing beyond */
    ck_assert_int_eq(back.stop, STOPPED_POWEROFF);
    moments_check(s, &late);
    ck_assert_int_eq(session_reset(s), 0);
    ck_assert_int_eq(moments_wait(s, session_step_back(s, 1)).stop, STOPPED_BEGINNING);
    session_free(s);
}
END_TEST

START_TEST(test_no_history)
{
    struct session_config config;
    char why[SESSION_ERROR];
    *moments_disk = 0;
    moments_make_counter();
    session_config_init(&config);
    config.image = moments_image;
    struct session *s = session_new(&config, why);
    ck_assert_int_eq(session_step_back(s, 1), -ENOTSUP);
    session_free(s);
    config.history = 64u << 20;
    config.host_clock = true;
    s = session_new(&config, why);
    ck_assert_int_eq(session_goto(s, 1), -ENOTSUP);
    session_free(s);
    /* A bound that nothing fits into. */
    config.host_clock = false;
    config.history = 4096;
    s = session_new(&config, why);
    ck_assert_int_eq(session_run_back(s, BACK_EXIT, false, 0, 0), -ENOSPC);
    moments_wait(s, session_step(s, 1000));
    moments_finish(s);
}
END_TEST

/* Memory stays within its bound, and every moment can still be had. */
START_TEST(test_bound)
{
    static struct seen seen[MOMENTS];
    struct view_history history;
    uint64_t seed = 5, limit = 3u << 20;
    moments_find_minios();
    moments_copy_disk();
    struct session *s = moments_start(_i, moments_minios, limit);
    int count = moments_along(s, seen, &seed, 3000000, moments_type);
    session_view_history(s, &history);
    ck_assert(history.present);
    ck_assert_uint_le(history.bytes, limit);
    ck_assert_uint_ge(history.checkpoints, 1);
    ck_assert_uint_eq(history.first, 0);
    moments_visit(s, seen, count, &seed, 12);
    session_view_history(s, &history);
    ck_assert_uint_le(history.bytes, limit);
    session_free(s);
    unlink(moments_disk);
    *moments_disk = 0;
}
END_TEST

/* ---- snapshots ----------------------------------------------------------------------------------
 */

enum { KEPT = 12 };

/* Snapshots form a tree, whatever is restored and deleted in which order; with and without a
 * history beside them. */
START_TEST(test_snapshots)
{
    static struct seen seen[KEPT];
    struct view_snapshot list[KEPT];
    int id[KEPT], parent[KEPT], current = 0, count = 0;
    uint64_t seed = (uint64_t)_i + 1;
    char why[SESSION_ERROR];
    moments_find_minios();
    moments_copy_disk();
    struct session *s = moments_start(_i, moments_minios, _i % 3 ? 64u << 20 : 0);
    for (int n = 0; n < moments_share(60); n++) {
        moments_wait(s, session_step(s, 1 + random_below(&seed, 400000)));
        moments_type(s, &seed);
        uint32_t at = count ? random_below(&seed, (uint32_t)count) : 0;
        uint32_t dice = random_below(&seed, 4);
        if (dice < 2 && count < KEPT) {
            seen[count] = moments_look(s);
            id[count] = session_snapshot(s, "kept", why);
            ck_assert_int_gt(id[count], 0);
            parent[count] = current;
            current = id[count++];
        } else if (dice < 3 && count) {
            ck_assert_int_eq(session_restore(s, id[at], why), 0);
            moments_check(s, &seen[at]);
            current = id[at];
        } else if (count) {
            ck_assert_int_eq(session_snapshot_delete(s, id[at]), 0);
            for (int i = 0; i < count; i++)
                if (parent[i] == id[at])
                    parent[i] = parent[at];
            if (current == id[at])
                current = parent[at];
            for (int i = (int)at; i < count - 1; i++) {
                id[i] = id[i + 1];
                parent[i] = parent[i + 1];
                seen[i] = seen[i + 1];
            }
            count--;
        }
        ck_assert_int_eq(session_snapshots(s, list, KEPT), count);
        for (int i = 0; i < count; i++) {
            ck_assert_int_eq(list[i].id, id[i]);
            ck_assert_int_eq(list[i].parent, parent[i]);
            ck_assert_int_eq(list[i].current, id[i] == current);
            ck_assert_uint_eq(list[i].exits, seen[i].exits);
        }
    }
    ck_assert_int_eq(session_restore(s, 10000, why), -ENOENT);
    ck_assert_int_eq(session_snapshot_delete(s, 10000), -ENOENT);
    session_free(s);
    unlink(moments_disk);
    *moments_disk = 0;
}
END_TEST

static Suite *suite(void)
{
    moments_find_minios();
    bool samples = !access(moments_minios, R_OK) && !access(moments_rom, R_OK);
    if (!samples)
        printf("# the samples were not built: no tests with minios\n");
    Suite *suite = suite_create("running backwards");
    TCase *t = tcase_create("every way");
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, test_random_guests, 0, moments_ways());
    tcase_add_loop_test(t, test_minios, 0, samples ? moments_ways() : 0);
    tcase_add_loop_test(t, test_after_the_end, 0, samples ? moments_ways() : 0);
    tcase_add_loop_test(t, test_bound, 0, samples ? moments_ways() : 0);
    suite_add_tcase(suite, t);
    TCase *snapshots = tcase_create("snapshots");
    tcase_set_timeout(snapshots, 600);
    tcase_add_loop_test(snapshots, test_snapshots, 0, samples ? moments_ways() : 0);
    suite_add_tcase(suite, snapshots);
    TCase *both = tcase_create("bare and under the monitor");
    tcase_set_timeout(both, 600);
    tcase_add_loop_test(both, test_fast_writes, 0, 2);
    tcase_add_test(both, test_no_history);
    suite_add_tcase(suite, both);
    return suite;
}

int main(void)
{
    return tap_run(suite());
}
