/* Ethernet frames as a guest would make them by hand, and what is in those that come back. */
#ifndef VITRINE_TESTS_FRAMES_H
#define VITRINE_TESTS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_MAX = 2048, ETHERNET = 14, IP_HEADER = 20 };
enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

struct frame_bytes {
    size_t size;
    uint8_t bytes[FRAME_MAX];
};

/* What an IPv4 packet of TCP, UDP or ICMP is about. */
struct packet_view {
    unsigned protocol;
    uint32_t from, to;
    uint16_t from_port, to_port; /* ICMP: type, code */
    uint32_t seq, ack;           /* TCP */
    unsigned flags;
    const uint8_t *data;
    size_t data_size;
    bool checksums; /* both are right */
};

extern const uint8_t GUEST_MAC[6];

unsigned bytes_get16(const uint8_t *p);
uint32_t bytes_get32(const uint8_t *p);
void bytes_put16(uint8_t *p, unsigned value);
void bytes_put32(uint8_t *p, uint32_t value);

/* "Who has `to`? Tell `from`", or the answer to such a question. */
struct frame_bytes frame_arp_request(uint32_t from, uint32_t to);
struct frame_bytes frame_arp_reply(const struct frame_bytes *request, uint32_t from);
bool frame_is_arp(const struct frame_bytes *frame, unsigned operation);

/* All checksums are filled in. */
struct frame_bytes frame_udp(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                             const void *data, size_t size);
struct frame_bytes frame_echo(uint32_t from, uint32_t to, uint16_t id, uint16_t seq,
                              const void *data, size_t size);
struct frame_bytes frame_tcp(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                             uint32_t seq, uint32_t ack, unsigned flags, const void *data,
                             size_t size);
/* Of the header and of what is in it, after a test has changed them. */
void frame_fill_checksums(struct frame_bytes *frame);

/* DHCPDISCOVER (1) or DHCPREQUEST (3) for `wanted`. */
struct frame_bytes frame_dhcp(unsigned type, uint32_t wanted);
/* The option's value in an answer; NULL: it has none. */
const uint8_t *frame_dhcp_option(const struct packet_view *packet, unsigned option);

/* false: it is no such packet. */
bool frame_read(const struct frame_bytes *frame, struct packet_view *packet);

#endif
