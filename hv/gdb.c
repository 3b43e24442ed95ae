/*
 * The GDB stub's connection: listening, packets with checksums, waiting for gdb and the guest.
 *
 * One debugger at a time. Left out: run-length encoding of replies, notifications (non-stop mode),
 * the extended protocol. Source: "Debugging with GDB", appendix E.
 */
#include "config.h"

#include "hv/gdb.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "hv/gdb_priv.h"

static const char HEX[] = "0123456789abcdef";

/* ---- listening ---------------------------------------------------------------------------- */

/* Takes "address:port", "[address]:port", ":port" or "port" apart. */
static bool split_address(const char *where, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(where, ':');
    size_t length = colon ? (size_t)(colon - where) : 0;
    *port = colon ? colon + 1 : where;
    if (length >= 2 && where[0] == '[' && where[length - 1] == ']') {
        where++;
        length -= 2;
    }
    if (length >= size)
        return false;
    memcpy(host, where, length);
    host[length] = '\0';
    if (!length)
        snprintf(host, size, "127.0.0.1");
    return **port && strspn(*port, "0123456789") == strlen(*port) && strlen(*port) <= 5 &&
           atoi(*port) <= 65535;
}

static int listen_at(const struct addrinfo *info)
{
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, 8)) {
        int failed = -errno;
        close(fd);
        return failed;
    }
    return fd;
}

/* Fills gdb->address with what was really bound (the port may have been 0). */
static void name_address(struct gdb *gdb)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char host[48] = "?", port[8] = "?";
    if (getsockname(gdb->listener, (struct sockaddr *)&bound, &size) == 0)
        getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(gdb->address, sizeof gdb->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
             port);
}

static int open_listener(const char *where, char *why)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    char host[64];
    const char *port;
    if (!split_address(where, host, sizeof host, &port)) {
        snprintf(why, GDB_ERROR, "not of the form [ADDRESS:]PORT");
        return -EINVAL;
    }
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed) {
        snprintf(why, GDB_ERROR, "%s: %s", host, gai_strerror(failed));
        return -EINVAL;
    }
    int fd = listen_at(found);
    freeaddrinfo(found);
    if (fd < 0)
        snprintf(why, GDB_ERROR, "cannot listen: %s", strerror(-fd));
    return fd;
}

struct gdb *gdb_new(struct session *session, const char *where, char *why)
{
    struct gdb *gdb = calloc(1, sizeof *gdb);
    if (!gdb) {
        snprintf(why, GDB_ERROR, "%s", strerror(ENOMEM));
        return NULL;
    }
    struct view_status status;
    session_status(session, &status);
    gdb->isa = status.isa == ISA_X86 ? &gdb_x86 : &gdb_riscv;
    gdb->session = session;
    gdb->client = -1;
    gdb->listener = -1;
    gdb->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (gdb->waker < 0)
        snprintf(why, GDB_ERROR, "eventfd: %s", strerror(errno));
    else
        gdb->listener = open_listener(where, why);
    if (gdb->listener < 0) {
        gdb_free(gdb);
        return NULL;
    }
    name_address(gdb);
    return gdb;
}

const char *gdb_address(const struct gdb *gdb)
{
    return gdb->address;
}

void gdb_free(struct gdb *gdb)
{
    if (!gdb)
        return;
    int fds[] = {gdb->client, gdb->listener, gdb->waker};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(gdb);
}

void gdb_stopped(struct gdb *gdb)
{
    uint64_t one = 1;
    ssize_t written = write(gdb->waker, &one, sizeof one); /* full: it is readable already */
    (void)written;
}

void gdb_quit(struct gdb *gdb)
{
    gdb->quit = true;
    gdb_stopped(gdb);
}

/* ---- sending ------------------------------------------------------------------------------ */

static void send_bytes(struct gdb *gdb, const char *bytes, size_t count)
{
    while (count && gdb->client >= 0) {
        ssize_t sent = send(gdb->client, bytes, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) {
            close(gdb->client);
            gdb->client = -1;
            return;
        }
        bytes += sent;
        count -= (size_t)sent;
    }
}

void gdb_send(struct gdb *gdb, const char *payload, size_t count)
{
    char frame[GDB_PACKET + 4];
    uint8_t sum = 0;
    if (count > GDB_PACKET)
        count = GDB_PACKET;
    frame[0] = '$';
    memcpy(frame + 1, payload, count);
    for (size_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + (uint8_t)payload[i]);
    frame[count + 1] = '#';
    frame[count + 2] = HEX[sum >> 4];
    frame[count + 3] = HEX[sum & 15];
    send_bytes(gdb, frame, count + 4);
}

/* ---- receiving ---------------------------------------------------------------------------- */

static int hex_digit(uint8_t byte)
{
    const char *at = byte ? strchr(HEX, byte | 0x20) : NULL;
    return at ? (int)(at - HEX) : -1;
}

static void packet_begin(struct gdb *gdb)
{
    gdb->receive = RECEIVE_PAYLOAD;
    gdb->count = 0;
    gdb->sum = 0;
    gdb->escaped = gdb->overflow = false;
}

static void packet_byte(struct gdb *gdb, uint8_t byte)
{
    if (byte == '$') { /* the one before was cut off */
        packet_begin(gdb);
        return;
    }
    if (byte == '#') {
        gdb->receive = RECEIVE_SUM_HIGH;
        return;
    }
    gdb->sum = (uint8_t)(gdb->sum + byte);
    if (byte == '}' && !gdb->escaped) {
        gdb->escaped = true;
        return;
    }
    if (gdb->count == GDB_PACKET)
        gdb->overflow = true;
    else
        gdb->packet[gdb->count++] = (char)(gdb->escaped ? byte ^ 0x20 : byte);
    gdb->escaped = false;
}

static void packet_end(struct gdb *gdb)
{
    bool good = gdb->sum == gdb->sum_sent;
    gdb->receive = RECEIVE_NOTHING;
    if (!gdb->no_ack)
        send_bytes(gdb, good ? "+" : "-", 1);
    if (!good)
        return;
    gdb->packet[gdb->count] = '\0';
    if (gdb->overflow)
        gdb_send(gdb, "E22", 3);
    else
        gdb_answer(gdb);
}

static void receive_byte(struct gdb *gdb, uint8_t byte)
{
    int digit = hex_digit(byte);
    switch (gdb->receive) {
    case RECEIVE_NOTHING:
        if (byte == '$')
            packet_begin(gdb);
        else if (byte == 3)
            session_pause(gdb->session);
        break;
    case RECEIVE_PAYLOAD: packet_byte(gdb, byte); break;
    case RECEIVE_SUM_HIGH:
        gdb->receive = digit < 0 ? RECEIVE_NOTHING : RECEIVE_SUM_LOW;
        gdb->sum_sent = (uint8_t)((digit & 15) << 4);
        break;
    case RECEIVE_SUM_LOW:
        gdb->receive = RECEIVE_NOTHING;
        gdb->sum_sent |= (uint8_t)(digit & 15);
        if (digit >= 0)
            packet_end(gdb);
        break;
    }
}

/* Reads what has come. */
static void receive_bytes(struct gdb *gdb)
{
    uint8_t bytes[4096];
    ssize_t got = recv(gdb->client, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR)
        return;
    for (ssize_t i = 0; i < got && gdb->client >= 0 && !gdb->detached && !gdb->killed; i++)
        receive_byte(gdb, bytes[i]);
    if (got <= 0 && gdb->client >= 0) {
        close(gdb->client);
        gdb->client = -1;
    }
}

/* ---- serving ------------------------------------------------------------------------------ */

static void connect_client(struct gdb *gdb)
{
    int one = 1;
    struct timeval patience = {.tv_sec = 5}; /* with a debugger that does not read */
    int fd = accept4(gdb->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    gdb->client = fd;
    gdb->receive = RECEIVE_NOTHING;
    gdb->no_ack = gdb->resumed = gdb->detached = false;
    gdb->served = true;
    session_pause(gdb->session);
    session_wait(gdb->session, -1);
}

/* The debugger has gone: the guest runs on as if it had never been there. */
static void disconnect_client(struct gdb *gdb)
{
    if (gdb->client >= 0)
        close(gdb->client);
    gdb->client = -1;
    gdb_clear_points(gdb);
    if (!gdb->killed && !gdb->quit)
        session_run(gdb->session);
}

/* Nobody is connected any more, and the guest will not go on. */
static bool is_over(struct gdb *gdb)
{
    struct view_status status;
    session_status(gdb->session, &status);
    return gdb->served && gdb->client < 0 && status.state != SESSION_RUNNING;
}

void gdb_serve(struct gdb *gdb)
{
    while (!gdb->quit && !gdb->killed && !is_over(gdb)) {
        uint64_t woken;
        struct pollfd fds[2] = {
            {.fd = gdb->waker, .events = POLLIN},
            {.fd = gdb->client >= 0 ? gdb->client : gdb->listener, .events = POLLIN},
        };
        poll(fds, 2, -1);
        if (fds[0].revents && read(gdb->waker, &woken, sizeof woken) > 0 && gdb->client >= 0)
            gdb_report_stop(gdb);
        if (!fds[1].revents)
            continue;
        if (fds[1].fd == gdb->listener)
            connect_client(gdb);
        else if (gdb->client >= 0)
            receive_bytes(gdb);
        if (gdb->served && (gdb->client < 0 || gdb->detached || gdb->killed))
            disconnect_client(gdb);
    }
    disconnect_client(gdb);
}
