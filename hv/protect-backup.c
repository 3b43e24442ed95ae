/*
 * Protection, the backup's side. See protect.h.
 *
 * What comes is kept aside until its epoch is whole: the session's guest is always one that the
 * primary's has been. Only the first copy goes straight into memory, where there is no guest yet.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hv/protect_priv.h"
#include "hv/session_priv.h"

enum { PATIENCE_MS = 2000 };

struct backup {
    struct session *session;
    const struct backend_move *move;
    const struct protect_options *options;
    struct stream stream;
    struct epoch coming, whole; /* `whole`: the newest one that is in the guest; number 0: none */
    bool spoilt;                /* an epoch could be put only in part: there is no guest any more */
    struct view_protection view;
};

static int refuse(struct backup *b, int error, const char *reason)
{
    snprintf(b->stream.why, sizeof b->stream.why, "%s", reason);
    return error;
}

static int patience(const struct backup *b)
{
    return b->options->patience_ms ? (int)b->options->patience_ms : PATIENCE_MS;
}

/* With the lock held. */
static void publish(struct backup *b, enum view_protection_phase phase)
{
    if (b->view.phase != phase)
        b->view.since = (int64_t)time(NULL);
    b->view.phase = phase;
    b->view.bytes = b->stream.got_bytes;
    b->view.backup = true;
    b->view.generation = b->options->fence ? b->options->fence->generation : 0;
    b->view.epochs = b->view.acknowledged = b->whole.head.number;
    b->view.instruction = b->whole.head.instructions;
    b->session->protection = b->view;
}

/* ---- greeting ------------------------------------------------------------------------------- */

static int acknowledge(struct backup *b, uint64_t number)
{
    stream_begin(&b->stream);
    stream_put_u64(&b->stream, number);
    return stream_send(&b->stream, MESSAGE_ACK);
}

/* Both sides must mean the same fence: its line says which one it is. */
static int compare_fence(struct backup *b)
{
    struct fence *fence = b->options->fence;
    uint64_t generation = stream_u64(b->stream.payload), owner = stream_u64(b->stream.payload + 8);
    if (!generation != !fence)
        return refuse(b, -EINVAL,
                      generation ? "the primary has a fence, and this side has none"
                                 : "the primary has no fence, and this side has one");
    int error = fence ? fence_know(fence, generation, owner, patience(b)) : 0;
    if (error)
        refuse(b, error,
               error == -ESTALE ? "the two sides do not have the same fence"
                                : "the fence cannot be read");
    return error;
}

/* With the lock held. */
static int make_room(struct backup *b)
{
    int error = migrate_clear(b->session, &b->stream);
    if (!error && b->move->disk && b->move->disk(b->session->backend, MOVE_DISK_HOLD))
        error = refuse(b, -EBUSY, "the disk here cannot be held back (is there a history?)");
    b->coming.most = b->whole.most = b->move->pages(b->session->backend);
    b->session->moving = !error; /* it is another's guest: nobody sends it on */
    publish(b, PROTECTION_COPYING);
    return error;
}

static int greet(struct backup *b)
{
    if (!b->move)
        return refuse(b, -ENOTSUP, "this kind of guest cannot be protected");
    int error = migrate_answer(b->session, &b->stream);
    error = error ? error : stream_expect(&b->stream, MESSAGE_PROTECT);
    error = error ? error : compare_fence(b);
    if (error)
        return error;
    session_enter(b->session);
    error = make_room(b);
    session_leave(b->session);
    return error ? error : acknowledge(b, 0);
}

/* ---- epochs --------------------------------------------------------------------------------- */

/* With the lock held. */
static int put(struct backup *b)
{
    struct epoch old = b->whole;
    if (b->coming.head.number != old.head.number + 1 || b->coming.head.released != old.head.number)
        return refuse(b, -EPROTO, "the stream is damaged: an epoch out of turn");
    if (epoch_apply(&b->coming, b->session)) {
        b->spoilt = true;
        return refuse(b, -EINVAL,
                      "an epoch is not one that this guest can have, or the host has no "
                      "memory left");
    }
    b->view.pages += b->coming.pages.count;
    b->view.blocks += b->coming.blocks.count;
    b->whole = b->coming;
    b->coming = old;
    epoch_clear(&b->coming);
    publish(b, PROTECTION_ON);
    return 0;
}

/* The first copy. With the lock held. */
static int put_early(struct backup *b)
{
    struct pile *pages = &b->coming.pages;
    uint64_t most = b->move->pages(b->session->backend);
    int error = 0;
    for (size_t i = 0; i < pages->count && !error; i++)
        error =
            pages->index[i] >= most
                ? refuse(b, -EPROTO, "the stream is damaged: a page outside memory")
            : b->move->put(b->session->backend, pages->index[i], pages->bytes + i * MIGRATE_PAGE)
                ? refuse(b, -ENOMEM, "the host has no memory left")
                : 0;
    pages->count = 0;
    return error;
}

static int take(struct backup *b, enum message type, uint64_t sum)
{
    bool early = type == MESSAGE_PAGES && !b->whole.head.number;
    int whole = epoch_take(&b->coming, &b->stream, type, sum);
    if (whole < 0 || (!whole && !early))
        return whole;
    session_enter(b->session);
    int error = whole ? put(b) : put_early(b);
    session_leave(b->session);
    return error || !whole ? error : acknowledge(b, b->whole.head.number);
}

/* 0: the primary has said OVER. Else it is lost. */
static int take_all(struct backup *b)
{
    for (;;) {
        uint64_t sum = b->stream.got_sum;
        enum message type;
        int error = stream_next(&b->stream, &type);
        if (!error && type == MESSAGE_OVER)
            return 0;
        if (!error && type == MESSAGE_BEAT)
            continue;
        error = error ? error : take(b, type, sum);
        if (error)
            return error;
    }
}

/* ---- taking over ---------------------------------------------------------------------------- */

/* The guest is ours, with its output, whatever becomes of the disk. With the lock held. */
static void begin_to_be(struct backup *b)
{
    const struct epoch_head *head = &b->whole.head;
    b->view.shown_from = b->session->shown = head->position;
    session_show(b->session, b->whole.output, b->whole.output_count);
    b->view.released = head->position + b->whole.output_count;
    if (head->state == EPOCH_ENDED)
        session_ended_there(b->session, (enum session_stop)head->stop, (int)head->exit_code,
                            head->text);
}

/* Takes it and writes what is held, or the latter alone. */
static int take_disk(struct backup *b)
{
    char why[SESSION_ERROR];
    int error = migrate_take_disk(b->session, patience(b), why);
    if (error)
        return refuse(b, error, why);
    session_enter(b->session);
    if (b->move->disk && b->move->disk(b->session->backend, MOVE_DISK_RELEASE))
        error = refuse(b, -EIO, "the guest's disk cannot be written");
    session_leave(b->session);
    return error;
}

static enum backup_end take_over(struct backup *b)
{
    struct fence *fence = b->options->fence;
    int error = fence ? fence_claim(fence, patience(b)) : 0;
    if (error == -ESTALE)
        return BACKUP_FENCED;
    if (error) {
        refuse(b, error, "the fence cannot be claimed: the primary may be writing at this moment");
        return BACKUP_UNSURE;
    }
    error = take_disk(b);
    session_enter(b->session);
    begin_to_be(b);
    session_leave(b->session);
    return error ? BACKUP_UNSURE : BACKUP_TAKEN;
}

static enum backup_end end_of(struct backup *b, int error)
{
    if (!error) {
        stream_begin(&b->stream);
        stream_put_u64(&b->stream, b->whole.head.number);
        stream_send(&b->stream, MESSAGE_OVER); /* that it may not arrive does not matter */
        return BACKUP_OVER;
    }
    return b->whole.head.number && !b->spoilt ? take_over(b) : BACKUP_NONE;
}

/* ---- all of it ------------------------------------------------------------------------------ */

enum backup_end protect_receive(struct session *session, struct link *link,
                                const struct protect_options *options, bool *runs, char *why)
{
    static const enum view_protection_phase phases[] = {
        [BACKUP_TAKEN] = PROTECTION_TAKEN,  [BACKUP_OVER] = PROTECTION_OVER,
        [BACKUP_NONE] = PROTECTION_ENDED,   [BACKUP_FENCED] = PROTECTION_FENCED,
        [BACKUP_UNSURE] = PROTECTION_ENDED,
    };
    struct backup b = {.session = session, .move = session->ops->move, .options = options};
    stream_init(&b.stream, link);
    int error = greet(&b);
    error = error ? error : take_all(&b);
    if (error && error != -ECANCELED)
        stream_abort(&b.stream, b.stream.why);
    enum backup_end end = end_of(&b, error);
    *runs = b.whole.head.state == EPOCH_RUNS;
    snprintf(why, SESSION_ERROR, "%s", error || end == BACKUP_UNSURE ? b.stream.why : "");
    session_enter(session);
    session->moving = false;
    snprintf(b.view.why, sizeof b.view.why, "%.*s", VIEW_TEXT - 1, why);
    publish(&b, phases[end]);
    session_leave(session);
    epoch_free(&b.coming);
    epoch_free(&b.whole);
    stream_free(&b.stream);
    return end;
}
