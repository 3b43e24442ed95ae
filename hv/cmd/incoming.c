/* The guest comes from another host. See incoming.h. */
#include "config.h"

#include "hv/cmd/incoming.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 15000 };

/* Strangers are sent away, and it goes on waiting. */
static struct link take_caller(int listening, const struct link_secret *secret, const char *what,
                               const char *address, int patience_ms)
{
    for (;;) {
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

struct link incoming_caller(const struct options *options, const char *what, const char *address,
                            int patience_ms)
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
    fprintf(stderr, "vitrine: waiting for a guest at %s\n", address);
    struct link link =
        take_caller(listening, options->secret ? &secret : NULL, what, address, patience_ms);
    close(listening);
    link_forget(address);
    return link;
}

enum migrate_end incoming_receive(struct session *session, const struct options *options,
                                  bool *runs)
{
    char why[SESSION_ERROR];
    struct link link = incoming_caller(options, "--incoming", options->incoming, PATIENCE_MS);
    if (!link.ops)
        return MIGRATE_STAYED;
    enum migrate_end end = migrate_receive(session, &link, runs, why);
    link_close(&link);
    if (end == MIGRATE_STAYED)
        cmd_fail("--incoming %s: no guest has come: %s", options->incoming, why);
    if (end == MIGRATE_WHOLE)
        cmd_fail("--incoming %s: the guest is here, but was not handed over: %s%s",
                 options->incoming, why,
                 options->control ? " (\"resume\" on the control socket runs it)" : "");
    if (end == MIGRATE_STANDS)
        cmd_fail("--incoming %s: the guest has come, and stands: %s%s", options->incoming, why,
                 options->control ? " (\"resume\" on the control socket tries again)" : "");
    return end;
}
