/*
 * A mover: sends a session's guest to another host (migrate.h), on a thread of its own.
 *
 *     struct mover *m = mover_new(session, &(struct mover_wish){.address = "unix:/tmp/there"});
 *     ...                                       // session_view_migration() tells how it goes
 *     end = mover_free(m, why);                 // waits for the end
 */
#ifndef VITRINE_HV_MOVER_H
#define VITRINE_HV_MOVER_H

#include "hv/migrate.h"
#include "hv/session.h"

struct mover;

struct mover_wish {
    const char *address;
    const char *secret; /* a file; NULL: none */
    bool recover;       /* goes on with a post-copy whose link was lost; `how` does not matter */
    struct migrate_options how;
    void (*done)(void *context); /* called on the thread when all is over; must not call the mover.
                                  * NULL: nobody */
    void *context;
};

/* Calls the address, and moves the guest there. The wish's texts are copied. NULL: the host has no
 * memory, or no thread. */
struct mover *mover_new(struct session *session, const struct mover_wish *wish);
bool mover_is_over(const struct mover *mover);
/* From now on the guest stays here, unless it is being handed over already; mover_free() tells how
 * it ended. Returns at once; it is over as soon as the other side has been called. What was torn
 * goes on: there is no way back for that guest. */
void mover_call_off(struct mover *mover);
/* Waits until it is over. Unless the guest has moved, `why` (SESSION_ERROR bytes) has one line.
 * NULL is allowed: MIGRATE_STAYED, and `why` is empty. */
enum migrate_end mover_free(struct mover *mover, char *why);

#endif
