/*
 * Time, counted in instructions.
 *
 * mtime advances by one tick (100 ns of a 10 MHz time base) for every CLOCK_INSNS_PER_TICK
 * instructions that the hart executes; an instruction that traps counts too, else a guest that traps
 * for ever would stop the clock. An idle hart jumps to its next timer event. So every run replays
 * exactly. With a host clock, mtime follows the host instead and nothing can be replayed.
 *
 * The comparators live here because they turn a tick into the instruction before which the timer
 * interrupt becomes pending: `deadline`, which is all that an engine needs to look at. The CLINT
 * and the CSRs time and stimecmp are windows on this struct.
 */
#ifndef VITRINE_CPU_CLOCK_H
#define VITRINE_CPU_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/state.h"

enum { CLOCK_INSNS_PER_TICK = 10 };
#define CLOCK_NEVER UINT64_MAX

struct clock {
    uint64_t idle;     /* in instructions: how far WFI has jumped so far */
    uint64_t offset;   /* in ticks: what a write to mtime has added */
    uint64_t mtimecmp; /* machine timer, CLINT; in ticks */
    uint64_t stimecmp; /* supervisor timer, Sstc; in ticks */
    bool stimecmp_on;  /* menvcfg.STCE: the supervisor timer drives STIP */
    uint64_t deadline; /* instruction count at which a comparator will match next; CLOCK_NEVER */
    bool host;         /* mtime follows the host's clock */
    uint64_t host_start; /* host's monotonic ns at reset */
    uint64_t host_now;   /* ticks since then, as of the last clock_sample() */
};

extern const struct state_table clock_state;

void clock_reset(struct clock *clock);
/* With a host clock, looks at it; engines call this at the start of every run. */
void clock_sample(struct clock *clock);
/* mtime when `executed` instructions have been executed. */
uint64_t clock_mtime(const struct clock *clock, uint64_t executed);
void clock_set_mtime(struct clock *clock, uint64_t executed, uint64_t mtime);
bool clock_mtip(const struct clock *clock, uint64_t executed); /* mtime >= mtimecmp */
bool clock_stip(const struct clock *clock, uint64_t executed); /* time >= stimecmp, if on */
/* Recomputes `deadline` after a comparator, mtime or idle has changed. */
void clock_arm(struct clock *clock, uint64_t executed);
/* Jumps to the next comparator in the future. false: none is armed. With a host clock it jumps
 * nowhere and returns false. */
bool clock_skip_idle(struct clock *clock, uint64_t executed);
/* Host clock: nanoseconds until the next comparator, UINT64_MAX if none. */
uint64_t clock_host_wait_ns(const struct clock *clock);

#endif
