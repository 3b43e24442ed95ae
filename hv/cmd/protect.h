/* `vitrine run --protect ADDRESS` and `vitrine backup ADDRESS`: a guest that outlives its host. */
#ifndef VITRINE_HV_CMD_PROTECT_H
#define VITRINE_HV_CMD_PROTECT_H

#include "hv/cmd/cmd.h"
#include "hv/protect.h"

/* Do these options go together? 0, or EXIT_USAGE after a message. */
int guard_check(const struct options *options);

struct guard;

/* Finds the backup, and protects the guest from its first instruction on, on a thread of its own.
 * `waker` is woken when the guest was lost. NULL after a message. */
struct guard *guard_new(struct session *session, const struct options *options, int waker);
/* Ends it in order, if it has not ended, and tells what it cost. 0, or the exit status EXIT_DOUBT.
 * NULL is allowed. */
int guard_end(struct guard *guard);

/* Waits at options->backup for a guest, and as long as it runs there. What has come of it is told.
 */
enum backup_end guard_stand_by(struct session *session, const struct options *options, bool *runs);

#endif
