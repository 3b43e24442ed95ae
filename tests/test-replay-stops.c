/*
 * Running backwards to a stop: the newest breakpoint, write or exit before this moment, by whoever.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/disk-writer.h"
#include "tests/moments.h"
#include "tests/small-guest.h"
#include "tests/tap.h"

enum { STOPS = 40 };

static int add_break(struct session *s, unsigned kind, uint32_t address)
{
    struct session_break wanted = {.kind = kind, .address = address, .length = 4};
    int id = session_break_add(s, &wanted);
    ck_assert_int_gt(id, 0);
    return id;
}

/* The stops of a run, from the last to the first, and then the beginning. */
START_TEST(test_back_to_breakpoints)
{
    static struct seen stop[STOPS];
    struct session *s = moments_start_counter(_i);
    add_break(s, BREAK_EXECUTE, GUEST_BASE + 4 * COUNTER_STORE);
    for (int n = 0; n < STOPS; n++) {
        ck_assert_int_eq(moments_wait(s, session_run(s)).stop, STOPPED_BREAKPOINT);
        stop[n] = moments_look(s);
        ck_assert_uint_eq(moments_register(s, S0), (uint32_t)n + 1);
    }
    for (int n = STOPS - 2; n >= 0; n--) {
        struct view_status status = moments_wait(s, session_run_back(s, BACK_POINT, false, 0, 0));
        ck_assert_int_eq(status.stop, STOPPED_BREAKPOINT);
        ck_assert_uint_eq(moments_register(s, 32), GUEST_BASE + 4 * COUNTER_STORE);
        ck_assert_uint_eq(status.instructions, stop[n].at);
        ck_assert(session_digest(s) == stop[n].guest);
    }
    ck_assert_int_eq(moments_wait(s, session_run_back(s, BACK_POINT, false, 0, 0)).stop,
                     STOPPED_BEGINNING);
    ck_assert_uint_eq(moments_look(s).at, 0);
    /* And forward again: the same stops. */
    for (int n = 0; n < STOPS; n++) {
        ck_assert_int_eq(moments_wait(s, session_run(s)).stop, STOPPED_BREAKPOINT);
        moments_check(s, &(struct seen){stop[n].at, stop[n].all, stop[n].guest, stop[n].exits,
                                        stop[n].log, stop[n].counts, 0});
    }
    moments_finish(s);
}
END_TEST

/* Far back, over many checkpoints. */
START_TEST(test_who_wrote)
{
    struct session *s = moments_start_counter(_i);
    moments_wait(s, session_step(s, 3000000));
    uint32_t written = moments_word(s, GUEST_DATA);
    struct view_status status =
        moments_wait(s, session_run_back(s, BACK_WRITE, false, GUEST_DATA, 4));
    ck_assert_int_eq(status.stop, STOPPED_WATCHPOINT);
    ck_assert_int_eq(status.watch_access, 'w');
    ck_assert_uint_eq(status.watch_address, GUEST_DATA);
    ck_assert_uint_eq(moments_register(s, 32), GUEST_BASE + 4 * COUNTER_STORE);
    ck_assert_uint_eq(moments_word(s, GUEST_DATA), written - 1);
    moments_wait(s, session_step(s, 1));
    ck_assert_uint_eq(moments_word(s, GUEST_DATA), written);
    /* Again from in front of it: the one before. */
    moments_wait(s, session_step_back(s, 1));
    moments_wait(s, session_run_back(s, BACK_WRITE, true, GUEST_DATA, 4));
    ck_assert_uint_eq(moments_word(s, GUEST_DATA), written - 2);
    ck_assert_uint_eq(moments_register(s, 32), GUEST_BASE + 4 * COUNTER_STORE);
    /* Nobody ever writes here. */
    status = moments_wait(s, session_run_back(s, BACK_WRITE, false, GUEST_DATA + 0x800, 4));
    ck_assert_int_eq(status.stop, STOPPED_BEGINNING);
    ck_assert_int_eq(session_run_back(s, BACK_WRITE, false, GUEST_DATA, 0), -EINVAL);
    ck_assert_int_eq(session_run_back(s, BACK_WRITE, false, UINT32_MAX, 2), -EINVAL);
    moments_finish(s);
}
END_TEST

START_TEST(test_back_to_exits)
{
    static struct seen stop[STOPS];
    struct session *s = moments_start_counter(_i);
    moments_wait(s, session_step(s, 100));
    for (int n = 0; n < STOPS; n++) {
        ck_assert_int_eq(moments_wait(s, session_step_exit(s)).stop, STOPPED_EXIT);
        stop[n] = moments_look(s);
    }
    for (int n = STOPS - 2; n >= 0; n--) {
        struct view_status status = moments_wait(s, session_run_back(s, BACK_EXIT, false, 0, 0));
        ck_assert_int_eq(status.stop, STOPPED_EXIT);
        moments_check(s, &stop[n]);
    }
    while (moments_wait(s, session_run_back(s, BACK_EXIT, false, 0, 0)).stop == STOPPED_EXIT)
        ck_assert_uint_lt(moments_look(s).exits, stop[0].exits);
    ck_assert_uint_eq(moments_look(s).at, 0);
    moments_finish(s);
}
END_TEST

/* ---- writes of devices ----------------------------------------------------------------------- */

static uint32_t used_index(struct session *s)
{
    return moments_word(s, GUEST_DATA + 0x200) >> 16;
}

/* The disk's used ring, which the device writes when the guest has told it to. */
START_TEST(test_device_wrote)
{
    moments_make_disk();
    guest_disk_writer(moments_image);
    struct session *s =
        moments_open(moments_image, "auto", _i ? SESSION_HV : SESSION_BARE, 64u << 20);
    moments_wait(s, session_step(s, 3000));
    for (uint32_t n = used_index(s); n > used_index(s) - 3; n--) {
        struct view_status status =
            moments_wait(s, session_run_back(s, BACK_WRITE, n % 2, GUEST_DATA + 0x202, 2));
        ck_assert_int_eq(status.stop, STOPPED_WATCHPOINT);
        ck_assert_ptr_nonnull(strstr(status.text, "device virtio-blk at instruction"));
        ck_assert_uint_eq(status.watch_address, GUEST_DATA + 0x202);
        ck_assert_uint_eq(used_index(s), n - 1);
        moments_wait(s, session_step(s, 1));
        ck_assert_uint_eq(used_index(s), n);
        moments_wait(s, session_step_back(s, 1));
    }
    /* What the guest itself writes there still is its own. */
    struct view_status own =
        moments_wait(s, session_run_back(s, BACK_WRITE, false, GUEST_DATA + 0x400, 4));
    ck_assert_ptr_null(strstr(own.text, "device"));
    moments_finish(s);
    unlink(moments_disk);
    *moments_disk = 0;
}
END_TEST

#define CONSOLE 0x10003000u
enum { BUFFER = 0x700 };

static void set_register(uint32_t reg, uint32_t value)
{
    guest_lui(T2, value & ~0xfffu);
    guest_i(OP_addi, T2, T2, (int32_t)(value & 0xfff));
    guest_store(OP_sw, T1, T2, reg);
}

/* Gives the virtio console one buffer for what is typed, and counts. */
static void make_listener(void)
{
    guest_begin();
    guest_code[1024] = GUEST_DATA + BUFFER;
    guest_code[1024 + 2] = 16;
    guest_code[1024 + 3] = 2;
    guest_code[1024 + 0x100 / 4] = 1 << 16;
    guest_lui(T1, CONSOLE);
    set_register(0x70, 3);
    set_register(0x24, 1);
    set_register(0x20, 1); /* VIRTIO_F_VERSION_1 */
    set_register(0x70, 11);
    set_register(0x38, 8);
    set_register(0x80, GUEST_DATA);
    set_register(0x90, GUEST_DATA + 0x100);
    set_register(0xa0, GUEST_DATA + 0x200);
    set_register(0x44, 1);
    set_register(0x70, 15);
    guest_i(OP_addi, S0, S0, 1);
    guest_jump(guest_count - 1);
    guest_write(moments_image);
}

/* What was typed comes into memory between two instructions. */
START_TEST(test_input_wrote)
{
    struct session_config config;
    char why[SESSION_ERROR];
    make_listener();
    session_config_init(&config);
    config.image = moments_image;
    config.under = _i ? SESSION_HV : SESSION_BARE;
    config.engine = "auto";
    config.history = 64u << 20;
    config.virtio_console = true;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    moments_wait(s, session_step(s, 1000));
    session_input(s, (const uint8_t *)"z", 1);
    moments_wait(s, session_step(s, 1000));
    ck_assert_uint_eq(moments_word(s, GUEST_DATA + BUFFER) & 0xff, 'z');
    struct view_status status =
        moments_wait(s, session_run_back(s, BACK_WRITE, false, GUEST_DATA + BUFFER, 1));
    ck_assert_int_eq(status.stop, STOPPED_WATCHPOINT);
    ck_assert_msg(strstr(status.text, "device virtio-console at instruction 1000"), "%s",
                  status.text);
    ck_assert_uint_eq(status.instructions, 1000);
    ck_assert_uint_eq(moments_word(s, GUEST_DATA + BUFFER) & 0xff, 0);
    moments_wait(s, session_step(s, 1));
    ck_assert_uint_eq(moments_word(s, GUEST_DATA + BUFFER) & 0xff, 'z');
    moments_finish(s);
}
END_TEST

/* A breakpoint that is come to more often than anybody would like to stop: also where it is not any
 * longer. */
START_TEST(test_hot_breakpoint)
{
    struct session *s = moments_start_counter(_i);
    int often = add_break(s, BREAK_EXECUTE, GUEST_BASE + 4 * COUNTER_STORE);
    session_break_remove(s, often);
    moments_wait(s, session_step(s, 400000));
    struct seen end = moments_look(s);
    often = add_break(s, BREAK_EXECUTE, GUEST_BASE + 4 * COUNTER_STORE);
    struct view_status status = moments_wait(s, session_run_back(s, BACK_POINT, false, 0, 0));
    ck_assert_int_eq(status.stop, STOPPED_BREAKPOINT);
    uint32_t newest = moments_register(s, S0);
    ck_assert_uint_lt(end.at - status.instructions, 30);
    for (uint32_t n = 1; n < 5; n++) {
        moments_wait(s, session_run_back(s, BACK_POINT, false, 0, 0));
        ck_assert_uint_eq(moments_register(s, S0), newest - n);
    }
    session_break_remove(s, often);
    add_break(s, BREAK_EXECUTE, GUEST_BASE); /* only at the very beginning */
    status = moments_wait(s, session_run_back(s, BACK_POINT, false, 0, 0));
    ck_assert_uint_eq(status.instructions, 0);
    moments_wait(s, session_goto(s, end.at));
    moments_check(s, &end);
    moments_finish(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("running backwards to a stop");
    TCase *both = tcase_create("bare and under the monitor");
    tcase_set_timeout(both, 600);
    tcase_add_loop_test(both, test_back_to_breakpoints, 0, 2);
    tcase_add_loop_test(both, test_who_wrote, 0, 2);
    tcase_add_loop_test(both, test_back_to_exits, 0, 2);
    tcase_add_loop_test(both, test_hot_breakpoint, 0, 2);
    tcase_add_loop_test(both, test_device_wrote, 0, 2);
    tcase_add_loop_test(both, test_input_wrote, 0, 2);
    suite_add_tcase(suite, both);
    return tap_run(suite);
}
