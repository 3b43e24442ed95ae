/*
 * Pages of memory, with a count of users each: after fork() parent and child share pages.
 *
 * Pages that were never used lie between `fresh` and `end`; those that came back are chained
 * through their first word. So start-up does not have to touch them all.
 */
#include "minios.h"

enum { MAX_PAGES = 16384 }; /* 64 MiB, further memory is left alone */

static uint32_t base, fresh, end;
static void *chain;
static unsigned in_chain;
static uint8_t users[MAX_PAGES];

void page_init(uint32_t start, uint32_t memory_end)
{
    base = fresh = start;
    end = memory_end;
    if (end - base > MAX_PAGES * PAGE)
        end = base + MAX_PAGES * PAGE;
}

static uint8_t *users_of(const void *page)
{
    return &users[((uint32_t)page - base) / PAGE];
}

void *page_new(void)
{
    void *page = chain;
    if (page) {
        chain = *(void **)page;
        in_chain--;
    } else if (fresh < end) {
        page = (void *)fresh;
        fresh += PAGE;
    } else {
        return NULL;
    }
    *users_of(page) = 1;
    return memset(page, 0, PAGE);
}

void page_share(void *page)
{
    ++*users_of(page);
}

void page_drop(void *page)
{
    if (--*users_of(page) > 0)
        return;
    *(void **)page = chain;
    chain = page;
    in_chain++;
}

unsigned page_users(const void *page)
{
    return *users_of(page);
}

unsigned page_free_count(void)
{
    return in_chain + (end - fresh) / PAGE;
}
