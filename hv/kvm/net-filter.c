/*
 * What a guest's frames may reach, and the name server's address.
 *
 * libslirp makes a socket for whatever address a packet names. That includes 127.0.0.1, which a
 * guest can write into a packet like any other, and 0.0.0.0, which Linux takes for the same: its
 * own switch (disable_host_loopback) looks at 10.0.2.2 alone. So addresses are judged here, before
 * it sees them. Nothing passes but ARP and whole IPv4 packets of TCP, UDP and ICMP: libslirp keeps
 * fragments for half a minute without counting them.
 *
 * It would also look up the host's name server for 10.0.2.3 by reading /etc/resolv.conf again and
 * again, which needs the right to open files. Instead the one address that was found at the start
 * is put into the packet here (as a router does that translates addresses), and back in the answer.
 *
 * Source: RFC 791 (IPv4), 768 (UDP), 793 (TCP), 6890 (special addresses), 1624 (checksums).
 */
#include "config.h"

#include "hv/kvm/net-filter.h"

enum { TYPE = 12, TYPE_IP = 0x0800, TYPE_ARP = 0x0806, ETHERNET = 14, ARP = 28 };
enum { IP_HEADER = 20, IP_CHECKSUM = 10, IP_FROM = 12, IP_TO = 16 };
enum { IP_MORE = 0x2000, IP_OFFSET = 0x1fff }; /* either: it is a fragment */
enum { ICMP = 1, TCP = 6, UDP = 17 };
enum { ICMP_HEADER = 8, TCP_HEADER = 20, UDP_HEADER = 8 };
enum { TCP_FLAGS = 13, TCP_SYN = 2, TCP_CHECKSUM = 16, UDP_CHECKSUM = 6 };
enum { PORT_DNS = 53, PORT_DHCP = 67 };

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* ---- packets -------------------------------------------------------------------------------- */

/* A whole IPv4 packet within a frame. */
struct packet {
    uint8_t *ip, *inner; /* its header; the header of the protocol in it */
    unsigned protocol;
    uint32_t from, to;
    unsigned from_port, to_port; /* ICMP: 0 */
};

/* The smallest header of the protocol in the packet; 0: none that passes. */
static unsigned inner_header(unsigned protocol)
{
    switch (protocol) {
    case ICMP: return ICMP_HEADER;
    case TCP: return TCP_HEADER;
    case UDP: return UDP_HEADER;
    default: return 0;
    }
}

static bool packet_read(struct packet *p, uint8_t *frame, size_t size)
{
    uint8_t *ip = frame + ETHERNET;
    size_t room = size - ETHERNET;
    if (room < IP_HEADER || ip[0] >> 4 != 4)
        return false;
    unsigned header = (ip[0] & 15u) * 4, length = get16(ip + 2), inner = inner_header(ip[9]);
    if (header < IP_HEADER || length > room || !inner || header + inner > length ||
        get16(ip + 6) & (IP_MORE | IP_OFFSET))
        return false;
    *p = (struct packet){.ip = ip,
                         .inner = ip + header,
                         .protocol = ip[9],
                         .from = get32(ip + IP_FROM),
                         .to = get32(ip + IP_TO)};
    if (p->protocol != ICMP) {
        p->from_port = get16(p->inner);
        p->to_port = get16(p->inner + 2);
    }
    return true;
}

/* ---- where to ------------------------------------------------------------------------------- */

/* Addresses that mean something only where they are used; a guest's are not the host's. */
static const struct {
    uint32_t prefix, mask;
    const char *what;
} LOCAL[] = {
    {0x00000000, 0xff000000, "this host, RFC 6890 table 1"},
    {0x7f000000, 0xff000000, "loopback"},
    {0xa9fe0000, 0xffff0000, "this link; clouds have their servers of secrets there"},
    {0xe0000000, 0xf0000000, "multicast"},
    {0xf0000000, 0xf0000000, "reserved, and broadcast"},
    {NET_PREFIX, NET_MASK, "the guest's own Ethernet, on which nobody else is"},
};

static bool may_reach(const struct packet *p)
{
    if (p->to == UINT32_MAX)
        return p->protocol == UDP && p->to_port == PORT_DHCP;
    if (p->to == NET_GATEWAY)
        return true;
    if (p->to == NET_DNS)
        return p->protocol == ICMP;
    for (unsigned i = 0; i < sizeof LOCAL / sizeof *LOCAL; i++)
        if ((p->to & LOCAL[i].mask) == LOCAL[i].prefix)
            return false;
    return true;
}

static bool may_open_socket(const struct packet *p)
{
    return p->protocol != TCP || p->inner[TCP_FLAGS] & TCP_SYN;
}

/* ---- the name server ------------------------------------------------------------------------ */

/* A checksum after the word `old` under it has become `new`: RFC 1624, equation 3. */
static unsigned checksum_update(unsigned checksum, unsigned old, unsigned new)
{
    uint32_t sum = (~checksum & 0xffff) + (~old & 0xffff) + new;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

/* Puts `address` at offset `at` of the header; both checksums cover it. 0 in UDP means that there
 * is no checksum, and 0xffff is the same sum. */
static void set_address(struct packet *p, unsigned at, uint32_t address)
{
    uint8_t *ip_sum = p->ip + IP_CHECKSUM;
    uint8_t *sum = p->inner + (p->protocol == UDP ? UDP_CHECKSUM : TCP_CHECKSUM);
    bool none = p->protocol == UDP && get16(sum) == 0;
    for (unsigned half = 0; half < 2; half++) {
        uint8_t *word = p->ip + at + 2 * half;
        unsigned old = get16(word), new = half ? address & 0xffff : address >> 16;
        put16(ip_sum, checksum_update(get16(ip_sum), old, new));
        put16(sum, checksum_update(get16(sum), old, new));
        put16(word, new);
    }
    if (none)
        put16(sum, 0);
    else if (p->protocol == UDP && get16(sum) == 0)
        put16(sum, 0xffff);
}

static void note(struct net_filter *f, const struct packet *p, bool asked)
{
    uint8_t *byte = &f->asked[p->protocol == UDP][p->from_port / 8];
    uint8_t bit = (uint8_t)(1u << p->from_port % 8);
    *byte = asked ? *byte | bit : *byte & (uint8_t)~bit;
}

static bool is_question(const struct packet *p, uint32_t server)
{
    return p->to == server && p->protocol != ICMP && p->to_port == PORT_DNS;
}

/* ---- both ways ------------------------------------------------------------------------------ */

bool net_filter_out(struct net_filter *f, uint8_t *frame, size_t size)
{
    struct packet p;
    unsigned type = get16(frame + TYPE);
    if (type == TYPE_ARP)
        return size >= ETHERNET + ARP;
    if (type != TYPE_IP || !packet_read(&p, frame, size) || (f->full && may_open_socket(&p)))
        return false;
    if (f->nameserver && is_question(&p, NET_DNS)) {
        note(f, &p, true);
        set_address(&p, IP_TO, f->nameserver);
        return true;
    }
    if (is_question(&p, f->nameserver))
        note(f, &p, false);
    return may_reach(&p);
}

void net_filter_in(const struct net_filter *f, uint8_t *frame, size_t size)
{
    struct packet p;
    if (!f->nameserver || get16(frame + TYPE) != TYPE_IP || !packet_read(&p, frame, size) ||
        p.protocol == ICMP || p.from != f->nameserver || p.from_port != PORT_DNS)
        return;
    if (f->asked[p.protocol == UDP][p.to_port / 8] >> p.to_port % 8 & 1)
        set_address(&p, IP_FROM, NET_DNS);
}
