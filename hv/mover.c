/* A migration on a thread of its own. See mover.h. */
#include "config.h"

#include "hv/mover.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/link.h"
#include "hv/migrate.h"

enum { PATIENCE_MS = 10000 };

struct mover {
    struct session *session;
    char *address;
    void (*done)(void *context);
    void *context;
    pthread_t thread;
    bool moved;
    atomic_bool over;
    char why[SESSION_ERROR];
};

static void *move(void *context)
{
    struct mover *m = context;
    struct link link;
    struct migrate_options options = {.to = m->address};
    if (link_call(m->address, NULL, PATIENCE_MS, &link, m->why) == 0) {
        m->moved = migrate_send(m->session, &link, &options, m->why) == MIGRATE_MOVED;
        link_close(&link);
    }
    m->over = true;
    m->done(m->context);
    return NULL;
}

struct mover *mover_new(struct session *session, const char *address, void (*done)(void *context),
                        void *context)
{
    struct mover *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    *m = (struct mover){
        .session = session, .address = strdup(address), .done = done, .context = context};
    if (m->address && pthread_create(&m->thread, NULL, move, m) == 0)
        return m;
    free(m->address);
    free(m);
    return NULL;
}

bool mover_is_over(const struct mover *m)
{
    return m->over;
}

bool mover_free(struct mover *m, char *why)
{
    *why = 0;
    if (!m)
        return false;
    pthread_join(m->thread, NULL);
    bool moved = m->moved;
    if (!moved)
        snprintf(why, SESSION_ERROR, "%s", m->why);
    free(m->address);
    free(m);
    return moved;
}
