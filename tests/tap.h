/* Running a suite of Check and reporting in TAP. */
#ifndef VITRINE_TESTS_TAP_H
#define VITRINE_TESTS_TAP_H

#include <check.h>

/* Check's own tells its parent of each assertion that holds, by a write to a pipe: most of the time of
 * a test that asserts in a loop. The price: where a test has crashed, Check names its first line. */
#undef ck_assert_msg
#define ck_assert_msg(expr, ...)                                                                   \
    ((expr) ? (void)0                                                                              \
            : _ck_assert_failed(__FILE__, __LINE__, "Assertion '" #expr "' failed", ##__VA_ARGS__))

/* Rows of a table of cases, for tcase_add_loop_test(). */
#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* What main() returns. */
static inline int tap_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
