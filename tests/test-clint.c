/* The CLINT: a window on the hart's clock, and the software interrupt. */
#include "cpu/dev/clint.h"
#include "cpu/hart.h"
#include "tests/device.h"
#include "tests/tap.h"

enum { MSIP = 0, MTIMECMP = 0x4000, MTIME = 0xbff8 };

static struct hart hart;
static struct clint *clint;
static struct device *device;

static void setup(void)
{
    hart = (struct hart){0};
    hart_reset(&hart, 0x80000000u);
    clint = clint_new(&hart);
    ck_assert_ptr_nonnull(clint);
    device = clint_device(clint);
}

static void teardown(void)
{
    device->ops->free(device->self);
}

START_TEST(software_interrupt)
{
    hart.attention = false;
    device_put(device, MSIP, 4, 0xffffffff);
    ck_assert_uint_eq(device_get(device, MSIP, 4), 1);
    ck_assert_uint_eq(hart.mip, MIP_MSIP);
    ck_assert(hart.attention);
    device_put(device, MSIP, 4, 0xfffffffe);
    ck_assert_uint_eq(hart.mip, 0);
}
END_TEST

START_TEST(mtime_goes_with_instructions)
{
    ck_assert_uint_eq(device_get(device, MTIME, 4), 0);
    hart.executed = 12345;
    ck_assert_uint_eq(device_get(device, MTIME, 4), 12345 / CLOCK_INSNS_PER_TICK);
    hart.executed = (7ull << 32) * CLOCK_INSNS_PER_TICK;
    ck_assert_uint_eq(device_get(device, MTIME, 4), 0);
    ck_assert_uint_eq(device_get(device, MTIME + 4, 4), 7);
}
END_TEST

START_TEST(mtime_can_be_set)
{
    hart.executed = 1000;
    device_put(device, MTIME + 4, 4, 0x12);
    device_put(device, MTIME, 4, 0xfffffff0);
    ck_assert_uint_eq(hart_mtime(&hart), 0x12fffffff0ull);
    hart.executed += 0x10 * CLOCK_INSNS_PER_TICK;
    ck_assert_uint_eq(device_get(device, MTIME, 4), 0);
    ck_assert_uint_eq(device_get(device, MTIME + 4, 4), 0x13);
}
END_TEST

/* MTIP is mtime >= mtimecmp, over all 64 bits. */
static const struct {
    uint64_t mtime, mtimecmp;
    bool pending;
} timer_cases[] = {
    {0, 0, true}, {0, 1, false}, {1, 1, true}, {2, 1, true}, {5, UINT64_MAX, false},
    {0xffffffff, 0x100000000, false}, {0x100000000, 0xffffffff, true},
    {UINT64_MAX, UINT64_MAX, true}, {0x100000000, 0x100000001, false},
};

START_TEST(timer_interrupt)
{
    uint64_t now = timer_cases[_i].mtime, then = timer_cases[_i].mtimecmp;
    device_put(device, MTIME, 4, (uint32_t)now);
    device_put(device, MTIME + 4, 4, (uint32_t)(now >> 32));
    device_put(device, MTIMECMP, 4, (uint32_t)then);
    device_put(device, MTIMECMP + 4, 4, (uint32_t)(then >> 32));
    ck_assert_uint_eq(device_get(device, MTIMECMP, 4), (uint32_t)then);
    ck_assert_uint_eq(device_get(device, MTIMECMP + 4, 4), (uint32_t)(then >> 32));
    ck_assert_int_eq(!!(hart.mip & MIP_MTIP), timer_cases[_i].pending);
}
END_TEST

/* The instruction before which the interrupt becomes pending. */
START_TEST(timer_sets_the_deadline)
{
    hart.executed = 1003;
    device_put(device, MTIMECMP + 4, 4, 0);
    device_put(device, MTIMECMP, 4, 150);
    ck_assert(!(hart.mip & MIP_MTIP));
    ck_assert_uint_eq(hart.clock.deadline, 150 * CLOCK_INSNS_PER_TICK);
    hart.executed = hart.clock.deadline - 1;
    hart_update_timers(&hart);
    ck_assert(!(hart.mip & MIP_MTIP));
    hart.executed++;
    hart_update_timers(&hart);
    ck_assert(hart.mip & MIP_MTIP);
    device_put(device, MTIMECMP, 4, 151);
    ck_assert(!(hart.mip & MIP_MTIP));
}
END_TEST

START_TEST(answers_words_alone)
{
    uint32_t value;
    for (unsigned size = 1; size <= 2; size++) {
        ck_assert(!device->ops->read(device->self, MTIME, size, &value));
        ck_assert(!device->ops->write(device->self, MSIP, size, 1));
    }
    ck_assert_uint_eq(hart.mip, 0);
    ck_assert_uint_eq(device_get(device, 4, 4), 0); /* hart 1 does not exist */
    device_put(device, 4, 4, 1);
    device_put(device, MTIMECMP + 8, 4, 0);
    ck_assert_uint_eq(hart.mip, 0);
}
END_TEST

START_TEST(takes_abuse)
{
    device_check_table(device);
    device_abuse(device, 100000);
    device->ops->reset(device->self);
    ck_assert_uint_eq(device_get(device, MSIP, 4), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clint");
    TCase *tests = tcase_create("clint");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, software_interrupt);
    tcase_add_test(tests, mtime_goes_with_instructions);
    tcase_add_test(tests, mtime_can_be_set);
    tcase_add_loop_test(tests, timer_interrupt, 0, ROWS(timer_cases));
    tcase_add_test(tests, timer_sets_the_deadline);
    tcase_add_test(tests, answers_words_alone);
    tcase_add_test(tests, takes_abuse);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
