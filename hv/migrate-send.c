/*
 * Migration, the source's side: rounds of pages, then the hand-over. See migrate.h.
 *
 * The guest runs between the batches of a round: each is copied with the session's lock held and
 * sent without it. During the hand-over the guest stands (session->standing) and nothing of it can
 * be changed, but whoever has a question gets an answer, however long the other side takes.
 *
 * With post-copy there are only a few rounds; what is left then is named (MISSING), and follows
 * when the guest runs on the other side: migrate-push.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hv/migrate.h"
#include "hv/migrate-stream.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"

enum { ROUNDS = 30, ROUNDS_BEFORE = 1, THROTTLE_STEP = 20, THROTTLE_MAX = 99, FEW_PAGES = 16 };

static const double DOWNTIME = 0.010;
/* A guest that dirties more than this part of what was sent will never get done. */
static const double TOO_FAST = 0.5;

struct sender {
    struct session *session;
    const struct backend_move *move;
    struct stream stream;
    const struct migrate_options *options;
    struct page_set todo; /* pages that the other side has not as they are */
    struct view_migration view;
    double began, stood; /* when the migration, and the guest's standing, began */
    bool runs;           /* the guest did when the hand-over began */
    bool counts;         /* account of writes is kept */
    bool postcopy;       /* what is in `todo` follows behind the guest */
    uint64_t token;      /* ... of which this is the name; 0: it does not */
    char *why;
};

static int fail(struct sender *s, int error, const char *reason)
{
    snprintf(s->why, SESSION_ERROR, "%s", reason);
    return error;
}

static int stream_failed(struct sender *s, int error)
{
    return error ? fail(s, error, s->stream.why) : 0;
}

/* Somebody has changed his mind. What the other side has got is dropped there. */
static int look_for_end(struct sender *s)
{
    bool quits = s->options->quit && *s->options->quit;
    return quits ? fail(s, -ECANCELED, "it was called off") : 0;
}

/* Shows how far it is. With the lock held. */
static void publish(struct sender *s, enum view_migration_phase phase)
{
    s->view.phase = phase;
    s->view.bytes = s->stream.bytes;
    s->view.seconds = migrate_now() - s->began;
    s->session->migration = s->view;
}

/* ---- greeting ------------------------------------------------------------------------------- */

static int greet(struct sender *s)
{
    return stream_failed(s, migrate_greet(s->session, &s->stream));
}

/* ---- pages ---------------------------------------------------------------------------------- */

static void put_page(struct sender *s, uint32_t index)
{
    const uint8_t *page = s->move->page(s->session->backend, index);
    s->view.moved_pages++;
    s->view.zero_pages += migrate_put_page(&s->stream, index, page);
}

/* Puts a message together of the next pages to do. With the lock held. false: there are none left.
 */
static bool take_batch(struct sender *s, uint64_t *at)
{
    unsigned count = 0;
    stream_begin(&s->stream);
    for (; count < MIGRATE_BATCH; count++, ++*at) {
        *at = page_set_next(&s->todo, *at);
        if (*at == s->todo.pages)
            break;
        put_page(s, (uint32_t)*at);
        page_set_remove(&s->todo, *at);
    }
    return count > 0;
}

static int send_batch(struct sender *s, enum view_migration_phase phase)
{
    int error = phase == MIGRATION_COPYING ? look_for_end(s) : 0;
    return error ? error : stream_failed(s, stream_send(&s->stream, MESSAGE_PAGES));
}

/* The pages of `todo`. */
static int send_pages(struct sender *s, enum view_migration_phase phase)
{
    int error = 0;
    for (uint64_t at = 0; !error;) {
        session_enter(s->session);
        bool some = take_batch(s, &at);
        publish(s, phase);
        session_leave(s->session);
        if (!some)
            break;
        error = send_batch(s, phase);
    }
    return error;
}

/* Waits until the round has arrived: only then is its time the link's time. */
static int end_round(struct sender *s)
{
    stream_begin(&s->stream);
    stream_put_u32(&s->stream, s->view.round);
    int error = stream_send(&s->stream, MESSAGE_ROUND);
    error = error ? error : stream_expect(&s->stream, MESSAGE_SYNC);
    if (!error && stream_u32(s->stream.payload) != s->view.round) {
        snprintf(s->stream.why, sizeof s->stream.why, "the other side confirms another round");
        error = -EPROTO;
    }
    return stream_failed(s, error);
}

/* Adds what was written since the last call to `todo`. With the lock held. */
static int collect(struct sender *s)
{
    int error = s->move->collect(s->session->backend, s->todo.bits);
    s->view.dirty = page_set_count(&s->todo);
    return error ? fail(s, error, "what the guest has written cannot be found out") : 0;
}

/* ---- rounds --------------------------------------------------------------------------------- */

static double limit(const struct sender *s)
{
    return s->options->downtime > 0 ? s->options->downtime : DOWNTIME;
}

/* How the round that took `seconds`, and sent so many bytes and pages, went, and what it means for
 * the next. */
static void measure(struct sender *s, double seconds, uint64_t bytes, uint64_t pages)
{
    struct view_migration *v = &s->view;
    seconds = seconds > 1e-6 ? seconds : 1e-6;
    if (bytes >= FEW_PAGES * MIGRATE_PAGE ||
        v->rate == 0) /* less says more of latency than of rate */
        v->rate = (double)bytes / seconds;
    v->dirty_rate = (double)v->dirty * MIGRATE_PAGE / seconds;
    v->expected = (double)(v->dirty + FEW_PAGES) * MIGRATE_PAGE / v->rate;
    if (v->dirty <= pages && seconds < v->expected) /* as many pages took no longer just now */
        v->expected = seconds;
}

/* The newest rounds, for those who watch. */
static void log_round(struct sender *s, double seconds, uint64_t pages)
{
    struct view_migration *v = &s->view;
    if (v->rounds == VIEW_ROUNDS)
        memmove(v->log, v->log + 1, --v->rounds * sizeof *v->log);
    v->log[v->rounds++] = (struct view_round){pages, v->dirty, seconds, v->expected, v->throttle};
}

/* A guest that writes nearly as fast as the link carries gets less of the processor. */
static void adjust_throttle(struct sender *s)
{
    unsigned most = s->options->throttle < THROTTLE_MAX ? s->options->throttle : THROTTLE_MAX;
    unsigned next = s->view.throttle + (s->view.throttle ? THROTTLE_STEP / 2 : THROTTLE_STEP);
    if (s->view.round < 2 || s->view.dirty_rate < TOO_FAST * s->view.rate)
        return;
    s->view.throttle = next < most ? next : most;
    s->session->throttle = s->view.throttle;
}

static int do_round(struct sender *s)
{
    double from = migrate_now();
    uint64_t bytes = s->stream.bytes, pages = s->view.moved_pages;
    s->view.round++;
    int error = send_pages(s, MIGRATION_COPYING);
    error = error ? error : end_round(s);
    if (error)
        return error;
    session_enter(s->session);
    error = collect(s);
    if (!error && s->session->state == SESSION_ENDED)
        error = fail(s, -ESHUTDOWN, "the guest has ended meanwhile");
    double took = migrate_now() - from;
    pages = s->view.moved_pages - pages;
    measure(s, took, s->stream.bytes - bytes, pages);
    log_round(s, took, pages);
    adjust_throttle(s);
    publish(s, MIGRATION_COPYING);
    session_leave(s->session);
    return error;
}

/* There were enough rounds. With post-copy that is all right. */
static int give_up(struct sender *s, unsigned rounds)
{
    s->postcopy = s->options->postcopy;
    if (s->postcopy)
        return 0;
    snprintf(s->why, SESSION_ERROR,
             "after %u rounds the guest still writes faster than its pages can be sent (it "
             "would stand for %.0f ms)",
             rounds, s->view.expected * 1e3);
    return -ETIME;
}

/* Rounds until what is left fits into the downtime. */
static int converge(struct sender *s)
{
    unsigned few = s->options->postcopy ? ROUNDS_BEFORE : ROUNDS;
    unsigned rounds = s->options->rounds ? s->options->rounds : few;
    int error = do_round(s);
    while (!error && s->view.expected > limit(s)) {
        if (s->view.round >= rounds)
            return give_up(s, rounds);
        error = do_round(s);
    }
    return error;
}

/* ---- hand-over ------------------------------------------------------------------------------ */

static int send_input(struct sender *s)
{
    struct session *session = s->session;
    stream_begin(&s->stream);
    session_enter(session);
    for (size_t i = 0; i < session->input_count; i++)
        stream_put_u8(&s->stream, session->input[(session->input_head + i) % INPUT_QUEUE]);
    session_leave(session);
    return stream_failed(s, stream_send(&s->stream, MESSAGE_INPUT));
}

static int send_state(struct sender *s)
{
    struct state_buffer buffer = {0};
    session_enter(s->session);
    int error = s->move->save(s->session->backend, &buffer);
    session_leave(s->session);
    if (error) {
        state_buffer_free(&buffer);
        return fail(s, error, "the guest's state cannot be saved");
    }
    stream_begin(&s->stream);
    stream_put_u8(&s->stream, s->runs);
    stream_put(&s->stream, buffer.bytes, buffer.count);
    state_buffer_free(&buffer);
    return stream_failed(s, stream_send(&s->stream, MESSAGE_STATE));
}

/* Asks whether all has arrived, and waits for a yes. */
static int prepare(struct sender *s)
{
    uint64_t sum = s->stream.sent_sum;
    stream_begin(&s->stream);
    stream_put_u64(&s->stream, sum);
    int error = stream_send(&s->stream, MESSAGE_PREPARE);
    error = error ? error : stream_expect(&s->stream, MESSAGE_READY);
    if (!error && stream_u64(s->stream.payload) != sum) {
        snprintf(s->stream.why, sizeof s->stream.why, "the other side is ready for another guest");
        error = -EPROTO;
    }
    return stream_failed(s, error);
}

/* What follows behind the guest. */
static int send_missing(struct sender *s)
{
    if (getrandom(&s->token, sizeof s->token, 0) != sizeof s->token)
        return fail(s, -errno, "the host gives no random numbers");
    s->token |= 1; /* never 0 */
    stream_begin(&s->stream);
    stream_put_u64(&s->stream, s->token);
    migrate_put_set(&s->stream, &s->todo);
    return stream_failed(s, stream_send(&s->stream, MESSAGE_MISSING));
}

/* From here on the guest stands; it is the last chance to call it off. */
static int stand_still(struct sender *s)
{
    struct session *session = s->session;
    session_enter(session);
    link_heed(s->stream.link, NULL);
    int error = session->state == SESSION_ENDED
                    ? fail(s, -ESHUTDOWN, "the guest has ended meanwhile")
                    : look_for_end(s);
    error = error ? error : collect(s);
    s->stood = migrate_now();
    s->runs = session->state == SESSION_RUNNING;
    session->standing = true;
    int flushed = error ? 0 : s->move->flush(session->backend);
    if (flushed)
        error = fail(s, flushed, "the guest's disk cannot be written");
    if (!error)
        error = migrate_disk(session, MOVE_HAND_SETTLE, s->why);
    publish(s, MIGRATION_HANDOVER);
    session_leave(session);
    return error;
}

/* All that is left, up to the point where only the word is missing. */
static int hand_over(struct sender *s)
{
    int error = stand_still(s);
    if (!error && !s->postcopy)
        error = send_pages(s, MIGRATION_HANDOVER);
    error = error ? error : send_input(s);
    error = error ? error : send_state(s);
    if (!error && s->postcopy)
        error = send_missing(s);
    return error ? error : prepare(s);
}

static int change_hands(struct sender *s, enum move_hand how, char *why)
{
    session_enter(s->session);
    int error = migrate_disk(s->session, how, why);
    session_leave(s->session);
    return error;
}

/* Nobody has got the word, so the guest is ours; its disk is, too, unless a stranger was quick. */
static enum migrate_end keep(struct sender *s)
{
    char why[SESSION_ERROR];
    if (!change_hands(s, MOVE_HAND_TAKE, why))
        return MIGRATE_STAYED;
    snprintf(s->why, SESSION_ERROR, "the guest stands here, since its disk is gone: %.400s", why);
    return MIGRATE_DOUBT;
}

/* The point of no return is between the two lines that send and wait: see migrate.h. */
static enum migrate_end commit(struct sender *s)
{
    change_hands(s, MOVE_HAND_GIVE, s->why); /* giving does not fail */
    if (stream_failed(s, stream_send_empty(&s->stream, MESSAGE_COMMIT)))
        return keep(s);
    int error = stream_expect(&s->stream, MESSAGE_DONE);
    s->view.downtime = migrate_now() - s->stood;
    if (!error)
        return MIGRATE_MOVED;
    snprintf(s->why, SESSION_ERROR,
             "the guest was handed over, but nobody has confirmed it (%.300s): look whether it "
             "runs there",
             s->stream.why);
    return MIGRATE_DOUBT;
}

static const char *name_of(const struct sender *s)
{
    return s->options->to ? s->options->to : "another host";
}

/* What the hand-over has led to. With the lock held. */
static void settle(struct sender *s, enum migrate_end end)
{
    char text[VIEW_TEXT];
    s->view.missing = s->postcopy && end != MIGRATE_STAYED ? page_set_count(&s->todo) : 0;
    publish(s, end == MIGRATE_DOUBT    ? MIGRATION_DOUBT
               : end == MIGRATE_STAYED ? MIGRATION_STAYED
               : s->postcopy           ? MIGRATION_POSTCOPY
                                       : MIGRATION_MOVED);
    s->session->standing = false;
    s->session->moved_token = end == MIGRATE_STAYED ? 0 : s->token;
    snprintf(text, sizeof text, "the guest %s moved to %.60s",
             end == MIGRATE_DOUBT ? "may have" : "has", name_of(s));
    if (end != MIGRATE_STAYED)
        session_moved(s->session, text);
    pthread_cond_signal(&s->session->wake);
}

static enum migrate_end finish(struct sender *s)
{
    enum migrate_end end = hand_over(s) ? MIGRATE_STAYED : commit(s);
    session_enter(s->session);
    settle(s, end);
    session_leave(s->session);
    return end;
}

/* The rest of the guest's memory goes after it. */
static enum migrate_end push(struct sender *s)
{
    int error = migrate_push(s->session, &s->stream, &s->todo, &s->view);
    session_enter(s->session);
    publish(s, error ? MIGRATION_TORN : MIGRATION_MOVED);
    session_leave(s->session);
    if (!error)
        return MIGRATE_MOVED;
    snprintf(s->why, SESSION_ERROR,
             "the guest runs there, but %llu pages of its memory may be here only: %.300s",
             (unsigned long long)s->view.missing, s->stream.why);
    return MIGRATE_TORN;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* With the lock held. */
static int begin_account(struct sender *s)
{
    if (s->session->state == SESSION_ENDED)
        return fail(s, -ESHUTDOWN, "the guest has ended");
    if (s->session->moving)
        return fail(s, -EBUSY, "the guest is being moved already");
    if (migrate_keeps_disk(s->session))
        return fail(s, -ENOTSUP,
                    "what the guest writes to its disk is discarded at the end, or kept in a "
                    "directory of snapshots, and is in no file that could move along");
    s->view.pages = s->move->pages(s->session->backend);
    s->view.limit = limit(s);
    snprintf(s->view.to, sizeof s->view.to, "%s", name_of(s));
    int error = page_set_init(&s->todo, s->view.pages);
    error = error ? error : s->move->begin(s->session->backend);
    if (error)
        return fail(s, error,
                    error == -EBUSY ? "the guest stands in the past, or follows a record"
                                    : "the host has no memory left");
    s->session->moving = s->counts = true;
    publish(s, MIGRATION_COPYING);
    return collect(s);
}

static int begin(struct sender *s)
{
    if (!s->move)
        return fail(s, -ENOTSUP, "this kind of guest cannot be moved");
    if (s->options->postcopy && !s->move->absent)
        return fail(s, -ENOTSUP,
                    "post-copy: this kind of guest cannot run before its memory is "
                    "there");
    session_enter(s->session);
    int error = begin_account(s);
    session_leave(s->session);
    return error;
}

static void end(struct sender *s, enum migrate_end result)
{
    if (s->counts) {
        session_enter(s->session);
        s->move->end(s->session->backend);
        s->session->moving = false;
        s->session->throttle = 0;
        if (result == MIGRATE_STAYED)
            publish(s, MIGRATION_STAYED);
        session_leave(s->session);
    }
    page_set_free(&s->todo);
    stream_free(&s->stream);
}

enum migrate_end migrate_send(struct session *session, struct link *link,
                              const struct migrate_options *options, char *why)
{
    struct sender s = {.session = session,
                       .move = session->ops->move,
                       .options = options,
                       .began = migrate_now(),
                       .why = why};
    enum migrate_end result = MIGRATE_STAYED;
    stream_init(&s.stream, link);
    link_heed(link, options->quit);
    int error = begin(&s);
    error = error ? error : greet(&s);
    error = error ? error : converge(&s);
    if (!error)
        result = finish(&s);
    else
        look_for_end(&s); /* which may have been the reason */
    if (result == MIGRATE_MOVED && s.postcopy)
        result = push(&s);
    if (result == MIGRATE_STAYED)
        stream_abort(&s.stream, why);
    link_heed(link, NULL);
    end(&s, result);
    return result;
}
