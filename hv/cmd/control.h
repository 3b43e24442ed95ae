/*
 * The door of a running `vitrine run --control PATH`: a Unix socket of mode 0600 that takes one
 * line a connection and answers with lines, of which the last begins with "ok" or "error:".
 *
 *     status [json]              what the guest does; a line each for its last migration and its
 *                                protection before that. json: the same as one object
 *     pause, resume              the guest; resume also runs one that has come whole, but was not
 *                                handed over
 *     migrate [secret=FILE] [downtime=MS] [rounds=N] [throttle=PERCENT] [postcopy=1] ADDRESS
 *                                moves it; a line "progress ..." each fifth of a second. A line
 *                                "cancel" on the same connection calls it off before the hand-over
 *     protect [secret=FILE] [fence=FILE] [epoch=MS] [patience=MS] ADDRESS
 *                                protects it by a `vitrine backup` there, and by the next one if
 *                                that is lost
 *     unprotect                  ends that, in order
 *     recover [secret=FILE] ADDRESS
 *                                goes on with a post-copy whose link was lost
 *     take-back                  after a migration that ended in doubt: the guest goes on here
 *     quit                       ends the run
 *
 * It is served by a thread of its own, one connection after the other; but while the guest is moved
 * others are answered, too.
 */
#ifndef VITRINE_HV_CMD_CONTROL_H
#define VITRINE_HV_CMD_CONTROL_H

#include <stdbool.h>

#include "hv/guard.h"
#include "hv/session.h"

struct control;

/* `guard` protects the guest when somebody wants it; NULL: this run cannot be protected. `waker` is
 * woken when something has changed that the run's loop must know. NULL after a message. */
struct control *control_new(struct session *session, struct guard *guard, const char *path,
                            int waker);
/* Ends the thread, after the answer that it is giving; NULL is allowed. */
void control_free(struct control *control);

/* A line of an answer. */
void control_say(int client, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Has somebody said quit? */
bool control_quits(const struct control *control);
/* Is a stopped guest to be waited for: was it paused here, is it in doubt who runs it, or is some of
 * its memory here only? */
bool control_waits(struct control *control);
/* The guest has come, but was not handed over: it waits for `resume`. */
void control_hold(struct control *control);

#endif
