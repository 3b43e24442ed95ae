/* `vitrine run --incoming ADDRESS`: the guest comes from another host. */
#ifndef VITRINE_HV_CMD_INCOMING_H
#define VITRINE_HV_CMD_INCOMING_H

#include "hv/cmd/cmd.h"
#include "hv/migrate.h"

/* The rest of a guest that has come by post-copy. */
struct incoming;

/* Waits for the guest. After MIGRATE_MOVED and MIGRATE_WHOLE it is in the session; else (and after
 * a message) there is none. If the rest of its memory is still to come, `*rest` takes it, on a
 * thread of its own: when the link is lost it waits at the same address for another one, and when
 * it gives up it wakes `waker` (waker.h). Else NULL. */
enum migrate_end incoming_receive(struct session *session, const struct options *options, int waker,
                                  bool *runs, struct incoming **rest);
/* The guest was running, or is to run from now on: so it shall go on when the rest comes after all.
 */
void incoming_runs(struct incoming *rest, bool runs);
/* Does the guest stand since a page is missing, and may it still come? */
bool incoming_waits(const struct incoming *rest);
/* Waits until a guest that has ended has let go of the source; takes another one away from it. NULL
 * is allowed. */
void incoming_end(struct incoming *rest);

/* Waits at an address for a caller who knows the secret, if there is one. `what` is the option or
 * subcommand that wants it, for messages. ops NULL: after a message. */
struct link incoming_caller(const struct options *options, const char *what, const char *address,
                            int patience_ms);

#endif
