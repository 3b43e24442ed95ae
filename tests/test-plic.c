/* The PLIC: priorities, enables, thresholds, claim and complete, two contexts. */
#include "cpu/dev/plic.h"
#include "cpu/rv.h"
#include "tests/device.h"
#include "tests/tap.h"

enum { PENDING = 0x1000, ENABLE = 0x2000, THRESHOLD = 0x200000, CLAIM = 0x200004 };
enum { M = 0, S = 1 };

static struct plic *plic;
static struct device *device;
static bool line[12]; /* by IRQ_ number */

static void set_line(void *context, unsigned number, bool level)
{
    ck_assert_ptr_eq(context, line);
    ck_assert(number == IRQ_MEI || number == IRQ_SEI);
    line[number] = level;
}

static void setup(void)
{
    line[IRQ_MEI] = line[IRQ_SEI] = false;
    plic = plic_new(set_line, line);
    ck_assert_ptr_nonnull(plic);
    device = plic_device(plic);
}

static void teardown(void)
{
    device->ops->free(device->self);
}

static void priority(int source, uint32_t value)
{
    device_put(device, 4 * (uint32_t)source, 4, value);
}

static void enable(uint32_t context, int source)
{
    uint32_t at = ENABLE + 0x80 * context + 4 * ((uint32_t)source / 32);
    device_put(device, at, 4, device_get(device, at, 4) | 1u << source % 32);
}

static void pull(int source, bool level)
{
    struct irq_line input = plic_input(plic, source);
    irq_set(&input, level);
}

static uint32_t claim(uint32_t context)
{
    return device_get(device, CLAIM + 0x1000 * context, 4);
}

static void complete(uint32_t context, uint32_t source)
{
    device_put(device, CLAIM + 0x1000 * context, 4, source);
}

START_TEST(whole_life_of_an_interrupt)
{
    priority(10, 1);
    enable(S, 10);
    pull(10, true);
    ck_assert(line[IRQ_SEI] && !line[IRQ_MEI]);
    ck_assert_uint_eq(device_get(device, PENDING, 4), 1u << 10);
    ck_assert_uint_eq(claim(S), 10);
    ck_assert(!line[IRQ_SEI]);
    ck_assert_uint_eq(device_get(device, PENDING, 4), 0);
    ck_assert_uint_eq(claim(S), 0);
    complete(S, 10); /* the wire is still high: again */
    ck_assert(line[IRQ_SEI]);
    ck_assert_uint_eq(claim(S), 10);
    pull(10, false);
    complete(S, 10);
    ck_assert(!line[IRQ_SEI]);
}
END_TEST

/* Source 10 has priority 1 to 7 and the context a threshold: does the line go up? */
static const struct {
    uint32_t priority, threshold;
    bool up;
} threshold_cases[] = {
    {0, 0, false}, {1, 0, true}, {1, 1, false}, {2, 1, true}, {7, 6, true}, {7, 7, false},
};

START_TEST(threshold)
{
    priority(10, threshold_cases[_i].priority);
    device_put(device, THRESHOLD, 4, threshold_cases[_i].threshold);
    enable(M, 10);
    pull(10, true);
    ck_assert_int_eq(line[IRQ_MEI], threshold_cases[_i].up);
    /* A claim looks at no threshold, only at priority 0. */
    ck_assert_uint_eq(claim(M), threshold_cases[_i].priority ? 10 : 0);
}
END_TEST

START_TEST(order)
{
    static const struct {
        int source;
        uint32_t priority;
    } sources[] = {{3, 2}, {40, 7}, {5, 2}, {95, 7}, {64, 1}};
    static const uint32_t expected[] = {40, 95, 3, 5, 64, 0};
    for (int i = 0; i < ROWS(sources); i++) {
        priority(sources[i].source, sources[i].priority);
        enable(M, sources[i].source);
        pull(sources[i].source, true);
    }
    for (int i = 0; i < ROWS(expected); i++)
        ck_assert_uint_eq(claim(M), expected[i]);
    ck_assert(!line[IRQ_MEI]);
}
END_TEST

START_TEST(contexts_are_separate)
{
    priority(1, 3);
    priority(2, 3);
    enable(M, 1);
    enable(S, 2);
    pull(1, true);
    ck_assert(line[IRQ_MEI] && !line[IRQ_SEI]);
    pull(2, true);
    ck_assert(line[IRQ_MEI] && line[IRQ_SEI]);
    ck_assert_uint_eq(claim(S), 2);
    ck_assert_uint_eq(claim(M), 1);
    complete(M, 2); /* not enabled there: ignored */
    ck_assert(!line[IRQ_SEI]);
    complete(S, 2);
    ck_assert(line[IRQ_SEI] && !line[IRQ_MEI]);
}
END_TEST

START_TEST(claimed_by_one_is_gone_for_the_other)
{
    priority(7, 1);
    enable(M, 7);
    enable(S, 7);
    pull(7, true);
    ck_assert(line[IRQ_MEI] && line[IRQ_SEI]);
    ck_assert_uint_eq(claim(M), 7);
    ck_assert(!line[IRQ_MEI] && !line[IRQ_SEI]);
    ck_assert_uint_eq(claim(S), 0);
}
END_TEST

START_TEST(nonsense_is_ignored)
{
    uint32_t value;
    complete(M, 0);
    complete(M, 96);
    complete(S, UINT32_MAX);
    priority(0, 7);
    ck_assert_uint_eq(device_get(device, 0, 4), 0);
    device_put(device, ENABLE, 4, UINT32_MAX);
    ck_assert_uint_eq(device_get(device, ENABLE, 4), UINT32_MAX - 1);
    priority(1, 0xffffffff);
    ck_assert_uint_eq(device_get(device, 4, 4), 7);
    device_put(device, PENDING, 4, UINT32_MAX);
    ck_assert_uint_eq(device_get(device, PENDING, 4), 0);
    device_put(device, 0x202000, 4, 1); /* there is no third context */
    ck_assert_uint_eq(device_get(device, 0x202000, 4), 0);
    ck_assert(!device->ops->read(device->self, 4, 1, &value));
    ck_assert(!device->ops->write(device->self, 4, 2, 1));
}
END_TEST

START_TEST(peek_claims_nothing)
{
    priority(10, 1);
    enable(M, 10);
    pull(10, true);
    ck_assert_uint_eq(device->ops->peek(device->self, CLAIM, 4), 10);
    ck_assert_uint_eq(device->ops->peek(device->self, CLAIM, 4), 10);
    device_check_table(device);
    ck_assert(line[IRQ_MEI]);
}
END_TEST

START_TEST(takes_abuse)
{
    uint64_t fresh = device_digest(device);
    device_put(device, ENABLE, 4, UINT32_MAX);
    for (int source = 1; source < PLIC_SOURCES; source += 3)
        pull(source, true);
    device_abuse(device, 100000);
    device->ops->reset(device->self);
    ck_assert(device_digest(device) == fresh);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plic");
    TCase *tests = tcase_create("plic");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, whole_life_of_an_interrupt);
    tcase_add_loop_test(tests, threshold, 0, ROWS(threshold_cases));
    tcase_add_test(tests, order);
    tcase_add_test(tests, contexts_are_separate);
    tcase_add_test(tests, claimed_by_one_is_gone_for_the_other);
    tcase_add_test(tests, nonsense_is_ignored);
    tcase_add_test(tests, peek_claims_nothing);
    tcase_add_test(tests, takes_abuse);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
