/* What benchmarks of two sessions share. See pair.h. */
#include "config.h"

#include "tests/bench/pair.h"

#include <stdio.h>
#include <stdlib.h>

struct session *bench_session(const struct session_config *config)
{
    char why[SESSION_ERROR];
    struct session *session = session_new(config, why);
    if (!session) {
        fprintf(stderr, "bench: %s\n", why);
        exit(2);
    }
    return session;
}

uint64_t bench_instructions(struct session *session)
{
    struct view_status status;
    session_status(session, &status);
    return status.instructions;
}

double bench_now(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void bench_rest(double seconds)
{
    struct timespec ts = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&ts, NULL);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}
