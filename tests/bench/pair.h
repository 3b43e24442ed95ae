/* What benchmarks of two sessions share: sessions, clocks, medians. */
#ifndef VITRINE_TESTS_BENCH_PAIR_H
#define VITRINE_TESTS_BENCH_PAIR_H

#include <time.h>

#include "hv/session.h"

/* Ends the program, with a line, if there is none. */
struct session *bench_session(const struct session_config *config);
uint64_t bench_instructions(struct session *session);
double bench_now(clockid_t clock); /* seconds */
void bench_rest(double seconds);
/* Of `count` values, which it sorts. */
double bench_median(double *values, int count);

#endif
