/* Moving or protecting a guest inside of this program, to draw how that goes. See draw-move.h. */
#include "config.h"

#include "hv/cmd/draw-move.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "hv/migrate.h"
#include "hv/protect.h"

enum { PATIENCE_MS = 20000, EPOCHS = 16 };

struct other {
    struct session *session;
    struct link link;
    bool protects;
    char why[SESSION_ERROR];
};

/* The other host. */
static void *receive(void *context)
{
    struct other *o = context;
    bool runs;
    if (o->protects)
        protect_receive(o->session, &o->link, &(struct protect_options){0}, &runs, o->why);
    else
        migrate_receive(o->session, &o->link, &runs, o->why);
    return NULL;
}

/* false, with `why`: it has not come to its end in order. */
static bool protect(struct session *session, struct link *link, char *why)
{
    struct protect_options options = {.epochs = EPOCHS, .to = "a second session"};
    struct protection *p = protect_begin(session, link, &options, why);
    session_run(session);
    bool well = p && protect_run(p, why) == PROTECT_OVER;
    protect_free(p);
    return well;
}

/* A guest that ends on the way stays here, which can be drawn, too. */
static bool move(struct session *session, struct link *link, char *why)
{
    struct migrate_options options = {.to = "a second session"};
    struct view_migration view;
    session_run(session);
    bool moved = migrate_send(session, link, &options, why) == MIGRATE_MOVED;
    session_view_migration(session, &view);
    return moved || view.rounds > 0;
}

/* With one end of a pair of sockets each. */
static int be_both(struct session *session, struct other *other)
{
    int fd[2];
    char why[SESSION_ERROR] = "";
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        return cmd_fail("--what: %s", strerror(errno));
    struct link link = link_of_socket(fd[0], PATIENCE_MS);
    other->link = link_of_socket(fd[1], PATIENCE_MS);
    bool begun = link.ops && other->link.ops && !pthread_create(&thread, NULL, receive, other);
    bool well = begun && (other->protects ? protect : move)(session, &link, why);
    link_close(&link);
    if (begun)
        pthread_join(thread, NULL);
    link_close(&other->link);
    session_pause(session);
    session_wait(session, -1);
    return well ? 0 : cmd_fail("--what: %s", *why ? why : "the host has no memory left");
}

int draw_move(const struct options *options, struct session *session)
{
    struct other other = {.session = cmd_session(&options->config),
                          .protects = options->what == DRAW_PROTECTION};
    if (!other.session)
        return EXIT_USAGE;
    int failed = be_both(session, &other);
    session_free(other.session);
    return failed;
}
