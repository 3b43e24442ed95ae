/* The pages that are still at the source. See postcopy.h. */
#include "config.h"

#include "hv/postcopy.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hv/deadline.h"
#include "hv/migrate-stream.h"

enum page_state { PAGE_HERE, PAGE_MISSING, PAGE_ASKED };

struct postcopy {
    pthread_mutex_t lock;  /* guards all below but what never changes */
    pthread_cond_t came;   /* pages have, or the link is lost */
    uint64_t pages, token; /* never change, nor does `was` */
    uint64_t *was;         /* missing at first */
    uint8_t *state;        /* by page */
    uint64_t missing;
    struct stream *out; /* NULL: the link is lost, or not there yet */
    char why[LINK_ERROR];
    postcopy_put_fn put;
    void *context;
    double *asked_at; /* by page, allotted when the first one is asked for */
    struct postcopy_figures figures;
};

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static bool bit_of(const uint64_t *bits, uint64_t page)
{
    return bits[page / 64] >> page % 64 & 1;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct postcopy *postcopy_new(uint64_t pages, const uint64_t *missing, uint64_t token)
{
    struct postcopy *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    deadline_init_cond(&p->came);
    p->pages = pages;
    p->token = token;
    p->was = calloc(pages / 64 + 1, sizeof *p->was);
    p->state = calloc(pages + 1, sizeof *p->state);
    p->asked_at = calloc(pages + 1, sizeof *p->asked_at);
    if (!p->was || !p->state || !p->asked_at) {
        postcopy_free(p);
        return NULL;
    }
    memcpy(p->was, missing, (pages + 63) / 64 * sizeof *missing);
    for (uint64_t page = 0; page < pages; page++) {
        p->state[page] = bit_of(missing, page) ? PAGE_MISSING : PAGE_HERE;
        p->missing += bit_of(missing, page);
    }
    return p;
}

void postcopy_free(struct postcopy *p)
{
    if (!p)
        return;
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->came);
    free(p->was);
    free(p->state);
    free(p->asked_at);
    free(p);
}

void postcopy_deliver_to(struct postcopy *p, postcopy_put_fn put, void *context)
{
    p->put = put;
    p->context = context;
}

/* ---- the link -------------------------------------------------------------------------------- */

void postcopy_connect(struct postcopy *p, struct stream *out)
{
    pthread_mutex_lock(&p->lock);
    p->out = out;
    for (uint64_t page = 0; page < p->pages; page++) /* what was asked over another link is lost */
        p->state[page] = p->state[page] == PAGE_HERE ? PAGE_HERE : PAGE_MISSING;
    pthread_mutex_unlock(&p->lock);
}

void postcopy_disconnect(struct postcopy *p, const char *why)
{
    pthread_mutex_lock(&p->lock);
    p->out = NULL;
    snprintf(p->why, sizeof p->why, "%s", why);
    pthread_cond_broadcast(&p->came);
    pthread_mutex_unlock(&p->lock);
}

/* With the lock held. A link that breaks here is found broken by who reads from it, too. */
static int send_number(struct postcopy *p, int message, uint64_t number)
{
    if (!p->out)
        return -ENOTCONN;
    stream_begin(p->out);
    stream_put_u64(p->out, number);
    return stream_send(p->out, (enum message)message);
}

int postcopy_send(struct postcopy *p, int message, uint64_t number)
{
    pthread_mutex_lock(&p->lock);
    int error = send_number(p, message, number);
    pthread_mutex_unlock(&p->lock);
    return error;
}

static void count_answer(struct postcopy *p, uint64_t page)
{
    double took = now() - p->asked_at[page];
    p->figures.waited += took;
    if (took > p->figures.waited_max)
        p->figures.waited_max = took;
}

int postcopy_put(struct postcopy *p, uint64_t page, const uint8_t *bytes)
{
    int error = -EINVAL;
    pthread_mutex_lock(&p->lock);
    if (page < p->pages && p->state[page] != PAGE_HERE)
        error = p->put(p->context, page, bytes);
    if (!error) {
        if (p->state[page] == PAGE_ASKED)
            count_answer(p, page);
        p->state[page] = PAGE_HERE;
        p->missing--;
        pthread_cond_broadcast(&p->came);
    }
    pthread_mutex_unlock(&p->lock);
    return error;
}

/* ---- the pages ------------------------------------------------------------------------------- */

/* With the lock held. */
static void ask_for(struct postcopy *p, uint64_t page)
{
    if (p->state[page] != PAGE_MISSING || !p->out)
        return;
    p->state[page] = PAGE_ASKED;
    p->asked_at[page] = now();
    p->figures.asked++;
    send_number(p, MESSAGE_DEMAND, page);
}

bool postcopy_here(struct postcopy *p, uint64_t page, int wait_ms)
{
    struct timespec until = deadline_after_ms((uint64_t)wait_ms);
    int error = wait_ms ? 0 : ETIMEDOUT;
    pthread_mutex_lock(&p->lock);
    ask_for(p, page);
    while (p->state[page] != PAGE_HERE && p->out && !error)
        error = pthread_cond_timedwait(&p->came, &p->lock, &until);
    bool here = p->state[page] == PAGE_HERE;
    pthread_mutex_unlock(&p->lock);
    return here;
}

bool postcopy_complete(struct postcopy *p, int wait_ms)
{
    struct timespec until = deadline_after_ms((uint64_t)wait_ms);
    int error = wait_ms ? 0 : ETIMEDOUT;
    pthread_mutex_lock(&p->lock);
    while (p->missing && p->out && !error)
        error = pthread_cond_timedwait(&p->came, &p->lock, &until);
    bool complete = !p->missing;
    pthread_mutex_unlock(&p->lock);
    return complete;
}

bool postcopy_was_missing(const struct postcopy *p, uint64_t page)
{
    return bit_of(p->was, page);
}

uint64_t postcopy_missing(struct postcopy *p)
{
    pthread_mutex_lock(&p->lock);
    uint64_t missing = p->missing;
    pthread_mutex_unlock(&p->lock);
    return missing;
}

bool postcopy_lost(struct postcopy *p, char *why, size_t size)
{
    pthread_mutex_lock(&p->lock);
    bool lost = !p->out;
    if (lost)
        snprintf(why, size, "%s", p->why);
    pthread_mutex_unlock(&p->lock);
    return lost;
}

void postcopy_list(struct postcopy *p, uint64_t *bits)
{
    pthread_mutex_lock(&p->lock);
    memset(bits, 0, (p->pages + 63) / 64 * sizeof *bits);
    for (uint64_t page = 0; page < p->pages; page++)
        if (p->state[page] != PAGE_HERE)
            bits[page / 64] |= 1ull << page % 64;
    pthread_mutex_unlock(&p->lock);
}

uint64_t postcopy_token(const struct postcopy *p)
{
    return p->token;
}

struct postcopy_figures postcopy_figures(struct postcopy *p)
{
    pthread_mutex_lock(&p->lock);
    struct postcopy_figures figures = p->figures;
    pthread_mutex_unlock(&p->lock);
    return figures;
}
