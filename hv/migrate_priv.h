/* What both sides of a migration share: the greeting, sets of pages, and post-copy. */
#ifndef VITRINE_HV_MIGRATE_PRIV_H
#define VITRINE_HV_MIGRATE_PRIV_H

#include "hv/backend.h"
#include "hv/migrate-stream.h"
#include "hv/postcopy.h"
#include "hv/session.h"

/* Seconds of a clock that only goes forward. */
double migrate_now(void);

int migrate_send_hello(struct stream *stream);
int migrate_expect_hello(struct stream *stream);

/* The greeting, and that both sides have the same guest: the caller's side, the other one's. */
int migrate_greet(struct session *session, struct stream *stream);
int migrate_answer(struct session *session, struct stream *stream);

/* A session that has not run gets a guest: whatever the image has put there is not its memory. With
 * the lock held. -EBUSY, -ENOMEM. */
int migrate_clear(struct session *session, struct stream *stream);

/* The disk changes hands: see struct backend_move. With the lock held. */
int migrate_disk(struct session *session, enum move_hand how, char *why);
/* Is what the guest has written to its disk only in this program, or in a directory of snapshots,
 * and in no file that the other side could open? With the lock held. */
bool migrate_keeps_disk(const struct session *session);
/* MOVE_HAND_TAKE, again and again for so long as another has it. Without the lock. */
int migrate_take_disk(struct session *session, int patience_ms, char *why);

/* A bit for each page. */
struct page_set {
    uint64_t *bits;
    uint64_t pages;
};

int page_set_init(struct page_set *set, uint64_t pages); /* -ENOMEM */
void page_set_free(struct page_set *set);
static inline void page_set_remove(struct page_set *set, uint64_t page)
{
    set->bits[page / 64] &= ~(1ull << (page % 64));
}
uint64_t page_set_count(const struct page_set *set);
/* The first page of the set from `page` on; `pages` if there is none. */
uint64_t page_set_next(const struct page_set *set, uint64_t page);

/* Adds a page to a message PAGES. NULL: it is all zero. Returns whether it is. */
bool migrate_put_page(struct stream *stream, uint32_t index, const uint8_t *page);

/* The same taken apart: calls `put` for each page that it names. `pages`: how many there are.
 * -EPROTO if it is damaged, or what `put` says, with `why`. */
int migrate_take_pages(struct stream *stream, uint64_t pages,
                       int (*put)(void *context, uint64_t page, const uint8_t *bytes),
                       void *context);

/* ---- post-copy ----------------------------------------------------------------------------- */

/* A guest that runs here while the rest of its memory is coming. */
struct arrival {
    struct postcopy *pages;
    struct stream in, out;
    struct view_migration view; /* as it was when the guest was handed over */
};

/* In place of `view`: what is known by now. */
void migrate_arrival_view(struct arrival *arrival, struct view_migration *view);
void migrate_arrival_free(struct arrival *arrival);

/* The destination is about to get a guest without these pages: makes an arrival of it. With the
 * lock held, as the next two. 0, -ENOMEM, -ENOTSUP: not this guest. */
int migrate_await(struct session *session, struct arrival *arrival, const struct page_set *missing,
                  uint64_t token);
/* It has come: the arrival is the session's, and what is read and written goes on where `stream`
 * is. Or it has not. */
void migrate_arrive(struct session *session, struct arrival *arrival, struct stream *stream);
void migrate_await_no_more(struct session *session, struct arrival *arrival);

/* The set as a message, behind the token; and back: -EPROTO with `why`. */
void migrate_put_set(struct stream *stream, const struct page_set *set);
int migrate_take_set(struct stream *stream, struct page_set *set);

/* The source, when it has handed the guest over: sends the pages of `todo`, those first that are
 * asked for, until the other side says that all have arrived. 0 or -errno with stream->why. */
int migrate_push(struct session *session, struct stream *stream, struct page_set *todo,
                 struct view_migration *view);

/* All that must be equal on both sides, the backend's part first. Takes the session's lock. */
void migrate_describe(struct session *session,
                      void (*item)(void *context, const char *name, const char *value),
                      void *context);

#endif
