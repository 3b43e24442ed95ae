/*
 * A guard: sees to it that a session's guest is protected for as long as it runs.
 *
 * A protection (protect.h) ends with the loss of the backup; then the guest goes on alone, and the
 * next loss is the last. So a guard looks for the next backup: it calls the same address again,
 * every two seconds, until somebody stands by there. The same goes for a backup that has taken a
 * guest over. It does so on a thread of its own:
 *
 *     struct guard *g = guard_new(session, tell, context);
 *     guard_protect(g, &(struct guard_wish){.address = "unix:/tmp/there"}, false, why);
 *     session_run(session);
 *     ...
 *     guard_free(g);                   // ends it in order
 *
 * The fence is the guard's, not a protection's: the turn that was claimed when the last backup was
 * lost, or the primary, is the one under which the guest is protected next, and it lasts as long as
 * the guard does.
 *
 *     generation  1 -----> 2 ------------------> 3 --------
 *                 A and B  B alone  B and C      C alone
 *                        A is lost             B is lost
 *
 * How it goes: session_view_protection(), with `searching` while there is no backup.
 */
#ifndef VITRINE_HV_GUARD_H
#define VITRINE_HV_GUARD_H

#include "hv/session.h"

struct fence;
struct guard;

/* What a guest is protected by; all of it is copied. */
struct guard_wish {
    const char *address;  /* of a backup */
    const char *secret;   /* file; NULL: none */
    unsigned epoch_ms;    /* 0: 40 */
    unsigned patience_ms; /* 0: 3,000. Must be several epochs */
    unsigned retry_ms;    /* between two searches; 0: 2,000 */
};

enum guard_event {
    GUARD_PROTECTED, /* a backup was found */
    GUARD_LOST,      /* the guest goes on unprotected; a backup is looked for from now on */
    GUARD_STANDS,    /* the backup has, or may have, taken the guest over */
    GUARD_OVER,      /* it was ended in order */
};

/* `tell` is called on the guard's thread, with one line; it may ask the session, but must not call
 * the guard. NULL result: the host has no memory, or no thread. */
struct guard *guard_new(struct session *session,
                        void (*tell)(void *context, enum guard_event event, const char *text),
                        void *context);
/* Ends the protection in order, if there is one, and closes the fence; NULL is allowed. */
void guard_free(struct guard *guard);

/* Opens a fence, and begins a turn: the guest is protected under it from now on. 0, also if it is
 * the fence that there is; -EALREADY: there is another one; or as fence_begin(), with `why`. */
int guard_set_fence(struct guard *guard, const char *path, char *why);
/* The same with one that was claimed already; it is the guard's then. */
void guard_take_fence(struct guard *guard, const struct fence *fence);

/*
 * Protects the guest from now on, in place of what was looked for before. With `search` it returns
 * at once, and looks for a backup until there is one; else one must be there now, and is looked for
 * again only when it is lost. 0; -EBUSY: the guest is protected; -EINVAL: this is no address; or
 * another -errno; then `why` (at
 * least SESSION_ERROR bytes) has one line, and nothing has happened.
 */
int guard_protect(struct guard *guard, const struct guard_wish *wish, bool search, char *why);
/* Ends the protection in order, and the search. -ESRCH: there was neither. */
int guard_release(struct guard *guard);
/* The same without waiting for the end, for which a backup that is dead may take the patience that
 * there is: session_view_protection() shows it. */
void guard_call_off(struct guard *guard);

#endif
