/*
 * A mover: sends a session's guest to another host (migrate.h), on a thread of its own.
 *
 *     struct mover *m = mover_new(session, "unix:/tmp/there", done, context);
 *     ...                                       // session_view_migration() tells how it goes
 *     moved = mover_free(m, why);               // waits for the end
 */
#ifndef VITRINE_HV_MOVER_H
#define VITRINE_HV_MOVER_H

#include "hv/session.h"

struct mover;

/* Calls the address, and moves the guest there. `done` is called on the thread when all is over; it
 * must not call the mover. NULL: the host has no memory, or no thread. */
struct mover *mover_new(struct session *session, const char *address, void (*done)(void *context),
                        void *context);
bool mover_is_over(const struct mover *mover);
/* Waits until it is over. Has the guest moved? If not, `why` (SESSION_ERROR bytes) has one line.
 * NULL is allowed: false, and `why` is empty. */
bool mover_free(struct mover *mover, char *why);

#endif
