/* The guest comes from another host. See incoming.h. */
#include "config.h"

#include "hv/cmd/incoming.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/waker.h"

enum { PATIENCE_MS = 15000 };

/* `ender` (-1: there is none) was woken before somebody has called. */
static bool is_over(int listening, int ender)
{
    struct pollfd wait[2] = {{.fd = listening, .events = POLLIN}, {.fd = ender, .events = POLLIN}};
    while (poll(wait, 2, -1) < 0 && errno == EINTR)
        ;
    return wait[1].revents;
}

/* Strangers are sent away, and it goes on waiting. ops NULL: it is over, or after a message. */
static struct link take_caller(int listening, int ender, const struct link_secret *secret,
                               const char *what, const char *address, int patience_ms)
{
    while (!is_over(listening, ender)) {
        int fd = link_accept(listening, -1);
        if (fd == -EINTR)
            continue;
        if (fd < 0) {
            cmd_fail("%s %s: %s", what, address, strerror(-fd));
            return (struct link){0};
        }
        struct link link = link_of_socket(fd, patience_ms);
        int error = !link.ops ? -ENOMEM : secret ? link_prove(&link, secret, false) : 0;
        if (!error)
            return link;
        cmd_fail("%s %s: a caller was refused: %s", what, address,
                 error == -EACCES ? "it does not know the secret" : strerror(-error));
        link_close(&link);
    }
    return (struct link){0};
}

/* Reads the secret, and insists on one where strangers can come in. */
static int check_secret(const struct options *options, const char *what, const char *address,
                        struct link_secret *secret)
{
    char why[LINK_ERROR];
    bool public;
    if (link_is_public(address, &public, why))
        return cmd_fail("%s %s", what, why);
    if (public && !options->secret)
        return cmd_fail("%s %s: others than this host can come there: --secret FILE is needed",
                        what, address);
    if (options->secret && link_read_secret(options->secret, secret, why))
        return cmd_fail("--secret %s", why);
    return 0;
}

static struct link listen_for_caller(const struct options *options, int ender, const char *what,
                                     const char *address, int patience_ms)
{
    struct link_secret secret;
    char why[LINK_ERROR];
    if (check_secret(options, what, address, &secret))
        return (struct link){0};
    int listening = link_listen(address, why);
    if (listening < 0) {
        cmd_fail("%s %s", what, why);
        return (struct link){0};
    }
    fprintf(stderr, "vitrine: waiting for %s at %s\n",
            ender < 0 ? "a guest" : "the rest of the guest", address);
    struct link link =
        take_caller(listening, ender, options->secret ? &secret : NULL, what, address, patience_ms);
    close(listening);
    link_forget(address);
    return link;
}

struct link incoming_caller(const struct options *options, const char *what, const char *address,
                            int patience_ms)
{
    return listen_for_caller(options, -1, what, address, patience_ms);
}

/* ---- the guest ------------------------------------------------------------------------------- */

struct incoming {
    struct session *session;
    const struct options *options;
    struct link link;
    pthread_t thread;
    int waker; /* of who waits while incoming_waits() */
    int ender;
    pthread_mutex_t lock; /* of `link`, which the thread changes and incoming_end() cuts */
    atomic_bool runs;     /* the guest shall, when it can */
    atomic_bool over;     /* nothing will come any more */
    atomic_bool leaves;   /* ... nor is it wanted */
};

static void set_link(struct incoming *in, struct link link)
{
    pthread_mutex_lock(&in->lock);
    link_close(&in->link);
    in->link = link;
    pthread_mutex_unlock(&in->lock);
}

static bool is_on_the_way(struct session *session)
{
    struct view_migration view;
    session_view_migration(session, &view);
    return view.phase == MIGRATION_POSTCOPY;
}

static bool is_missing(struct session *session)
{
    struct view_status status;
    session_status(session, &status);
    return status.state == SESSION_STOPPED && status.stop == STOPPED_MISSING;
}

static void tell_loss(const struct incoming *in, const char *why)
{
    struct view_migration view;
    session_view_migration(in->session, &view);
    cmd_fail(
        "--incoming %s: %llu pages of the guest are missing: %s (`vitrine migrate --recover` at "
        "the source goes on)",
        in->options->incoming, (unsigned long long)view.missing, why);
}

/* The old link is gone: another one, or none if nobody waits for it any more. */
static bool link_again(struct incoming *in)
{
    set_link(in, (struct link){0});
    if (in->leaves)
        return false;
    set_link(in, listen_for_caller(in->options, in->ender, "--incoming", in->options->incoming,
                                   PATIENCE_MS));
    return in->link.ops;
}

static void *take_rest(void *context)
{
    struct incoming *in = context;
    char why[SESSION_ERROR];
    enum migrate_end end = migrate_receive_rest(in->session, why);
    while (end == MIGRATE_TORN) {
        if (!in->leaves)
            tell_loss(in, why);
        if (!link_again(in))
            break;
        end = migrate_receive_again(in->session, &in->link, why);
        if (in->runs && is_missing(in->session))
            session_run(in->session);
    }
    in->over = true;
    waker_wake(in->waker);
    return NULL;
}

static struct incoming *begin(struct session *session, const struct options *options, int waker,
                              struct link *link)
{
    struct incoming *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    *in = (struct incoming){.session = session, .options = options, .link = *link, .waker = waker};
    pthread_mutex_init(&in->lock, NULL);
    in->ender = waker_new();
    return in;
}

static void release(struct incoming *in)
{
    link_close(&in->link);
    pthread_mutex_destroy(&in->lock);
    if (in->ender >= 0)
        close(in->ender);
    free(in);
}

enum migrate_end incoming_receive(struct session *session, const struct options *options, int waker,
                                  bool *runs, struct incoming **rest)
{
    char why[SESSION_ERROR];
    *rest = NULL;
    struct link link = incoming_caller(options, "--incoming", options->incoming, PATIENCE_MS);
    struct incoming *in = link.ops ? begin(session, options, waker, &link) : NULL;
    if (!in) {
        link_close(&link);
        return MIGRATE_STAYED;
    }
    enum migrate_end end = migrate_receive(session, &in->link, runs, why);
    if (end == MIGRATE_STAYED)
        cmd_fail("--incoming %s: no guest has come: %s", options->incoming, why);
    if (end == MIGRATE_WHOLE)
        cmd_fail("--incoming %s: the guest is here, but was not handed over: %s%s",
                 options->incoming, why,
                 options->control ? " (\"resume\" on the control socket runs it)" : "");
    if (end == MIGRATE_STANDS)
        cmd_fail("--incoming %s: the guest has come, and stands: %s%s", options->incoming, why,
                 options->control ? " (\"resume\" on the control socket tries again)" : "");
    if (!is_on_the_way(session)) {
        release(in);
    } else if (in->ender < 0 || pthread_create(&in->thread, NULL, take_rest, in)) {
        cmd_fail("--incoming %s: the host gives no thread", options->incoming);
        release(in); /* the source holds what is missing, and hears that nobody takes it */
    } else {
        in->runs = *runs;
        *rest = in;
    }
    return end;
}

void incoming_runs(struct incoming *in, bool runs)
{
    if (in)
        in->runs = runs;
}

bool incoming_waits(const struct incoming *in)
{
    return in && !in->over && is_missing(in->session);
}

void incoming_end(struct incoming *in)
{
    struct view_status status;
    if (!in)
        return;
    session_status(in->session, &status);
    in->leaves = true;
    waker_wake(in->ender);
    pthread_mutex_lock(&in->lock);
    if (status.state != SESSION_ENDED)
        link_cut(&in->link);
    pthread_mutex_unlock(&in->lock);
    pthread_join(in->thread, NULL);
    release(in);
}
