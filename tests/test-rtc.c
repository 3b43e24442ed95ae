/* The goldfish RTC: the date goes with mtime, can be set, and has an alarm. */
#include <time.h>

#include "cpu/dev/rtc.h"
#include "cpu/hart.h"
#include "tests/device.h"
#include "tests/tap.h"

enum {
    TIME_LOW = 0x00, TIME_HIGH = 0x04, ALARM_LOW = 0x08, ALARM_HIGH = 0x0c, IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14, ALARM_STATUS = 0x18, CLEAR_INTERRUPT = 0x1c,
};

static struct hart hart;
static struct wire wire;
static struct rtc *rtc;
static struct device *device;

static void setup(void)
{
    hart = (struct hart){0};
    hart_reset(&hart, 0x80000000u);
    wire = (struct wire){0};
    rtc = rtc_new(&hart, wire_line(&wire));
    ck_assert_ptr_nonnull(rtc);
    device = rtc_device(rtc);
}

static void teardown(void)
{
    device->ops->free(device->self);
}

static uint64_t date(void)
{
    uint64_t low = device_get(device, TIME_LOW, 4);
    return (uint64_t)device_get(device, TIME_HIGH, 4) << 32 | low;
}

static void set_alarm(uint64_t when)
{
    device_put(device, ALARM_HIGH, 4, (uint32_t)(when >> 32));
    device_put(device, ALARM_LOW, 4, (uint32_t)when);
}

static void pass(uint64_t ns)
{
    hart.executed += ns / (1000000000u / TIMEBASE_HZ) * CLOCK_INSNS_PER_TICK;
}

START_TEST(begins_in_2000_and_goes)
{
    ck_assert_uint_eq(date(), RTC_START);
    pass(1000000000);
    ck_assert_uint_eq(date(), RTC_START + 1000000000);
}
END_TEST

START_TEST(low_latches_high)
{
    device_put(device, TIME_HIGH, 4, 5);
    device_put(device, TIME_LOW, 4, 0xffffffff);
    uint32_t low = device_get(device, TIME_LOW, 4);
    pass(1000);
    ck_assert_uint_eq(low, 0xffffffff);
    ck_assert_uint_eq(device_get(device, TIME_HIGH, 4), 5);
    ck_assert_uint_eq(device_get(device, TIME_LOW, 4), 999);
    ck_assert_uint_eq(device_get(device, TIME_HIGH, 4), 6);
}
END_TEST

START_TEST(alarm)
{
    device_put(device, IRQ_ENABLED, 4, 1);
    set_alarm(RTC_START + 500);
    ck_assert_uint_eq(device_get(device, ALARM_STATUS, 4), 1);
    pass(400);
    ck_assert_uint_eq(device_get(device, ALARM_STATUS, 4), 1);
    ck_assert(!wire.level);
    pass(100);
    ck_assert_uint_eq(device_get(device, ALARM_STATUS, 4), 0);
    ck_assert(wire.level);
    device_put(device, CLEAR_INTERRUPT, 4, 1);
    ck_assert(!wire.level);
}
END_TEST

START_TEST(alarm_in_the_past_rings_at_once)
{
    set_alarm(RTC_START - 1);
    ck_assert(!wire.level); /* not enabled */
    device_put(device, IRQ_ENABLED, 4, 1);
    ck_assert(wire.level);
    device_put(device, IRQ_ENABLED, 4, 0);
    ck_assert(!wire.level);
}
END_TEST

START_TEST(alarm_can_be_taken_back)
{
    device_put(device, IRQ_ENABLED, 4, 1);
    set_alarm(RTC_START + 500);
    device_put(device, CLEAR_ALARM, 4, 1);
    pass(1000);
    ck_assert_uint_eq(device_get(device, ALARM_STATUS, 4), 0);
    ck_assert(!wire.level);
}
END_TEST

START_TEST(follows_the_host_when_told)
{
    hart.clock.host = true;
    uint64_t before = (uint64_t)time(NULL), now = date() / 1000000000u;
    ck_assert_uint_ge(now, before);
    ck_assert_uint_le(now, before + 60);
}
END_TEST

START_TEST(takes_abuse)
{
    uint64_t fresh = device_digest(device);
    uint32_t value;
    ck_assert(!device->ops->read(device->self, TIME_LOW, 1, &value));
    ck_assert(!device->ops->write(device->self, TIME_LOW, 2, 1));
    device_check_table(device);
    device_abuse(device, 100000);
    device->ops->reset(device->self);
    ck_assert(device_digest(device) == fresh);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rtc");
    TCase *tests = tcase_create("rtc");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, begins_in_2000_and_goes);
    tcase_add_test(tests, low_latches_high);
    tcase_add_test(tests, alarm);
    tcase_add_test(tests, alarm_in_the_past_rings_at_once);
    tcase_add_test(tests, alarm_can_be_taken_back);
    tcase_add_test(tests, follows_the_host_when_told);
    tcase_add_test(tests, takes_abuse);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
