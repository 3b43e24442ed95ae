/*
 * Migration, the source after a hand-over by post-copy: the guest runs on the other side, and what
 * is left of its memory goes after it. See migrate.h.
 *
 * Pages are pushed in small batches, each of which the other side confirms, so that few are ever on
 * their way: a page that is asked for comes behind those, and a long queue would be a long wait.
 * After it the push goes on with the pages behind that one: who has touched a page often touches
 * the next. (Hines and Gopalan, section 3.3, call that bubbling.)
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hv/migrate.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"

enum { BATCH = 16, ON_THE_WAY = 4 }; /* pages; batches */

struct push {
    struct session *session;
    struct stream *stream;
    struct page_set *todo;
    struct view_migration *view;
    uint64_t at;              /* where the next batch begins */
    uint64_t sent, confirmed; /* messages PAGES */
    bool over;
};

static int refuse(struct push *p, const char *reason)
{
    snprintf(p->stream->why, sizeof p->stream->why, "the stream is damaged: %s", reason);
    return -EPROTO;
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* Up to `count` pages from `from` on that are left to do, round the end of memory. The guest does
 * not run here any more, but the lock keeps the view whole. */
static int send_from(struct push *p, uint64_t from, unsigned count)
{
    session_enter(p->session);
    stream_begin(p->stream);
    for (; count; count--) {
        uint64_t page = page_set_next(p->todo, from);
        if (page == p->todo->pages)
            page = page_set_next(p->todo, 0);
        if (page == p->todo->pages)
            break;
        p->view->moved_pages++;
        p->view->missing--;
        p->view->zero_pages += migrate_put_page(
            p->stream, (uint32_t)page, p->session->ops->move->page(p->session->backend, page));
        page_set_remove(p->todo, page);
        from = page + 1;
    }
    p->at = from;
    p->view->bytes = p->stream->bytes;
    p->session->migration = *p->view;
    session_leave(p->session);
    p->sent++;
    return stream_send(p->stream, MESSAGE_PAGES);
}

static bool is_left(const struct page_set *set, uint64_t page)
{
    return page < set->pages && set->bits[page / 64] >> page % 64 & 1;
}

/* A page that is on its way already is not sent twice. */
static int answer(struct push *p)
{
    uint64_t page = stream_u64(p->stream->payload);
    if (page >= p->todo->pages)
        return refuse(p, "a page outside memory");
    p->view->demands++;
    return is_left(p->todo, page) ? send_from(p, page, 1) : 0;
}

/* ---- the other side's words -------------------------------------------------------------------
 */

static int take_word(struct push *p)
{
    enum message type;
    int error = stream_next(p->stream, &type);
    if (error)
        return error;
    switch (type) {
    case MESSAGE_DEMAND: return answer(p);
    case MESSAGE_GOT:
        p->confirmed++;
        return p->confirmed == stream_u64(p->stream->payload) && p->confirmed <= p->sent
                   ? 0
                   : refuse(p, "a message is confirmed that was not sent");
    case MESSAGE_ARRIVED: p->over = true; return 0;
    default: return refuse(p, "a message in a wrong place");
    }
}

int migrate_push(struct session *session, struct stream *stream, struct page_set *todo,
                 struct view_migration *view)
{
    struct push p = {session, stream, todo, view, .at = 0};
    int error = 0;
    while (!error && !p.over) {
        bool room = p.sent - p.confirmed < ON_THE_WAY;
        if (room && page_set_next(todo, 0) < todo->pages)
            error = send_from(&p, p.at, BATCH);
        else
            error = take_word(&p);
    }
    return error;
}

/* ---- once more ------------------------------------------------------------------------------- */

/* Which pages the other side has not. */
static int agree(struct session *session, struct stream *s, struct page_set *todo)
{
    int error = migrate_send_hello(s);
    error = error ? error : migrate_expect_hello(s);
    if (error)
        return error;
    stream_begin(s);
    stream_put_u64(s, session->moved_token);
    error = stream_send(s, MESSAGE_RECOVER);
    error = error ? error : stream_expect(s, MESSAGE_MISSING);
    if (!error && stream_u64(s->payload) != session->moved_token) {
        snprintf(s->why, sizeof s->why, "the other side means another guest");
        error = -EPROTO;
    }
    return error ? error : migrate_take_set(s, todo);
}

/* Is there something to recover? Then nobody else may begin, nor take the guest back: the other
 * side may be about to say that it runs there. */
static int begin(struct session *session, struct view_migration *view)
{
    session_enter(session);
    enum view_migration_phase phase = session->migration.phase;
    bool may = session_is_away(session) && session->moved_token && !session->moving &&
               (phase == MIGRATION_TORN || phase == MIGRATION_DOUBT);
    if (may) {
        session->moving = session->recovering = true;
        *view = session->migration;
    }
    session_leave(session);
    return may ? 0 : -EINVAL;
}

static void end(struct session *session, struct view_migration *view, double began,
                enum view_migration_phase phase)
{
    session_enter(session);
    view->seconds += migrate_now() - began;
    view->phase = phase;
    session->migration = *view;
    session->moving = session->recovering = false;
    session_leave(session);
}

enum migrate_end migrate_recover(struct session *session, struct link *link, char *why)
{
    struct view_migration view;
    struct stream s;
    struct page_set todo = {0};
    double began = migrate_now();
    if (begin(session, &view)) {
        snprintf(why, SESSION_ERROR, "there is no migration that the loss of a link has torn");
        return MIGRATE_STAYED;
    }
    enum view_migration_phase before = view.phase;
    stream_init(&s, link);
    s.bytes = view.bytes; /* in all */
    int error = page_set_init(&todo, view.pages);
    error = error ? error : agree(session, &s, &todo);
    if (!error) {
        before = MIGRATION_TORN; /* that it runs there is certain now */
        view.phase = MIGRATION_POSTCOPY;
        view.missing = page_set_count(&todo);
        error = migrate_push(session, &s, &todo, &view);
    }
    if (error)
        snprintf(why, SESSION_ERROR, "%s", *s.why ? s.why : "the host has no memory left");
    end(session, &view, began, error ? before : MIGRATION_MOVED);
    page_set_free(&todo);
    stream_free(&s);
    return !error ? MIGRATE_MOVED : before == MIGRATION_DOUBT ? MIGRATE_DOUBT : MIGRATE_TORN;
}
