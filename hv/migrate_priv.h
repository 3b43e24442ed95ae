/* What both sides of a migration share: the greeting, and sets of pages. */
#ifndef VITRINE_HV_MIGRATE_PRIV_H
#define VITRINE_HV_MIGRATE_PRIV_H

#include "hv/backend.h"
#include "hv/migrate-stream.h"
#include "hv/session.h"

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
/* MOVE_HAND_TAKE, again and again for so long as another has it. Without the lock. */
int migrate_take_disk(struct session *session, int patience_ms, char *why);

/* Adds a page to a message PAGES. NULL: it is all zero. Returns whether it is. */
bool migrate_put_page(struct stream *stream, uint32_t index, const uint8_t *page);

/* All that must be equal on both sides, the backend's part first. Takes the session's lock. */
void migrate_describe(struct session *session,
                      void (*item)(void *context, const char *name, const char *value),
                      void *context);

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

#endif
