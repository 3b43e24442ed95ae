/* Time, counted in instructions. See clock.h. */
#include "cpu/clock.h"

#include <time.h>

#include "cpu/rv.h"

static const struct state_field clock_fields[] = {
    STATE(struct clock, U64, idle),
    STATE(struct clock, U64, offset),
    STATE(struct clock, U64, mtimecmp),
    STATE(struct clock, U64, stimecmp),
    STATE(struct clock, BOOL, stimecmp_on),
    STATE_NOT(struct clock, deadline, "follows from the comparators"),
    STATE_NOT(struct clock, host, "configuration"),
    STATE_NOT(struct clock, host_start, "the host's"),
    STATE_NOT(struct clock, host_now, "the host's"),
};
const struct state_table clock_state = STATE_TABLE("clock", struct clock, 1, clock_fields);

static uint64_t host_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void clock_reset(struct clock *clock)
{
    *clock = (struct clock){
        .mtimecmp = UINT64_MAX,
        .stimecmp = UINT64_MAX,
        .deadline = CLOCK_NEVER,
        .host = clock->host,
        .host_start = host_ns(),
    };
}

void clock_sample(struct clock *clock)
{
    if (clock->host)
        clock->host_now = (host_ns() - clock->host_start) / (1000000000u / TIMEBASE_HZ);
}

/* Ticks without the offset. */
static uint64_t ticks(const struct clock *clock, uint64_t executed)
{
    return clock->host ? clock->host_now : (executed + clock->idle) / CLOCK_INSNS_PER_TICK;
}

uint64_t clock_mtime(const struct clock *clock, uint64_t executed)
{
    return ticks(clock, executed) + clock->offset;
}

void clock_set_mtime(struct clock *clock, uint64_t executed, uint64_t mtime)
{
    clock->offset = mtime - ticks(clock, executed);
    clock_arm(clock, executed);
}

bool clock_mtip(const struct clock *clock, uint64_t executed)
{
    return clock_mtime(clock, executed) >= clock->mtimecmp;
}

bool clock_stip(const struct clock *clock, uint64_t executed)
{
    return clock->stimecmp_on && clock_mtime(clock, executed) >= clock->stimecmp;
}

/* The nearest comparator in the future, in ticks; CLOCK_NEVER if there is none. */
static uint64_t next_comparator(const struct clock *clock, uint64_t now)
{
    uint64_t next = CLOCK_NEVER;
    if (clock->mtimecmp > now)
        next = clock->mtimecmp;
    if (clock->stimecmp_on && clock->stimecmp > now && clock->stimecmp < next)
        next = clock->stimecmp;
    return next;
}

/* Instructions from now until mtime is `when` (> now); CLOCK_NEVER if that is beyond counting. */
static uint64_t insns_until(const struct clock *clock, uint64_t executed, uint64_t when)
{
    uint64_t away = when - clock_mtime(clock, executed);
    if (away > UINT64_MAX / CLOCK_INSNS_PER_TICK / 4)
        return CLOCK_NEVER;
    return away * CLOCK_INSNS_PER_TICK - (executed + clock->idle) % CLOCK_INSNS_PER_TICK;
}

void clock_arm(struct clock *clock, uint64_t executed)
{
    clock->deadline = CLOCK_NEVER;
    uint64_t next = next_comparator(clock, clock_mtime(clock, executed));
    if (clock->host || next == CLOCK_NEVER)
        return;
    uint64_t away = insns_until(clock, executed, next);
    if (away < CLOCK_NEVER - executed)
        clock->deadline = executed + away;
}

bool clock_skip_idle(struct clock *clock, uint64_t executed)
{
    uint64_t next = next_comparator(clock, clock_mtime(clock, executed));
    if (clock->host || next == CLOCK_NEVER)
        return false;
    uint64_t away = insns_until(clock, executed, next);
    if (away == CLOCK_NEVER)
        return false;
    clock->idle += away;
    clock_arm(clock, executed);
    return true;
}

uint64_t clock_host_wait_ns(const struct clock *clock)
{
    uint64_t now = clock_mtime(clock, 0);
    uint64_t next = next_comparator(clock, now);
    if (!clock->host || next == CLOCK_NEVER || next - now > UINT64_MAX / 200)
        return UINT64_MAX;
    return (next - now) * (1000000000u / TIMEBASE_HZ);
}
