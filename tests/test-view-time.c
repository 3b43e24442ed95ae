/*
 * What a session tells of time: the run as a line, and the layers under the guest with the scan for
 * a page. Bare and under the monitor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/session.h"
#include "hv/view-layers.h"
#include "tests/small-guest.h"
#include "tests/tap.h"

enum { LOOP = 4, UNUSED = 0x80800000 };

static char image[64], disk[64];
static struct view_timeline run;
static struct view_layers layers;

/* Counts in a page of its own, and calls the firmware each time around. */
static void make_counter(void)
{
    guest_begin();
    guest_lui(T0, GUEST_DATA);
    guest_i(OP_addi, S0, 0, 0);
    guest_i(OP_addi, A7, 0, 0x10); /* SBI base */
    guest_i(OP_addi, A6, 0, 0);
    guest_i(OP_addi, S0, S0, 1); /* LOOP */
    guest_store(OP_sw, T0, S0, 0);
    guest_word(isa_rows[OP_ecall].match);
    guest_jump(LOOP);
    guest_write(image);
}

static struct session *start(int under, uint64_t history)
{
    struct session_config config;
    char why[SESSION_ERROR];
    make_counter();
    session_config_init(&config);
    config.image = image;
    config.under = under ? SESSION_HV : SESSION_BARE;
    config.memory = 16u << 20;
    config.history = history;
    config.disk = *disk ? disk : NULL;
    config.disk_discard = true;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

static void finish(struct session *s)
{
    session_free(s);
    unlink(image);
}

static void wait_for(struct session *s, int failed)
{
    ck_assert_int_eq(failed, 0);
    ck_assert_int_eq(session_wait(s, 300000), 0);
}

static int keep(struct session *s, const char *name)
{
    char why[SESSION_ERROR] = "";
    int id = session_snapshot(s, name, why);
    ck_assert_msg(id > 0, "%s", why);
    return id;
}

/* ---- the run as a line ---------------------------------------------------------------------- */

static void check_moments(struct session *s)
{
    struct view_status status;
    session_status(s, &status);
    ck_assert_uint_gt(run.moments, 1);
    bool here = false;
    for (unsigned i = 0; i < run.moments; i++) {
        here |=
            run.moment[i].instruction == status.instructions && run.moment[i].exits == status.exits;
        if (i == 0)
            continue;
        ck_assert_uint_ge(run.moment[i].instruction, run.moment[i - 1].instruction);
        ck_assert_uint_ge(run.moment[i].exits, run.moment[i - 1].exits);
    }
    ck_assert(here);
}

START_TEST(test_timeline)
{
    struct session *s = start(_i, 64u << 20);
    wait_for(s, session_step(s, 10000));
    session_view_timeline(s, &run);
    ck_assert(run.history.present && !run.history.in_past);
    ck_assert_uint_eq(run.here, 10000);
    ck_assert_uint_eq(run.history.end, 10000);
    ck_assert_uint_ge(run.checkpoints, 1);
    ck_assert_uint_eq(run.checkpoint[0], 0);
    ck_assert_uint_eq(run.inputs, 0);
    check_moments(s);
    wait_for(s, session_goto(s, 5000));
    session_view_timeline(s, &run);
    ck_assert_uint_eq(run.here, 5000);
    ck_assert_uint_eq(run.history.end, 10000);
    check_moments(s);
    finish(s);
}
END_TEST

/* However long the run, the moments are spread all over it, and stay when the guest goes back. */
START_TEST(test_profile)
{
    struct session *s = start(_i, 64u << 20);
    for (int n = 0; n < 10; n++)
        wait_for(s, session_step(s, 40000));
    wait_for(s, session_goto(s, 1000));
    session_view_timeline(s, &run);
    check_moments(s);
    ck_assert_uint_gt(run.moments, 20);
    for (uint64_t tenth = 0; tenth < 10; tenth++) {
        unsigned there = 0;
        for (unsigned i = 0; i < run.moments; i++)
            there += run.moment[i].instruction / 40000 == tenth;
        ck_assert_uint_ge(there, 1);
    }
    wait_for(s, session_goto(s, 100000));
    session_input(s, (const uint8_t *)"x", 1);
    wait_for(s, session_step(s, 4000));
    session_view_timeline(s, &run);
    check_moments(s);
    ck_assert_uint_gt(run.moments, 20);
    ck_assert_uint_le(run.moment[run.moments - 1].instruction, 104000);
    finish(s);
}
END_TEST

/* What was typed is where it was delivered; that comes after where it was typed. */
START_TEST(test_input)
{
    struct session *s = start(_i, 64u << 20);
    wait_for(s, session_step(s, 1000));
    ck_assert_uint_eq(session_input(s, (const uint8_t *)"ab", 2), 2);
    wait_for(s, session_step(s, 1000));
    session_view_timeline(s, &run);
    ck_assert_uint_ge(run.inputs, 1);
    for (unsigned i = 0; i < run.inputs; i++) {
        ck_assert_uint_ge(run.input[i], 1000);
        ck_assert_uint_le(run.input[i], 2000);
    }
    finish(s);
}
END_TEST

/* A snapshot is a moment of the run as long as the run goes through it. */
START_TEST(test_snapshots_on_the_line)
{
    char why[SESSION_ERROR];
    struct session *s = start(_i, 64u << 20);
    wait_for(s, session_step(s, 4000));
    keep(s, "early");
    wait_for(s, session_step(s, 6000));
    int late = keep(s, "late");
    wait_for(s, session_goto(s, 5000));
    session_view_timeline(s, &run);
    ck_assert_uint_eq(run.snapshots, 2);
    ck_assert_str_eq(run.snapshot[0].name, "early");
    ck_assert_uint_eq(run.snapshot[0].instruction, 4000);
    ck_assert_uint_eq(run.snapshot[1].instruction, 10000);
    ck_assert_int_eq(run.snapshot[1].id, late);
    session_input(s, (const uint8_t *)"x", 1);
    wait_for(s, session_step(s, 1000));
    session_view_timeline(s, &run);
    ck_assert_uint_eq(run.snapshots, 1);
    ck_assert_str_eq(run.snapshot[0].name, "early");
    ck_assert_int_eq(session_restore(s, late, why), 0);
    session_view_timeline(s, &run);
    ck_assert_uint_eq(run.history.first, 10000);
    ck_assert_uint_eq(run.snapshots, 1);
    ck_assert_str_eq(run.snapshot[0].name, "late");
    finish(s);
}
END_TEST

START_TEST(test_nothing_to_tell)
{
    struct session *s = start(_i, 0);
    wait_for(s, session_step(s, 1000));
    memset(&run, 0xff, sizeof run);
    session_view_timeline(s, &run);
    ck_assert(!run.history.present && !run.checkpoints && !run.moments && !run.snapshots);
    session_view_layers(s, false, GUEST_DATA, &layers);
    ck_assert(!layers.present && !layers.count);
    finish(s);
}
END_TEST

/* ---- layers --------------------------------------------------------------------------------- */

/* Who answers for the page, of how many. */
static void check_answer(struct session *s, uint64_t address, unsigned answer, unsigned count)
{
    session_view_layers(s, false, address, &layers);
    ck_assert(layers.present && layers.there);
    ck_assert_uint_eq(layers.page, address & ~4095ull);
    ck_assert_uint_eq(layers.count, count);
    ck_assert_uint_eq(layers.layers, count);
    ck_assert_uint_eq(layers.asked, answer + 1);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(layers.layer[i].asked, i <= answer);
        ck_assert_int_eq(layers.layer[i].answered, i == answer);
    }
    ck_assert_int_eq(layers.layer[0].kind, LAYER_TOP);
    ck_assert_int_eq(layers.layer[count - 1].kind, LAYER_BASE);
}

START_TEST(test_who_answers)
{
    char why[SESSION_ERROR];
    struct session *s = start(_i, 0);
    wait_for(s, session_step(s, 100));
    int one = keep(s, "one");
    check_answer(s, GUEST_DATA + 8, 1, 3);
    ck_assert_str_eq(layers.layer[1].name, "one");
    ck_assert(layers.layer[1].timed && layers.layer[1].instruction == 100);
    ck_assert_uint_gt(layers.layer[1].pages, 1);
    wait_for(s, session_step(s, 100));
    check_answer(s, GUEST_DATA, 0, 3);
    ck_assert_uint_ge(layers.layer[0].pages, 1);
    check_answer(s, GUEST_BASE, 1, 3);
    keep(s, "two");
    check_answer(s, GUEST_DATA, 1, 4);
    ck_assert_uint_eq(layers.layer[0].pages, 0);
    check_answer(s, GUEST_BASE, 2, 4);
    /* Beside the new top there is the branch that was left. */
    ck_assert_int_eq(session_restore(s, one, why), 0);
    check_answer(s, GUEST_DATA, 1, 3);
    ck_assert_str_eq(layers.layer[1].beside, "two");
    ck_assert_str_eq(layers.layer[2].beside, "");
    wait_for(s, session_step(s, 100));
    check_answer(s, GUEST_DATA, 0, 3);
    finish(s);
}
END_TEST

START_TEST(test_checkpoints_are_layers)
{
    struct session *s = start(_i, 64u << 20);
    wait_for(s, session_step(s, 100));
    session_view_layers(s, false, GUEST_BASE, &layers);
    ck_assert_uint_eq(layers.count, 3);
    ck_assert_int_eq(layers.layer[1].kind, LAYER_CHECKPOINT);
    ck_assert(layers.layer[1].timed && layers.layer[1].instruction == 0);
    finish(s);
}
END_TEST

START_TEST(test_pages_that_are_not_there)
{
    struct session *s = start(_i, 0);
    keep(s, "one");
    session_view_layers(s, false, 0x1000, &layers);
    ck_assert(layers.present && !layers.there);
    ck_assert_ptr_nonnull(strstr(layers.why, "no memory"));
    ck_assert_uint_eq(layers.asked, 0);
    ck_assert_uint_eq(layers.count, 3);
    session_view_layers(s, false, 1ull << 32 | GUEST_BASE, &layers);
    ck_assert(!layers.there);
    session_view_layers(s, false, UNUSED, &layers);
    if (_i) { /* the monitor gives a page its frame when it is touched */
        ck_assert(!layers.there);
        ck_assert_ptr_nonnull(strstr(layers.why, "frame"));
    } else {
        ck_assert(layers.there && layers.layer[2].answered);
        ck_assert_str_eq(layers.base, "zeros");
    }
    session_view_layers(s, true, 0, &layers);
    ck_assert(!layers.present);
    finish(s);
}
END_TEST

START_TEST(test_disk)
{
    strcpy(disk, "/tmp/test-view-time-XXXXXX");
    int fd = mkstemp(disk);
    ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
    close(fd);
    struct session *s = start(_i, 0);
    session_view_layers(s, true, 0x5000, &layers);
    ck_assert(!layers.present);
    keep(s, "one");
    session_view_layers(s, true, 0x5123, &layers);
    ck_assert(layers.present && layers.there && layers.layer[2].answered);
    ck_assert_str_eq(layers.base, "the disk's file");
    session_view_layers(s, true, 1 << 20, &layers);
    ck_assert(layers.present && !layers.there);
    finish(s);
    unlink(disk);
    *disk = 0;
}
END_TEST

/* ---- more than fit -------------------------------------------------------------------------- */

static const struct {
    unsigned count, answer; /* of layers; answer: the number of one, from the top */
    enum view_layer_kind kind;
    uint64_t pitch;
} stacks[] = {
    {0, 0, LAYER_CHECKPOINT, 1},       {0, 1, LAYER_CHECKPOINT, 1},
    {100, 50, LAYER_CHECKPOINT, 1},    {5000, 3000, LAYER_CHECKPOINT, 40},
    {5000, 0, LAYER_CHECKPOINT, 40},   {5000, 5001, LAYER_CHECKPOINT, 40},
    {5000, 3000, LAYER_CHECKPOINT, 1}, {1000, 700, LAYER_SNAPSHOT, 1},
    {1000, 253, LAYER_SNAPSHOT, 1},    {1000, 254, LAYER_SNAPSHOT, 1},
    {1000, 1001, LAYER_SNAPSHOT, 1},   {254, 254, LAYER_SNAPSHOT, 1},
};

START_TEST(test_many)
{
    unsigned all = stacks[_i].count + 2, answered = 0;
    uint64_t sum = 0, pages = 0;
    memset(&layers, 0, sizeof layers);
    layers.there = true;
    for (unsigned i = 0; i < all; i++) {
        struct view_layer l = {.pages = 1, .kind = stacks[_i].kind};
        l.kind = i == 0 ? LAYER_TOP : i == all - 1 ? LAYER_BASE : l.kind;
        view_layers_add(&layers, &l, i >= stacks[_i].answer && i % 2 == stacks[_i].answer % 2,
                        stacks[_i].pitch);
    }
    ck_assert_uint_le(layers.count, VIEW_LAYERS);
    ck_assert_uint_eq(layers.layers, all);
    ck_assert_uint_eq(layers.asked, stacks[_i].answer + 1);
    for (unsigned i = 0; i < layers.count; i++) {
        const struct view_layer *l = &layers.layer[i];
        ck_assert_int_eq(l->asked, sum <= stacks[_i].answer);
        sum += l->layers;
        pages += l->pages;
        ck_assert_int_eq(l->layers > 1, l->kind == LAYER_MANY);
        if (!l->answered)
            continue;
        answered++;
        ck_assert_uint_eq(sum, stacks[_i].answer + 1);
        ck_assert_uint_eq(l->layers, 1);
    }
    ck_assert_uint_eq(answered, 1);
    ck_assert_uint_eq(sum, all);
    ck_assert_uint_eq(pages, all);
    ck_assert_int_eq(layers.layer[0].kind, LAYER_TOP);
    ck_assert_int_eq(layers.layer[layers.count - 1].kind, LAYER_BASE);
}
END_TEST

START_TEST(test_names_beside)
{
    struct view_layer l = {0};
    view_layer_beside(&l, "one");
    view_layer_beside(&l, "two");
    ck_assert_str_eq(l.beside, "one, two");
    for (int i = 0; i < 50; i++) /* what does not fit is left out */
        view_layer_beside(&l, "another");
    ck_assert_uint_lt(strlen(l.beside), sizeof l.beside);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view-time");
    TCase *c = tcase_create("view-time");
    tcase_set_timeout(c, 600);
    tcase_add_loop_test(c, test_timeline, 0, 2);
    tcase_add_loop_test(c, test_profile, 0, 2);
    tcase_add_loop_test(c, test_input, 0, 2);
    tcase_add_loop_test(c, test_snapshots_on_the_line, 0, 2);
    tcase_add_loop_test(c, test_nothing_to_tell, 0, 2);
    tcase_add_loop_test(c, test_who_answers, 0, 2);
    tcase_add_loop_test(c, test_checkpoints_are_layers, 0, 2);
    tcase_add_loop_test(c, test_pages_that_are_not_there, 0, 2);
    tcase_add_loop_test(c, test_disk, 0, 2);
    tcase_add_loop_test(c, test_many, 0, ROWS(stacks));
    tcase_add_test(c, test_names_beside);
    suite_add_tcase(suite, c);
    return tap_run(suite);
}
