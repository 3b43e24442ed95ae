/* `vitrine run --protect ADDRESS` and `vitrine backup ADDRESS`: a guest that outlives its host. */
#ifndef VITRINE_HV_CMD_PROTECT_H
#define VITRINE_HV_CMD_PROTECT_H

#include "hv/cmd/cmd.h"
#include "hv/guard.h"
#include "hv/protect.h"

/* Do these options go together? 0, or EXIT_USAGE after a message. */
int protect_check(const struct options *options);

/* The guard of a run, and who tells how it goes, on stderr. */
struct keeper {
    struct session *session;
    struct guard *guard; /* NULL: this run cannot be protected */
    int waker;           /* is woken when something has happened */
    bool lost;           /* a backup was, or this was one */
};

/* Makes the guard where these options allow for one. 0, or EXIT_USAGE after a message. */
int keeper_init(struct keeper *keeper, struct session *session, const struct options *options,
                int waker);
/* Protects the guest from its first instruction on. 0, or EXIT_USAGE after a message. */
int keeper_protect(struct keeper *keeper, const struct options *options);
/* Waits at options->backup for a guest, and as long as it runs there. What has come of it is told.
 * If the guest is ours then, it is protected in turn, as soon as somebody stands by there. */
enum backup_end keeper_stand_by(struct keeper *keeper, const struct options *options, bool *runs);
/* Ends the protection in order. 0, or the exit status EXIT_DOUBT. */
int keeper_end(struct keeper *keeper);
void keeper_free(struct keeper *keeper);

#endif
