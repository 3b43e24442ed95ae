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
#include "hv/cmd/control-move.h"
#include "hv/cmd/report.h"
#include "hv/cmd/waker.h"
#include "hv/link.h"

enum { LINE = 4096, PATIENCE_MS = 10000, PAUSE_MS = 10000, TICK_MS = 10 };

struct control {
    struct session *session;
    struct guard *guard;
    char *address;            /* unix:PATH */
    int socket, waker, ender; /* `ender` ends the thread */
    pthread_t thread;
    atomic_bool quits, held;
    struct control_move *move; /* under way; the thread's */
};

/* One that has asked. */
struct client {
    struct control *control;
    int fd;
};

void control_say(int client, const char *format, ...)
{
    char line[LINE];
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    count = count < LINE - 2 ? count : LINE - 2;
    line[count++] = '\n';
    /* Who does not read his answer does without it. */
    ssize_t sent = send(client, line, (size_t)count, MSG_NOSIGNAL | MSG_DONTWAIT);
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
        control_say(client->fd, "error: the host has no memory left");
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
    control_say(client->fd, "ok");
}

static void say_moves(struct client *client, const struct view_migration *migration)
{
    char line[LINE / 2];
    struct view_protection protection;
    session_view_protection(client->control->session, &protection);
    report_migration_line(migration, line, sizeof line);
    if (*line)
        control_say(client->fd, "%s", line);
    report_protection_line(&protection, line, sizeof line);
    if (*line)
        control_say(client->fd, "%s", line);
}

/* Where a guest that moves, or has moved, is in that. */
static void describe_move(const struct view_migration *v, char *text, size_t size)
{
    static const char *const PHASES[] = {
        [MIGRATION_COPYING] = " (is being moved)",
        [MIGRATION_HANDOVER] = " (is being handed over)",
        [MIGRATION_TORN] = " (the link is lost)",
    };
    const char *phase = v->phase < sizeof PHASES / sizeof *PHASES ? PHASES[v->phase] : NULL;
    bool partial = v->phase == MIGRATION_POSTCOPY || v->phase == MIGRATION_TORN;
    int count = snprintf(text, size, "%s", phase ? phase : "");
    if (partial && (size_t)count < size)
        snprintf(text + count, size - (size_t)count,
                 v->incoming ? " (%llu pages of it are missing)"
                             : " (%llu pages of it are here only)",
                 (unsigned long long)v->missing);
}

static void do_status(struct client *client, char *words)
{
    struct view_status status;
    struct view_migration migration;
    char move[80];
    if (!strcmp(words, "json")) {
        say_object(client);
        return;
    }
    session_status(client->control->session, &status);
    session_view_migration(client->control->session, &migration);
    say_moves(client, &migration);
    describe_move(&migration, move, sizeof move);
    const char *state = status.state == SESSION_RUNNING ? "running"
                        : status.state == SESSION_ENDED ? "ended"
                                                        : "stopped";
    bool runs = status.state == SESSION_RUNNING; /* then the text is of its last stop */
    control_say(client->fd, "ok %s%s%s%s, %llu instructions, %llu exits", state, move,
                runs ? "" : ": ", runs ? "" : status.text, (unsigned long long)status.instructions,
                (unsigned long long)status.exits);
}

static bool is_handed_over(struct session *session)
{
    struct view_migration migration;
    session_view_migration(session, &migration);
    return migration.phase == MIGRATION_HANDOVER;
}

/* While it is handed over it stands, but a pause comes about only if it stays here. */
static bool comes_to_stand(struct session *session)
{
    enum { LOOK_MS = 500 };
    for (int left = PAUSE_MS; left > 0; left -= LOOK_MS) {
        if (!session_wait(session, LOOK_MS))
            return true;
        if (is_handed_over(session))
            break;
    }
    return false;
}

static void do_pause(struct client *client, char *words)
{
    client->control->held = true;
    session_pause(client->control->session);
    if (!comes_to_stand(client->control->session))
        control_say(client->fd, "error: the guest %s",
                    is_handed_over(client->control->session) ? "is being handed over"
                                                             : "does not come to stand");
    else
        control_say(client->fd, "ok");
}

static void do_resume(struct client *client, char *words)
{
    bool held = client->control->held;
    int error = held ? session_run(client->control->session) : -EINVAL;
    struct view_status status;
    session_status(client->control->session, &status);
    if (error && error != -EBUSY)
        control_say(client->fd, "error: %s",
                    !held              ? "the guest was not paused"
                    : error == -ENOLCK ? status.text
                                       : strerror(-error));
    else
        control_say(client->fd, "ok");
    if (!error)
        client->control->held = false;
    waker_wake(client->control->waker);
}

static void do_take_back(struct client *client, char *words)
{
    int error = session_take_back(client->control->session);
    error = error ? error : session_run(client->control->session);
    if (error)
        control_say(client->fd, "error: %s",
                    error == -EINVAL     ? "no migration has ended in doubt"
                    : error == -EALREADY ? "the other side is being asked at this moment"
                    : error == -EBUSY
                        ? "the disk is in use by another program: look whether the guest runs there"
                        : strerror(-error));
    else
        control_say(client->fd, "ok");
    waker_wake(client->control->waker);
}

static void do_quit(struct client *client, char *words)
{
    control_say(client->fd, "ok");
    client->control->quits = true;
    waker_wake(client->control->waker);
}

/* ---- migrate -------------------------------------------------------------------------------- */

/* The connection is the mover's from then on. */
static void begin_to_move(struct client *client, char *words, bool recover)
{
    struct control *c = client->control;
    if (c->move) {
        control_say(client->fd, "error: the guest is being moved already");
        return;
    }
    c->move = control_move_new(c->session, client->fd, words, recover);
    client->fd = -1;
}

static void do_migrate(struct client *client, char *words)
{
    begin_to_move(client, words, false);
}

static void do_recover(struct client *client, char *words)
{
    begin_to_move(client, words, true);
}

/* ---- protect -------------------------------------------------------------------------------- */

/* Takes "name=" off one of the words in front; NULL: it is another. */
static const char *option(const char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

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
        control_say(client->fd,
                    "error: a run that is traced, recorded or debugged cannot be protected");
    else if (!parse_wish(words, &wish, &fence))
        control_say(client->fd, "error: this is not how protection is asked for");
    else if ((fence && guard_set_fence(guard, fence, why)) ||
             guard_protect(guard, &wish, false, why))
        control_say(client->fd, "error: %s", why);
    else
        control_say(client->fd, "ok protected by %s", wish.address);
}

static void do_unprotect(struct client *client, char *words)
{
    struct guard *guard = client->control->guard;
    if (!guard || guard_release(guard))
        control_say(client->fd, "error: the guest is not protected");
    else
        control_say(client->fd, "ok");
}

/* ---- serving -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*act)(struct client *client, char *words);
} COMMANDS[] = {
    {"status", do_status},   {"pause", do_pause},         {"resume", do_resume},
    {"migrate", do_migrate}, {"recover", do_recover},     {"take-back", do_take_back},
    {"protect", do_protect}, {"unprotect", do_unprotect}, {"quit", do_quit},
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
    control_say(client->fd, "error: there is no such command");
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

static void serve_one(struct control *c)
{
    char line[LINE];
    struct client client = {c, link_accept(c->socket, 0)};
    if (client.fd < 0)
        return;
    if (read_line(client.fd, line))
        obey(&client, line);
    if (client.fd >= 0)
        close(client.fd);
}

static void move_on(struct control *c)
{
    if (!c->move || !control_move_tick(c->move))
        return;
    c->move = NULL;
    waker_wake(c->waker);
}

static void *serve(void *context)
{
    struct control *c = context;
    struct pollfd wait[2] = {{.fd = c->socket, .events = POLLIN},
                             {.fd = c->ender, .events = POLLIN}};
    while (poll(wait, 2, c->move ? TICK_MS : -1) >= 0 || errno == EINTR) {
        if (wait[1].revents)
            break;
        if (wait[0].revents)
            serve_one(c);
        move_on(c);
    }
    if (c->move)
        control_move_call_off(c->move); /* its rounds may have no end */
    while (c->move) {
        poll(NULL, 0, TICK_MS);
        move_on(c);
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
        return status.stop == STOPPED_MOVED &&
               (migration.phase == MIGRATION_DOUBT || migration.phase == MIGRATION_POSTCOPY ||
                migration.phase == MIGRATION_TORN);
    return c->held;
}

void control_hold(struct control *c)
{
    c->held = true;
}
