/*
 * Pages for layers, many at a time: from the host in runs of 2 MiB, so that it can use large pages and
 * faults 512 times less. What is given back is kept for the next one that is asked for.
 */
#ifndef VITRINE_HV_PAGE_POOL_H
#define VITRINE_HV_PAGE_POOL_H

#include <stdint.h>

enum { POOL_PAGE = 4096 };

struct page_pool {
    uint8_t **run; /* all runs, for page_pool_free() */
    unsigned runs, room;
    uint8_t *next, *end; /* of the newest run: never used so far */
    void *given_back;    /* a list through the pages' first bytes */
};

/* Its content is anything. NULL: no memory. */
uint8_t *page_pool_take(struct page_pool *pool);
void page_pool_give(struct page_pool *pool, uint8_t *page);
/* All pages are gone. A pool of zeros is empty. */
void page_pool_free(struct page_pool *pool);

#endif
