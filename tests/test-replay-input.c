/*
 * What comes from outside, in a run that can be taken back: input, a debugger's writes, the disk.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/disk-writer.h"
#include "tests/moments.h"
#include "tests/random-program.h"
#include "tests/small-guest.h"
#include "tests/tap.h"

/* ---- what was written to a disk -----------------------------------------------------------------
 */

/* Sector n has the newest count that is n modulo 64, or one 64 less if that is being written. */
static void check_disk(uint32_t count)
{
    uint32_t wrong = 0;
    FILE *file = fopen(moments_disk, "r");
    ck_assert_ptr_nonnull(file);
    for (uint32_t n = 0; n < 64; n++) {
        uint32_t found = 0, newest = count - (count - n) % 64;
        fseek(file, (long)n * 512, SEEK_SET);
        ck_assert_uint_eq(fread(&found, 4, 1, file), 1);
        wrong += newest != found && !(newest == count && found + 64 == count);
    }
    fclose(file);
    ck_assert_uint_eq(wrong, 0);
}

/* The file becomes what the disk was at the moment at which the guest stands when it is written. */
START_TEST(test_disk)
{
    char why[SESSION_ERROR];
    moments_make_disk();
    guest_disk_writer(moments_image);
    uint64_t empty = moments_disk_hash();
    struct session *s = moments_start(_i, moments_image, 64u << 20);
    moments_wait(s, session_step(s, 40000));
    uint32_t late = moments_register(s, S0);
    moments_wait(s, session_goto(s, 26000));
    uint32_t early = moments_register(s, S0);
    ck_assert_uint_gt(early, 1000);
    ck_assert_uint_lt(early, late);
    ck_assert(moments_disk_hash() == empty);
    ck_assert_int_eq(session_write_disk(s, why), 0);
    check_disk(early);
    ck_assert_int_eq(session_step_back(s, 1), -ENOTSUP);
    moments_wait(s, session_step(s, 14000));
    ck_assert_uint_eq(moments_register(s, S0), late);
    moments_finish(s);
    check_disk(late);
    unlink(moments_disk);
    *moments_disk = 0;
}
END_TEST

START_TEST(test_discarded_disk)
{
    struct session_config config;
    char why[SESSION_ERROR];
    moments_make_disk();
    guest_disk_writer(moments_image);
    uint64_t empty = moments_disk_hash();
    session_config_init(&config);
    config.image = moments_image;
    config.disk = moments_disk;
    config.disk_discard = true;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    moments_wait(s, session_step(s, 100000));
    moments_finish(s);
    ck_assert(moments_disk_hash() == empty);
    unlink(moments_disk);
    *moments_disk = 0;
}
END_TEST

/* ---- another future -----------------------------------------------------------------------------
 */

static void type(struct session *s, const char *text)
{
    ck_assert_uint_eq(session_input(s, (const uint8_t *)text, strlen(text)), strlen(text));
}

/* What was typed comes again when it came; something new typed in the past takes its place. */
START_TEST(test_typing_in_the_past)
{
    struct view_history history;
    struct session *s = moments_start_counter(_i);
    moments_wait(s, session_step(s, 10000));
    uint32_t before = moments_register(s, S0);
    type(s, "z");
    moments_wait(s, session_step(s, 10000));
    struct seen with_z = moments_look(s);
    ck_assert_uint_ge(moments_register(s, S0), before + 'z');
    moments_wait(s, session_goto(s, 5000));
    moments_wait(s, session_step(s, 15000));
    moments_check(s, &with_z);

    moments_wait(s, session_goto(s, 5000));
    session_view_history(s, &history);
    ck_assert(history.in_past);
    ck_assert_uint_eq(history.end, 20000);
    type(s, "A");
    moments_wait(s, session_step(s, 15000));
    ck_assert(session_digest(s) != with_z.guest);
    session_view_history(s, &history);
    ck_assert(!history.in_past);
    struct seen with_a = moments_look(s);
    moments_wait(s, session_goto(s, 100));
    moments_wait(s, session_goto(s, 20000));
    moments_check(s, &with_a);
    moments_finish(s);
}
END_TEST

/* A debugger's write is part of the run from then on; before it, the run is as it was. */
START_TEST(test_writing)
{
    struct session *s = moments_start_counter(_i);
    moments_wait(s, session_step(s, 5000));
    struct seen before = moments_look(s);
    moments_wait(s, session_step(s, 5000));
    ck_assert_int_eq(session_write_register(s, S0, 1000000), 0);
    moments_wait(s, session_step(s, 5000));
    ck_assert_uint_gt(moments_register(s, S0), 1000000);
    struct seen after = moments_look(s);
    moments_wait(s, session_goto(s, 5000));
    moments_check(s, &before);
    moments_wait(s, session_goto(s, 15000));
    moments_check(s, &after);
    moments_wait(s, session_goto(s, 5000));
    moments_wait(s, session_step(s, 10000)); /* over the write, without jumping there */
    moments_check(s, &after);
    moments_wait(s, session_goto(s, 5000));
    ck_assert_int_eq(session_write_memory(s, false, GUEST_DATA, (const uint8_t *)"none", 4), 0);
    moments_wait(s, session_step(s, 10000));
    ck_assert_uint_lt(moments_register(s, S0),
                      1000000); /* the other write was in a future that is gone */
    moments_finish(s);
}
END_TEST

/* So many of a debugger's writes that the beginning of what is recorded has to go. */
START_TEST(test_many_writes)
{
    struct view_history history;
    struct session *s = moments_start_counter(_i);
    for (int n = 0; n < 2200; n++) {
        moments_wait(s, session_step(s, 1));
        ck_assert_int_eq(session_write_register(s, 27, (uint32_t)n), 0);
    }
    session_view_history(s, &history);
    ck_assert(history.present);
    ck_assert_uint_gt(history.first, 0);
    moments_wait(s, session_goto(s, 2000));
    ck_assert_uint_eq(moments_register(s, 27), 1999);
    ck_assert_int_eq(moments_wait(s, session_goto(s, 1)).stop, STOPPED_BEGINNING);
    ck_assert_uint_eq(moments_register(s, 27), (uint32_t)history.first - 1);
    moments_finish(s);
}
END_TEST

/* What the balloon is asked for is input: it comes again, and in the past it begins another run. */
START_TEST(test_balloon)
{
    struct view_history history;
    struct session *s = moments_start_counter(_i);
    moments_wait(s, session_step(s, 10000));
    ck_assert_int_eq(session_set_balloon(s, 5), 0);
    moments_wait(s, session_step(s, 10000));
    struct seen five = moments_look(s);
    moments_wait(s, session_goto(s, 9999));
    struct seen none = moments_look(s);
    moments_wait(s, session_step(s, 10001));
    moments_check(s, &five);
    moments_wait(s, session_goto(s, 10000)); /* before it comes */
    ck_assert_int_eq(session_set_balloon(s, 7), 0);
    moments_wait(s, session_step(s, 1));
    session_view_history(s, &history);
    ck_assert_uint_eq(history.end, 10001);
    moments_wait(s, session_step(s, 9999));
    ck_assert(session_digest(s) != five.guest);
    struct seen seven = moments_look(s);
    moments_wait(s, session_goto(s, 9999));
    moments_check(s, &none);
    moments_wait(s, session_goto(s, 20000));
    moments_check(s, &seven);
    ck_assert_int_eq(session_set_balloon(s, UINT32_MAX), -EINVAL);
    moments_finish(s);
}
END_TEST

/* What comes where an interrupt, say, has been taken just now waits for one instruction. */
START_TEST(test_uncertain_place)
{
    struct session *s = moments_start_counter(_i);
    moments_wait(s, session_step(s, 1000));
    moments_wait(s, session_step_exit(s));
    type(s, "z");
    ck_assert_int_eq(session_set_balloon(s, 3), 0);
    moments_wait(s, session_step(s, 5000));
    struct seen then = moments_look(s);
    moments_wait(s, session_goto(s, 500));
    moments_wait(s, session_goto(s, then.at));
    moments_check(s, &then);
    moments_finish(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("input and running backwards");
    TCase *t = tcase_create("every way");
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, test_disk, 0, moments_ways());
    suite_add_tcase(suite, t);
    TCase *both = tcase_create("bare and under the monitor");
    tcase_set_timeout(both, 600);
    tcase_add_loop_test(both, test_typing_in_the_past, 0, 2);
    tcase_add_loop_test(both, test_balloon, 0, 2);
    tcase_add_loop_test(both, test_uncertain_place, 0, 2);
    tcase_add_loop_test(both, test_writing, 0, 2);
    tcase_add_loop_test(both, test_many_writes, 0, 2);
    tcase_add_test(both, test_discarded_disk);
    suite_add_tcase(suite, both);
    return tap_run(suite);
}
