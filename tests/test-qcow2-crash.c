/* What a crash leaves of a qcow2 image: a sample of what tests/faults/qcow2.c does in full. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/qcow2-change.h"
#include "tests/tap.h"

static char folder[] = "/tmp/vitrine-test-qcow2-crash.XXXXXX";
static bool qemu;

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/vitrine-test-qcow2-crash.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    ck_assert_int_eq(run_quietly("rm -r '%s'", folder), 0);
}

static void run(const struct crash_plan *plan, const struct crash_effort *effort,
                struct crash_result *r)
{
    bool well = crash_run(plan, folder, effort, r);
    ck_assert_msg(well, "%s: %s", plan->name, r->first);
    ck_assert_msg(r->states > effort->points, "%s: only %zu states", plan->name, r->states);
    ck_assert_msg(!plan->moves || r->moves, "%s: it did not", plan->name);
}

START_TEST(a_crash_leaves_all_that_was_flushed)
{
    const struct crash_plan *plan = &crash_plans[_i];
    struct crash_result r;
    struct crash_effort effort = {
        .seed = 7 + (unsigned)_i, .points = 40, .subsets = 3, .qemu_every = qemu ? 12 : 0};
    if (plan->qemu && !qemu)
        return;
    run(plan, &effort, &r);
    ck_assert_msg(!r.corrupt && !r.lost, "%s: %zu corrupt, %zu lost; %s", plan->name, r.corrupt,
                  r.lost, r.first);
    ck_assert_uint_eq(r.judged > 0, qemu);
}
END_TEST

START_TEST(a_crash_of_a_change_leaves_before_or_after)
{
    struct crash_result r;
    struct crash_effort effort = {
        .seed = 3, .points = 6, .subsets = 1, .qemu_every = qemu ? 40 : 0};
    bool well = change_run((unsigned)_i, folder, &effort, &r);
    ck_assert_msg(well && r.states, "%s: %s", change_names[_i], r.first);
    ck_assert_msg(!r.corrupt && !r.lost, "%s: %zu corrupt, %zu lost; %s", change_names[_i],
                  r.corrupt, r.lost, r.first);
    ck_assert_uint_eq(r.judged > 0, qemu);
}
END_TEST

/* The test can fail: on a disk that ignores flushes it must. */
START_TEST(a_disk_that_ignores_flushes_is_found_out)
{
    struct crash_result r;
    struct crash_effort effort = {.seed = 1, .points = 20, .subsets = 2, .deaf = true};
    run(&crash_plans[_i], &effort, &r);
    ck_assert_uint_gt(r.corrupt, 0);
    ck_assert_uint_gt(r.lost, 0);
}
END_TEST

/* Each change has an order that matters; but for two: a raw file has no metadata, and repairing
 * counts down what nobody uses. */
enum { CHANGE_COMMIT_RAW = 0, CHANGE_REPAIR = 2 };

START_TEST(a_change_on_a_disk_that_ignores_flushes_is_found_out)
{
    struct crash_result r;
    struct crash_effort effort = {.seed = 3, .points = 12, .subsets = 2, .deaf = true};
    ck_assert(change_run((unsigned)_i, folder, &effort, &r));
    bool ordered = _i != CHANGE_COMMIT_RAW && _i != CHANGE_REPAIR;
    ck_assert_msg((r.corrupt + r.lost > 0) == ordered, "%s: %zu corrupt, %zu lost; %s",
                  change_names[_i], r.corrupt, r.lost, r.first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qcow2-crash");
    TCase *tests = tcase_create("crash");
    qemu = have_qemu_img();
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, a_crash_leaves_all_that_was_flushed, 0, (int)crash_plan_count);
    tcase_add_loop_test(tests, a_crash_of_a_change_leaves_before_or_after, 0, (int)change_count);
    tcase_add_loop_test(tests, a_disk_that_ignores_flushes_is_found_out, 0, 4);
    tcase_add_loop_test(tests, a_change_on_a_disk_that_ignores_flushes_is_found_out, 0,
                        (int)change_count);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
