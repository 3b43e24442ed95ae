/*
 * Migration, the destination after a hand-over by post-copy: the guest runs, and the rest of its
 * memory is taken from the link. See migrate.h and postcopy.h.
 *
 * The session's lock is not taken while pages come: whoever holds it may be waiting for one.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/migrate.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"

/* ---- beginning ------------------------------------------------------------------------------- */

int migrate_await(struct session *session, struct arrival *arrival, const struct page_set *missing,
                  uint64_t token)
{
    arrival->pages = postcopy_new(missing->pages, missing->bits, token);
    return arrival->pages ? session->ops->move->absent(session->backend, arrival->pages) : -ENOMEM;
}

/* The backend is not asked: a destination without a guest is thrown away as it is. */
void migrate_await_no_more(struct session *session, struct arrival *arrival)
{
    if (arrival->pages)
        postcopy_disconnect(arrival->pages, "the guest was not handed over");
    session->arrival = arrival; /* until the session is freed */
}

static void connect(struct arrival *a, struct stream *stream)
{
    stream_free(&a->out);
    a->in = *stream;
    *stream = (struct stream){0};
    stream_split(&a->in, &a->out);
    postcopy_connect(a->pages, &a->out);
}

void migrate_arrive(struct session *session, struct arrival *arrival, struct stream *stream)
{
    session->arrival = arrival;
    session->moving = true;
    connect(arrival, stream);
}

void migrate_arrival_free(struct arrival *a)
{
    if (!a)
        return;
    postcopy_free(a->pages);
    stream_free(&a->in);
    stream_free(&a->out);
    free(a);
}

void migrate_arrival_view(struct arrival *a, struct view_migration *view)
{
    if (!a->pages)
        return;
    struct postcopy_figures figures = postcopy_figures(a->pages);
    view->missing = postcopy_missing(a->pages);
    view->demands = figures.asked;
    view->waited = figures.waited;
    view->waited_max = figures.waited_max;
}

/* ---- pages ----------------------------------------------------------------------------------- */

static int put_page(void *context, uint64_t page, const uint8_t *bytes)
{
    return postcopy_put(context, page, bytes);
}

static int take_pages(struct arrival *a)
{
    enum message type;
    int error = stream_next(&a->in, &type);
    if (!error && type != MESSAGE_PAGES) {
        snprintf(a->in.why, sizeof a->in.why, "the stream is damaged: a message in a wrong place");
        error = -EPROTO;
    }
    return error ? error : migrate_take_pages(&a->in, a->view.pages, put_page, a->pages);
}

/* As a message that cannot be read, whoever finds the link broken. */
static int confirm(struct arrival *a, uint64_t got)
{
    int error = postcopy_send(a->pages, MESSAGE_GOT, got);
    if (error)
        snprintf(a->in.why, sizeof a->in.why, "the link broke: %s", strerror(-error));
    return error;
}

static int take_all(struct arrival *a)
{
    uint64_t got = 0, missing = postcopy_missing(a->pages);
    int error = 0;
    while (!error && postcopy_missing(a->pages)) {
        error = take_pages(a);
        error = error ? error : confirm(a, ++got);
    }
    /* Nobody needs the source any more, whether it hears of that or not. */
    if (!error)
        postcopy_send(a->pages, MESSAGE_ARRIVED, missing);
    return error;
}

/* ---- end ------------------------------------------------------------------------------------- */

static enum migrate_end lose(struct session *session, struct arrival *a, char *why)
{
    snprintf(why, SESSION_ERROR, "%s", a->in.why);
    postcopy_disconnect(a->pages, a->in.why);
    session_enter(session);
    session->migration.phase = MIGRATION_TORN;
    session_leave(session);
    return MIGRATE_TORN;
}

static void complete(struct session *session, struct arrival *a)
{
    session_enter(session);
    session->ops->move->arrived(session->backend);
    migrate_arrival_view(a, &session->migration);
    session->migration.phase = MIGRATION_MOVED;
    session->moving = false;
    session->arrival = NULL;
    session_leave(session);
    migrate_arrival_free(a);
}

enum migrate_end migrate_receive_rest(struct session *session, char *why)
{
    struct arrival *a = session->arrival;
    if (!a)
        return MIGRATE_MOVED;
    if (take_all(a))
        return lose(session, a, why);
    complete(session, a);
    return MIGRATE_MOVED;
}

/* ---- once more ------------------------------------------------------------------------------- */

/* The source says which migration it means, and hears what is missing of it. */
static int agree(struct arrival *a, struct stream *s)
{
    int error = migrate_expect_hello(s);
    error = error ? error : migrate_send_hello(s);
    error = error ? error : stream_expect(s, MESSAGE_RECOVER);
    if (error)
        return error;
    if (stream_u64(s->payload) != postcopy_token(a->pages)) {
        snprintf(s->why, sizeof s->why, "that is not the guest whose memory is missing here");
        return -EPROTO;
    }
    struct page_set set;
    if (page_set_init(&set, a->view.pages)) {
        snprintf(s->why, sizeof s->why, "the host has no memory left");
        return -ENOMEM;
    }
    postcopy_list(a->pages, set.bits);
    stream_begin(s);
    stream_put_u64(s, postcopy_token(a->pages));
    migrate_put_set(s, &set);
    page_set_free(&set);
    return stream_send(s, MESSAGE_MISSING);
}

enum migrate_end migrate_receive_again(struct session *session, struct link *link, char *why)
{
    struct arrival *a = session->arrival;
    struct stream s;
    if (!a)
        return MIGRATE_MOVED;
    stream_init(&s, link);
    int error = agree(a, &s);
    if (error) {
        snprintf(why, SESSION_ERROR, "%s", s.why);
        if (error != -ECANCELED)
            stream_abort(&s, s.why);
        stream_free(&s);
        return MIGRATE_TORN;
    }
    stream_free(&a->in);
    connect(a, &s);
    session_enter(session);
    session->migration.phase = MIGRATION_POSTCOPY;
    session_leave(session);
    return migrate_receive_rest(session, why);
}
