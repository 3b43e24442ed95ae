/*
 * The network behind a guest, without a guest: frames made by hand, and servers of the test's own
 * on 127.0.0.1. Nothing here leaves the computer. Each test runs with the network's thread
 * confined.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hv/kvm/net-hold.h"
#include "hv/kvm/net.h"
#include "tests/frames.h"
#include "tests/tap.h"

/* For what must come; what must not come is asked for in another way than by waiting. */
enum { WAIT_MS = 300000, INBOX = 1024, PORT = 40000 };

/* ---- a guest -------------------------------------------------------------------------------- */

static struct net *net;
static struct net_config config;
static char why[NET_WHY];

/* The lock stands for the VM's `io`: held while sending, taken by receive(). */
static pthread_mutex_t io = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct frame_bytes inbox[INBOX];
static unsigned inbox_count;
static bool asleep;
static unsigned offered; /* frames, while asleep */

static bool receive(void *context, const uint8_t *frame, size_t size)
{
    pthread_mutex_lock(&io);
    bool taken = !asleep && inbox_count < INBOX;
    if (taken) {
        inbox[inbox_count].size = size;
        memcpy(inbox[inbox_count++].bytes, frame, size);
    }
    offered += !taken;
    pthread_cond_broadcast(&arrived);
    pthread_mutex_unlock(&io);
    return taken;
}

static void send_frame(struct frame_bytes f)
{
    pthread_mutex_lock(&io);
    bool sent = net_send(net, f.bytes, f.size);
    pthread_mutex_unlock(&io);
    ck_assert(sent);
}

static struct timespec deadline(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += WAIT_MS / 1000;
    return t;
}

/* Takes the first frame that `wanted` accepts out of the inbox. */
static struct frame_bytes wait_frame(bool (*wanted)(const struct frame_bytes *), const char *what)
{
    struct timespec until = deadline();
    struct frame_bytes found = {0};
    pthread_mutex_lock(&io);
    for (unsigned i = 0; !found.size;) {
        if (i < inbox_count && wanted(&inbox[i])) {
            found = inbox[i];
            memmove(&inbox[i], &inbox[i + 1], (--inbox_count - i) * sizeof *inbox);
        } else if (i < inbox_count) {
            i++;
        } else if (pthread_cond_timedwait(&arrived, &io, &until)) {
            break;
        }
    }
    pthread_mutex_unlock(&io);
    ck_assert_msg(found.size, "no %s came", what);
    return found;
}

static bool is_arp_request(const struct frame_bytes *f)
{
    return frame_is_arp(f, 1);
}

static bool is_arp_reply(const struct frame_bytes *f)
{
    return frame_is_arp(f, 2);
}

static bool is_protocol(const struct frame_bytes *f, unsigned protocol)
{
    struct packet_view p;
    return frame_read(f, &p) && p.protocol == protocol;
}

static bool is_icmp(const struct frame_bytes *f)
{
    return is_protocol(f, IP_ICMP);
}

static bool is_udp(const struct frame_bytes *f)
{
    return is_protocol(f, IP_UDP);
}

static bool is_tcp(const struct frame_bytes *f)
{
    return is_protocol(f, IP_TCP);
}

static bool has_tcp_data(const struct frame_bytes *f)
{
    struct packet_view p;
    return frame_read(f, &p) && p.protocol == IP_TCP && p.data_size;
}

static bool has_tcp_fin(const struct frame_bytes *f)
{
    struct packet_view p;
    return frame_read(f, &p) && p.protocol == IP_TCP && p.flags & TCP_FIN;
}

static struct packet_view read_packet(const struct frame_bytes *f)
{
    struct packet_view p;
    ck_assert(frame_read(f, &p));
    ck_assert(p.checksums);
    ck_assert_uint_eq(p.to, NET_GUEST);
    return p;
}

static struct net_stats stats(void)
{
    struct net_stats s;
    net_stats(net, &s);
    return s;
}

/* The thread has dealt with all that was sent before: a ping comes back in order. */
static void settle(void)
{
    send_frame(frame_echo(NET_GUEST, NET_GATEWAY, 99, 1, "settle", 6));
    wait_frame(is_icmp, "answer to a ping");
}

static void start(void)
{
    net = net_new(&config, why);
    ck_assert_msg(net != NULL, "%s", why);
}

/* Who the guest is: libslirp then need not ask. */
static void introduce(void)
{
    send_frame(frame_arp_request(NET_GUEST, NET_GATEWAY));
    struct frame_bytes reply = wait_frame(is_arp_reply, "answer to ARP");
    ck_assert_uint_eq(bytes_get32(reply.bytes + ETHERNET + 14), NET_GATEWAY);
    ck_assert_mem_eq(reply.bytes, GUEST_MAC, 6);
    ck_assert_mem_eq(reply.bytes + ETHERNET + 18, GUEST_MAC, 6);
}

static void setup(void)
{
    config = (struct net_config){.receive = receive, .confine = true};
    net = NULL;
    inbox_count = offered = 0;
    asleep = false;
}

static void teardown(void)
{
    net_free(net);
}

/* ---- servers -------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    return ntohs(a.sin_port);
}

/* A socket on a port of 127.0.0.1 that was free. */
static int open_server(int type)
{
    struct sockaddr_in a = loopback(0);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    if (type == SOCK_STREAM)
        ck_assert_int_eq(listen(fd, 16), 0);
    return fd;
}

static bool is_readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

static int accept_one(int server)
{
    ck_assert(is_readable(server, WAIT_MS));
    int fd = accept(server, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void expect_bytes(int fd, const char *text)
{
    char got[64] = "";
    size_t want = strlen(text), have = 0;
    while (have < want && is_readable(fd, WAIT_MS)) {
        ssize_t n = read(fd, got + have, want - have);
        ck_assert_int_gt(n, 0);
        have += (size_t)n;
    }
    ck_assert_str_eq(got, text);
}

/* ---- what libslirp answers itself ----------------------------------------------------------- */

START_TEST(answers_arp)
{
    config.confine = _i;
    start();
    introduce();
    send_frame(frame_arp_request(NET_GUEST, NET_DNS));
    wait_frame(is_arp_reply, "answer for the name server");
    /* Nobody else is there. */
    send_frame(frame_arp_request(NET_GUEST, 0x0a000217));
    settle();
    ck_assert_uint_eq(inbox_count, 0);
}
END_TEST

static void expect_option(const struct packet_view *p, unsigned option, uint32_t value)
{
    const uint8_t *found = frame_dhcp_option(p, option);
    ck_assert_msg(found != NULL, "no option %u", option);
    ck_assert_uint_eq(bytes_get32(found), value);
}

START_TEST(gives_an_address_by_dhcp)
{
    start();
    for (unsigned type = 1; type <= 3; type += 2) {
        send_frame(frame_dhcp(type, type == 3 ? NET_GUEST : 0));
        struct frame_bytes f = wait_frame(is_udp, "DHCP offer");
        struct packet_view p;
        ck_assert(frame_read(&f, &p) && p.checksums);
        ck_assert_uint_eq(p.from, NET_GATEWAY);
        ck_assert_uint_eq(p.to_port, 68);
        ck_assert_uint_eq(bytes_get32(p.data + 16), NET_GUEST); /* yiaddr */
        ck_assert_ptr_nonnull(frame_dhcp_option(&p, 53));
        ck_assert_uint_eq(*frame_dhcp_option(&p, 53), type == 1 ? 2 : 5); /* offer, ack */
        expect_option(&p, 1, NET_MASK);
        expect_option(&p, 3, NET_GATEWAY);
        expect_option(&p, 6, NET_DNS);
    }
}
END_TEST

START_TEST(answers_pings)
{
    static const uint32_t who[] = {NET_GATEWAY, NET_DNS};
    start();
    introduce();
    for (int i = 0; i < 2; i++) {
        send_frame(frame_echo(NET_GUEST, who[i], 7, 3, "payload", 7));
        struct frame_bytes f = wait_frame(is_icmp, "answer to a ping");
        struct packet_view p = read_packet(&f);
        ck_assert_uint_eq(p.from_port, 0); /* type: echo reply */
        ck_assert_uint_eq(p.from, who[i]);
        ck_assert_mem_eq(p.data, "payload", 7);
    }
}
END_TEST

/* ---- TCP and UDP ---------------------------------------------------------------------------- */

/* Sends SYN to the gateway and returns what comes back for it. */
static struct frame_bytes knock(uint16_t port)
{
    send_frame(frame_tcp(NET_GUEST, PORT, NET_GATEWAY, port, 1000, 0, TCP_SYN, NULL, 0));
    return wait_frame(is_tcp, "answer to SYN");
}

/* Opens a connection; returns the other side's next sequence number. */
static uint32_t connect_to(uint16_t port)
{
    struct frame_bytes f = knock(port);
    struct packet_view p = read_packet(&f);
    ck_assert_uint_eq(p.flags & (TCP_SYN | TCP_ACK | TCP_RST), TCP_SYN | TCP_ACK);
    ck_assert_uint_eq(p.from, NET_GATEWAY);
    ck_assert_uint_eq(p.from_port, port);
    ck_assert_uint_eq(p.ack, 1001);
    send_frame(frame_tcp(NET_GUEST, PORT, NET_GATEWAY, port, 1001, p.seq + 1, TCP_ACK, NULL, 0));
    return p.seq + 1;
}

START_TEST(connects_to_the_host_if_allowed)
{
    int server = open_server(SOCK_STREAM);
    uint16_t port = port_of(server);
    config.loopback = true;
    start();
    introduce();
    uint32_t theirs = connect_to(port);
    int fd = accept_one(server);
    ck_assert_uint_eq(stats().sockets, 1);
    send_frame(
        frame_tcp(NET_GUEST, PORT, NET_GATEWAY, port, 1001, theirs, TCP_ACK | TCP_PSH, "hello", 5));
    expect_bytes(fd, "hello");
    ck_assert_int_eq(write(fd, "welcome", 7), 7);
    struct frame_bytes f = wait_frame(has_tcp_data, "data");
    struct packet_view p = read_packet(&f);
    ck_assert_uint_eq(p.seq, theirs);
    ck_assert_uint_eq(p.ack, 1006);
    ck_assert_uint_eq(p.data_size, 7);
    ck_assert_mem_eq(p.data, "welcome", 7);
    close(fd);
    send_frame(frame_tcp(NET_GUEST, PORT, NET_GATEWAY, port, 1006, theirs + 7, TCP_ACK, NULL, 0));
    wait_frame(has_tcp_fin, "end of the connection");
    send_frame(frame_tcp(NET_GUEST, PORT, NET_GATEWAY, port, 1006, theirs + 8, TCP_ACK | TCP_FIN,
                         NULL, 0));
    settle();
    close(server);
}
END_TEST

START_TEST(does_not_connect_to_the_host_otherwise)
{
    int server = open_server(SOCK_STREAM);
    uint16_t port = port_of(server);
    config.restricted = _i;
    start();
    introduce();
    struct frame_bytes f = {0};
    send_frame(frame_tcp(NET_GUEST, PORT, NET_GATEWAY, port, 1000, 0, TCP_SYN, NULL, 0));
    f = wait_frame(_i ? is_tcp : is_icmp, "refusal");
    struct packet_view p = read_packet(&f);
    if (_i)
        ck_assert_uint_ne(p.flags & TCP_RST, 0);
    else
        ck_assert_uint_eq(p.from_port, 3); /* destination unreachable */
    /* Neither by its own addresses, which the filter takes. */
    static const uint32_t own[] = {0x7f000001, 0, 0x7f010203};
    for (int i = 0; i < ROWS(own); i++)
        send_frame(
            frame_tcp(NET_GUEST, (uint16_t)(PORT + i), own[i], port, 1, 0, TCP_SYN, NULL, 0));
    settle();
    ck_assert_uint_eq(stats().refused, ROWS(own));
    ck_assert(!is_readable(server, 0));
    close(server);
}
END_TEST

START_TEST(a_closed_port_resets)
{
    int server = open_server(SOCK_STREAM);
    uint16_t port = port_of(server);
    close(server);
    config.loopback = true;
    start();
    introduce();
    struct frame_bytes f = knock(port);
    ck_assert_uint_ne(read_packet(&f).flags & TCP_RST, 0);
}
END_TEST

START_TEST(datagrams_go_and_come)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    char got[16] = "";
    int server = open_server(SOCK_DGRAM);
    config.loopback = true;
    start();
    introduce();
    send_frame(frame_udp(NET_GUEST, PORT, NET_GATEWAY, port_of(server), "question", 8));
    ck_assert(is_readable(server, WAIT_MS));
    ck_assert_int_eq(recvfrom(server, got, sizeof got, 0, (struct sockaddr *)&from, &size), 8);
    ck_assert_str_eq(got, "question");
    ck_assert_int_eq(sendto(server, "answer", 6, 0, (struct sockaddr *)&from, size), 6);
    struct frame_bytes f = wait_frame(is_udp, "answer");
    struct packet_view p = read_packet(&f);
    ck_assert_uint_eq(p.from, NET_GATEWAY);
    ck_assert_uint_eq(p.from_port, port_of(server));
    ck_assert_uint_eq(p.to_port, PORT);
    ck_assert_mem_eq(p.data, "answer", 6);
    close(server);
}
END_TEST

/* ---- forwarded ports ------------------------------------------------------------------------ */

/* A port that was free just now, for a forward. */
static void forward_to(uint16_t guest_port, bool udp)
{
    int fd = open_server(udp ? SOCK_DGRAM : SOCK_STREAM);
    config.forward[config.forwards++] = (struct net_forward){
        .udp = udp,
        .host_address = INADDR_LOOPBACK,
        .host_port = port_of(fd),
        .guest_address = NET_GUEST,
        .guest_port = guest_port,
    };
    close(fd);
}

static int connect_host(uint16_t port)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* The guest's half of a connection that the host begins. */
static void accept_in_guest(uint16_t port, const char *greeting)
{
    struct frame_bytes f = wait_frame(is_arp_request, "question for the guest's address");
    send_frame(frame_arp_reply(&f, NET_GUEST));
    f = wait_frame(is_tcp, "SYN");
    struct packet_view p = read_packet(&f);
    ck_assert_uint_eq(p.flags & (TCP_SYN | TCP_ACK), TCP_SYN);
    ck_assert_uint_eq(p.from, NET_GATEWAY);
    ck_assert_uint_eq(p.to_port, port);
    send_frame(frame_tcp(NET_GUEST, port, p.from, p.from_port, 500, p.seq + 1, TCP_SYN | TCP_ACK,
                         NULL, 0));
    send_frame(frame_tcp(NET_GUEST, port, p.from, p.from_port, 501, p.seq + 1, TCP_ACK | TCP_PSH,
                         greeting, strlen(greeting)));
}

START_TEST(forwards_a_port)
{
    config.restricted = _i; /* this way in is open even then */
    forward_to(22, false);
    start();
    int fd = connect_host(config.forward[0].host_port);
    accept_in_guest(22, "SSH-2.0");
    expect_bytes(fd, "SSH-2.0");
    close(fd);
}
END_TEST

START_TEST(forwards_datagrams)
{
    forward_to(53, true);
    config.loopback = true; /* where the answer goes */
    start();
    introduce();
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = loopback(config.forward[0].host_port);
    ck_assert_int_eq(sendto(fd, "in", 2, 0, (struct sockaddr *)&a, sizeof a), 2);
    struct frame_bytes f = wait_frame(is_udp, "datagram");
    struct packet_view p = read_packet(&f);
    ck_assert_uint_eq(p.to_port, 53);
    ck_assert_mem_eq(p.data, "in", 2);
    send_frame(frame_udp(NET_GUEST, 53, p.from, p.from_port, "out", 3));
    expect_bytes(fd, "out");
    close(fd);
}
END_TEST

START_TEST(a_port_that_is_taken)
{
    int server = open_server(SOCK_STREAM);
    forward_to(22, false);
    config.forward[0].host_port = port_of(server);
    ck_assert_ptr_null(net_new(&config, why));
    ck_assert_msg(strstr(why, "TCP port") && strstr(why, "127.0.0.1") && !strchr(why, '\n'), "%s",
                  why);
    close(server);
}
END_TEST

/* ---- queues --------------------------------------------------------------------------------- */

static void set_asleep(bool value)
{
    pthread_mutex_lock(&io);
    asleep = value;
    pthread_mutex_unlock(&io);
}

static void wait_offered(void)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&io);
    while (!offered && pthread_cond_timedwait(&arrived, &io, &until) == 0)
        ;
    ck_assert_uint_gt(offered, 0);
    pthread_mutex_unlock(&io);
}

START_TEST(frames_wait_in_order)
{
    enum { PINGS = 50 };
    start();
    introduce();
    set_asleep(true);
    for (uint16_t i = 0; i < PINGS; i++)
        send_frame(frame_echo(NET_GUEST, NET_GATEWAY, 1, i, &i, sizeof i));
    wait_offered();
    ck_assert_uint_eq(inbox_count, 0);
    set_asleep(false);
    net_wake(net);
    for (uint16_t i = 0; i < PINGS; i++) {
        struct frame_bytes f = wait_frame(is_icmp, "answer to a ping");
        ck_assert_mem_eq(read_packet(&f).data, &i, sizeof i);
    }
    ck_assert_uint_eq(stats().receive_full, 0);
}
END_TEST

/* Everything that was sent is either waiting, or was dropped and counted. */
START_TEST(what_does_not_fit_is_counted)
{
    enum { PINGS = 3 * NET_QUEUE };
    unsigned sent = 0;
    start();
    introduce();
    set_asleep(true);
    for (uint16_t i = 0; i < PINGS; i++) {
        struct frame_bytes f = frame_echo(NET_GUEST, NET_GATEWAY, 1, i, "x", 1);
        sent += net_send(net, f.bytes, f.size);
    }
    struct net_stats s;
    struct timespec pause = {.tv_nsec = 1000000};
    do {
        nanosleep(&pause, NULL);
        s = stats();
    } while (s.receive_full + NET_QUEUE < sent);
    ck_assert_uint_eq(s.receive_full + NET_QUEUE, sent);
    ck_assert_uint_eq(s.send_full + sent, PINGS);
    set_asleep(false);
    net_wake(net);
    for (int i = 0; i < NET_QUEUE; i++)
        wait_frame(is_icmp, "answer to a ping");
    settle();
    ck_assert_uint_eq(inbox_count, 0);
}
END_TEST

START_TEST(frames_of_odd_sizes)
{
    static const uint8_t bytes[NET_FRAME_MAX + 1];
    static const size_t sizes[] = {0, 1, NET_FRAME_MIN - 1, NET_FRAME_MAX + 1};
    start();
    for (int i = 0; i < ROWS(sizes); i++)
        ck_assert(!net_send(net, bytes, sizes[i]));
    ck_assert_uint_eq(stats().refused, ROWS(sizes));
    ck_assert(net_send(net, bytes, NET_FRAME_MIN));
    ck_assert(net_send(net, bytes, NET_FRAME_MAX));
    introduce();
    settle();
    ck_assert_uint_eq(stats().refused, ROWS(sizes) + 2);
    /* The largest packet there is comes back whole. */
    uint8_t data[1472] = "large";
    send_frame(frame_echo(NET_GUEST, NET_GATEWAY, 1, 1, data, sizeof data));
    struct frame_bytes f = wait_frame(is_icmp, "answer to a large ping");
    ck_assert_uint_eq(f.size, NET_FRAME_MAX);
    ck_assert_mem_eq(read_packet(&f).data, data, sizeof data);
}
END_TEST

START_TEST(a_guest_has_so_many_sockets)
{
    int server = open_server(SOCK_DGRAM);
    uint16_t port = port_of(server);
    config.loopback = true;
    start();
    introduce();
    for (uint16_t i = 0; i < NET_SOCKETS + 100; i++) {
        send_frame(frame_udp(NET_GUEST, (uint16_t)(1000 + i), NET_GATEWAY, port, "x", 1));
        if (i % 100 == 0 && i < NET_SOCKETS)
            settle();
    }
    send_frame(frame_arp_request(NET_GUEST, NET_GATEWAY));
    wait_frame(is_arp_reply, "answer to ARP");
    ck_assert_uint_eq(stats().sockets, NET_SOCKETS);
    ck_assert_uint_eq(stats().refused, 100);
    close(server);
}
END_TEST

/* ---- life ----------------------------------------------------------------------------------- */

START_TEST(restarts_as_new)
{
    int server = open_server(SOCK_STREAM);
    uint16_t port = port_of(server);
    config.loopback = true;
    forward_to(22, false);
    start();
    introduce();
    uint32_t theirs = connect_to(port);
    int fd = accept_one(server);
    set_asleep(true);
    send_frame(frame_echo(NET_GUEST, NET_GATEWAY, 1, 1, "lost", 4));
    wait_offered();
    ck_assert_msg(net_restart(net, why) == 0, "%s", why);
    set_asleep(false);
    ck_assert(is_readable(fd, WAIT_MS));
    ck_assert_int_eq(read(fd, why, 1), 0); /* closed */
    ck_assert_uint_eq(stats().sockets, 0);
    send_frame(frame_tcp(NET_GUEST, PORT, NET_GATEWAY, port, 1001, theirs, TCP_ACK, "late", 4));
    struct frame_bytes f = wait_frame(is_arp_request, "question who the guest is");
    send_frame(frame_arp_reply(&f, NET_GUEST));
    f = wait_frame(is_tcp, "reset");
    ck_assert_uint_ne(read_packet(&f).flags & TCP_RST, 0);
    ck_assert_uint_eq(inbox_count, 0);
    close(fd);
    fd = connect_host(config.forward[0].host_port);
    f = wait_frame(is_tcp, "SYN of the forwarded port");
    ck_assert_uint_ne(read_packet(&f).flags & TCP_SYN, 0);
    close(fd);
    close(server);
}
END_TEST

START_TEST(starts_and_ends_many_times)
{
    for (int i = 0; i < 100; i++) {
        start();
        if (i % 3)
            send_frame(frame_arp_request(NET_GUEST, NET_GATEWAY));
        if (i % 5 == 0)
            ck_assert_int_eq(net_restart(net, why), 0);
        net_free(net);
        net = NULL;
    }
}
END_TEST

/* ---- what its thread may do ----------------------------------------------------------------- */

static struct {
    int open, unix_socket, raw, ipv6, listen, exec, fork, kill, listening;
    bool done;
    int secret; /* a descriptor of the program's */
    ssize_t read;
} tried;

static int error_of(long result)
{
    return result < 0 ? errno : 0;
}

/* On the network's thread, as code that has broken into it would. */
static bool try_all(void *context, const uint8_t *frame, size_t size)
{
    static const char *const argv[] = {"true", NULL};
    char byte;
    tried.open = error_of(open("/etc/hostname", O_RDONLY));
    tried.unix_socket = error_of(socket(AF_UNIX, SOCK_STREAM, 0));
    tried.raw = error_of(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    tried.ipv6 = error_of(socket(AF_INET6, SOCK_STREAM, 0));
    tried.listening = socket(AF_INET, SOCK_STREAM, 0);
    tried.listen = error_of(listen(tried.listening, 1));
    close(tried.listening);
    tried.exec = error_of(syscall(SYS_execve, "/bin/true", argv, NULL));
    tried.fork = error_of(syscall(SYS_clone, 0, NULL, NULL, NULL, NULL));
    tried.kill = error_of(kill(getppid(), 0));
    tried.read = read(tried.secret, &byte, 1);
    pthread_mutex_lock(&io);
    tried.done = true;
    pthread_cond_broadcast(&arrived);
    pthread_mutex_unlock(&io);
    return true;
}

START_TEST(its_thread_is_confined)
{
    int pipes[2];
    struct timespec until = deadline();
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(write(pipes[1], "s", 1), 1);
    tried.secret = pipes[0];
    config.receive = try_all;
    start();
    send_frame(frame_arp_request(NET_GUEST, NET_GATEWAY));
    pthread_mutex_lock(&io);
    while (!tried.done && pthread_cond_timedwait(&arrived, &io, &until) == 0)
        ;
    pthread_mutex_unlock(&io);
    ck_assert(tried.done);
    ck_assert_int_eq(tried.open, EPERM);
    ck_assert_int_eq(tried.unix_socket, EPERM);
    ck_assert_int_eq(tried.raw, EPERM);
    ck_assert_int_eq(tried.ipv6, EPERM);
    ck_assert_int_ge(tried.listening, 0);
    ck_assert_int_eq(tried.listen, EPERM);
    ck_assert_int_eq(tried.exec, EPERM);
    ck_assert_int_eq(tried.fork, EPERM);
    ck_assert_int_eq(tried.kill, EPERM);
    ck_assert_int_eq(tried.read, -1);
    /* The program itself is not. */
    int fd = open("/etc/passwd", O_RDONLY);
    ck_assert_int_ge(fd, 0);
    close(fd);
    close(pipes[0]);
    close(pipes[1]);
}
END_TEST

/* ---- frames that are held back -------------------------------------------------------------- */

static char passed[NET_HOLD_FRAMES + 1];
static unsigned passes;

static void pass(void *context, const uint8_t *frame, size_t size)
{
    ck_assert_uint_eq(size, 60);
    passed[passes++] = (char)frame[0];
}

static bool hold_one(struct net_hold *hold, char letter)
{
    uint8_t frame[60] = {(uint8_t)letter};
    return net_hold_put(hold, frame, sizeof frame);
}

/* Up to the mark, in order, each once; around the end of the ring as well. */
START_TEST(held_frames_pass_up_to_the_mark)
{
    struct net_hold *hold = net_hold_new();
    ck_assert_ptr_nonnull(hold);
    for (int turn = 0; turn < 3 * NET_HOLD_FRAMES / 4; turn++) {
        passes = 0;
        hold_one(hold, 'a');
        hold_one(hold, 'b');
        net_hold_mark(hold);
        hold_one(hold, 'c');
        net_hold_pass(hold, false, pass, NULL);
        net_hold_pass(hold, false, pass, NULL);
        passed[passes] = 0;
        ck_assert_str_eq(passed, "ab");
        hold_one(hold, 'd');
        net_hold_pass(hold, true, pass, NULL);
        passed[passes] = 0;
        ck_assert_str_eq(passed, "abcd");
    }
    net_hold_free(hold);
}
END_TEST

START_TEST(held_frames_that_do_not_fit_are_lost)
{
    struct net_hold *hold = net_hold_new();
    passes = 0;
    for (int n = 0; n < NET_HOLD_FRAMES; n++)
        ck_assert(hold_one(hold, 'x'));
    ck_assert(!hold_one(hold, 'y'));
    ck_assert_uint_eq(net_hold_lost(hold), 1);
    net_hold_pass(hold, true, NULL, NULL); /* dropped */
    ck_assert_uint_eq(passes, 0);
    ck_assert(hold_one(hold, 'z'));
    net_hold_pass(hold, true, pass, NULL);
    ck_assert_uint_eq(passes, 1);
    ck_assert_int_eq(passed[0], 'z');
    net_hold_free(hold);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net");
    TCase *tests = tcase_create("net");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, answers_arp, 0, 2);
    tcase_add_test(tests, gives_an_address_by_dhcp);
    tcase_add_test(tests, answers_pings);
    tcase_add_test(tests, connects_to_the_host_if_allowed);
    tcase_add_loop_test(tests, does_not_connect_to_the_host_otherwise, 0, 2);
    tcase_add_test(tests, a_closed_port_resets);
    tcase_add_test(tests, datagrams_go_and_come);
    tcase_add_loop_test(tests, forwards_a_port, 0, 2);
    tcase_add_test(tests, forwards_datagrams);
    tcase_add_test(tests, a_port_that_is_taken);
    tcase_add_test(tests, frames_wait_in_order);
    tcase_add_test(tests, what_does_not_fit_is_counted);
    tcase_add_test(tests, frames_of_odd_sizes);
    tcase_add_test(tests, held_frames_pass_up_to_the_mark);
    tcase_add_test(tests, held_frames_that_do_not_fit_are_lost);
    tcase_add_test(tests, a_guest_has_so_many_sockets);
    tcase_add_test(tests, restarts_as_new);
    tcase_add_test(tests, starts_and_ends_many_times);
    tcase_add_test(tests, its_thread_is_confined);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
