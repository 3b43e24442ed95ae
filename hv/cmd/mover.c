/* A migration on a thread of its own. See mover.h. */
#include "config.h"

#include "hv/cmd/mover.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/control.h"
#include "hv/cmd/incoming.h"
#include "hv/migrate.h"

enum { PATIENCE_MS = 10000, PROGRESS_TICKS = 20 };

struct request {
    char *address, *secret;
    uint64_t downtime, rounds, throttle, postcopy;
};

struct mover {
    struct session *session;
    int client;
    bool recover;
    char *words; /* the request points into it */
    struct request request;
    pthread_t thread;
    unsigned ticks;
    struct link link;
    enum migrate_end end;
    char why[SESSION_ERROR];
    atomic_bool done;
};

/* ---- the request ----------------------------------------------------------------------------- */

/* Takes "name=" off a word in front; NULL: it is another. */
static char *option(char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static bool parse_word(struct request *r, char *word)
{
    const struct {
        const char *name;
        uint64_t *number;
    } numbers[] = {{"downtime", &r->downtime},
                   {"rounds", &r->rounds},
                   {"throttle", &r->throttle},
                   {"postcopy", &r->postcopy}};
    char *value = option(word, "secret");
    if (value) {
        r->secret = value;
        return true;
    }
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if ((value = option(word, numbers[i].name)))
            return parse_size(value, numbers[i].number) == 0;
    bool first = !r->address;
    r->address = word;
    return first;
}

/* false: it makes no sense. */
static bool parse(char *words, struct request *r)
{
    char *rest = NULL;
    *r = (struct request){.downtime = 10, .throttle = 80};
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (!parse_word(r, word))
            return false;
    return r->address && r->rounds <= 100000 && r->throttle <= 99 && r->postcopy <= 1;
}

/* ---- moving ---------------------------------------------------------------------------------- */

static void *move(void *context)
{
    struct mover *m = context;
    const struct request *r = &m->request;
    /* No time at all is never enough; to the library 0 is the usual. */
    const struct migrate_options options = {.downtime =
                                                r->downtime ? (double)r->downtime * 1e-3 : 1e-9,
                                            .rounds = (unsigned)r->rounds,
                                            .postcopy = r->postcopy,
                                            .throttle = (unsigned)r->throttle,
                                            .to = r->address};
    m->end = MIGRATE_STAYED;
    if (!incoming_call(r->address, r->secret, PATIENCE_MS, &m->link, m->why))
        m->end = m->recover ? migrate_recover(m->session, &m->link, m->why)
                            : migrate_send(m->session, &m->link, &options, m->why);
    link_close(&m->link);
    m->done = true;
    return NULL;
}

static void tell_progress(struct mover *m)
{
    struct view_migration v;
    session_view_migration(m->session, &v);
    if (v.phase == MIGRATION_POSTCOPY)
        control_say(
            m->client,
            "progress post-copy: the guest runs there, %llu pages follow, %.0f MB sent, %llu "
            "pages asked for",
            (unsigned long long)v.missing, (double)v.bytes / 1e6, (unsigned long long)v.demands);
    else
        control_say(
            m->client,
            "progress round %u: %llu of %llu pages dirty, %.0f MB sent, %.1f MB/s, expected "
            "downtime %.1f ms%s",
            v.round, (unsigned long long)v.dirty, (unsigned long long)v.pages,
            (double)v.bytes / 1e6, v.rate / 1e6, v.expected * 1e3,
            v.throttle ? ", slowed down" : "");
}

static void tell_moved(struct mover *m)
{
    struct view_migration v;
    char after[80] = "";
    session_view_migration(m->session, &v);
    if (v.demands)
        snprintf(after, sizeof after, "; it has asked for %llu pages",
                 (unsigned long long)v.demands);
    control_say(m->client,
                "ok moved in %.2f s: %u rounds, %llu pages (%llu of them zero), %.1f MB; it stood "
                "for %.1f ms%s",
                v.seconds, v.round, (unsigned long long)v.moved_pages,
                (unsigned long long)v.zero_pages, (double)v.bytes / 1e6, v.downtime * 1e3, after);
}

static void tell_end(struct mover *m)
{
    static const char *const KINDS[] = {[MIGRATE_DOUBT] = "in doubt: ", [MIGRATE_TORN] = "torn: "};
    const char *kind = m->end < sizeof KINDS / sizeof *KINDS ? KINDS[m->end] : NULL;
    if (m->end == MIGRATE_MOVED)
        tell_moved(m);
    else
        control_say(m->client, "error: %s%s", kind ? kind : "", m->why);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct mover *mover_new(struct session *session, int client, char *words, bool recover)
{
    struct mover *m = calloc(1, sizeof *m);
    char *copy = strdup(words);
    const char *wrong = NULL;
    if (!m || !copy)
        wrong = "the host has no memory left";
    else if (!parse(copy, &m->request))
        wrong = "this is not how a migration is asked for";
    if (!wrong) {
        m->session = session;
        m->client = client;
        m->recover = recover;
        m->words = copy;
        if (pthread_create(&m->thread, NULL, move, m) == 0)
            return m;
        wrong = "the host gives no thread";
    }
    control_say(client, "error: %s", wrong);
    close(client);
    free(copy);
    free(m);
    return NULL;
}

bool mover_tick(struct mover *m)
{
    if (m->done) {
        tell_end(m);
        return true;
    }
    if (++m->ticks % PROGRESS_TICKS == 0)
        tell_progress(m);
    return false;
}

void mover_free(struct mover *m)
{
    if (!m)
        return;
    pthread_join(m->thread, NULL);
    close(m->client);
    free(m->words);
    free(m);
}
