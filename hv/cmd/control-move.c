/* Moving the guest for somebody on the control socket. See control-move.h. */
#include "config.h"

#include "hv/cmd/control-move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/control.h"
#include "hv/mover.h"

enum { PROGRESS_TICKS = 20 };

struct request {
    char *address, *secret;
    uint64_t downtime, rounds, throttle, postcopy;
};

struct control_move {
    struct session *session;
    int client;
    struct mover *mover;
    unsigned ticks;
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

/* ---- what is told ---------------------------------------------------------------------------- */

static void tell_progress(struct control_move *m)
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

static void tell_moved(struct control_move *m)
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

/* ---- life ------------------------------------------------------------------------------------ */

static struct mover *begin(struct session *session, const struct request *r, bool recover)
{
    /* No time at all is never enough; to the library 0 is the usual. */
    const struct mover_wish wish = {
        .address = r->address,
        .secret = r->secret,
        .recover = recover,
        .how = {.downtime = r->downtime ? (double)r->downtime * 1e-3 : 1e-9,
                .rounds = (unsigned)r->rounds,
                .postcopy = r->postcopy,
                .throttle = (unsigned)r->throttle}};
    return mover_new(session, &wish);
}

struct control_move *control_move_new(struct session *session, int client, char *words,
                                      bool recover)
{
    struct request request;
    struct control_move *m = calloc(1, sizeof *m);
    const char *wrong = NULL;
    if (!m)
        wrong = "the host has no memory left";
    else if (!parse(words, &request))
        wrong = "this is not how a migration is asked for";
    else if (!(m->mover = begin(session, &request, recover)))
        wrong = "the host gives no thread";
    if (!wrong) {
        m->session = session;
        m->client = client;
        return m;
    }
    control_say(client, "error: %s", wrong);
    close(client);
    free(m);
    return NULL;
}

/* Who has asked may change his mind. Who is gone has not. */
static void hear(struct control_move *m)
{
    static const char cancel[] = "cancel\n";
    char line[sizeof cancel];
    ssize_t got = recv(m->client, line, sizeof line, MSG_DONTWAIT);
    if (got == sizeof cancel - 1 && memcmp(line, cancel, sizeof cancel - 1) == 0)
        mover_call_off(m->mover);
}

static void tell_end(struct control_move *m)
{
    static const char *const KINDS[] = {[MIGRATE_DOUBT] = "in doubt: ", [MIGRATE_TORN] = "torn: "};
    char why[SESSION_ERROR];
    enum migrate_end end = mover_free(m->mover, why);
    const char *kind = end < sizeof KINDS / sizeof *KINDS ? KINDS[end] : NULL;
    if (end == MIGRATE_MOVED)
        tell_moved(m);
    else
        control_say(m->client, "error: %s%s", kind ? kind : "", why);
}

void control_move_call_off(struct control_move *m)
{
    mover_call_off(m->mover);
}

bool control_move_tick(struct control_move *m)
{
    if (!mover_is_over(m->mover)) {
        hear(m);
        if (++m->ticks % PROGRESS_TICKS == 0)
            tell_progress(m);
        return false;
    }
    tell_end(m);
    close(m->client);
    free(m);
    return true;
}
