/* The guest comes from another host. See incoming.h. */
#include "config.h"

#include "hv/cmd/incoming.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 15000 };

/* A caller who knows the secret, if there is one. Strangers are sent away, and it goes on waiting.
 */
static struct link take_caller(int listening, const struct link_secret *secret, const char *address)
{
    for (;;) {
        int fd = link_accept(listening, -1);
        if (fd == -EINTR)
            continue;
        if (fd < 0) {
            cmd_fail("--incoming %s: %s", address, strerror(-fd));
            return (struct link){0};
        }
        struct link link = link_of_socket(fd, PATIENCE_MS);
        int error = !link.ops ? -ENOMEM : secret ? link_prove(&link, secret, false) : 0;
        if (!error)
            return link;
        cmd_fail("--incoming %s: a caller was refused: %s", address,
                 error == -EACCES ? "it does not know the secret" : strerror(-error));
        link_close(&link);
    }
}

/* Reads the secret, and insists on one where strangers can come in. */
static int check_secret(const struct options *options, struct link_secret *secret)
{
    char why[LINK_ERROR];
    bool public;
    if (link_is_public(options->incoming, &public, why))
        return cmd_fail("--incoming %s", why);
    if (public && !options->secret)
        return cmd_fail(
            "--incoming %s: others than this host can come there: --secret FILE is needed",
            options->incoming);
    if (options->secret && link_read_secret(options->secret, secret, why))
        return cmd_fail("--secret %s", why);
    return 0;
}

enum migrate_end incoming_receive(struct session *session, const struct options *options,
                                  bool *runs)
{
    struct link_secret secret;
    char why[SESSION_ERROR];
    if (check_secret(options, &secret))
        return MIGRATE_STAYED;
    int listening = link_listen(options->incoming, why);
    if (listening < 0) {
        cmd_fail("--incoming %s", why);
        return MIGRATE_STAYED;
    }
    fprintf(stderr, "vitrine: waiting for a guest at %s\n", options->incoming);
    struct link link = take_caller(listening, options->secret ? &secret : NULL, options->incoming);
    close(listening);
    link_forget(options->incoming);
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
    return end;
}
