/* A guest is protected for as long as it runs. See guard.h. */
#include "config.h"

#include "hv/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hv/deadline.h"
#include "hv/fence.h"
#include "hv/link.h"
#include "hv/protect_priv.h"
#include "hv/session_priv.h"

enum { PATIENCE_MS = 3000, RETRY_MS = 2000 };

struct guard {
    struct session *session;
    void (*tell)(void *context, enum guard_event event, const char *text);
    void *context;
    struct fence fence; /* fd < 0: none */

    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool quit;
    atomic_bool stop; /* what is under way ends */
    bool busy;        /* something is: the wish is the thread's until it is not */
    bool search;      /* go on looking when nobody is found */
    bool tried;       /* `error` and `why` tell of the first attempt */
    bool protects;
    int error;
    char why[SESSION_ERROR];
    struct guard_wish wish; /* strings are our own */
};

static unsigned patience(const struct guard *g)
{
    return g->wish.patience_ms ? g->wish.patience_ms : PATIENCE_MS;
}

/* ---- what others see ------------------------------------------------------------------------ */

/* Of a search: that it goes on, and why it has found nobody. */
static void show_search(struct guard *g, bool on, const char *why)
{
    struct view_protection *v = &g->session->protection;
    session_enter(g->session);
    v->searching = on;
    snprintf(v->to, sizeof v->to, "%s", g->wish.address);
    if (why)
        snprintf(v->why, sizeof v->why, "%.*s", VIEW_TEXT - 1, why);
    session_leave(g->session);
}

static bool has_ended(struct guard *g)
{
    session_enter(g->session);
    bool ended = g->session->state == SESSION_ENDED;
    session_leave(g->session);
    return ended;
}

/* ---- one protection ------------------------------------------------------------------------- */

/* From the greeting on; the thread's, without the lock. */
struct shift {
    struct link link;
    struct protect_options options;
    struct protection *protection;
};

static int find_backup(struct guard *g, struct shift *shift, char *why)
{
    const struct guard_wish *w = &g->wish;
    int error = link_call(w->address, w->secret, (int)patience(g), &shift->link, why);
    if (error)
        return error;
    shift->options = (struct protect_options){.epoch_ms = w->epoch_ms,
                                              .patience_ms = patience(g),
                                              .fence = g->fence.fd >= 0 ? &g->fence : NULL,
                                              .quit = &g->stop,
                                              .to = w->address};
    char reason[SESSION_ERROR];
    shift->protection = protect_begin(g->session, &shift->link, &shift->options, reason);
    if (shift->protection)
        return 0;
    snprintf(why, SESSION_ERROR, "%.100s: %.400s", w->address, reason);
    link_close(&shift->link);
    return -EIO;
}

/* Returns whether the guest goes on without a backup. */
static bool protect(struct guard *g, struct shift *shift)
{
    static const enum guard_event EVENTS[] = {[PROTECT_OVER] = GUARD_OVER,
                                              [PROTECT_ALONE] = GUARD_LOST,
                                              [PROTECT_FENCED] = GUARD_STANDS,
                                              [PROTECT_DOUBT] = GUARD_STANDS};
    char why[SESSION_ERROR] = "", text[SESSION_ERROR];
    g->tell(g->context, GUARD_PROTECTED, g->wish.address);
    enum protect_end end = protect_run(shift->protection, why);
    snprintf(text, sizeof text, "%.100s: %.400s", g->wish.address, why);
    if (end == PROTECT_ALONE)
        show_search(g, true, NULL);
    g->tell(g->context, EVENTS[end], end == PROTECT_OVER ? g->wish.address : text);
    protect_free(shift->protection);
    link_close(&shift->link);
    return end == PROTECT_ALONE;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* Sleeps for the time between two searches, with the lock, or until something has changed. */
static void rest(struct guard *g)
{
    struct timespec until = deadline_after_ms(g->wish.retry_ms ? g->wish.retry_ms : RETRY_MS);
    while (!g->stop && pthread_cond_timedwait(&g->changed, &g->lock, &until) == 0)
        ;
}

/* Tells the result of the first attempt to who waits for it. With the lock. */
static void answer(struct guard *g, int error, const char *why)
{
    if (g->tried)
        return;
    g->tried = true;
    g->error = error;
    snprintf(g->why, sizeof g->why, "%s", why);
    pthread_cond_broadcast(&g->changed);
}

/* Searches once, and protects for as long as there is a backup. With the lock before and after.
 * Returns whether to search again. */
static bool attend(struct guard *g)
{
    struct shift shift = {0};
    char why[SESSION_ERROR] = "";
    bool search = g->search;
    pthread_mutex_unlock(&g->lock);
    bool ended = has_ended(g);
    if (ended)
        snprintf(why, sizeof why, "the guest has ended");
    int error = ended ? -ESHUTDOWN : find_backup(g, &shift, why);
    if (error && search)
        show_search(g, !ended, why);
    pthread_mutex_lock(&g->lock);
    g->protects = !error;
    answer(g, error, why);
    if (error)
        return search && !ended;
    g->search = true;
    pthread_mutex_unlock(&g->lock);
    bool alone = protect(g, &shift);
    pthread_mutex_lock(&g->lock);
    g->protects = false;
    return alone;
}

static void *serve(void *context)
{
    struct guard *g = context;
    pthread_mutex_lock(&g->lock);
    while (!g->quit) {
        if (!g->busy) {
            pthread_cond_wait(&g->changed, &g->lock);
            continue;
        }
        while (!g->stop && attend(g))
            rest(g);
        pthread_mutex_unlock(&g->lock);
        show_search(g, false, NULL);
        pthread_mutex_lock(&g->lock);
        answer(g, -ECANCELED, "it was called off");
        g->busy = false;
        pthread_cond_broadcast(&g->changed);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* Ends what is under way, in order. With the lock. Where two do this at a time, the first one to
 * wake takes `stop` back, and may begin anew before the second one has looked: that ends, too. */
static void halt(struct guard *g)
{
    while (g->busy) {
        if (!g->stop) {
            g->stop = true;
            pthread_cond_broadcast(&g->changed);
        }
        pthread_cond_wait(&g->changed, &g->lock);
    }
    g->stop = false;
}

/* ---- the functions of guard.h --------------------------------------------------------------- */

struct guard *guard_new(struct session *session,
                        void (*tell)(void *context, enum guard_event event, const char *text),
                        void *context)
{
    struct guard *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->session = session;
    g->tell = tell;
    g->context = context;
    g->fence.fd = -1;
    pthread_mutex_init(&g->lock, NULL);
    deadline_init_cond(&g->changed);
    if (pthread_create(&g->thread, NULL, serve, g) == 0)
        return g;
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
    free(g);
    return NULL;
}

static void forget(struct guard_wish *w)
{
    free((char *)w->address);
    free((char *)w->secret);
    *w = (struct guard_wish){0};
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    halt(g);
    g->quit = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
    forget(&g->wish);
    fence_close(&g->fence);
    free(g);
}

static const char *fence_reason(int error)
{
    return error == -EINVAL      ? "this is no fence"
           : error == -EALREADY  ? "the guest has a fence already, or is protected without one"
           : error == -EBUSY     ? "a guest runs under this fence"
           : error == -ETIMEDOUT ? "somebody holds it"
                                 : strerror(-error);
}

/* With the lock. */
static bool is_fence(const struct guard *g, const char *path)
{
    struct stat ours, other;
    return g->fence.fd >= 0 && fstat(g->fence.fd, &ours) == 0 && stat(path, &other) == 0 &&
           ours.st_dev == other.st_dev && ours.st_ino == other.st_ino;
}

int guard_set_fence(struct guard *g, const char *path, char *why)
{
    struct fence fence = {.fd = -1};
    pthread_mutex_lock(&g->lock);
    bool same = is_fence(g, path);
    int error = !same && (g->fence.fd >= 0 || g->protects) ? -EALREADY : 0;
    if (!error && !same)
        halt(g);
    pthread_mutex_unlock(&g->lock);
    if (same)
        return 0;
    error = error ? error : fence_open(&fence, path);
    error = error ? error : fence_begin(&fence, PATIENCE_MS);
    if (error) {
        snprintf(why, SESSION_ERROR, "%.300s: %s", path, fence_reason(error));
        fence_close(&fence);
        return error;
    }
    guard_take_fence(g, &fence);
    return 0;
}

void guard_take_fence(struct guard *g, const struct fence *fence)
{
    pthread_mutex_lock(&g->lock);
    g->fence = *fence;
    pthread_mutex_unlock(&g->lock);
}

static int copy_wish(struct guard_wish *to, const struct guard_wish *from)
{
    forget(to);
    *to = *from;
    to->address = strdup(from->address);
    to->secret = from->secret ? strdup(from->secret) : NULL;
    if (to->address && (!from->secret || to->secret))
        return 0;
    forget(to);
    return -ENOMEM;
}

/* Begins with a wish that was copied, and waits for what has come of it. With the lock. */
static int begin(struct guard *g, bool search, char *why)
{
    g->search = search;
    g->tried = search;
    g->error = 0;
    g->busy = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->tried)
        pthread_cond_wait(&g->changed, &g->lock);
    int error = search ? 0 : g->error;
    if (error) {
        snprintf(why, SESSION_ERROR, "%s", g->why);
        halt(g); /* it is the last thing that the thread has to do */
    }
    return error;
}

int guard_protect(struct guard *g, const struct guard_wish *wish, bool search, char *why)
{
    pthread_mutex_lock(&g->lock);
    bool public;
    int error = g->protects ? -EBUSY : link_is_public(wish->address, &public, why);
    if (error == -EBUSY) {
        snprintf(why, SESSION_ERROR, "the guest is protected already, by %.200s", g->wish.address);
    } else if (!error) {
        halt(g);
        snprintf(why, SESSION_ERROR, "the host has no memory left");
        error = copy_wish(&g->wish, wish);
        error = error ? error : begin(g, search, why);
    }
    pthread_mutex_unlock(&g->lock);
    return error;
}

/* `stop` is left set: who begins anew takes it back, in halt(). */
void guard_call_off(struct guard *g)
{
    pthread_mutex_lock(&g->lock);
    g->stop = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

int guard_release(struct guard *g)
{
    pthread_mutex_lock(&g->lock);
    int error = g->busy ? 0 : -ESRCH;
    halt(g);
    pthread_mutex_unlock(&g->lock);
    return error;
}
