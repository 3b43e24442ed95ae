/* Inside of running backwards, shared by replay.c (checkpoints, ways to a position) and
 * replay-search.c (ways to a stop). */
#ifndef VITRINE_HV_REPLAY_PRIV_H
#define VITRINE_HV_REPLAY_PRIV_H

#include "hv/replay.h"

struct history;
struct input_record;

static inline uint64_t replay_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- replay.c ------------------------------------------------------------------------------- */

/* The newest checkpoint at or before this position; -1: there is none. */
int replay_newest_before(const struct history *history, uint64_t position);
/* Puts checkpoint `at` back: the guest is what it was there. 0 or -ENOMEM. */
int replay_return_to(struct simulated *s, int at);
/* Begins the way to a position, from the nearest checkpoint or from here; before the first
 * checkpoint it leads there. 0 or -ENOMEM. */
int replay_go_to(struct simulated *s, uint64_t position);
/* There is no such stop: to the beginning. 0 or -ENOMEM. */
int replay_not_found(struct simulated *s);
/* The next record of input. NULL: there is none. */
const struct input_record *replay_next_record(const struct simulated *s);
/* Does it come at this moment? */
bool replay_is_here(const struct simulated *s, const struct input_record *record);

/* ---- replay-search.c ------------------------------------------------------------------------ */

/* GOAL_RUN_BACK, but for BACK_EXIT. 0 or -ENOMEM; the search is replay_search(). */
int replay_begin_search(struct simulated *s, const struct backend_command *command);

#endif
