/* The door of a running `vitrine run`. See control.h. */
#include "config.h"

#include "hv/cmd/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/report.h"
#include "hv/cmd/waker.h"
#include "hv/migrate.h"

enum { LINE = 4096, PATIENCE_MS = 10000, TICK_MS = 10, PROGRESS_TICKS = 20 };

struct control {
    struct session *session;
    struct guard *guard;
    char *address;            /* unix:PATH */
    int socket, waker, ender; /* `ender` ends the thread */
    pthread_t thread;
    atomic_bool quits, held;
};

/* A migration in a thread of its own, so that its progress can be told meanwhile. */
struct mover {
    struct session *session;
    struct link link;
    struct migrate_options options;
    enum migrate_end end;
    char why[SESSION_ERROR];
    atomic_bool done;
};

/* One that has asked. */
struct client {
    struct control *control;
    int fd;
};

static void say(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct client *client, const char *format, ...)
{
    char line[LINE];
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    count = count < LINE - 2 ? count : LINE - 2;
    line[count++] = '\n';
    /* Who does not read his answer does without it. */
    ssize_t sent = send(client->fd, line, (size_t)count, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}

/* ---- commands ------------------------------------------------------------------------------- */

/* All of it, for who asks for more than a line: waits for who reads. */
static void say_object(struct client *client)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        say(client, "error: the host has no memory left");
        return;
    }
    report_status(out, client->control->session);
    fclose(out);
    for (size_t at = 0; at < size;) {
        struct pollfd wait = {.fd = client->fd, .events = POLLOUT};
        ssize_t sent = poll(&wait, 1, PATIENCE_MS) > 0
                           ? send(client->fd, text + at, size - at, MSG_NOSIGNAL | MSG_DONTWAIT)
                           : -1;
        if (sent < 0)
            break;
        at += (size_t)sent;
    }
    free(text);
    say(client, "ok");
}

static void say_moves(struct client *client, const struct view_migration *migration)
{
    char line[LINE / 2];
    struct view_protection protection;
    session_view_protection(client->control->session, &protection);
    report_migration_line(migration, line, sizeof line);
    if (*line)
        say(client, "%s", line);
    report_protection_line(&protection, line, sizeof line);
    if (*line)
        say(client, "%s", line);
}

static void do_status(struct client *client, char *words)
{
    static const char *const PHASES[] = {"", " (is being moved)", " (is being handed over)", "", "",
                                         ""};
    struct view_status status;
    struct view_migration migration;
    if (!strcmp(words, "json")) {
        say_object(client);
        return;
    }
    session_status(client->control->session, &status);
    session_view_migration(client->control->session, &migration);
    say_moves(client, &migration);
    const char *state = status.state == SESSION_RUNNING ? "running"
                        : status.state == SESSION_ENDED ? "ended"
                                                        : "stopped";
    say(client, "ok %s%s: %s, %llu instructions, %llu exits", state, PHASES[migration.phase],
        status.text, (unsigned long long)status.instructions, (unsigned long long)status.exits);
}

static void do_pause(struct client *client, char *words)
{
    client->control->held = true;
    session_pause(client->control->session);
    session_wait(client->control->session, -1);
    say(client, "ok");
}

static void do_resume(struct client *client, char *words)
{
    bool held = client->control->held;
    int error = held ? session_run(client->control->session) : -EINVAL;
    struct view_status status;
    session_status(client->control->session, &status);
    if (error && error != -EBUSY)
        say(client, "error: %s",
            !held              ? "the guest was not paused"
            : error == -ENOLCK ? status.text
                               : strerror(-error));
    else
        say(client, "ok");
    if (!error)
        client->control->held = false;
    waker_wake(client->control->waker);
}

static void do_take_back(struct client *client, char *words)
{
    int error = session_take_back(client->control->session);
    error = error ? error : session_run(client->control->session);
    if (error)
        say(client, "error: %s",
            error == -EINVAL ? "no migration has ended in doubt"
            : error == -EBUSY
                ? "the disk is in use by another program: look whether the guest runs there"
                : strerror(-error));
    else
        say(client, "ok");
    waker_wake(client->control->waker);
}

static void do_quit(struct client *client, char *words)
{
    say(client, "ok");
    client->control->quits = true;
    waker_wake(client->control->waker);
}

/* ---- migrate -------------------------------------------------------------------------------- */

static void *move(void *context)
{
    struct mover *m = context;
    m->end = migrate_send(m->session, &m->link, &m->options, m->why);
    m->done = true;
    return NULL;
}

static void tell_progress(struct client *client)
{
    struct view_migration v;
    session_view_migration(client->control->session, &v);
    say(client,
        "progress round %u: %llu of %llu pages dirty, %.0f MB sent, %.1f MB/s, expected downtime "
        "%.1f ms%s",
        v.round, (unsigned long long)v.dirty, (unsigned long long)v.pages, (double)v.bytes / 1e6,
        v.rate / 1e6, v.expected * 1e3, v.throttle ? ", slowed down" : "");
}

static void tell_end(struct client *client, const struct mover *m)
{
    struct view_migration v;
    session_view_migration(client->control->session, &v);
    if (m->end == MIGRATE_MOVED)
        say(client,
            "ok moved in %.2f s: %u rounds, %llu pages (%llu of them zero), %.1f MB; it stood for "
            "%.1f ms",
            v.seconds, v.round, (unsigned long long)v.moved_pages, (unsigned long long)v.zero_pages,
            (double)v.bytes / 1e6, v.downtime * 1e3);
    else
        say(client, "error: %s%s", m->end == MIGRATE_DOUBT ? "in doubt: " : "", m->why);
}

/* Takes "name=" off one of the words in front; NULL: it is another. */
static const char *option(const char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

struct request {
    const char *address, *secret;
    uint64_t downtime, rounds, throttle;
};

/* false: they make no sense. */
static bool parse(char *words, struct request *r)
{
    *r = (struct request){.downtime = 10, .rounds = 30, .throttle = 80};
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        const char *value;
        if ((value = option(word, "secret")))
            r->secret = value;
        else if ((value = option(word, "downtime")) && parse_size(value, &r->downtime) == 0)
            continue;
        else if ((value = option(word, "rounds")) && parse_size(value, &r->rounds) == 0)
            continue;
        else if ((value = option(word, "throttle")) && parse_size(value, &r->throttle) == 0)
            continue;
        else if (!r->address)
            r->address = word;
        else
            return false;
    }
    return r->address && r->rounds <= 100000 && r->throttle <= 99;
}

static void do_migrate(struct client *client, char *words)
{
    struct mover m = {.session = client->control->session};
    struct request request;
    pthread_t thread;
    if (!parse(words, &request)) {
        say(client, "error: this is not how a migration is asked for");
        return;
    }
    if (link_call(request.address, request.secret, PATIENCE_MS, &m.link, m.why)) {
        say(client, "error: %s", m.why);
        return;
    }
    m.options = (struct migrate_options){.downtime = (double)request.downtime * 1e-3,
                                         .rounds = (unsigned)request.rounds,
                                         .throttle = (unsigned)request.throttle,
                                         .to = request.address};
    if (pthread_create(&thread, NULL, move, &m)) {
        say(client, "error: the host gives no thread");
    } else {
        for (unsigned n = 1; !m.done; n++) {
            poll(NULL, 0, TICK_MS);
            if (n % PROGRESS_TICKS == 0)
                tell_progress(client);
        }
        pthread_join(thread, NULL);
        tell_end(client, &m);
    }
    link_close(&m.link);
}

/* ---- protect -------------------------------------------------------------------------------- */

/* false: they make no sense. */
static bool parse_wish(char *words, struct guard_wish *wish, const char **fence)
{
    uint64_t epoch = 0, patience = 0;
    char *rest = NULL;
    *wish = (struct guard_wish){0};
    *fence = NULL;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        const char *value;
        if ((value = option(word, "secret")))
            wish->secret = value;
        else if ((value = option(word, "fence")))
            *fence = value;
        else if ((value = option(word, "epoch")) && parse_size(value, &epoch) == 0)
            continue;
        else if ((value = option(word, "patience")) && parse_size(value, &patience) == 0)
            continue;
        else if (!wish->address)
            wish->address = word;
        else
            return false;
    }
    wish->epoch_ms = (unsigned)epoch;
    wish->patience_ms = (unsigned)patience;
    return wish->address && epoch <= 1000 && patience <= 600000 &&
           (!patience || patience >= 4 * epoch);
}

static void do_protect(struct client *client, char *words)
{
    struct guard *guard = client->control->guard;
    struct guard_wish wish;
    const char *fence;
    char why[SESSION_ERROR];
    if (!guard)
        say(client, "error: a run that is traced, recorded or debugged cannot be protected");
    else if (!parse_wish(words, &wish, &fence))
        say(client, "error: this is not how protection is asked for");
    else if ((fence && guard_set_fence(guard, fence, why)) ||
             guard_protect(guard, &wish, false, why))
        say(client, "error: %s", why);
    else
        say(client, "ok protected by %s", wish.address);
}

static void do_unprotect(struct client *client, char *words)
{
    struct guard *guard = client->control->guard;
    if (!guard || guard_release(guard))
        say(client, "error: the guest is not protected");
    else
        say(client, "ok");
}

/* ---- serving -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*act)(struct client *client, char *words);
} COMMANDS[] = {
    {"status", do_status},   {"pause", do_pause},         {"resume", do_resume},
    {"migrate", do_migrate}, {"take-back", do_take_back}, {"quit", do_quit},
    {"protect", do_protect}, {"unprotect", do_unprotect},
};

static void obey(struct client *client, char *line)
{
    char *words = line + strcspn(line, " ");
    if (*words)
        *words++ = 0;
    for (unsigned i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (!strcmp(line, COMMANDS[i].name)) {
            COMMANDS[i].act(client, words);
            return;
        }
    }
    say(client, "error: there is no such command");
}

/* Reads one line; false: none came in time, or it was too long. */
static bool read_line(int fd, char line[LINE])
{
    size_t count = 0;
    while (count < LINE - 1) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, PATIENCE_MS) <= 0)
            return false;
        ssize_t got = recv(fd, line + count, LINE - 1 - count, 0);
        if (got <= 0)
            return false;
        count += (size_t)got;
        line[count] = 0;
        char *end = strchr(line, '\n');
        if (end) {
            *end = 0;
            return true;
        }
    }
    return false;
}

static void *serve(void *context)
{
    struct control *c = context;
    struct pollfd wait[2] = {{.fd = c->socket, .events = POLLIN},
                             {.fd = c->ender, .events = POLLIN}};
    char line[LINE];
    while (poll(wait, 2, -1) >= 0 || errno == EINTR) {
        if (wait[1].revents)
            break;
        struct client client = {c, link_accept(c->socket, 0)};
        if (client.fd < 0)
            continue;
        if (read_line(client.fd, line))
            obey(&client, line);
        close(client.fd);
    }
    return NULL;
}

struct control *control_new(struct session *session, struct guard *guard, const char *path,
                            int waker)
{
    char why[LINK_ERROR];
    struct control *c = calloc(1, sizeof *c);
    if (!c || asprintf(&c->address, "unix:%s", path) < 0) {
        free(c);
        cmd_fail("--control: the host has no memory left");
        return NULL;
    }
    c->session = session;
    c->guard = guard;
    c->waker = waker;
    c->ender = waker_new();
    c->socket = link_listen(c->address, why);
    if (c->socket < 0)
        cmd_fail("--control: %s", why);
    else if (c->ender < 0 || pthread_create(&c->thread, NULL, serve, c))
        cmd_fail("--control: the host gives no thread");
    else
        return c;
    if (c->socket >= 0)
        close(c->socket);
    if (c->ender >= 0)
        close(c->ender);
    free(c->address);
    free(c);
    return NULL;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    waker_wake(c->ender);
    pthread_join(c->thread, NULL);
    link_forget(c->address);
    close(c->socket);
    close(c->ender);
    free(c->address);
    free(c);
}

bool control_quits(const struct control *c)
{
    return c && c->quits;
}

bool control_waits(struct control *c)
{
    struct view_migration migration;
    struct view_status status;
    if (!c)
        return false;
    session_view_migration(c->session, &migration);
    session_status(c->session, &status);
    if (status.state == SESSION_ENDED)
        return status.stop == STOPPED_MOVED && migration.phase == MIGRATION_DOUBT;
    return c->held;
}

void control_hold(struct control *c)
{
    c->held = true;
}
