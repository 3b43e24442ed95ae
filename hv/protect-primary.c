/*
 * Protection, the primary's side. See protect.h.
 *
 * Two epochs are alive at any time: one that is on its way, and the next one that the guest is in.
 * So the guest is ahead of what the world has seen by at most two epochs.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hv/deadline.h"
#include "hv/protect_priv.h"
#include "hv/session_priv.h"

enum { EPOCH_MS = 40, PATIENCE_MS = 2000, BEATS = 4, THROTTLE = 99 };

/* Showing output and writing to a disk take as long as a terminal and a disk take; meanwhile the
 * backup must hear that the primary lives. So a thread of its own does it. */
struct releaser {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool begun, quit;
    bool busy; /* with the epoch that was acknowledged */
    int error;
};

struct protection {
    struct session *session;
    const struct backend_move *move;
    const struct protect_options *options;
    struct stream stream;
    struct page_set dirty;
    struct epoch epoch; /* on its way */
    bool waits;         /* its output is still to be shown */
    bool counts;        /* account of writes is kept */
    bool sent;          /* an EPOCH may have arrived: the backup could go on */
    uint64_t number, released, position;
    struct releaser releaser;
    double began, due;
    struct view_protection view;
    struct view_epoch now; /* the epoch that is on its way */
    uint64_t bytes;        /* sent before it */
    char why[SESSION_ERROR];
};

static int patience(const struct protection *p)
{
    return p->options->patience_ms ? (int)p->options->patience_ms : PATIENCE_MS;
}

static const char *name_of(const struct protection *p)
{
    return p->options->to ? p->options->to : "the backup";
}

static int fail(struct protection *p, int error, const char *reason)
{
    snprintf(p->why, sizeof p->why, "%s", reason);
    return error;
}

static int stream_failed(struct protection *p, int error)
{
    return error ? fail(p, error, p->stream.why) : 0;
}

/* Seconds since it began. */
static double age(const struct protection *p)
{
    return p->began > 0 ? migrate_now() - p->began : 0;
}

/* With the lock held. */
static void publish(struct protection *p, enum view_protection_phase phase)
{
    if (p->view.phase != phase)
        p->view.since = (int64_t)time(NULL);
    p->view.phase = phase;
    p->view.bytes = p->stream.bytes;
    p->view.generation = p->options->fence ? p->options->fence->generation : 0;
    p->view.released = p->position;
    p->view.seconds = age(p);
    p->view.held = p->waits ? p->epoch.output_count : 0;
    p->session->protection = p->view;
}

/* The epoch on its way is the newest of the log: new there, or as it is by now. */
static void log_epoch(struct protection *p)
{
    struct view_protection *v = &p->view;
    bool known = v->recent && v->log[v->recent - 1].number == p->now.number;
    if (!known && v->recent == VIEW_EPOCHS)
        memmove(v->log, v->log + 1, --v->recent * sizeof *v->log);
    v->log[known ? v->recent - 1 : v->recent++] = p->now;
}

/* ---- beginning ------------------------------------------------------------------------------ */

static int send_fence(struct protection *p)
{
    const struct fence *fence = p->options->fence;
    stream_begin(&p->stream);
    stream_put_u64(&p->stream, fence ? fence->generation : 0);
    stream_put_u64(&p->stream, fence ? fence->owner : 0);
    int error = stream_send(&p->stream, MESSAGE_PROTECT);
    return error ? error : stream_expect(&p->stream, MESSAGE_ACK);
}

/* Can the guest write to a disk? With firmware that boots from one, `image` is a disk, too. */
static bool writes_disk(const struct protection *p)
{
    const struct session_config *c = &p->session->config;
    return (c->disk || c->firmware) && !c->disk_readonly;
}

/* What goes out must be held back; and what is written needs a fence against who writes too late.
 */
static int check_ways_out(struct protection *p)
{
    const struct session_config *c = &p->session->config;
    if (!p->move)
        return fail(p, -ENOTSUP, "this kind of guest cannot be protected");
    if (c->net && !p->move->sent)
        return fail(p, -ENOTSUP, "what this kind of guest sends to a network cannot be held back");
    if (writes_disk(p) && !p->move->disk)
        return fail(p, -ENOTSUP, "the disk of this kind of guest cannot be held back");
    if (writes_disk(p) && !c->disk_discard && !p->options->fence)
        return fail(p, -EINVAL, "a guest that can write to a disk needs a fence");
    return 0;
}

/* What the guest sends to a network. With the lock held. */
static int hold_sent(struct protection *p)
{
    return p->move->sent ? p->move->sent(p->session->backend, MOVE_SENT_HOLD) : 0;
}

static void let_sent_go(struct protection *p, enum move_sent how)
{
    if (p->move->sent)
        p->move->sent(p->session->backend, how);
}

/* With the lock held: is there a guest, and does nobody else move it? */
static int check_free(struct protection *p)
{
    if (p->session->state == SESSION_ENDED)
        return fail(p, -ESHUTDOWN, "the guest has ended");
    if (p->session->moving)
        return fail(p, -EBUSY, "the guest is being moved or protected already");
    if (p->session->kept && migrate_keeps_disk(p->session))
        return fail(p, -EBUSY,
                    "what the guest writes to its disk is kept in a directory of snapshots");
    return 0;
}

/* The same before a backup is bothered. */
static int look(struct protection *p)
{
    session_enter(p->session);
    int error = check_free(p);
    session_leave(p->session);
    return error;
}

/* With the lock held. What was written before is in the file; from here on nothing gets there. */
static int hold_back(struct protection *p)
{
    struct session *s = p->session;
    int error = check_free(p);
    if (error)
        return error;
    p->dirty.pages = p->move->pages(s->backend);
    error = page_set_init(&p->dirty, p->dirty.pages);
    error = error ? error : p->move->begin(s->backend);
    if (error)
        return fail(p, error,
                    error == -EBUSY ? "the guest stands in the past, or follows a record"
                                    : "the host has no memory left");
    s->moving = p->counts = true;
    if (p->move->flush(s->backend))
        return fail(p, -EIO, "the guest's disk cannot be written");
    error = p->move->disk ? p->move->disk(s->backend, MOVE_DISK_HOLD) : 0;
    if (error)
        return fail(p, error,
                    error == -EBUSY ? "a guest with a history or snapshots cannot be protected"
                                    : "the host has no memory to hold a disk back");
    if (hold_sent(p))
        return fail(p, -ENOMEM, "the host has no memory to hold a network back");
    p->position = session_hold_output(s);
    p->view.losses = s->protection.losses;
    p->view.shown_from = s->protection.shown_from;
    snprintf(p->view.to, sizeof p->view.to, "%s", name_of(p));
    publish(p, PROTECTION_COPYING);
    return p->move->collect(s->backend, p->dirty.bits)
               ? fail(p, -EIO, "what the guest has written cannot be found out")
               : 0;
}

static int begin(struct protection *p)
{
    int error = check_ways_out(p);
    error = error ? error : look(p);
    if (error)
        return error;
    error = migrate_greet(p->session, &p->stream);
    error = stream_failed(p, error ? error : send_fence(p));
    if (error)
        return error;
    session_enter(p->session);
    error = hold_back(p);
    session_leave(p->session);
    return error;
}

/* ---- the end of holding back ---------------------------------------------------------------- */

/* With the lock held: the epoch on its way, then what came after, and nothing is held any more. */
static int let_go(struct protection *p)
{
    struct session *s = p->session;
    if (p->waits)
        session_show(s, p->epoch.output, p->epoch.output_count);
    p->waits = false;
    int error = session_unhold_output(s);
    int failed = p->move->disk ? p->move->disk(s->backend, MOVE_DISK_RELEASE) : 0;
    let_sent_go(p, MOVE_SENT_RELEASE);
    return error ? error : failed;
}

/* With the lock held. */
static void stop_counting(struct protection *p)
{
    if (!p->counts)
        return;
    p->move->end(p->session->backend);
    p->session->moving = p->counts = false;
}

/* Puts back what was taken of the output for an epoch that was never acknowledged. */
static void keep_output(struct protection *p)
{
    uint8_t *later;
    size_t count;
    if (session_take_held(p->session, &later, &count))
        fail(p, -ENOMEM, "the host has no memory left for what the guest prints");
    if (p->waits)
        session_console(p->session, p->epoch.output, p->epoch.output_count);
    if (count)
        session_console(p->session, later, count);
    free(later);
    p->waits = false;
}

/* ---- losses --------------------------------------------------------------------------------- */

/* With the lock held. */
static enum protect_end go_on_alone(struct protection *p)
{
    char reason[SESSION_ERROR];
    snprintf(reason, sizeof reason, "%s", p->why);
    int error = let_go(p);
    stop_counting(p);
    p->view.losses++;
    snprintf(p->view.why, sizeof p->view.why, "%.*s", VIEW_TEXT - 1, reason);
    publish(p, PROTECTION_ALONE);
    snprintf(p->why, sizeof p->why, "the guest goes on unprotected: %.300s%s%s", reason,
             error ? "; what it has printed or written to its disk could not be kept: " : "",
             error ? strerror(-error) : "");
    return PROTECT_ALONE;
}

/* With the lock held: the guest stands, and what it did since the last acknowledgement stays
 * unseen. */
static enum protect_end stand(struct protection *p, bool fenced)
{
    char reason[SESSION_ERROR], why[SESSION_ERROR], text[VIEW_TEXT];
    snprintf(reason, sizeof reason, "%s", p->why);
    if (fenced)
        snprintf(p->why, sizeof p->why, "%.60s has taken the guest over (%.300s)", name_of(p),
                 reason);
    else
        snprintf(p->why, sizeof p->why,
                 "the guest stands, since %.60s may have taken it over (%.300s): look whether it "
                 "runs there",
                 name_of(p), reason);
    keep_output(p);
    migrate_disk(p->session, MOVE_HAND_GIVE, why); /* giving does not fail */
    if (fenced)
        let_sent_go(p, MOVE_SENT_DROP);
    stop_counting(p);
    snprintf(text, sizeof text, "%.40s %s the guest over", name_of(p),
             fenced ? "has taken" : "may have taken");
    p->session->migration.phase = fenced ? MIGRATION_MOVED : MIGRATION_DOUBT;
    session_moved(p->session, text);
    snprintf(p->view.why, sizeof p->view.why, "%.*s", VIEW_TEXT - 1, reason);
    publish(p, fenced ? PROTECTION_FENCED : PROTECTION_DOUBT);
    return fenced ? PROTECT_FENCED : PROTECT_DOUBT;
}

/* The backup is not heard any more, or what came of it was no answer. */
static enum protect_end lose(struct protection *p)
{
    int claimed = !p->sent            ? 0
                  : p->options->fence ? fence_claim(p->options->fence, patience(p))
                                      : -ENOLCK;
    stream_abort(&p->stream, p->why); /* the claim was first */
    session_enter(p->session);
    enum protect_end end = claimed ? stand(p, claimed == -ESTALE) : go_on_alone(p);
    session_leave(p->session);
    return end;
}

/* ---- epochs --------------------------------------------------------------------------------- */

/* All of memory, while the guest runs. */
static int copy_all(struct protection *p)
{
    struct session *s = p->session;
    int error = 0;
    for (uint64_t at = 0; !error && at < p->dirty.pages;) {
        stream_begin(&p->stream);
        session_enter(s);
        unsigned count = 0;
        for (; count < MIGRATE_BATCH; count++, at++) {
            at = page_set_next(&p->dirty, at);
            if (at == p->dirty.pages)
                break;
            page_set_remove(&p->dirty, at);
            migrate_put_page(&p->stream, (uint32_t)at, p->move->page(s->backend, at));
        }
        publish(p, PROTECTION_COPYING);
        session_leave(s);
        if (count)
            error = stream_send(&p->stream, MESSAGE_PAGES);
    }
    return stream_failed(p, error);
}

static bool wants_to_quit(const struct protection *p)
{
    return (p->options->quit && atomic_load(p->options->quit)) ||
           (p->options->epochs && p->number >= p->options->epochs);
}

/* Lets the guest run for an epoch's time; what keeps it from running is no hurry. */
static void wait_for_time(struct protection *p)
{
    enum { LOOK_MS = 10 };
    for (double left = p->due - migrate_now(); left > 0 && !wants_to_quit(p);
         left = p->due - migrate_now()) {
        double part = left < LOOK_MS * 1e-3 ? left : LOOK_MS * 1e-3;
        nanosleep(&(struct timespec){.tv_nsec = (long)(part * 1e9)}, NULL);
    }
    double length = (p->options->epoch_ms ? p->options->epoch_ms : EPOCH_MS) * 1e-3;
    p->due = p->due + length > migrate_now() ? p->due + length : migrate_now() + length;
}

static void wait_for_epoch(struct protection *p)
{
    if (p->options->instructions)
        session_wait(p->session, -1);
    else
        wait_for_time(p);
}

/* false: the guest has ended, and will not begin again. */
static bool step_on(struct protection *p)
{
    return !p->options->instructions || wants_to_quit(p) ||
           session_step(p->session, p->options->instructions) == 0;
}

/* What the copy of an epoch says of itself. With the lock held. */
static void note_capture(struct protection *p, double stood)
{
    struct view_epoch *e = &p->now;
    double began = e->number ? e->copied : 0;
    *e = (struct view_epoch){.number = p->number,
                             .pages = p->epoch.pages.count,
                             .blocks = p->epoch.blocks.count,
                             .output = p->epoch.output_count,
                             .began = began,
                             .stood = stood,
                             .copied = age(p)};
    double pause = e->copied - stood;
    p->view.pause += pause;
    p->view.pause_max = pause > p->view.pause_max ? pause : p->view.pause_max;
    p->view.pages += e->pages;
    p->view.blocks += e->blocks;
    p->view.epochs = p->number;
    p->bytes = p->stream.bytes;
    log_epoch(p);
    publish(p, p->view.acknowledged ? PROTECTION_ON : PROTECTION_COPYING);
}

static int capture(struct protection *p)
{
    session_enter(p->session);
    double stood = age(p);
    int error = epoch_capture(&p->epoch, p->session, &p->dirty);
    p->epoch.head.number = ++p->number;
    p->epoch.head.released = p->released;
    p->epoch.head.position = p->position;
    let_sent_go(p, MOVE_SENT_MARK);
    p->waits = true;
    note_capture(p, stood);
    session_leave(p->session);
    return error ? fail(p, error, "the host cannot copy what the guest has done") : 0;
}

static int wait_for_ack(struct protection *p)
{
    int error = stream_expect(&p->stream, MESSAGE_ACK);
    if (!error && stream_u64(p->stream.payload) != p->number) {
        snprintf(p->stream.why, sizeof p->stream.why, "the backup acknowledges another epoch");
        error = -EPROTO;
    }
    return stream_failed(p, error);
}

/* Blocks of an epoch into the file. With the fence entered, and the lock held. */
static int write_blocks(struct protection *p)
{
    const struct pile *blocks = &p->epoch.blocks;
    int error = 0;
    for (size_t i = 0; i < blocks->count && !error; i++)
        error = p->move->commit_block(p->session->backend, blocks->index[i],
                                      blocks->bytes + i * MIGRATE_PAGE);
    return error ? error : p->move->flush(p->session->backend);
}

/* Lets the world see an epoch that the backup has. -ESTALE, or any other error: it must not. */
static int release(struct protection *p)
{
    struct fence *fence = p->options->fence;
    int error = fence ? fence_enter(fence, patience(p)) : 0;
    if (error)
        return fail(p, error,
                    error == -ESTALE ? "the fence is another's" : "the fence cannot be reached");
    session_enter(p->session);
    error = p->epoch.blocks.count ? write_blocks(p) : 0;
    if (!error)
        let_sent_go(p, MOVE_SENT_PASS);
    session_leave(p->session);
    if (fence)
        fence_leave(fence);
    if (error)
        return fail(p, error, "the guest's disk cannot be written");
    session_show(p->session, p->epoch.output, p->epoch.output_count);
    p->waits = false;
    p->position += p->epoch.output_count;
    p->released = p->number;
    return 0;
}

static void *release_always(void *context)
{
    struct protection *p = context;
    struct releaser *r = &p->releaser;
    pthread_mutex_lock(&r->lock);
    while (!r->quit) {
        if (!r->busy) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        int error = release(p);
        pthread_mutex_lock(&r->lock);
        r->error = error;
        r->busy = false;
        pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* Waits for a beat's time, with the lock. false: the releaser is done. */
static bool is_still_busy(struct protection *p)
{
    struct timespec until = deadline_after_ms((uint64_t)patience(p) / BEATS);
    while (p->releaser.busy)
        if (pthread_cond_timedwait(&p->releaser.changed, &p->releaser.lock, &until))
            break;
    return p->releaser.busy;
}

/* A world that takes its time slows the guest down, as it would without protection. */
static int release_and_beat(struct protection *p)
{
    struct releaser *r = &p->releaser;
    int lost = 0;
    pthread_mutex_lock(&r->lock);
    r->busy = true;
    pthread_cond_signal(&r->changed);
    while (is_still_busy(p)) {
        pthread_mutex_unlock(&r->lock);
        p->session->throttle = THROTTLE;
        lost = lost ? lost : stream_send_empty(&p->stream, MESSAGE_BEAT);
        pthread_mutex_lock(&r->lock);
    }
    p->session->throttle = 0;
    int error = r->error;
    pthread_mutex_unlock(&r->lock);
    return error ? error : stream_failed(p, lost);
}

static int releaser_begin(struct protection *p)
{
    struct releaser *r = &p->releaser;
    pthread_mutex_init(&r->lock, NULL);
    deadline_init_cond(&r->changed);
    r->begun = pthread_create(&r->thread, NULL, release_always, p) == 0;
    return r->begun ? 0 : fail(p, -EAGAIN, "the host gives no thread");
}

static void releaser_end(struct releaser *r)
{
    if (r->begun) {
        pthread_mutex_lock(&r->lock);
        r->quit = true;
        pthread_cond_signal(&r->changed);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
    }
    r->begun = false;
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
}

/* One epoch, from its end to its being seen. `*last`: the guest has ended, or shall be let go. */
static int do_epoch(struct protection *p, bool *last)
{
    wait_for_epoch(p);
    int error = capture(p);
    if (error)
        return error;
    *last = p->epoch.head.state == EPOCH_ENDED || wants_to_quit(p) || !step_on(p);
    double from = migrate_now();
    error = stream_failed(p, epoch_send(&p->epoch, &p->stream));
    p->sent |= !error; /* an EPOCH that was not sent cannot arrive (link.h) */
    error = error ? error : wait_for_ack(p);
    if (error)
        return error;
    p->view.acknowledged = p->number;
    p->view.instruction = p->epoch.head.instructions;
    p->view.delay += migrate_now() - from;
    p->now.acknowledged = age(p);
    p->now.bytes = p->stream.bytes - p->bytes;
    error = release_and_beat(p);
    p->now.released = error ? 0 : age(p);
    session_enter(p->session);
    log_epoch(p);
    publish(p, PROTECTION_ON);
    session_leave(p->session);
    return error;
}

/* In order: what the guest has done since the last epoch is its own affair from here on. */
static enum protect_end finish(struct protection *p)
{
    stream_begin(&p->stream);
    stream_put_u64(&p->stream, p->number);
    int error = stream_failed(p, stream_send(&p->stream, MESSAGE_OVER));
    if (!error)
        error = stream_failed(p, stream_expect(&p->stream, MESSAGE_OVER));
    /* Nobody can run a guest that has ended: then it does not matter what the backup knows. */
    if (error && p->epoch.head.state != EPOCH_ENDED)
        return lose(p);
    session_enter(p->session);
    error = let_go(p);
    stop_counting(p);
    publish(p, PROTECTION_OVER);
    session_leave(p->session);
    if (!error)
        return PROTECT_OVER;
    snprintf(p->why, sizeof p->why, "what the guest has printed or written cannot be kept: %s",
             strerror(-error));
    return PROTECT_ALONE;
}

/* ---- all of it ------------------------------------------------------------------------------ */

struct protection *protect_begin(struct session *session, struct link *link,
                                 const struct protect_options *options, char *why)
{
    struct protection *p = calloc(1, sizeof *p);
    snprintf(why, SESSION_ERROR, "the host has no memory left");
    if (!p)
        return NULL;
    p->session = session;
    p->move = session->ops->move;
    p->options = options;
    stream_init(&p->stream, link);
    if (!begin(p))
        return p;
    snprintf(why, SESSION_ERROR, "%s", p->why);
    stream_abort(&p->stream, p->why);
    protect_free(p);
    return NULL;
}

enum protect_end protect_run(struct protection *p, char *why)
{
    bool last = false;
    p->began = migrate_now();
    int error = releaser_begin(p);
    error = error ? error : copy_all(p);
    p->due = migrate_now();
    if (!error && !step_on(p))
        error = fail(p, -ESHUTDOWN, "the guest has ended");
    while (!error && !last)
        error = do_epoch(p, &last);
    releaser_end(&p->releaser);
    enum protect_end end = error ? lose(p) : finish(p);
    snprintf(why, SESSION_ERROR, "%s", p->why);
    return end;
}

/* A protection that was never run lets go, too. */
void protect_free(struct protection *p)
{
    if (!p)
        return;
    if (p->counts) {
        session_enter(p->session);
        let_go(p);
        stop_counting(p);
        publish(p, PROTECTION_OVER);
        session_leave(p->session);
    }
    page_set_free(&p->dirty);
    epoch_free(&p->epoch);
    stream_free(&p->stream);
    free(p);
}
