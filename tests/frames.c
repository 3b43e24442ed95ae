/* See frames.h. */
#include "tests/frames.h"

#include <string.h>

const uint8_t GUEST_MAC[6] = {0x02, 0x56, 0x54, 0x52, 0x4e, 0x01};

enum { TCP_HEADER = 20, UDP_HEADER = 8, ECHO_HEADER = 8, DHCP_SIZE = 300, DHCP_OPTIONS = 236 };

unsigned bytes_get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

uint32_t bytes_get32(const uint8_t *p)
{
    return (uint32_t)bytes_get16(p) << 16 | bytes_get16(p + 2);
}

void bytes_put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

void bytes_put32(uint8_t *p, uint32_t value)
{
    bytes_put16(p, value >> 16);
    bytes_put16(p + 2, value & 0xffff);
}

/* ---- checksums ------------------------------------------------------------------------------ */

static uint32_t sum(const uint8_t *p, size_t size)
{
    uint32_t total = 0;
    for (size_t i = 0; i < size; i++)
        total += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return total;
}

static unsigned fold(uint32_t total)
{
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return ~total & 0xffff;
}

/* Over the inner header, the data, and for TCP and UDP the addresses: 0 if it is right. */
static unsigned inner_checksum(const uint8_t *ip)
{
    size_t header = (ip[0] & 15u) * 4, size = bytes_get16(ip + 2) - header;
    uint32_t total = sum(ip + header, size);
    if (ip[9] != IP_ICMP)
        total += sum(ip + 12, 8) + ip[9] + (uint32_t)size;
    return fold(total);
}

static size_t inner_checksum_at(unsigned protocol)
{
    return protocol == IP_TCP ? 16 : protocol == IP_UDP ? 6 : 2;
}

void frame_fill_checksums(struct frame_bytes *f)
{
    uint8_t *ip = f->bytes + ETHERNET;
    size_t header = (ip[0] & 15u) * 4;
    uint8_t *inner = ip + header + inner_checksum_at(ip[9]);
    bytes_put16(ip + 10, 0);
    bytes_put16(ip + 10, fold(sum(ip, header)));
    bytes_put16(inner, 0);
    bytes_put16(inner, inner_checksum(ip));
}

/* ---- making --------------------------------------------------------------------------------- */

static void fill_ethernet(struct frame_bytes *f, unsigned type)
{
    memset(f, 0, sizeof *f);
    memset(f->bytes, 0xff, 6);
    memcpy(f->bytes + 6, GUEST_MAC, 6);
    bytes_put16(f->bytes + 12, type);
}

static struct frame_bytes arp(unsigned operation, uint32_t from, uint32_t to)
{
    struct frame_bytes f;
    uint8_t *p = f.bytes + ETHERNET;
    fill_ethernet(&f, 0x0806);
    bytes_put16(p, 1);          /* Ethernet */
    bytes_put16(p + 2, 0x0800); /* IPv4 */
    p[4] = 6;
    p[5] = 4;
    bytes_put16(p + 6, operation);
    memcpy(p + 8, GUEST_MAC, 6);
    bytes_put32(p + 14, from);
    bytes_put32(p + 24, to);
    f.size = ETHERNET + 28;
    return f;
}

struct frame_bytes frame_arp_request(uint32_t from, uint32_t to)
{
    return arp(1, from, to);
}

struct frame_bytes frame_arp_reply(const struct frame_bytes *request, uint32_t from)
{
    struct frame_bytes f = arp(2, from, bytes_get32(request->bytes + ETHERNET + 14));
    memcpy(f.bytes + ETHERNET + 18, request->bytes + ETHERNET + 8, 6);
    return f;
}

bool frame_is_arp(const struct frame_bytes *f, unsigned operation)
{
    return f->size >= ETHERNET + 28 && bytes_get16(f->bytes + 12) == 0x0806 &&
           bytes_get16(f->bytes + ETHERNET + 6) == operation;
}

/* All but the inner header; returns where that begins. */
static uint8_t *fill_ip(struct frame_bytes *f, unsigned protocol, uint32_t from, uint32_t to,
                        size_t inner)
{
    uint8_t *ip = f->bytes + ETHERNET;
    fill_ethernet(f, 0x0800);
    ip[0] = 0x45;
    bytes_put16(ip + 2, (unsigned)(IP_HEADER + inner));
    ip[8] = 64;
    ip[9] = (uint8_t)protocol;
    bytes_put32(ip + 12, from);
    bytes_put32(ip + 16, to);
    f->size = ETHERNET + IP_HEADER + inner;
    return ip + IP_HEADER;
}

struct frame_bytes frame_udp(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                             const void *data, size_t size)
{
    struct frame_bytes f;
    uint8_t *udp = fill_ip(&f, IP_UDP, from, to, UDP_HEADER + size);
    bytes_put16(udp, from_port);
    bytes_put16(udp + 2, to_port);
    bytes_put16(udp + 4, (unsigned)(UDP_HEADER + size));
    memcpy(udp + UDP_HEADER, data, size);
    frame_fill_checksums(&f);
    return f;
}

struct frame_bytes frame_echo(uint32_t from, uint32_t to, uint16_t id, uint16_t seq,
                              const void *data, size_t size)
{
    struct frame_bytes f;
    uint8_t *icmp = fill_ip(&f, IP_ICMP, from, to, ECHO_HEADER + size);
    icmp[0] = 8;
    bytes_put16(icmp + 4, id);
    bytes_put16(icmp + 6, seq);
    memcpy(icmp + ECHO_HEADER, data, size);
    frame_fill_checksums(&f);
    return f;
}

struct frame_bytes frame_tcp(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                             uint32_t seq, uint32_t ack, unsigned flags, const void *data,
                             size_t size)
{
    struct frame_bytes f;
    uint8_t *tcp = fill_ip(&f, IP_TCP, from, to, TCP_HEADER + size);
    bytes_put16(tcp, from_port);
    bytes_put16(tcp + 2, to_port);
    bytes_put32(tcp + 4, seq);
    bytes_put32(tcp + 8, ack);
    tcp[12] = TCP_HEADER / 4 << 4;
    tcp[13] = (uint8_t)flags;
    bytes_put16(tcp + 14, 0xffff);
    if (size)
        memcpy(tcp + TCP_HEADER, data, size);
    frame_fill_checksums(&f);
    return f;
}

/* RFC 2131, figure 1: the fields that are not 0, and the options. */
struct frame_bytes frame_dhcp(unsigned type, uint32_t wanted)
{
    static const uint8_t cookie[] = {99, 130, 83, 99};
    uint8_t m[DHCP_SIZE] = {1, 1, 6}, *option = m + DHCP_OPTIONS;
    bytes_put32(m + 4, 0x12345678);
    memcpy(m + 28, GUEST_MAC, 6);
    memcpy(option, cookie, 4);
    option += 4;
    *option++ = 53;
    *option++ = 1;
    *option++ = (uint8_t)type;
    if (wanted) {
        *option++ = 50;
        *option++ = 4;
        bytes_put32(option, wanted);
        option += 4;
    }
    *option = 255;
    return frame_udp(0, 68, UINT32_MAX, 67, m, sizeof m);
}

/* ---- reading -------------------------------------------------------------------------------- */

const uint8_t *frame_dhcp_option(const struct packet_view *p, unsigned wanted)
{
    size_t at = DHCP_OPTIONS + 4;
    while (at + 2 <= p->data_size && p->data[at] != 255) {
        if (p->data[at] == wanted)
            return p->data + at + 2;
        at += p->data[at] ? 2u + p->data[at + 1] : 1u;
    }
    return NULL;
}

bool frame_read(const struct frame_bytes *f, struct packet_view *p)
{
    const uint8_t *ip = f->bytes + ETHERNET;
    if (f->size < ETHERNET + IP_HEADER + UDP_HEADER || bytes_get16(f->bytes + 12) != 0x0800)
        return false;
    size_t header = (ip[0] & 15u) * 4, length = bytes_get16(ip + 2);
    const uint8_t *inner = ip + header;
    *p = (struct packet_view){
        .protocol = ip[9], .from = bytes_get32(ip + 12), .to = bytes_get32(ip + 16)};
    size_t inner_size = p->protocol == IP_TCP ? (inner[12] >> 4) * 4u : UDP_HEADER;
    if (length > f->size - ETHERNET || header + inner_size > length)
        return false;
    p->from_port = p->protocol == IP_ICMP ? inner[0] : (uint16_t)bytes_get16(inner);
    p->to_port = p->protocol == IP_ICMP ? inner[1] : (uint16_t)bytes_get16(inner + 2);
    if (p->protocol == IP_TCP) {
        p->seq = bytes_get32(inner + 4);
        p->ack = bytes_get32(inner + 8);
        p->flags = inner[13];
    }
    p->data = inner + inner_size;
    p->data_size = length - header - inner_size;
    bool none = p->protocol == IP_UDP && bytes_get16(inner + 6) == 0;
    p->checksums = fold(sum(ip, header)) == 0 && (none || inner_checksum(ip) == 0);
    return true;
}
