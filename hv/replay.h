/*
 * Running backwards, by checkpoints and replay.
 *
 *      instructions  0 ----+--------+----------+----+--+-+-+|  end: what is known of the run
 *                    checkpoints, sparser into the past   here
 *
 * A run is a function of the image, the configuration and the input, so any moment of it can be had
 * again: put the nearest checkpoint before it back, deliver the recorded input at the recorded
 * instructions, and run up to it. A checkpoint is taken whenever the engine has run for about 20
 * ms, so that the way from one to the next takes no longer than that; or less often, if checkpoints
 * are dear here, but so that to put one back and to run to the next stays within 50 ms. Shortly
 * before a moment that one has gone to there are two more, for the next step back. When all of them
 * take more memory than allowed, those go that leave the smallest gap for their distance: near the
 * present there are many, far back few. On the way to a moment in the past new ones are taken, so
 * that the next step back is as quick there.
 *
 * Positions are counts of instructions. Position N is the moment when N instructions were executed,
 * *before* the input that arrives there and before an interrupt is taken.
 *
 * While the guest stands in the past it runs on as it did: recorded input is delivered again, and
 * what it has printed is not printed twice. Whoever types something new there, or writes to memory
 * or registers, cuts the recorded future off and begins another.
 *
 * Deliberately left out: runs with the host's clock, which cannot be repeated; and going back
 * across a reset of the guest, which begins a new history.
 */
#ifndef VITRINE_HV_REPLAY_H
#define VITRINE_HV_REPLAY_H

#include "hv/backend.h"

struct simulated;

/* A history begins here, with a checkpoint; the one before is forgotten. */
void replay_start(struct simulated *s);
/* There is no way back any longer. */
void replay_end(struct simulated *s);
void replay_free(struct simulated *s);

/* Host memory that it takes, with snapshots and the disk's written blocks. */
uint64_t replay_bytes(const struct simulated *s);

/* Does the guest stand before the end of what is known? */
bool replay_in_past(const struct simulated *s);
/* Between two slices: takes a checkpoint if it is time. */
void replay_mark(struct simulated *s);
/* Delivers the recorded input that is due. */
void replay_deliver(struct simulated *s);
/* For how many instructions at most the guest may run before one of the above must be asked again.
 */
uint64_t replay_bound(const struct simulated *s);
/* After a slice that took so long: notes how far the run is known, and how fast it goes. */
void replay_ran(struct simulated *s, uint64_t from, uint64_t ns);
/* From here on the run is another one. */
void replay_cut(struct simulated *s);
/* A debugger has written to the guest: from here on the run is another one, which cannot be had by
 * replaying what was before. */
void replay_written(struct simulated *s);

/* The goals that lead into the past. 0; -ENOTSUP: there is no history; -ENOSPC: it did not fit into
 * its memory. */
int replay_begin(struct simulated *s, const struct backend_command *command);
/* One slice of a search. True: the run is over, and `stop` says why. */
bool replay_search(struct simulated *s, struct backend_stop *stop);
/* The position that was wanted is reached. True: the run is over. */
bool replay_arrived(struct simulated *s, struct backend_stop *stop);

#endif
