/*
 * A network for a guest that needs no rights on the host: libslirp plays the rest of the Ethernet.
 *
 *     guest 10.0.2.15  -- Ethernet --  10.0.2.2  gateway and DHCP server  \  libslirp: a second
 *     (by DHCP)                        10.0.2.3  name server              /  end for each packet
 *
 * The plan of addresses is that of QEMU's user network. libslirp answers ARP, DHCP and pings of
 * these two itself. What a guest sends to anyone else it takes apart as a host would, and does by
 * ordinary sockets of this program what the guest has asked for: so the outside sees connections
 * of this program, and needs no rights for them. Nobody outside can begin a connection, except
 * through forwarded ports.
 *
 * What a guest can reach. Safe is the default: the Internet and the local network as this program
 * can, but nothing that only this computer is meant to reach. So 10.0.2.2 answers pings and nothing
 * else (`loopback` makes it 127.0.0.1 of the host), and addresses that have a meaning only here
 * are not passed on: see net-filter.c. What listens on all addresses of this computer can be
 * reached by its outer ones, as from any neighbour. `restricted` cuts off everything but ARP, DHCP,
 * pings of 10.0.2.2 and connections through forwarded ports.
 *
 * Threads and locks. A network has one thread, and only that touches libslirp and its sockets.
 *
 *   net_send, net_wake    from any thread, that of a vCPU with the VM's `io` lock held, too: they
 *                         queue and write to an event counter, and do not wait
 *   config.receive        on the network's thread, which holds no lock then; takes `io` itself
 *   net_free, net_restart wait for the thread: never with `io` held
 *
 * So the order is `io`, then the lock inside. Frames to the guest wait in a queue while the guest
 * has no buffers or stands still; what does not fit is dropped and counted, as on any Ethernet.
 *
 * IPv6, fragments of IPv4, and servers for TFTP, SMB and the like are left out.
 *
 * Source: libslirp.h of libslirp 4; RFC 791 (IP), 826 (ARP), 2131 (DHCP).
 */
#ifndef VITRINE_KVM_NET_H
#define VITRINE_KVM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NET_FRAME_MIN = 14,   /* addresses and type */
    NET_FRAME_MAX = 1514, /* and 1,500 bytes of data: no checksum, no VLAN tag */
    NET_QUEUE = 256,      /* frames that wait, in each direction */
    NET_FORWARDS = 16,
    NET_SOCKETS = 512, /* a guest makes no more at a time */
    NET_KEEP = 4,
    NET_WHY = 512,
};

/* The plan of addresses, in the host's byte order like all addresses here. */
#define NET_PREFIX  0x0a000200u
#define NET_MASK    0xffffff00u
#define NET_GATEWAY 0x0a000202u
#define NET_DNS     0x0a000203u
#define NET_GUEST   0x0a00020fu

/* A port of the host whose connections go on to the guest. */
struct net_forward {
    bool udp;
    uint32_t host_address, guest_address;
    uint16_t host_port, guest_port;
};

struct net_config {
    bool loopback;       /* 10.0.2.2 is 127.0.0.1 of the host */
    bool restricted;     /* nothing leaves */
    uint32_t nameserver; /* that 10.0.2.3 stands for; 0: none, questions are not answered */
    struct net_forward forward[NET_FORWARDS];
    unsigned forwards;

    /* A frame for the guest. false: not now; it stays first in the queue, and is offered again with
     * the next one and after net_wake(). */
    bool (*receive)(void *context, const uint8_t *frame, size_t size);
    void *context;
    /* Confine the thread: it keeps these descriptors, its own sockets, and what it needs for them:
     * see confine.h. */
    bool confine;
    int keep[NET_KEEP];
    unsigned keeps;
};

struct net_stats {
    uint64_t sent, received;          /* frames from and to the guest */
    uint64_t refused;                 /* by the filter, from the guest */
    uint64_t send_full, receive_full; /* dropped as the queue was full */
    unsigned sockets;                 /* open now, forwarded ports not counted */
};

struct net;

/* What nothing was said about: the safe default, the host's name server. */
void net_config_init(struct net_config *config);
/* Reads "user[,loopback][,restrict][,hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT]..." on top of
 * that. Left out, the host's address is 127.0.0.1 and the guest's 10.0.2.15. UDP from 127.0.0.1
 * needs `loopback`, for the answers, and does not go with `restrict`. 0, or -EINVAL with one
 * line in `why` (NET_WHY bytes). */
int net_config_parse(struct net_config *config, const char *text, char *why);
/* The first IPv4 name server in a file such as /etc/resolv.conf; 0: none. */
uint32_t net_nameserver(const char *path);

/* Starts a network. NULL, and one line in `why` (NET_WHY bytes): a port is taken, no thread ... */
struct net *net_new(const struct net_config *config, char *why);
/* Ends its thread and all connections; NULL is allowed. */
void net_free(struct net *net);
/* As new: all connections are gone (the guest's next packet to one is answered with a reset), and
 * frames on their way are dropped. What a snapshot cannot bring back ends so in order. 0 or -errno
 * with a line in `why`: there is no network then, and sent frames go nowhere. */
int net_restart(struct net *net, char *why);

/* A frame from the guest, of any size; false: dropped, as it was too long or the queue is full. */
bool net_send(struct net *net, const uint8_t *frame, size_t size);
/* The guest may have room for frames again. */
void net_wake(struct net *net);
/* The descriptor that net_send() and net_wake() write to, for threads that keep few. */
int net_descriptor(const struct net *net);

void net_stats(struct net *net, struct net_stats *out);

#endif
