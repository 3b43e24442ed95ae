/*
 * Popek and Goldberg's equivalence, by trial: thousands of random programs that use privileged
 * instructions, page tables, traps, timers and devices end in the same guest-visible state, hart,
 * devices and memory, on the bare machine and in a virtual one, and are equal on the way.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/lockstep.h"
#include "tests/random-program.h"

enum { PROGRAMS = 3000, STEPS = 3000 };

static bool one_program(struct pair *pair, uint64_t seed)
{
    struct random_program program;
    random_program_make(&program, seed);
    pair_clear(pair);
    random_program_load(&program, pair->bare);
    random_program_load(&program, pair->vm->machine);
    uint64_t r = seed;
    if (lockstep(pair->bare, pair->vm->machine, STEPS, 1 + random_below(&r, 300), NULL))
        return true;
    printf("# random program %llu parts; every instruction compared:\n", (unsigned long long)seed);
    pair_clear(pair);
    random_program_load(&program, pair->bare);
    random_program_load(&program, pair->vm->machine);
    lockstep(pair->bare, pair->vm->machine, STEPS, 1, stdout);
    fflush(stdout);
    return false;
}

static void run_programs(const struct machine_config *config, uint64_t first, int count)
{
    struct pair pair;
    ck_assert(pair_new(&pair, config));
    int failures = 0;
    for (int i = 0; i < count && failures < 5; i++)
        failures += !one_program(&pair, first + (uint64_t)i);
    uint64_t direct = pair.vm->direct;
    pair_free(&pair);
    ck_assert_int_eq(failures, 0);
    ck_assert_uint_gt(direct, 0);
}

static struct machine_config small_machine(void)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = 4u << 20;
    return config;
}

START_TEST(test_defaults)
{
    struct machine_config config = small_machine();
    run_programs(&config, 1 + 1000000 * (uint64_t)_i, PROGRAMS / 4);
}
END_TEST

START_TEST(test_misaligned_trap)
{
    struct machine_config config = small_machine();
    config.misaligned_trap = true;
    run_programs(&config, 500000, PROGRAMS / 4);
}
END_TEST

START_TEST(test_ad_trap)
{
    struct machine_config config = small_machine();
    config.ad_trap = true;
    run_programs(&config, 700000, PROGRAMS / 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("equivalence");
    TCase *tc = tcase_create("random programs");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, test_defaults, 0, 2);
    tcase_add_test(tc, test_misaligned_trap);
    tcase_add_test(tc, test_ad_trap);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
