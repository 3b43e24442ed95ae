/*
 * Post-copy, seen from the destination: the guest runs here, and some of its pages are still at the
 * source.
 *
 * Two kinds of threads meet here. One takes the pages from the link as they come: put(). Others run
 * the guest, or look at it, and find a page missing: here(), which asks the source for it, once.
 * The one that takes pages never needs the session's lock, so that nobody who holds it waits for
 * ever.
 *
 * When the link is lost whoever waits is told so, and the set stays: over another link it is
 * continued. See migrate.h for the protocol.
 */
#ifndef VITRINE_HV_POSTCOPY_H
#define VITRINE_HV_POSTCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;
struct postcopy;

/* Writes a page (NULL: zeros) where it belongs; nobody else touches that place. 0 or -errno. */
typedef int (*postcopy_put_fn)(void *context, uint64_t page, const uint8_t *bytes);

/* `missing`: a bit for each of `pages` pages. `token` tells this migration from others. NULL: no
 * memory. */
struct postcopy *postcopy_new(uint64_t pages, const uint64_t *missing, uint64_t token);
void postcopy_free(struct postcopy *postcopy);
/* Before the first page comes. */
void postcopy_deliver_to(struct postcopy *postcopy, postcopy_put_fn put, void *context);

/* ---- the link -------------------------------------------------------------------------------- */

/* Requests go out through this stream from now on; nobody else writes to it, but by send(). */
void postcopy_connect(struct postcopy *postcopy, struct stream *out);
/* No more: `why` is for people. */
void postcopy_disconnect(struct postcopy *postcopy, const char *why);
/* One message that has a number (enum message). 0 or the link's error. */
int postcopy_send(struct postcopy *postcopy, int message, uint64_t number);
/* A page has come. 0; -EINVAL: it was not missing; or what put() says. */
int postcopy_put(struct postcopy *postcopy, uint64_t page, const uint8_t *bytes);

/* ---- the pages ------------------------------------------------------------------------------- */

/* Is the page here? If not it is asked for, and waited for up to `wait_ms`, or until the link is
 * lost. */
bool postcopy_here(struct postcopy *postcopy, uint64_t page, int wait_ms);
/* Was it ever missing? */
bool postcopy_was_missing(const struct postcopy *postcopy, uint64_t page);
/* How many are missing still. */
uint64_t postcopy_missing(struct postcopy *postcopy);
/* Are all here? Waits up to `wait_ms` for it, or until the link is lost. */
bool postcopy_complete(struct postcopy *postcopy, int wait_ms);
/* Is the link lost? Then why (`size` bytes). */
bool postcopy_lost(struct postcopy *postcopy, char *why, size_t size);
/* The set of those that are missing, of a bit each. */
void postcopy_list(struct postcopy *postcopy, uint64_t *bits);
uint64_t postcopy_token(const struct postcopy *postcopy);

struct postcopy_figures {
    uint64_t asked;            /* pages that somebody had to wait for ... */
    double waited, waited_max; /* ... and seconds from the request to the page: in all, at most */
};
struct postcopy_figures postcopy_figures(struct postcopy *postcopy);

#endif
