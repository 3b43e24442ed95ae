/* Pages for layers. See page-pool.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MADV_HUGEPAGE */
#endif
#include "hv/page-pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { RUN = 2 << 20 };

static bool add_run(struct page_pool *pool)
{
    if (pool->runs == pool->room) {
        unsigned room = pool->room * 2 + 16;
        uint8_t **grown = realloc(pool->run, room * sizeof *grown);
        if (!grown)
            return false;
        pool->run = grown;
        pool->room = room;
    }
    uint8_t *run = aligned_alloc(RUN, RUN);
    if (!run)
        return false;
    madvise(run, RUN, MADV_HUGEPAGE); /* a hint: without, it is only slower */
    pool->run[pool->runs++] = run;
    pool->next = run;
    pool->end = run + RUN;
    return true;
}

uint8_t *page_pool_take(struct page_pool *pool)
{
    uint8_t *page = pool->given_back;
    if (page) {
        memcpy(&pool->given_back, page, sizeof pool->given_back);
        return page;
    }
    if (pool->next == pool->end && !add_run(pool))
        return NULL;
    page = pool->next;
    pool->next += POOL_PAGE;
    return page;
}

void page_pool_give(struct page_pool *pool, uint8_t *page)
{
    memcpy(page, &pool->given_back, sizeof pool->given_back);
    pool->given_back = page;
}

void page_pool_free(struct page_pool *pool)
{
    for (unsigned i = 0; i < pool->runs; i++)
        free(pool->run[i]);
    free(pool->run);
    *pool = (struct page_pool){0};
}
