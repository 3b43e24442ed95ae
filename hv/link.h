/*
 * A link: bytes to and from another program, in order, with an end to all patience.
 *
 * Migration (hv/migrate.h) and protection speak over a link and know nothing of sockets; a test
 * puts a link of its own in between that breaks where it likes. Addresses:
 *
 *     unix:PATH         a Unix socket; the file has mode 0600
 *     tcp:HOST:PORT     HOST a name or an address, an IPv6 one in brackets; port 0: any
 *
 * Whoever can reach a Unix socket of mode 0600 is the same user, or root. A TCP port of this host
 * can be reached by everybody on it, one of another address by everybody there: link_is_public()
 * tells, and who listens publicly demands a secret (link_prove()) before it parses a byte.
 *
 * Functions return 0 or -errno; those with `why` (LINK_ERROR bytes) explain themselves in one line.
 * Nothing here encrypts: on a network that is not trusted the link belongs into a tunnel.
 */
#ifndef VITRINE_HV_LINK_H
#define VITRINE_HV_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINK_ERROR = 512, LINK_SECRET_MAX = 4096, LINK_SECRET_MIN = 16 };

struct link_ops {
    /* All `count` bytes, or an error: then the other side never gets all of them, now or later. */
    int (*send)(void *self, const void *bytes, size_t count);
    /* All `count` bytes, or an error: -ECONNRESET at the other side's end, -ETIMEDOUT. */
    int (*receive)(void *self, void *bytes, size_t count);
    void (*close)(void *self);
    /* See link_cut(). NULL: this link cannot. */
    void (*cut)(void *self);
    /* See link_heed(). NULL: this link's calls wait all the same. */
    void (*heed)(void *self, const atomic_bool *quit);
    /* See link_hurry(). NULL: each call has its own time. */
    void (*hurry)(void *self, bool on);
};

struct link {
    const struct link_ops *ops;
    void *self;
};

/* On a connected socket, which is the link's from then on. `timeout_ms`: how long one call may wait
 * without a byte moving. NULL ops: no memory, and the socket is closed. */
struct link link_of_socket(int socket, int timeout_ms);

static inline int link_send(struct link *link, const void *bytes, size_t count)
{
    return link->ops->send(link->self, bytes, count);
}

static inline int link_receive(struct link *link, void *bytes, size_t count)
{
    return link->ops->receive(link->self, bytes, count);
}

static inline void link_close(struct link *link)
{
    if (link->ops)
        link->ops->close(link->self);
    link->ops = NULL;
}

/* From any thread: whoever waits at this end or the other one, now or later, waits in vain. */
static inline void link_cut(struct link *link)
{
    if (link->ops && link->ops->cut)
        link->ops->cut(link->self);
}

/* From now on a call that waits gives up with -ECANCELED, a tenth of a second after `quit` was set
 * at the latest; NULL: never again. What need not wait goes on. */
static inline void link_heed(struct link *link, const atomic_bool *quit)
{
    if (link->ops && link->ops->heed)
        link->ops->heed(link->self, quit);
}

/* Until it is switched off, all calls together may take as long as one may otherwise: -ETIMEDOUT. For
 * what a stranger says, who could send a byte now and then for hours. */
static inline void link_hurry(struct link *link, bool on)
{
    if (link->ops && link->ops->hurry)
        link->ops->hurry(link->self, on);
}

/* Does listening at this address let in more than this host's own users? -EINVAL with `why`: it is
 * no address. */
int link_is_public(const char *address, bool *public, char *why);
/* A listening socket, or -errno with `why`. A Unix socket's file that nobody listens to any longer
 * is replaced. */
int link_listen(const char *address, char *why);
/* Takes the socket's file away, if it has one. */
void link_forget(const char *address);
/* A connected socket, or -errno with `why`. `timeout_ms`: how long that may take, a second or more:
 * a host that is off says nothing at all. */
int link_connect(const char *address, int timeout_ms, char *why);
/* The same as a link, over which the secret of this file has been proved; NULL: there is none. */
int link_call(const char *address, const char *secret_file, int patience_ms, struct link *link,
              char *why);
/* Waits for a caller: a connected socket, -ETIMEDOUT (`timeout_ms` < 0: never), or -errno. */
int link_accept(int listening, int timeout_ms);

/*
 * ---- the secret -----------------------------------------------------------------------------
 *
 * Each side sends 32 random bytes, then HMAC-SHA-256 (RFC 2104) with the secret of its role's name
 * and both sides' bytes, and compares what the other one has sent, in constant time. Nothing of it
 * can be used a second time, and neither side's answer can be sent back to it. The caller proves
 * itself first.
 */
struct link_secret {
    uint8_t bytes[LINK_SECRET_MAX];
    size_t count;
};

/* Reads a file, without the newline at its end. -EINVAL: shorter than LINK_SECRET_MIN bytes, or
 * longer than the most; -EACCES: others than its owner may read it. */
int link_read_secret(const char *path, struct link_secret *secret, char *why);

/* Both sides call this, one with `calls` (it has connected). -EACCES: the other side does not know
 * the secret; -ETIMEDOUT: it has taken longer than the link is patient with one message. */
int link_prove(struct link *link, const struct link_secret *secret, bool calls);

#endif
