/* Running a suite of Check and reporting in TAP. */
#ifndef VITRINE_TESTS_TAP_H
#define VITRINE_TESTS_TAP_H

#include <check.h>

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
