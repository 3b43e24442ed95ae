/*
 * Live migration: a guest goes on on another host, and notices nothing.
 *
 * Pre-copy, after Clark et al., "Live Migration of Virtual Machines" (NSDI 2005): while the guest
 * runs, all its pages are sent, then those that it has written meanwhile, and so on in rounds. When
 * what is left can be sent within the downtime that is allowed, the guest stops, the rest and the
 * state of processor and devices follow, and the other side takes over.
 *
 *     source                                      destination
 *     migrate_send()                              migrate_receive()
 *
 *     HELLO  magic, version          ----->
 *                                    <-----       HELLO
 *     CONFIG kind, memory, image ... ----->       compares it with its own
 *                                    <-----       ACCEPT   (or ABORT and why)
 *     PAGES, PAGES ... ROUND         ----->       puts them into memory that nobody runs in
 *                                    <-----       SYNC     the round is here
 *     ... until few pages are left; from here on the guest stands
 *     PAGES ... INPUT, STATE         ----->
 *     PREPARE                        ----->       is all here, whole and acceptable?
 *                                    <-----       READY
 *     COMMIT                         ----->       runs the guest
 *                                    <-----       DONE
 *
 * Who runs the guest, at every instant:
 *
 *  - The source, until it has sent COMMIT. Whatever goes wrong before (the link breaks, the other
 *    side refuses, somebody's patience ends) it closes the link, and the guest goes on here as if
 *    nothing had been: MIGRATE_STAYED. The destination cannot get a COMMIT that was not sent, so
 *    it never runs.
 *  - Nobody, while COMMIT is on its way.
 *  - The destination, from the moment when it has COMMIT. It runs the guest whether DONE arrives
 *    or not.
 *
 * So never do two run. But the source cannot always know how it ended: if the link breaks between
 * COMMIT and DONE, the destination may or may not have got it, and no further message could settle
 * that (the two generals: the last messenger's arrival is what one never knows). We hold on to the
 * rule that two copies are worse than none: the source keeps the guest, whole and still, and says
 * MIGRATE_DOUBT. A person who has looked at the other side may say session_take_back(), and it goes
 * on here; or free the session, if it runs there. The window is one message wide: it opens after
 * READY, when all that could be refused has been refused.
 *
 * The same seen from the destination: if the link breaks after READY and no COMMIT has come, it
 * has the whole guest and may not run it: MIGRATE_WHOLE. Should the source be lost for good, a
 * person may run the session that it has; it starts just where the source has stopped, and the
 * source has not run since it sent PREPARE, unless it went on after giving up.
 *
 * Post-copy, after Hines and Gopalan, "Post-Copy Based Live Virtual Machine Migration" (VEE 2009):
 * the guest is handed over before all of its memory is there. The hand-over is the one above, with
 * one more message: the set of pages that are missing (or sent, and written since).
 *
 *     INPUT, STATE, MISSING, PREPARE ----->
 *                                    <-----       READY
 *     COMMIT                         ----->       runs the guest
 *                                    <-----       DONE
 *     PAGES, PAGES ...               ----->       puts them where nobody has looked yet
 *                                    <-----       GOT, for each of these messages
 *                                    <-----       DEMAND, of a page that the guest waits for
 *     PAGES, with that page first    ----->
 *                                    <-----       ARRIVED: all are here
 *
 * Who runs the guest is settled as before, by COMMIT; only that a destination which has no COMMIT
 * has no whole guest either. But after it the guest needs both sides: if the link breaks before
 * ARRIVED (MIGRATE_TORN), the destination's guest stands at the first page that it needs and has
 * not, in front of the instruction, and the source, which has that page, must not run it, since the
 * guest has gone on. Neither side has lost anything yet: over a new link it goes on where it was.
 *
 *     HELLO                          ----->
 *                                    <-----       HELLO
 *     RECOVER, with the same token   ----->
 *                                    <-----       MISSING: these are not here
 *     PAGES ...                      ----->       as above
 *
 * Lost it is if either process ends before that.
 *
 * The guest's disk is the same file (or shared storage) on both sides, and changes hands with the
 * guest. The destination's session is made with config.disk_away: it has opened the file, and
 * neither locked nor used it. The source flushes before PREPARE and writes nothing afterwards;
 * after PREPARE the destination looks whether it could go on with what is there, and says READY.
 * The source gives its lock away just before COMMIT; the destination takes it when it has COMMIT,
 * reads the image's tables, and runs. So the lock is a second safety, where both sides see the same
 * locks: a guest that was to run in two places would not get its disk in one of them. If the lock
 * cannot be had, since a third program was quick, the guest stands whole: STANDS. Who takes a guest
 * back takes its disk first, and is refused if the other side has it. Input that was typed and not
 * delivered moves along; what the guest has printed is printed already.
 *
 * Time: a guest whose time counts instructions goes on at its instruction, so that its digest
 * equals that of a run which never moved. Not moved: snapshots, history, breakpoints, the log of
 * exits; and the tables of the monitor, which the destination's builds anew. With KVM both hosts
 * must have the same kind of processor.
 *
 * What comes from the other side is not trusted: every length has a bound (migrate-stream.h), every
 * message a checksum and a number, every page an index that is checked, state is checked whole
 * before it is taken over, and nothing of the guest is executed before all of that. A checksum
 * finds damage, not malice: who may connect is decided by the address and the secret (link.h).
 */
#ifndef VITRINE_HV_MIGRATE_H
#define VITRINE_HV_MIGRATE_H

#include <stdatomic.h>

#include "hv/link.h"
#include "hv/session.h"

struct migrate_options {
    double downtime;   /* seconds that the guest may stand; 0: 10 ms */
    unsigned rounds;   /* at most; 0: 30, and 1 with post-copy */
    bool postcopy;     /* if what is left then is too much, it follows behind the guest */
    unsigned throttle; /* a guest that writes too fast is slowed down to 100 - this, in percent, at
                        * most; 0: it is left alone. Up to 99 */
    const char *to;    /* the other side's name, for texts */
    const atomic_bool *quit; /* when it is set before the hand-over has begun, nothing has happened:
                              * STAYED. Later it changes nothing. May be NULL */
};

enum migrate_end {
    MIGRATE_MOVED,  /* source: the guest runs there. Destination: it is ours */
    MIGRATE_STAYED, /* source: nothing has happened here. Destination: there is no guest */
    MIGRATE_DOUBT,  /* source: see above; session_take_back() */
    MIGRATE_WHOLE,  /* destination: the guest is here, but was not handed over */
    MIGRATE_STANDS, /* destination: it is ours, but somebody else has its disk: session_run() tries
                     * again to get that */
    MIGRATE_TORN,   /* the link broke in post-copy: the guest is there, some of its memory here
                     * (destination: the other way round) */
};

/*
 * Sends the session's guest, which may be running, over the link, whose secret has been proved if
 * there is one. Takes as long as that takes; meanwhile the session answers as ever, but for the
 * moment of the hand-over. Progress: session_view_migration(). The session then is SESSION_ENDED
 * with STOPPED_MOVED (MOVED, DOUBT, TORN), or as it was (STAYED). `why` (SESSION_ERROR bytes) has
 * one line unless the result is MOVED. The link stays the caller's. With post-copy it returns when
 * all of the guest's memory has arrived; session_view_migration() tells what runs where meanwhile.
 */
enum migrate_end migrate_send(struct session *session, struct link *link,
                              const struct migrate_options *options, char *why);

/*
 * Receives a guest into a session that was made with the same configuration and has not run. After
 * MOVED it stands where the source has stopped; `runs` tells whether it was running there, and
 * shall be. After anything else its content is undefined and it must not be run (but see WHOLE).
 */
enum migrate_end migrate_receive(struct session *session, struct link *link, bool *runs, char *why);

/*
 * ---- post-copy ----
 *
 * After migrate_receive() has said MOVED a part of the guest's memory may not be here: the caller
 * lets the guest run, and calls migrate_receive_rest() on another thread, which takes that part
 * from the same link (it must still be in its place) until all is here. MOVED (at once, if nothing
 * was missing), or TORN with `why`: then the guest stops with STOPPED_MISSING as soon as it needs a
 * page that is not here, and whenever it is run again.
 *
 * Over another link it goes on: migrate_recover() at the source, whose guest was torn off, or in
 * doubt; migrate_receive_again() at the destination. Both return as above; migrate_recover() also
 * STAYED, with `why`: there was nothing to recover.
 */
enum migrate_end migrate_receive_rest(struct session *session, char *why);
enum migrate_end migrate_recover(struct session *session, struct link *link, char *why);
enum migrate_end migrate_receive_again(struct session *session, struct link *link, char *why);

#endif
