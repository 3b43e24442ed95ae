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

static int put_pages(struct receiver *r)
{
    const uint8_t *at = r->stream.payload, *end = at + r->stream.length;
    while (at < end) {
        if (end - at < 5 || at[4] > 1 || (at[4] && end - at < 5 + MIGRATE_PAGE))
            return refuse(r, -EPROTO, "the stream is damaged: a torn page");
        uint32_t index = stream_u32(at);
        bool zero = !at[4];
        if (index >= r->view.pages)
            return refuse(r, -EPROTO, "the stream is damaged: a page outside memory");
        if (r->move->put(r->session->backend, index, zero ? NULL : at + 5))
            return refuse(r, -ENOMEM, "the host has no memory left");
        r->view.moved_pages++;
        r->view.zero_pages += zero;
        at += zero ? 5 : 5 + MIGRATE_PAGE;
    }
    return 0;
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

/* One message before PREPARE. With the lock held, but SYNC is short. */
static int take(struct receiver *r, enum message type)
{
    switch (type) {
    case MESSAGE_PAGES: return r->has_state ? -EPROTO : put_pages(r);
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
    if (error)
        return error == -ECANCELED ? MIGRATE_STAYED : MIGRATE_WHOLE;
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
    session_enter(session);
    publish(&r, phases[result]);
    session_leave(session);
    *runs = r.runs;
    stream_free(&r.stream);
    return result;
}
