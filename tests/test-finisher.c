/* The test finisher: which stores end the run, and how. */
#include "cpu/dev/finisher.h"
#include "tests/device.h"
#include "tests/tap.h"

static struct {
    int calls, code;
    enum finisher_request request;
} seen;
static struct finisher *finisher;
static struct device *device;

static void power(void *context, enum finisher_request request, int code)
{
    ck_assert_ptr_eq(context, &seen);
    seen.calls++;
    seen.request = request;
    seen.code = code;
}

static void setup(void)
{
    seen.calls = 0;
    finisher = finisher_new(power, &seen);
    ck_assert_ptr_nonnull(finisher);
    device = finisher_device(finisher);
}

static void teardown(void)
{
    device->ops->free(device->self);
}

static const struct {
    uint32_t offset, value;
    unsigned size;
    int calls;
    enum finisher_request request;
    int code;
} cases[] = {
    {0, 0x5555, 4, 1, FINISHER_POWEROFF, 0},
    {0, 0x5555, 2, 1, FINISHER_POWEROFF, 0},
    {0, 0x00015555, 4, 1, FINISHER_POWEROFF, 0},
    {0, 0x00003333, 4, 1, FINISHER_POWEROFF, 0},
    {0, 0x00013333, 4, 1, FINISHER_POWEROFF, 1},
    {0, 0x002a3333, 4, 1, FINISHER_POWEROFF, 42},
    {0, 0xffff3333, 4, 1, FINISHER_POWEROFF, 0xffff},
    {0, 0x7777, 4, 1, FINISHER_RESET, 0},
    {0, 0, 4, 0, 0, 0},
    {0, 0x55, 1, 0, 0, 0},
    {0, 0x1234, 4, 0, 0, 0},
    {4, 0x5555, 4, 0, 0, 0},
    {0xffc, 0x7777, 4, 0, 0, 0},
};

START_TEST(stores)
{
    device_put(device, cases[_i].offset, cases[_i].size, cases[_i].value);
    ck_assert_int_eq(seen.calls, cases[_i].calls);
    if (seen.calls) {
        ck_assert_int_eq(seen.request, cases[_i].request);
        ck_assert_int_eq(seen.code, cases[_i].code);
    }
    ck_assert_uint_eq(device_get(device, cases[_i].offset, cases[_i].size), 0);
}
END_TEST

START_TEST(takes_abuse)
{
    device_check_table(device);
    device_abuse(device, 100000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("finisher");
    TCase *tests = tcase_create("finisher");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, stores, 0, ROWS(cases));
    tcase_add_test(tests, takes_abuse);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
