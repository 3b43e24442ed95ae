/*
 * Popek and Goldberg's equivalence, and the engines' contract, by trial: thousands of random
 * programs that use privileged instructions, page tables, traps, timers and devices, that loop, and
 * that change their own code, end in the same guest-visible state, hart, devices and memory, in
 * every engine, bare and in a virtual machine, and are equal on the way.
 */
#include <stdlib.h>

#include "tests/lockstep.h"
#include "tests/random-program.h"
#include "tests/tap.h"

#ifdef __SANITIZE_ADDRESS__
enum { PROGRAMS = 1000, LONG_PROGRAMS = 4 };
#else
enum { PROGRAMS = 10000, LONG_PROGRAMS = 12 };
#endif
enum { STEPS = 3000, LONG_STEPS = 3000000 };

static void load(struct lanes *lanes, const struct random_program *program)
{
    lanes_clear(lanes);
    for (unsigned i = 0; i < lanes->count; i++)
        random_program_load(program, lanes->lane[i].machine);
}

static bool one_program(struct lanes *lanes, uint64_t seed, unsigned options,
                        const struct schedule *schedule)
{
    struct random_program program;
    random_program_make_as(&program, seed, options);
    char *text = NULL;
    size_t length;
    FILE *report = open_memstream(&text, &length);
    ck_assert_ptr_nonnull(report);
    load(lanes, &program);
    bool equal = lanes_run(lanes, schedule, report);
    fclose(report);
    if (!equal)
        printf("# random program %llu (options %u) parts:\n%s", (unsigned long long)seed, options,
               text);
    fflush(stdout);
    free(text);
    return equal;
}

/* The first in small steps, so that they part where the cause is; most in steps of many lengths, so
 * that much runs at once. */
static void run_programs(const struct machine_config *config, uint64_t first, int count)
{
    static const uint64_t chunk[] = {1, 2, 3, 7, 97, 1000, 65536, 0, 0, 0, 0, 0, 65536, 65536};
    struct lanes lanes;
    ck_assert(lanes_new(&lanes, config));
    int failures = 0;
    for (int i = 0; i < count && failures < 5; i++) {
        uint64_t seed = first + (uint64_t)i;
        uint64_t step = chunk[seed % 14], total = step && step < 7 ? STEPS / 8 : STEPS;
        struct schedule schedule = {.total = total, .chunk = step, .seed = seed};
        failures += !one_program(&lanes, seed, 0, &schedule);
    }
    for (unsigned i = 0; i < lanes.count; i++)
        ck_assert(!lanes.lane[i].vm || lanes.lane[i].vm->direct > 0);
    lanes_free(&lanes);
    ck_assert_int_eq(failures, 0);
}

static struct machine_config small_machine(void)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = 4u << 20;
    return config;
}

/* Each a tenth of all. */
START_TEST(test_defaults)
{
    struct machine_config config = small_machine();
    run_programs(&config, 1 + 1000000 * (uint64_t)_i, PROGRAMS / 10);
}
END_TEST

START_TEST(test_misaligned_trap)
{
    struct machine_config config = small_machine();
    config.misaligned_trap = true;
    run_programs(&config, 500000, PROGRAMS / 10);
}
END_TEST

START_TEST(test_ad_trap)
{
    struct machine_config config = small_machine();
    config.ad_trap = true;
    run_programs(&config, 700000, PROGRAMS / 10);
}
END_TEST

/* Long enough for address spaces to become steady, and for counts to leave 16 bits. */
START_TEST(test_long)
{
    struct machine_config config = small_machine();
    struct lanes lanes;
    ck_assert(lanes_new(&lanes, &config));
    int failures = 0;
    for (uint64_t seed = 800000; seed < 800000 + LONG_PROGRAMS && failures < 3; seed++) {
        struct schedule schedule = {
            .total = LONG_STEPS, .chunk = seed % 2 ? 999983 : 65536, .seed = seed};
        failures += !one_program(&lanes, seed, PROGRAM_LONG, &schedule);
    }
    lanes_free(&lanes);
    ck_assert_int_eq(failures, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("equivalence");
    TCase *tc = tcase_create("random programs");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, test_defaults, 0, 8);
    tcase_add_test(tc, test_misaligned_trap);
    tcase_add_test(tc, test_ad_trap);
    tcase_add_test(tc, test_long);
    suite_add_tcase(suite, tc);
    return tap_run(suite);
}
