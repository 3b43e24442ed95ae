/* A migration on a thread of its own. See mover.h. */
#include "config.h"

#include "hv/mover.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/link.h"

enum { PATIENCE_MS = 10000 };

struct mover {
    struct session *session;
    struct mover_wish wish; /* with texts of our own */
    char *address, *secret;
    pthread_t thread;
    enum migrate_end end;
    atomic_bool over, quit;
    char why[SESSION_ERROR];
};

static void *move(void *context)
{
    struct mover *m = context;
    struct link link;
    m->end = MIGRATE_STAYED;
    if (link_call(m->address, m->secret, PATIENCE_MS, &link, m->why) == 0) {
        m->end = m->wish.recover ? migrate_recover(m->session, &link, m->why)
                                 : migrate_send(m->session, &link, &m->wish.how, m->why);
        link_close(&link);
    }
    m->over = true;
    if (m->wish.done)
        m->wish.done(m->wish.context);
    return NULL;
}

static void release(struct mover *m)
{
    free(m->address);
    free(m->secret);
    free(m);
}

struct mover *mover_new(struct session *session, const struct mover_wish *wish)
{
    struct mover *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    *m = (struct mover){.session = session, .wish = *wish, .address = strdup(wish->address)};
    m->secret = wish->secret ? strdup(wish->secret) : NULL;
    m->wish.how.to = m->address;
    m->wish.how.quit = &m->quit;
    if (m->address && (m->secret || !wish->secret) &&
        pthread_create(&m->thread, NULL, move, m) == 0)
        return m;
    release(m);
    return NULL;
}

bool mover_is_over(const struct mover *m)
{
    return m->over;
}

void mover_call_off(struct mover *m)
{
    m->quit = true;
}

enum migrate_end mover_free(struct mover *m, char *why)
{
    *why = 0;
    if (!m)
        return MIGRATE_STAYED;
    pthread_join(m->thread, NULL);
    enum migrate_end end = m->end;
    if (end != MIGRATE_MOVED)
        snprintf(why, SESSION_ERROR, "%s", m->why);
    release(m);
    return end;
}
