/* Links over sockets, and their addresses. See link.h; the secret is in link-secret.c. */
#include "config.h"

#include "hv/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- sockets as links ----------------------------------------------------------------------- */

struct socket_link {
    int fd, timeout_ms;
    int64_t until;           /* by now_ms(): all waits end then; 0: each has its own time */
    const atomic_bool *quit; /* NULL: waits end only by themselves */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_once(int fd, short events, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int ready;
    do
        ready = poll(&poll_fd, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready < 0 ? -errno : ready ? 0 : -ETIMEDOUT;
}

/* In short pieces, if somebody may want it to end. */
static int wait_for(const struct socket_link *l, short events)
{
    enum { PIECE_MS = 100 };
    int64_t rest = l->until ? l->until - now_ms() : l->timeout_ms;
    if (l->until && rest <= 0)
        return -ETIMEDOUT;
    if (!l->quit)
        return wait_once(l->fd, events, (int)rest);
    int error = -ETIMEDOUT;
    for (int left = (int)rest; left > 0 && error == -ETIMEDOUT; left -= PIECE_MS) {
        error = wait_once(l->fd, events, left < PIECE_MS ? left : PIECE_MS);
        if (error == -ETIMEDOUT && *l->quit)
            return -ECANCELED;
    }
    return error;
}

static int socket_send(void *self, const void *bytes, size_t count)
{
    const struct socket_link *l = self;
    for (const uint8_t *from = bytes; count;) {
        int error = wait_for(l, POLLOUT);
        if (error)
            return error;
        ssize_t put = send(l->fd, from, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        from += put > 0 ? put : 0;
        count -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static int socket_receive(void *self, void *bytes, size_t count)
{
    const struct socket_link *l = self;
    for (uint8_t *to = bytes; count;) {
        int error = wait_for(l, POLLIN);
        if (error)
            return error;
        ssize_t got = recv(l->fd, to, count, MSG_DONTWAIT);
        if (got == 0)
            return -ECONNRESET;
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        to += got > 0 ? got : 0;
        count -= got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static void socket_close(void *self)
{
    struct socket_link *l = self;
    close(l->fd);
    free(l);
}

static void socket_cut(void *self)
{
    const struct socket_link *l = self;
    shutdown(l->fd, SHUT_RDWR);
}

static void socket_heed(void *self, const atomic_bool *quit)
{
    struct socket_link *l = self;
    l->quit = quit;
}

static void socket_hurry(void *self, bool on)
{
    struct socket_link *l = self;
    l->until = on && l->timeout_ms >= 0 ? now_ms() + l->timeout_ms + 1 : 0;
}

static const struct link_ops SOCKET_OPS = {socket_send, socket_receive, socket_close,
                                           socket_cut,  socket_heed,    socket_hurry};

struct link link_of_socket(int fd, int timeout_ms)
{
    struct socket_link *l = malloc(sizeof *l);
    int one = 1;
    if (!l) {
        close(fd);
        return (struct link){0};
    }
    /* Small messages decide who runs: they must not wait for more. A Unix socket has no such
     * option. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *l = (struct socket_link){.fd = fd, .timeout_ms = timeout_ms};
    return (struct link){&SOCKET_OPS, l};
}

/* ---- addresses ------------------------------------------------------------------------------ */

/* An address in words, taken apart. */
struct place {
    const char *path; /* of a Unix socket; NULL: TCP */
    char host[256], port[16];
};

static int complain(char *why, const char *address, const char *reason)
{
    snprintf(why, LINK_ERROR, "%.200s: %s", address, reason);
    return -EINVAL;
}

static int parse_tcp(const char *address, struct place *place, char *why)
{
    const char *host = address + 4, *colon = strrchr(host, ':');
    size_t length = colon ? (size_t)(colon - host) : 0;
    bool bracketed = length >= 2 && host[0] == '[' && host[length - 1] == ']';
    if (!length || !colon[1] || strlen(colon + 1) >= sizeof place->port ||
        colon[1 + strspn(colon + 1, "0123456789")] || atol(colon + 1) > 65535)
        return complain(why, address, "an address is tcp:HOST:PORT");
    if (length >= sizeof place->host || (!bracketed && memchr(host, ':', length)))
        return complain(why, address, "an IPv6 address stands in brackets: tcp:[::1]:PORT");
    snprintf(place->host, sizeof place->host, "%.*s", (int)(length - 2 * bracketed),
             host + bracketed);
    snprintf(place->port, sizeof place->port, "%s", colon + 1);
    return 0;
}

static int parse(const char *address, struct place *place, char *why)
{
    static const size_t path_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    *place = (struct place){0};
    if (!strncmp(address, "tcp:", 4))
        return parse_tcp(address, place, why);
    if (strncmp(address, "unix:", 5))
        return complain(why, address, "an address is unix:PATH or tcp:HOST:PORT");
    place->path = address + 5;
    if (!*place->path || strlen(place->path) > path_max)
        return complain(why, address, "the path of a Unix socket has 1 to 107 bytes");
    return 0;
}

static struct addrinfo *look_up(const struct place *place, const char *address, char *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = getaddrinfo(place->host, place->port, &hints, &found);
    if (error)
        complain(why, address, gai_strerror(error));
    return error ? NULL : found;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

int link_is_public(const char *address, bool *public, char *why)
{
    struct place place;
    *public = false;
    int error = parse(address, &place, why);
    if (error || place.path)
        return error;
    struct addrinfo *found = look_up(&place, address, why);
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        *public |= !is_loopback(a->ai_addr);
    if (found)
        freeaddrinfo(found);
    return found ? 0 : -EINVAL;
}

/* ---- listening and calling ------------------------------------------------------------------ */

/* bind() or connect(), which may take this long. */
typedef int (*attach_fn)(int fd, const struct sockaddr *address, socklen_t size, int timeout_ms);

static int listen_at(int fd, const struct sockaddr *address, socklen_t size, int timeout_ms)
{
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(fd, address, size) || listen(fd, 4) ? -1 : 0;
}

/* The time-out for sending is that for connecting, too, socket(7). All that is sent later does not
 * wait. */
static int call_at(int fd, const struct sockaddr *address, socklen_t size, int timeout_ms)
{
    const struct timeval limit = {.tv_sec = (timeout_ms + 999) / 1000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    int failed = connect(fd, address, size);
    if (failed && (errno == EINPROGRESS || errno == EAGAIN))
        errno = ETIMEDOUT;
    return failed;
}

static int attach_unix(const char *path, attach_fn attach, int timeout_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    memcpy(address.sun_path, path, strlen(path) + 1);
    /* The file gets the mode of the socket (unix(7)): it is private from the first moment. */
    if (fchmod(fd, 0600) == 0 &&
        attach(fd, (const struct sockaddr *)&address, sizeof address, timeout_ms) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

static int attach_tcp(const struct addrinfo *found, attach_fn attach, int timeout_ms)
{
    int error = -EADDRNOTAVAIL;
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && attach(fd, a->ai_addr, a->ai_addrlen, timeout_ms) == 0)
            return fd;
        error = -errno;
        if (fd >= 0)
            close(fd);
    }
    return error;
}

static int attach(const char *address, attach_fn how, int timeout_ms, char *why)
{
    struct place place;
    int fd = parse(address, &place, why);
    if (fd)
        return fd;
    if (place.path) {
        fd = attach_unix(place.path, how, timeout_ms);
    } else {
        struct addrinfo *found = look_up(&place, address, why);
        if (!found)
            return -EINVAL;
        fd = attach_tcp(found, how, timeout_ms);
        freeaddrinfo(found);
    }
    if (fd < 0)
        snprintf(why, LINK_ERROR, "%.200s: %s", address, strerror(-fd));
    return fd;
}

/* The file of a socket whose program is gone. */
static bool is_left_over(const char *path)
{
    struct stat st;
    if (lstat(path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    int fd = attach_unix(path, call_at, 1000);
    if (fd >= 0)
        close(fd);
    return fd == -ECONNREFUSED;
}

int link_listen(const char *address, char *why)
{
    struct place place;
    if (parse(address, &place, why) == 0 && place.path && is_left_over(place.path))
        unlink(place.path);
    return attach(address, listen_at, 0, why);
}

void link_forget(const char *address)
{
    if (!strncmp(address, "unix:", 5))
        unlink(address + 5);
}

int link_connect(const char *address, int timeout_ms, char *why)
{
    return attach(address, call_at, timeout_ms, why);
}

int link_accept(int listening, int timeout_ms)
{
    int error = wait_once(listening, POLLIN, timeout_ms);
    if (error)
        return error;
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
