/*
 * Migration, the destination's side. See migrate.h.
 *
 * All that comes goes straight into the session's memory and devices, which nobody runs. Only
 * COMMIT makes a guest of it.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/migrate.h"
#include "hv/migrate-stream.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"

enum { DISK_MS = 2000 }; /* the source has given its lock away before; this is for strangers */

struct receiver {
    struct session *session;
    const struct backend_move *move;
    struct stream stream;
    struct view_migration view;
    bool has_input, has_state; /* these have come */
    bool runs;
    struct arrival *arrival; /* post-copy; NULL: all pages come before */
};

static int refuse(struct receiver *r, int error, const char *reason)
{
    snprintf(r->stream.why, sizeof r->stream.why, "%s", reason);
    return error;
}

static void publish(struct receiver *r, enum view_migration_phase phase)
{
    r->view.phase = phase;
    r->view.incoming = true;
    r->session->migration = r->view;
}

/* ---- greeting ------------------------------------------------------------------------------- */

static int clear_memory(struct receiver *r)
{
    session_enter(r->session);
    r->view.pages = r->move->pages(r->session->backend);
    int error = migrate_clear(r->session, &r->stream);
    publish(r, MIGRATION_COPYING);
    session_leave(r->session);
    return error;
}

/* ---- what comes ----------------------------------------------------------------------------- */

static int put_page(void *context, uint64_t page, const uint8_t *bytes)
{
    struct receiver *r = context;
    int error = r->move->put(r->session->backend, page, bytes);
    r->view.moved_pages += !error;
    r->view.zero_pages += !error && !bytes;
    return error;
}

static int take_round(struct receiver *r)
{
    r->view.round = stream_u32(r->stream.payload);
    stream_begin(&r->stream);
    stream_put_u32(&r->stream, r->view.round);
    return stream_send(&r->stream, MESSAGE_SYNC);
}

static int take_input(struct receiver *r)
{
    struct session *session = r->session;
    size_t count = r->stream.length;
    if (r->has_input)
        return refuse(r, -EPROTO, "the stream is damaged: input comes twice");
    memcpy(session->input, r->stream.payload, count);
    session->input_head = 0;
    session->input_count = count;
    r->has_input = true;
    return 0;
}

static int take_state(struct receiver *r)
{
    if (r->has_state || !r->has_input)
        return refuse(r, -EPROTO, "the stream is damaged: state in a wrong place");
    r->runs = r->stream.payload[0] != 0;
    int error = r->move->load(r->session->backend, r->stream.payload + 1, r->stream.length - 1);
    if (error)
        return refuse(r, error,
                      error == -EPROTO
                          ? "the guest's state is of a newer version than this program's"
                          : "the guest's state is not one that this guest can have");
    r->has_state = true;
    return 0;
}

/* The guest shall run before these pages are here. Whatever can fail for that fails now. */
static int take_missing(struct receiver *r)
{
    struct page_set set;
    if (r->arrival || !r->has_state)
        return refuse(r, -EPROTO, "the stream is damaged: missing pages in a wrong place");
    if (!r->move->absent)
        return refuse(r, -ENOTSUP, "this kind of guest cannot run before its memory is here");
    r->arrival = calloc(1, sizeof *r->arrival);
    int error = page_set_init(&set, r->view.pages);
    if (error || !r->arrival) {
        page_set_free(&set);
        return refuse(r, -ENOMEM, "the host has no memory left");
    }
    error = migrate_take_set(&r->stream, &set);
    if (!error)
        error = migrate_await(r->session, r->arrival, &set, stream_u64(r->stream.payload));
    page_set_free(&set);
    if (error == -ENOTSUP)
        refuse(r, error, "a guest that talks over HTIF cannot run before its memory is here");
    else if (error == -ENOMEM)
        refuse(r, error, "the host has no memory left");
    return error;
}

/* One message before PREPARE. With the lock held, but SYNC is short. */
static int take(struct receiver *r, enum message type)
{
    switch (type) {
    case MESSAGE_PAGES:
        if (r->has_state)
            return refuse(r, -EPROTO, "the stream is damaged: a page in a wrong place");
        return migrate_take_pages(&r->stream, r->view.pages, put_page, r);
    case MESSAGE_MISSING: return take_missing(r);
    case MESSAGE_ROUND: return take_round(r);
    case MESSAGE_INPUT: return take_input(r);
    case MESSAGE_STATE: return take_state(r);
    default: return refuse(r, -EPROTO, "the stream is damaged: a message in a wrong place");
    }
}

/* Everything is here. Could the disk be had, too? */
static int look_at_disk(struct receiver *r)
{
    char why[SESSION_ERROR];
    session_enter(r->session);
    int error = migrate_disk(r->session, MOVE_HAND_LOOK, why);
    session_leave(r->session);
    return error ? refuse(r, error, why) : 0;
}

/* Everything up to PREPARE, and whether that is everything. */
static int take_all(struct receiver *r)
{
    for (;;) {
        uint64_t sum = r->stream.got_sum;
        enum message type;
        int error = stream_next(&r->stream, &type);
        if (error)
            return error;
        if (type == MESSAGE_PREPARE) {
            bool whole = r->has_state && stream_u64(r->stream.payload) == sum;
            return whole ? look_at_disk(r)
                         : refuse(r, -EPROTO, "the stream is damaged: something is missing");
        }
        session_enter(r->session);
        error = take(r, type);
        publish(r, MIGRATION_COPYING);
        session_leave(r->session);
        if (error)
            return error;
    }
}

/* ---- hand-over ------------------------------------------------------------------------------ */

static int say_ready(struct receiver *r)
{
    uint64_t sum = stream_u64(r->stream.payload);
    stream_begin(&r->stream);
    stream_put_u64(&r->stream, sum);
    return stream_send(&r->stream, MESSAGE_READY);
}

/* Only what the source has said itself settles it: ABORT, that it goes on there, or COMMIT. */
static enum migrate_end wait_for_commit(struct receiver *r)
{
    int error = say_ready(r);
    error = error ? error : stream_expect(&r->stream, MESSAGE_COMMIT);
    if (error) /* a guest without a part of its memory is none */
        return error == -ECANCELED || r->arrival ? MIGRATE_STAYED : MIGRATE_WHOLE;
    stream_send_empty(&r->stream, MESSAGE_DONE); /* it is ours even if this does not arrive */
    return migrate_take_disk(r->session, DISK_MS, r->stream.why) ? MIGRATE_STANDS : MIGRATE_MOVED;
}

enum migrate_end migrate_receive(struct session *session, struct link *link, bool *runs, char *why)
{
    static const enum view_migration_phase phases[] = {
        [MIGRATE_MOVED] = MIGRATION_MOVED,
        [MIGRATE_STAYED] = MIGRATION_STAYED,
        [MIGRATE_WHOLE] = MIGRATION_DOUBT,
        [MIGRATE_STANDS] = MIGRATION_MOVED,
    };
    struct receiver r = {.session = session, .move = session->ops->move};
    enum migrate_end result = MIGRATE_STAYED;
    stream_init(&r.stream, link);
    int error = r.move ? 0 : refuse(&r, -ENOTSUP, "this kind of guest cannot be moved");
    error = error ? error : migrate_answer(r.session, &r.stream);
    error = error ? error : clear_memory(&r);
    error = error ? error : take_all(&r);
    if (!error)
        result = wait_for_commit(&r);
    if (result != MIGRATE_MOVED)
        snprintf(why, SESSION_ERROR, "%s", r.stream.why);
    if (error && error != -ECANCELED)
        stream_abort(&r.stream, r.stream.why);
    bool follows = r.arrival && (result == MIGRATE_MOVED || result == MIGRATE_STANDS);
    session_enter(session);
    publish(&r, follows ? MIGRATION_POSTCOPY : phases[result]);
    if (follows) {
        r.arrival->view = r.view;
        migrate_arrive(session, r.arrival, &r.stream);
    } else if (r.arrival) {
        migrate_await_no_more(session, r.arrival);
    }
    session_leave(session);
    *runs = r.runs;
    stream_free(&r.stream);
    return result;
}
