/* A network's thread: its sockets, its queues, its life. See net.h. */
#include "config.h"

#include "hv/kvm/net.h"

#include <assert.h>
#include <errno.h>
#include <libslirp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "hv/kvm/confine.h"
#include "hv/kvm/net-filter.h"

enum { POLLS = NET_SOCKETS * 2 };

struct frame {
    uint16_t size;
    uint8_t bytes[NET_FRAME_MAX];
};

/* Frames that wait, oldest first. */
struct queue {
    unsigned first, count;
    struct frame frame[NET_QUEUE];
};

struct net {
    struct net_config config;
    int event;        /* written to wake the thread */
    atomic_bool quit; /* the thread shall end */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* guards the following */
    pthread_cond_t ready; /* `started` is set */
    bool started;
    int error; /* of its start, with a reason */
    char why[NET_WHY];
    struct queue out, in; /* from the guest, and to it */
    struct net_stats stats;

    /* The thread's own. */
    Slirp *slirp;
    struct net_filter filter;
    struct pollfd poll[POLLS];
    unsigned polls;
    int socket[NET_SOCKETS]; /* those that libslirp has made on the guest's behalf */
    unsigned sockets;
    struct frame work; /* the one at hand */
};

/* libslirp keeps the time of day in a global variable, so only one network is in it at a time. It
 * is taken last, and nothing waits while holding it. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

/* ---- queues --------------------------------------------------------------------------------- */

static bool queue_put(struct queue *q, const uint8_t *bytes, size_t size)
{
    if (q->count == NET_QUEUE)
        return false;
    struct frame *f = &q->frame[(q->first + q->count++) % NET_QUEUE];
    f->size = (uint16_t)size;
    memcpy(f->bytes, bytes, size);
    return true;
}

/* The oldest, which stays; false: there is none. */
static bool queue_peek(const struct queue *q, struct frame *frame)
{
    if (!q->count)
        return false;
    const struct frame *f = &q->frame[q->first];
    frame->size = f->size;
    memcpy(frame->bytes, f->bytes, f->size);
    return true;
}

static void queue_drop(struct queue *q)
{
    q->first = (q->first + 1) % NET_QUEUE;
    q->count--;
}

/* ---- from other threads --------------------------------------------------------------------- */

void net_wake(struct net *n)
{
    uint64_t one = 1;
    /* It fails only if the counter is at its end, and then the thread is awake anyway. */
    if (write(n->event, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

/* The thread empties the queue each time it wakes: so the first frame in it is what wakes it. */
bool net_send(struct net *n, const uint8_t *frame, size_t size)
{
    bool fits = size >= NET_FRAME_MIN && size <= NET_FRAME_MAX;
    pthread_mutex_lock(&n->lock);
    bool wake = n->out.count == 0;
    bool sent = fits && queue_put(&n->out, frame, size);
    n->stats.sent += sent;
    n->stats.refused += !fits;
    n->stats.send_full += fits && !sent;
    pthread_mutex_unlock(&n->lock);
    if (sent && wake)
        net_wake(n);
    return sent;
}

int net_descriptor(const struct net *n)
{
    return n->event;
}

void net_stats(struct net *n, struct net_stats *out)
{
    pthread_mutex_lock(&n->lock);
    *out = n->stats;
    pthread_mutex_unlock(&n->lock);
}

/* ---- what libslirp asks for ----------------------------------------------------------------- */

static ssize_t on_packet(const void *packet, size_t size, void *opaque)
{
    struct net *n = opaque;
    uint8_t frame[NET_FRAME_MAX];
    if (size < NET_FRAME_MIN || size > NET_FRAME_MAX)
        return (ssize_t)size; /* it makes none of these */
    memcpy(frame, packet, size);
    net_filter_in(&n->filter, frame, size);
    pthread_mutex_lock(&n->lock);
    bool fits = queue_put(&n->in, frame, size);
    n->stats.receive_full += !fits;
    pthread_mutex_unlock(&n->lock);
    return (ssize_t)size;
}

static void on_guest_error(const char *message, void *opaque) {}

static int64_t on_clock(void *opaque)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void count_sockets(struct net *n)
{
    n->filter.full = n->sockets == NET_SOCKETS;
    pthread_mutex_lock(&n->lock);
    n->stats.sockets = n->sockets;
    pthread_mutex_unlock(&n->lock);
}

static void on_socket(int fd, void *opaque)
{
    struct net *n = opaque;
    if (n->sockets < NET_SOCKETS)
        n->socket[n->sockets++] = fd;
    count_sockets(n);
}

/* It also takes back what it has never told of: -1, and forwarded ports. */
static void on_socket_closed(int fd, void *opaque)
{
    struct net *n = opaque;
    for (unsigned i = 0; i < n->sockets; i++)
        if (n->socket[i] == fd)
            n->socket[i--] = n->socket[--n->sockets];
    count_sockets(n);
}

/* The loop looks at everything before it sleeps. */
static void on_notify(void *opaque) {}

/* Timers are for IPv6 alone. */
static const SlirpCb CALLBACKS = {
    .send_packet = on_packet,
    .guest_error = on_guest_error,
    .clock_get_ns = on_clock,
    .register_poll_fd = on_socket,
    .unregister_poll_fd = on_socket_closed,
    .notify = on_notify,
};

/* ---- poll ----------------------------------------------------------------------------------- */

static const struct {
    int slirp;
    short poll;
} EVENTS[] = {
    {SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
    {SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};
enum { EVENT_KINDS = sizeof EVENTS / sizeof *EVENTS };

/* -1 is what libslirp has for a socket that is not looked at, too. */
static int add_poll(int fd, int events, void *opaque)
{
    struct net *n = opaque;
    if (n->polls == POLLS)
        return -1;
    struct pollfd *p = &n->poll[n->polls];
    *p = (struct pollfd){.fd = fd};
    for (int i = 0; i < EVENT_KINDS; i++)
        if (events & EVENTS[i].slirp)
            p->events |= EVENTS[i].poll;
    return (int)n->polls++;
}

static int get_events(int index, void *opaque)
{
    const struct net *n = opaque;
    int events = 0;
    for (int i = 0; index >= 0 && i < EVENT_KINDS; i++)
        if (n->poll[index].revents & EVENTS[i].poll)
            events |= EVENTS[i].slirp;
    return events;
}

/* Sleeps until a socket, an event or a connection's timer has something to do, and does it, but for
 * the event. */
static void wait_for_sockets(struct net *n)
{
    uint32_t ms = UINT32_MAX;
    n->polls = 0;
    add_poll(n->event, SLIRP_POLL_IN, n);
    pthread_mutex_lock(&library);
    slirp_pollfds_fill(n->slirp, &ms, add_poll, n);
    pthread_mutex_unlock(&library);
    int count = poll(n->poll, n->polls, ms > INT32_MAX ? -1 : (int)ms);
    pthread_mutex_lock(&library);
    slirp_pollfds_poll(n->slirp, count < 0, get_events, n);
    pthread_mutex_unlock(&library);
}

/* ---- frames --------------------------------------------------------------------------------- */

static void clear_event(struct net *n)
{
    uint64_t count;
    if (read(n->event, &count, sizeof count) < 0)
        assert(errno == EAGAIN);
}

static bool take_sent(struct net *n)
{
    pthread_mutex_lock(&n->lock);
    bool any = queue_peek(&n->out, &n->work);
    if (any)
        queue_drop(&n->out);
    pthread_mutex_unlock(&n->lock);
    return any;
}

static void count_refused(struct net *n)
{
    pthread_mutex_lock(&n->lock);
    n->stats.refused++;
    pthread_mutex_unlock(&n->lock);
}

/* libslirp may answer at once, by on_packet(). */
static void pass_sent_frames(struct net *n)
{
    while (take_sent(n)) {
        if (!net_filter_out(&n->filter, n->work.bytes, n->work.size)) {
            count_refused(n);
            continue;
        }
        pthread_mutex_lock(&library);
        slirp_input(n->slirp, n->work.bytes, n->work.size);
        pthread_mutex_unlock(&library);
    }
}

/* A frame leaves the queue when the guest has it. Meanwhile nobody else takes one away: this is the
 * only thread that does, and net_restart() has ended it. */
static void deliver_frames(struct net *n)
{
    for (;;) {
        pthread_mutex_lock(&n->lock);
        bool any = queue_peek(&n->in, &n->work);
        pthread_mutex_unlock(&n->lock);
        if (!any || !n->config.receive(n->config.context, n->work.bytes, n->work.size))
            return;
        pthread_mutex_lock(&n->lock);
        queue_drop(&n->in);
        n->stats.received++;
        pthread_mutex_unlock(&n->lock);
    }
}

/* ---- the thread ----------------------------------------------------------------------------- */

static struct in_addr address(uint32_t host_order)
{
    return (struct in_addr){htonl(host_order)};
}

static bool start_slirp(struct net *n)
{
    const struct net_config *c = &n->config;
    SlirpConfig config = {
        .version = 1, /* so that every libslirp 4 will do */
        .restricted = c->restricted,
        .in_enabled = true,
        .vnetwork = address(NET_PREFIX),
        .vnetmask = address(NET_MASK),
        .vhost = address(NET_GATEWAY),
        .vdhcp_start = address(NET_GUEST),
        .vnameserver = address(NET_DNS),
        .disable_host_loopback = !c->loopback,
    };
    pthread_mutex_lock(&library);
    n->slirp = slirp_new(&config, &CALLBACKS, n);
    pthread_mutex_unlock(&library);
    return n->slirp;
}

static int forward_port(struct net *n, const struct net_forward *f)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr host = address(f->host_address);
    pthread_mutex_lock(&library);
    int failed = slirp_add_hostfwd(n->slirp, f->udp, host, f->host_port, address(f->guest_address),
                                   f->guest_port);
    int error = failed ? errno : 0;
    pthread_mutex_unlock(&library);
    if (error)
        snprintf(n->why, NET_WHY, "%s port %u of %s cannot be forwarded: %s",
                 f->udp ? "UDP" : "TCP", f->host_port, inet_ntop(AF_INET, &host, text, sizeof text),
                 strerror(error));
    return -error;
}

/* A table of descriptors of its own comes first, so that libslirp's sockets are in it and nowhere
 * else; the right to make such that listen goes last, with all others that are not needed. */
static int set_up(struct net *n)
{
    struct net_config *c = &n->config;
    int keep[NET_KEEP + 2] = {n->event, STDERR_FILENO};
    memcpy(keep + 2, c->keep, c->keeps * sizeof *keep);
    int error = c->confine ? kvm_confine_descriptors(keep, c->keeps + 2) : 0;
    n->filter = (struct net_filter){.nameserver = c->nameserver};
    n->sockets = 0;
    if (!error && !start_slirp(n))
        error = -ENOMEM;
    for (unsigned i = 0; i < c->forwards && !error; i++)
        error = forward_port(n, &c->forward[i]);
    n->sockets = 0; /* those were not the guest's */
    count_sockets(n);
    return error ? error : c->confine ? kvm_confine_network() : 0;
}

static void tell_started(struct net *n, int error)
{
    pthread_mutex_lock(&n->lock);
    n->error = error;
    if (error && !n->why[0])
        snprintf(n->why, NET_WHY, "the network cannot start: %s", strerror(-error));
    n->started = true;
    pthread_cond_signal(&n->ready);
    pthread_mutex_unlock(&n->lock);
}

static void *run(void *argument)
{
    struct net *n = argument;
    prctl(PR_SET_NAME, "network");
    int error = set_up(n);
    tell_started(n, error);
    while (!error && !atomic_load(&n->quit)) {
        wait_for_sockets(n);
        clear_event(n);
        pass_sent_frames(n);
        deliver_frames(n);
    }
    pthread_mutex_lock(&library);
    if (n->slirp)
        slirp_cleanup(n->slirp);
    pthread_mutex_unlock(&library);
    n->slirp = NULL;
    return NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void stop(struct net *n)
{
    if (!n->has_thread)
        return;
    atomic_store(&n->quit, true);
    net_wake(n);
    pthread_join(n->thread, NULL);
    n->has_thread = false;
}

/* Signals are for the program's other threads. */
static int create_thread(struct net *n)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&n->thread, NULL, run, n);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    n->has_thread = !error;
    return -error;
}

static int start(struct net *n, char *why)
{
    atomic_store(&n->quit, false);
    n->started = false;
    n->why[0] = 0;
    int error = create_thread(n);
    if (error) {
        snprintf(why, NET_WHY, "the host gives no thread");
        return error;
    }
    pthread_mutex_lock(&n->lock);
    while (!n->started)
        pthread_cond_wait(&n->ready, &n->lock);
    pthread_mutex_unlock(&n->lock);
    if (n->error) {
        snprintf(why, NET_WHY, "%s", n->why);
        stop(n);
    }
    return n->error;
}

int net_restart(struct net *n, char *why)
{
    stop(n);
    pthread_mutex_lock(&n->lock);
    n->out.count = n->in.count = 0;
    pthread_mutex_unlock(&n->lock);
    return start(n, why);
}

struct net *net_new(const struct net_config *config, char *why)
{
    struct net *n = calloc(1, sizeof *n);
    if (!n) {
        snprintf(why, NET_WHY, "the host has no memory left");
        return NULL;
    }
    assert(config->forwards <= NET_FORWARDS && config->keeps <= NET_KEEP);
    n->config = *config;
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->ready, NULL);
    n->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (n->event < 0)
        snprintf(why, NET_WHY, "the network cannot start: %s", strerror(errno));
    else if (start(n, why) == 0)
        return n;
    net_free(n);
    return NULL;
}

void net_free(struct net *n)
{
    if (!n)
        return;
    stop(n);
    if (n->event >= 0)
        close(n->event);
    pthread_mutex_destroy(&n->lock);
    pthread_cond_destroy(&n->ready);
    free(n);
}
