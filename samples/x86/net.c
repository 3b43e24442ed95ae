/*
 * A guest on the network: how a computer without an address gets to answer from another one.
 *
 *      1  DHCP   it asks everybody for an address, and takes the one that it is offered
 *      2  ARP    it asks everybody who has the gateway's address, and learns an Ethernet address
 *      3  ICMP   it sends the gateway three pings, and waits for each to come back
 *
 * All of it is made by hand: a frame is an Ethernet header, and in it a packet with the next
 * header, and so on. Numbers on a network have their largest byte first, x86 has it last, hence
 * net16() and net32(). The driver below is a virtio one with two queues, the smallest there can be:
 * one buffer to send, one to receive, and no interrupts. (../virtio/virtio.c explains queues.)
 *
 * Source: RFC 826 (ARP), 791 (IP), 768 (UDP), 792 (ICMP), 2131 and 2132 (DHCP); Virtual I/O Device
 * 1.1, section 5.1.
 */
// expect: net: my Ethernet address is 02:56:54:52:4e:01
// expect: dhcp: 10.0.2.2 offers 10.0.2.15
// expect: dhcp: 10.0.2.15 is mine; the network is 255.255.255.0
// expect: arp: 10.0.2.2 is at 52:55:0a:00:02:02
// expect: ping: answer 1 of 10.0.2.2, 32 bytes
// expect: ping: answer 2 of 10.0.2.2, 32 bytes
// expect: ping: answer 3 of 10.0.2.2, 32 bytes
// expect: net: done
#include <stdbool.h>
#include <stdint.h>

#include "board-x86.h"
#include "queue.h"

enum { SLOT_SIZE = 0x1000, NETWORK = 1 };
enum { RECEIVEQ, TRANSMITQ };

/* How long an answer may take, in ticks of the processor's clock: some seconds. */
#define PATIENCE 20000000000u

/* ---- bytes on the wire -------------------------------------------------------------------- */

struct ethernet {
    uint8_t to[6], from[6];
    uint16_t type;
} __attribute__((packed));

struct arp {
    uint16_t hardware, protocol;
    uint8_t hardware_size, protocol_size;
    uint16_t operation;
    uint8_t from_hardware[6];
    uint32_t from;
    uint8_t to_hardware[6];
    uint32_t to;
} __attribute__((packed));

struct ip {
    uint8_t version, service;
    uint16_t length, id, fragment;
    uint8_t ttl, protocol;
    uint16_t checksum;
    uint32_t from, to;
} __attribute__((packed));

struct icmp {
    uint8_t type, code;
    uint16_t checksum, id, sequence;
    uint8_t data[32];
} __attribute__((packed));

struct udp {
    uint16_t from, to, length, checksum;
} __attribute__((packed));

struct dhcp {
    uint8_t operation, hardware, hardware_size, hops;
    uint32_t id;
    uint16_t seconds, flags;
    uint32_t client, yours, server, relay;
    uint8_t client_hardware[16], names[192];
    uint32_t cookie;
    uint8_t options[60];
} __attribute__((packed));

enum { TYPE_IP = 0x0800, TYPE_ARP = 0x0806, PROTOCOL_ICMP = 1, PROTOCOL_UDP = 17 };
enum { ARP_REQUEST = 1, ARP_REPLY = 2, ECHO_REPLY = 0, ECHO_REQUEST = 8 };
enum { PORT_CLIENT = 68, PORT_SERVER = 67, DHCP_COOKIE = 0x63825363, DHCP_ID = 0x76697472 };
enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5 };
enum {
    OPTION_MASK = 1,
    OPTION_WANTED = 50,
    OPTION_TYPE = 53,
    OPTION_SERVER = 54,
    OPTION_END = 255
};

static uint16_t net16(uint16_t value)
{
    return __builtin_bswap16(value);
}

static uint32_t net32(uint32_t value)
{
    return __builtin_bswap32(value);
}

static void copy(void *to, const void *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

static void fill(void *to, uint8_t byte, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ((uint8_t *)to)[i] = byte;
}

/* The ones' complement of the ones' complement sum of all 16-bit words (RFC 791, 3.1). */
static uint16_t checksum(const void *data, uint32_t count)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i += 2)
        sum += (uint32_t)bytes[i] << 8 | (i + 1 < count ? bytes[i + 1] : 0);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return net16((uint16_t)~sum);
}

/* ---- the card ----------------------------------------------------------------------------- */

/* What goes through a queue: the device's header, which is all zeros, and the frame. */
struct buffer {
    uint8_t header[12];
    struct ethernet ethernet;
    union {
        struct arp arp;
        struct {
            struct ip ip;
            union {
                struct icmp icmp;
                struct {
                    struct udp udp;
                    struct dhcp dhcp;
                } __attribute__((packed));
            };
        } __attribute__((packed));
        uint8_t bytes[1500];
    };
} __attribute__((packed));

static struct queue receive_queue, transmit_queue;
static struct buffer incoming, outgoing;
static uint32_t card;
static uint8_t my_mac[6];
static uint32_t my_address, gateway; /* as on the wire */

static bool find_card(void)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        uint32_t device = VIRTIO_BASE + SLOT_SIZE * (uint32_t)slot;
        if (get(device, MAGIC) == 0x74726976 && get(device, DEVICE_ID) == NETWORK)
            card = device;
    }
    return card != 0;
}

static void offer_buffer(void)
{
    describe(&receive_queue, 0, &incoming, sizeof incoming, WRITE);
    submit(&receive_queue);
}

static void start_card(void)
{
    start(card);
    set_up(&receive_queue, card, RECEIVEQ);
    set_up(&transmit_queue, card, TRANSMITQ);
    go(card);
    for (uint32_t i = 0; i < 6; i++)
        my_mac[i] = *(volatile uint8_t *)(uintptr_t)(card + CONFIG + i);
}

/* Sends `size` bytes behind the Ethernet header to everybody. */
static void broadcast(uint16_t type, uint32_t size)
{
    fill(outgoing.ethernet.to, 0xff, 6);
    copy(outgoing.ethernet.from, my_mac, 6);
    outgoing.ethernet.type = net16(type);
    describe(&transmit_queue, 0, &outgoing,
             (uint32_t)(sizeof outgoing.header + sizeof outgoing.ethernet) + size, 0);
    request(&transmit_queue);
}

static uint64_t ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static bool wait_until(uint64_t end)
{
    volatile uint16_t *used = &receive_queue.used.index;
    while (*used != receive_queue.available.index)
        if (ticks() > end)
            return false;
    barrier();
    return true;
}

/* Waits for the next frame that `wanted` knows; others are passed over. The card has our buffer
 * only meanwhile, so that the frame stands still while we look at it. */
static bool receive(bool (*wanted)(void))
{
    uint64_t end = ticks() + PATIENCE;
    do {
        offer_buffer();
        if (!wait_until(end))
            return false;
    } while (!wanted());
    return true;
}

/* ---- printing ----------------------------------------------------------------------------- */

static void say_address(uint32_t address)
{
    const uint8_t *byte = (const uint8_t *)&address;
    for (int i = 0; i < 4; i++) {
        say_number(byte[i]);
        say(i < 3 ? "." : "");
    }
}

static void say_mac(const uint8_t *mac)
{
    for (int i = 0; i < 6; i++) {
        com1_putc("0123456789abcdef"[mac[i] >> 4]);
        com1_putc("0123456789abcdef"[mac[i] & 15]);
        say(i < 5 ? ":" : "\n");
    }
}

/* ---- IP ----------------------------------------------------------------------------------- */

static void send_packet(uint8_t protocol, uint32_t to, uint16_t size)
{
    struct ip *ip = &outgoing.ip;
    *ip = (struct ip){
        .version = 0x45, /* 4, and 5 words of header */
        .length = net16((uint16_t)(sizeof *ip + size)),
        .ttl = 64,
        .protocol = protocol,
        .from = my_address,
        .to = to,
    };
    ip->checksum = checksum(ip, sizeof *ip);
    broadcast(TYPE_IP, sizeof *ip + size);
}

static bool is_packet(uint8_t protocol)
{
    return incoming.ethernet.type == net16(TYPE_IP) && incoming.ip.version == 0x45 &&
           incoming.ip.protocol == protocol && checksum(&incoming.ip, sizeof incoming.ip) == 0;
}

/* ---- DHCP --------------------------------------------------------------------------------- */

/* What the server's last message says. */
static struct {
    uint8_t type;
    uint32_t address, server, mask;
} told;

static void read_options(const struct dhcp *m)
{
    for (uint32_t at = 0; at + 6 <= sizeof m->options && m->options[at] != OPTION_END;) {
        const uint8_t *option = m->options + at;
        if (option[0] == OPTION_TYPE)
            told.type = option[2];
        if (option[0] == OPTION_SERVER)
            copy(&told.server, option + 2, 4);
        if (option[0] == OPTION_MASK)
            copy(&told.mask, option + 2, 4);
        at += option[0] ? 2u + option[1] : 1u;
    }
}

static bool is_dhcp(void)
{
    const struct dhcp *m = &incoming.dhcp;
    if (!is_packet(PROTOCOL_UDP) || incoming.udp.to != net16(PORT_CLIENT) ||
        m->id != net32(DHCP_ID) || m->cookie != net32(DHCP_COOKIE))
        return false;
    told.address = m->yours;
    read_options(m);
    return true;
}

static uint8_t *add_option(uint8_t *at, uint8_t option, const void *value, uint8_t size)
{
    *at++ = option;
    *at++ = size;
    copy(at, value, size);
    return at + size;
}

/* A computer without an address is 0.0.0.0, and everybody is 255.255.255.255. */
static void send_dhcp(uint8_t type)
{
    struct dhcp *m = &outgoing.dhcp;
    fill(m, 0, sizeof *m);
    m->operation = m->hardware = 1;
    m->hardware_size = 6;
    m->id = net32(DHCP_ID);
    m->cookie = net32(DHCP_COOKIE);
    copy(m->client_hardware, my_mac, 6);
    uint8_t *end = add_option(m->options, OPTION_TYPE, &type, 1);
    if (type == REQUEST) {
        end = add_option(end, OPTION_WANTED, &told.address, 4);
        end = add_option(end, OPTION_SERVER, &told.server, 4);
    }
    *end = OPTION_END;
    uint16_t size = sizeof(struct udp) + sizeof *m;
    outgoing.udp = (struct udp){net16(PORT_CLIENT), net16(PORT_SERVER), net16(size), 0};
    send_packet(PROTOCOL_UDP, 0xffffffff, size);
}

static bool get_address(void)
{
    send_dhcp(DISCOVER);
    if (!receive(is_dhcp) || told.type != OFFER)
        return false;
    say("dhcp: ");
    say_address(told.server);
    say(" offers ");
    say_address(told.address);
    say("\n");
    send_dhcp(REQUEST);
    if (!receive(is_dhcp) || told.type != ACK)
        return false;
    my_address = told.address;
    gateway = told.server;
    say("dhcp: ");
    say_address(my_address);
    say(" is mine; the network is ");
    say_address(told.mask);
    say("\n");
    return true;
}

/* ---- ARP ---------------------------------------------------------------------------------- */

static bool is_arp_answer(void)
{
    return incoming.ethernet.type == net16(TYPE_ARP) && incoming.arp.from == gateway &&
           incoming.arp.operation == net16(ARP_REPLY);
}

/* "Who has this address?" */
static void send_arp(uint32_t to)
{
    outgoing.arp = (struct arp){
        .hardware = net16(1),
        .protocol = net16(TYPE_IP),
        .hardware_size = 6,
        .protocol_size = 4,
        .operation = net16(ARP_REQUEST),
        .from = my_address,
        .to = to,
    };
    copy(outgoing.arp.from_hardware, my_mac, 6);
    broadcast(TYPE_ARP, sizeof outgoing.arp);
}

/* A function of its own in the program, too: a place for breakpoints. */
__attribute__((noinline)) static bool find_gateway(void)
{
    send_arp(gateway);
    if (!receive(is_arp_answer))
        return false;
    say("arp: ");
    say_address(gateway);
    say(" is at ");
    say_mac(incoming.arp.from_hardware);
    return true;
}

/* ---- ping --------------------------------------------------------------------------------- */

static bool is_echo(void)
{
    return is_packet(PROTOCOL_ICMP) && incoming.icmp.type == ECHO_REPLY &&
           checksum(&incoming.icmp, sizeof incoming.icmp) == 0;
}

static bool ping(uint16_t sequence)
{
    struct icmp *icmp = &outgoing.icmp;
    *icmp = (struct icmp){.type = ECHO_REQUEST, .id = net16(1), .sequence = net16(sequence)};
    for (uint32_t i = 0; i < sizeof icmp->data; i++)
        icmp->data[i] = (uint8_t)('a' + i);
    icmp->checksum = checksum(icmp, sizeof *icmp);
    send_packet(PROTOCOL_ICMP, gateway, sizeof *icmp);
    if (!receive(is_echo))
        return false;
    say("ping: answer ");
    say_number(net16(incoming.icmp.sequence));
    say(" of ");
    say_address(incoming.ip.from);
    say(", ");
    say_number(sizeof incoming.icmp.data);
    say(" bytes\n");
    return incoming.icmp.sequence == icmp->sequence;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static int give_up(const char *what)
{
    say("net: ");
    say(what);
    say("\n");
    return 1;
}

int run(const void *start_info)
{
    (void)start_info;
    if (!find_card())
        return give_up("there is no network card (--net user)");
    start_card();
    say("net: my Ethernet address is ");
    say_mac(my_mac);
    if (!get_address())
        return give_up("nobody gives me an address");
    if (!find_gateway())
        return give_up("the gateway does not answer");
    for (uint16_t sequence = 1; sequence <= 3; sequence++)
        if (!ping(sequence))
            return give_up("a ping has no answer");
    say("net: done\n");
    return 0;
}
