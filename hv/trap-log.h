/*
 * A bare guest's "exits": the traps that its hart takes, logged and counted as a monitor would.
 * The log is a ring; the newest TRAP_LOG traps are in it.
 */
#ifndef VITRINE_HV_TRAP_LOG_H
#define VITRINE_HV_TRAP_LOG_H

#include "cpu/isa.h"
#include "cpu/machine.h"
#include "hv/vm.h"

enum { TRAP_LOG = EXIT_LOG };

struct trap_log {
    struct exit_record *record;    /* ring: trap number n is at n % TRAP_LOG */
    uint64_t count;                /* since reset */
    uint64_t last;                 /* instruction count at the newest */
    uint64_t kind[2][CAUSE_COUNT]; /* exceptions, interrupts */
};

extern const struct state_table trap_log_state;

bool trap_log_init(struct trap_log *log); /* false: no memory */
void trap_log_free(struct trap_log *log);
void trap_log_clear(struct trap_log *log);
/* The machine publishes this EVENT_TRAP. */
void trap_log_add(struct trap_log *log, const struct machine *machine, const struct event *event);

#endif
