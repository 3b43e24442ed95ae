/*
 * Waiting for a condition up to a moment: by a clock that only goes forward, whoever sets the
 * host's time meanwhile. A beat that comes an hour late because somebody has set the clock back
 * would be the loss of a host (protect.h).
 */
#ifndef VITRINE_HV_DEADLINE_H
#define VITRINE_HV_DEADLINE_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* A condition that is waited for up to such a moment. It is destroyed as any other. */
void deadline_init_cond(pthread_cond_t *cond);
/* So many nanoseconds from now, for pthread_cond_timedwait(). */
struct timespec deadline_after(uint64_t ns);
static inline struct timespec deadline_after_ms(uint64_t ms)
{
    return deadline_after(ms * 1000000u);
}

#endif
