/*
 * Protection: a guest survives the loss of its host, and nobody who talks to it can tell.
 *
 * Checkpoint replication, after Cully et al., "Remus: High Availability via Asynchronous Virtual
 * Machine Replication" (NSDI 2008). Time is cut into epochs, 25 a second unless told otherwise. At
 * the end of each the guest stands for as long as it takes to copy the pages that it has written,
 * and the state of processor and devices; then it runs on, while the copy is on its way to a second
 * host, the backup.
 *
 *     primary                                  backup
 *     protect_begin(), protect_run()           protect_receive()
 *
 *     HELLO, CONFIG          <---->            as in a migration (migrate.h)
 *     PROTECT   the fence    ----->            knows the same one
 *                            <-----            ACK 0
 *     PAGES ... all of them, while the guest runs
 *     PAGES, BLOCKS, OUTPUT, INPUT, STATE      keeps them aside
 *     EPOCH n   and a sum    ----->            whole? puts all of it into its guest
 *                            <-----            ACK n
 *     shows the output of epoch n, writes its blocks to the disk
 *     ... the same again ...
 *     OVER n                 ----->            nothing is left to be protected
 *
 * The primary runs *speculatively*: it is ahead of what the backup has. If it dies, what it did
 * since the last epoch that has arrived has never happened. So nobody may have seen it:
 *
 *  - What the guest prints, writes to its disk and sends to a network is held back until the
 *    backup acknowledges the epoch in which it was done. The price is delay: up to an epoch and a
 *    round trip.
 *  - What is typed is the guest's for good when an epoch that has it is acknowledged. Its echo
 *    tells: that is output.
 *
 * So the world sees a prefix of what the backup's guest has done, and whatever the backup does
 * from there on denies nothing of it. There is one moment in which the backup cannot know how long
 * the prefix is: when it has sent ACK n, and nothing came after, epoch n may have been shown or
 * not. Then it shows its output itself (it has come with the epoch): twice is better than never.
 * All output is numbered by bytes since protection began, and `shown_from` tells the number of the
 * first byte that the backup shows: who keeps the console's text can tell what comes twice. Blocks
 * of a disk may be written twice in any case: they are the same.
 *
 * Who runs the guest
 *
 * A backup that hears nothing any more cannot know whether the primary is dead or the link is. The
 * same goes for the primary. It cannot be found out by sending messages; so a third decides, a
 * fence (fence.h) that both can reach:
 *
 *  - The primary begins with a turn of its own. All its writes to the disk are made with that
 *    turn held: after it has ended none is possible.
 *  - A backup that has lost the primary claims the next turn. Only then does it run the guest.
 *  - A primary that has lost the backup claims the next turn, too. Only then does it show what it
 *    holds and goes on alone: from then on the backup's copy is old, and the claim keeps it from
 *    ever running.
 *  - Who finds the turn taken is fenced: it runs nothing and writes nothing. That holds for a
 *    primary that was stopped for an hour and comes back, too.
 *
 * So never do two run. Never none, as long as one of them lives and the fence can be reached; if it
 * cannot, the primary stands (DOUBT) and the backup does not begin (UNSURE), and a person decides.
 *
 * Without a fence the backup runs the guest as soon as it has lost the primary, and the primary,
 * when it has lost the backup, stands and waits for a person's word (session_take_back()). Held
 * back output makes that safe for the console: what a primary does after the last ACK nobody sees.
 * It would not be for a disk, to which a primary that is slow could still write what was
 * acknowledged long ago: a writable disk needs a fence.
 *
 * The disk's lock is the primary's while it lives, and is given up by one that is fenced. A backup's
 * session is made with config.disk_away; it takes the lock when it has its turn, reads the image's
 * tables, and writes what is held. Where a primary that is frozen still has the lock the guest stands
 * (UNSURE): session_run() tries again.
 *
 * Connections of a guest's network end when the backup takes over. Frames of the last epoch may
 * have been sent or not, and are not sent again: networks lose frames.
 *
 * Heartbeat: an epoch is sent whether the guest has done anything or not, so that silence
 * for the link's patience (link_of_socket()) is the loss of the other side. Patience must be
 * several epochs long. While a terminal or a disk keeps the primary from going on it sends BEAT.
 *
 * What the guest flushes to its disk is in two hosts' memory when it is acknowledged, and in the
 * file soon after. The loss of one host loses nothing of it; that of both at the same moment could.
 */
#ifndef VITRINE_HV_PROTECT_H
#define VITRINE_HV_PROTECT_H

#include <stdatomic.h>

#include "hv/fence.h"
#include "hv/link.h"
#include "hv/session.h"

struct protect_options {
    unsigned epoch_ms;     /* 0: 40 */
    uint64_t instructions; /* not 0: epochs of so many guest instructions in the place of time. The
                            * guest must stand: it is run by steps, always the same ones */
    uint64_t epochs;       /* end in order after so many; 0: go on */
    unsigned patience_ms;  /* the other side's with the link, and for the fence's lock; 0: 2,000 */
    struct fence *fence;   /* primary: fence_begin() was called. Backup: fence_open(). NULL: none */
    const atomic_bool *quit; /* primary: end in order when it is set; may be NULL */
    const char *to;          /* the other side's name, for texts */
};

enum protect_end {
    PROTECT_OVER, /* in order. All output is out; the guest is as it was, and no longer protected */
    PROTECT_ALONE,  /* the backup is lost, and the guest goes on here */
    PROTECT_FENCED, /* the backup has taken over: SESSION_ENDED with STOPPED_MOVED */
    PROTECT_DOUBT,  /* the backup is lost, and may have taken over: the same, but for
                     * session_take_back() */
};

struct protection;

/*
 * Greets a backup, whose secret has been proved if there is one. From then on what the guest prints
 * is held back; it may run or not. NULL and one line in `why` (SESSION_ERROR bytes): nothing has
 * happened. All that is named in `options` must outlive it; the link stays the caller's.
 */
struct protection *protect_begin(struct session *session, struct link *link,
                                 const struct protect_options *options, char *why);
/* Protects the guest until it ends, `quit`, or a loss; on a thread of its own, if the guest is to
 * be asked or typed to. Progress: session_view_protection(). `why` has one line unless it is OVER.
 */
enum protect_end protect_run(struct protection *protection, char *why);
void protect_free(struct protection *protection); /* NULL is allowed */

enum backup_end {
    BACKUP_TAKEN,  /* the guest is here, and ours; see `runs` */
    BACKUP_OVER,   /* the primary has ended it in order */
    BACKUP_NONE,   /* the link ended before a whole guest was here */
    BACKUP_FENCED, /* somebody else has claimed the guest: the primary, most likely */
    BACKUP_UNSURE, /* it is here, but the fence cannot be claimed, or it is ours, and its disk is
                    * another's: session_run() tries again to get that */
};

/*
 * Receives a guest's epochs into a session that was made with the same configuration and has not
 * run, until one of the ends above. After TAKEN it stands at the end of the last whole epoch;
 * `runs`: it was running there, and shall be. Output that may not have been shown has been shown.
 * It may also have ended there: then the session has, too. After all other ends it must not be run.
 */
enum backup_end protect_receive(struct session *session, struct link *link,
                                const struct protect_options *options, bool *runs, char *why);

#endif
