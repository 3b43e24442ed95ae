/* What a guest's frames may reach; the name server's address; what --net says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/kvm/net-filter.h"
#include "tests/device.h"
#include "tests/frames.h"
#include "tests/tap.h"

static struct net_filter filter;

static void setup(void)
{
    memset(&filter, 0, sizeof filter);
    filter.nameserver = 0xc0a80101; /* 192.168.1.1 */
}

static bool passes(struct frame_bytes f)
{
    return net_filter_out(&filter, f.bytes, f.size);
}

/* ---- where to ------------------------------------------------------------------------------- */

static const struct {
    const char *what;
    uint32_t to;
    bool udp, dhcp, echo; /* to port 9 by UDP (TCP the same), to port 67, ping */
} reach_cases[] = {
    {"the gateway", NET_GATEWAY, true, true, true},
    {"the name server's alias, not by DNS", NET_DNS, false, false, true},
    {"the guest itself", NET_GUEST, false, false, false},
    {"a neighbour that is not there", 0x0a000217, false, false, false},
    {"broadcast on the guest's Ethernet", 0x0a0002ff, false, false, false},
    {"broadcast", 0xffffffff, false, true, false},
    {"127.0.0.1", 0x7f000001, false, false, false},
    {"127.0.0.53", 0x7f000035, false, false, false},
    {"127.255.255.254", 0x7ffffffe, false, false, false},
    {"0.0.0.0", 0, false, false, false},
    {"0.1.2.3", 0x00010203, false, false, false},
    {"a cloud's server of secrets", 0xa9fea9fe, false, false, false},
    {"multicast", 0xe00000fb, false, false, false},
    {"a reserved address", 0xf0000001, false, false, false},
    {"the last address before broadcast", 0xfffffffe, false, false, false},
    {"a host outside", 0x08080808, true, true, true},
    {"a host of a network like the guest's", 0x0a000302, true, true, true},
    {"128.0.0.1", 0x80000001, true, true, true},
    {"the host's name server, by its own address", 0xc0a80101, true, true, true},
};

START_TEST(reaches)
{
    uint32_t to = reach_cases[_i].to;
    ck_assert_msg(passes(frame_udp(NET_GUEST, 1000, to, 9, "x", 1)) == reach_cases[_i].udp, "%s",
                  reach_cases[_i].what);
    ck_assert_msg(passes(frame_tcp(NET_GUEST, 1000, to, 9, 1, 0, TCP_SYN, NULL, 0)) ==
                      reach_cases[_i].udp,
                  "%s by TCP", reach_cases[_i].what);
    ck_assert_msg(passes(frame_udp(0, 68, to, 67, "x", 1)) == reach_cases[_i].dhcp, "DHCP of %s",
                  reach_cases[_i].what);
    ck_assert_msg(passes(frame_echo(NET_GUEST, to, 1, 1, "x", 1)) == reach_cases[_i].echo,
                  "ping of %s", reach_cases[_i].what);
}
END_TEST

/* ---- frames that are none ------------------------------------------------------------------- */

/* One byte of a good packet of TCP is changed, or it ends early. */
static const struct {
    const char *what;
    int at; /* in the frame; < 0: nowhere */
    uint8_t value;
    size_t size; /* 0: all of it */
} bad_cases[] = {
    {"IPv6", 12, 0x86, 0},
    {"another type", 13, 0x01, 0},
    {"IP version 6", ETHERNET, 0x65, 0},
    {"a header of 16 bytes", ETHERNET, 0x44, 0},
    {"a header longer than the packet", ETHERNET, 0x4f, 0},
    {"longer than the frame", ETHERNET + 2, 0x05, 0},
    {"shorter than its headers", ETHERNET + 3, 39, 0},
    {"the first fragment", ETHERNET + 6, 0x20, 0},
    {"a later fragment", ETHERNET + 7, 0x01, 0},
    {"IGMP", ETHERNET + 9, 2, 0},
    {"SCTP", ETHERNET + 9, 132, 0},
    {"nothing behind the addresses", -1, 0, ETHERNET},
    {"half a header", -1, 0, ETHERNET + 10},
    {"half of TCP's header", -1, 0, ETHERNET + 30},
};

START_TEST(refuses)
{
    struct frame_bytes f = frame_tcp(NET_GUEST, 1, 0x08080808, 9, 1, 0, TCP_SYN, "hello", 5);
    ck_assert(passes(f));
    if (bad_cases[_i].at >= 0)
        f.bytes[bad_cases[_i].at] = bad_cases[_i].value;
    if (bad_cases[_i].size)
        f.size = bad_cases[_i].size;
    ck_assert_msg(!passes(f), "%s", bad_cases[_i].what);
}
END_TEST

START_TEST(arp_passes_whole)
{
    struct frame_bytes f = frame_arp_request(NET_GUEST, NET_GATEWAY);
    ck_assert(passes(f));
    f.size--;
    ck_assert(!passes(f));
}
END_TEST

START_TEST(options_of_ip_are_no_trouble)
{
    struct frame_bytes f = frame_udp(NET_GUEST, 7, NET_DNS, 53, "question", 8);
    uint8_t *ip = f.bytes + ETHERNET;
    memmove(ip + IP_HEADER + 4, ip + IP_HEADER, f.size - ETHERNET - IP_HEADER);
    memset(ip + IP_HEADER, 1, 4); /* no operation */
    ip[0] = 0x46;
    f.size += 4;
    bytes_put16(ip + 2, (unsigned)(f.size - ETHERNET));
    frame_fill_checksums(&f);
    struct packet_view p;
    ck_assert(net_filter_out(&filter, f.bytes, f.size));
    ck_assert(frame_read(&f, &p) && p.checksums);
    ck_assert_uint_eq(p.to, filter.nameserver);
}
END_TEST

START_TEST(no_more_sockets)
{
    filter.full = true;
    ck_assert(!passes(frame_udp(NET_GUEST, 7, 0x08080808, 9, "x", 1)));
    ck_assert(!passes(frame_tcp(NET_GUEST, 7, 0x08080808, 9, 1, 0, TCP_SYN, NULL, 0)));
    ck_assert(passes(frame_tcp(NET_GUEST, 7, 0x08080808, 9, 1, 1, TCP_ACK, "x", 1)));
    ck_assert(passes(frame_arp_request(NET_GUEST, NET_GATEWAY)));
}
END_TEST

/* ---- the name server ------------------------------------------------------------------------ */

static struct frame_bytes dns(bool tcp, bool answer, uint32_t server, uint16_t port)
{
    uint32_t from = answer ? server : NET_GUEST, to = answer ? NET_GUEST : server;
    uint16_t from_port = answer ? 53 : port, to_port = answer ? port : 53;
    return tcp ? frame_tcp(from, from_port, to, to_port, 1, 1, TCP_ACK, "name", 4)
               : frame_udp(from, from_port, to, to_port, "name", 4);
}

/* Sends a question, and returns where an answer to it seems to come from. */
static uint32_t ask(bool tcp, uint32_t server, uint16_t port)
{
    struct frame_bytes f = dns(tcp, false, server, port);
    struct packet_view p;
    ck_assert(net_filter_out(&filter, f.bytes, f.size));
    ck_assert(frame_read(&f, &p) && p.checksums);
    ck_assert_uint_eq(p.to, filter.nameserver);
    ck_assert_uint_eq(p.from, NET_GUEST);
    f = dns(tcp, true, filter.nameserver, port);
    net_filter_in(&filter, f.bytes, f.size);
    ck_assert(frame_read(&f, &p) && p.checksums);
    ck_assert_uint_eq(p.to, NET_GUEST);
    return p.from;
}

START_TEST(dns_goes_to_the_hosts_server_and_back)
{
    struct random r = {1};
    for (int tcp = 0; tcp < 2; tcp++) {
        ck_assert_uint_eq(ask(tcp, NET_DNS, 5000), NET_DNS);
        ck_assert_uint_eq(ask(tcp, filter.nameserver, 5001), filter.nameserver);
        ck_assert_uint_eq(ask(tcp, filter.nameserver, 5000), filter.nameserver);
        ck_assert_uint_eq(ask(tcp, NET_DNS, 65535), NET_DNS);
    }
    /* Sums with every kind of carry. */
    for (int i = 0; i < 2000; i++) {
        filter.nameserver = 0x0b000000 + random_below(&r, 0x70000000);
        ck_assert_uint_eq(ask(i % 2, NET_DNS, (uint16_t)random_below(&r, 65536)), NET_DNS);
    }
}
END_TEST

START_TEST(no_udp_checksum_stays_none)
{
    struct frame_bytes f = dns(false, false, NET_DNS, 5000);
    bytes_put16(f.bytes + ETHERNET + IP_HEADER + 6, 0);
    ck_assert(net_filter_out(&filter, f.bytes, f.size));
    ck_assert_uint_eq(bytes_get16(f.bytes + ETHERNET + IP_HEADER + 6), 0);
}
END_TEST

START_TEST(answers_of_others_stay)
{
    struct frame_bytes other = frame_udp(0x08080808, 53, NET_GUEST, 5000, "x", 1);
    struct frame_bytes port = frame_udp(filter.nameserver, 54, NET_GUEST, 5000, "x", 1);
    struct frame_bytes ping = frame_echo(filter.nameserver, NET_GUEST, 1, 1, "x", 1);
    struct frame_bytes *all[] = {&other, &port, &ping};
    ask(false, NET_DNS, 5000);
    for (int i = 0; i < ROWS(all); i++) {
        struct frame_bytes before = *all[i];
        net_filter_in(&filter, all[i]->bytes, all[i]->size);
        ck_assert_mem_eq(before.bytes, all[i]->bytes, before.size);
    }
}
END_TEST

/* A resolver of this computer's own is reached by the alias and its one port, and by nothing else.
 */
START_TEST(a_name_server_on_loopback)
{
    filter.nameserver = 0x7f000035;
    ck_assert_uint_eq(ask(false, NET_DNS, 5000), NET_DNS);
    ck_assert(!passes(dns(false, false, 0x7f000035, 5000)));
    ck_assert(!passes(frame_udp(NET_GUEST, 5000, NET_DNS, 54, "x", 1)));
    ck_assert(!passes(frame_tcp(NET_GUEST, 5000, NET_DNS, 631, 1, 0, TCP_SYN, NULL, 0)));
}
END_TEST

START_TEST(no_name_server)
{
    filter.nameserver = 0;
    ck_assert(!passes(dns(false, false, NET_DNS, 5000)));
    ck_assert(!passes(dns(true, false, NET_DNS, 5000)));
}
END_TEST

static const struct {
    const char *text;
    uint32_t server;
} resolv_cases[] = {
    {"nameserver 192.168.7.1\n", 0xc0a80701},
    {"# nameserver 1.2.3.4\nsearch here\nnameserver\t10.9.8.7\nnameserver 1.1.1.1\n", 0x0a090807},
    {"nameserver fe80::1\nnameserver 9.9.9.9", 0x09090909},
    {"nameserver 127.0.0.53\n", 0x7f000035},
    {"nameserver 300.1.1.1\n", 0},
    {"nameserver\n", 0},
    {"", 0},
};

START_TEST(reads_resolv_conf)
{
    char path[] = "/tmp/vitrine-test-net.XXXXXX";
    int fd = mkstemp(path);
    size_t size = strlen(resolv_cases[_i].text);
    ck_assert_int_eq(write(fd, resolv_cases[_i].text, size), (ssize_t)size);
    close(fd);
    ck_assert_uint_eq(net_nameserver(path), resolv_cases[_i].server);
    unlink(path);
    ck_assert_uint_eq(net_nameserver(path), 0);
}
END_TEST

/* Anything at all, to be looked at by the sanitizers. */
START_TEST(takes_nonsense)
{
    struct random r = {7};
    for (int i = 0; i < 100000; i++) {
        struct frame_bytes f = dns(i & 1, i & 2, i & 4 ? NET_DNS : filter.nameserver, 5000);
        uint8_t *exact = malloc(f.size);
        size_t size = random_below(&r, 4) ? f.size : NET_FRAME_MIN + random_below(&r, 40);
        size = size < f.size ? size : f.size;
        for (unsigned n = random_below(&r, 4); n; n--)
            f.bytes[12 + random_below(&r, 40)] = (uint8_t)random_next(&r);
        memcpy(exact, f.bytes, size);
        uint8_t *end = realloc(exact, size); /* what is behind it is not ours */
        net_filter_out(&filter, end, size);
        net_filter_in(&filter, end, size);
        free(end);
    }
}
END_TEST

/* ---- --net ---------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    bool loopback, restricted;
    unsigned forwards;
    struct net_forward last;
} good_options[] = {
    {"user", false, false, 0, {0}},
    {"user,loopback", true, false, 0, {0}},
    {"user,restrict,loopback", true, true, 0, {0}},
    {"user,hostfwd=tcp::2222-:22", false, false, 1, {false, 0x7f000001, NET_GUEST, 2222, 22}},
    {"user,hostfwd=tcp:127.0.0.2:1-10.0.2.99:65535",
     false,
     false,
     1,
     {false, 0x7f000002, 0x0a000263, 1, 65535}},
    {"user,hostfwd=tcp::1-:1,restrict", false, true, 1, {false, 0x7f000001, NET_GUEST, 1, 1}},
    {"user,hostfwd=tcp::1-:1,hostfwd=udp:0.0.0.0:5353-:53",
     false,
     false,
     2,
     {true, 0, NET_GUEST, 5353, 53}},
    {"user,hostfwd=udp::5353-:53,loopback",
     true,
     false,
     1,
     {true, 0x7f000001, NET_GUEST, 5353, 53}},
};

START_TEST(options_are_read)
{
    struct net_config c = {0};
    char why[NET_WHY] = "";
    ck_assert_msg(net_config_parse(&c, good_options[_i].text, why) == 0, "%s", why);
    ck_assert(c.loopback == good_options[_i].loopback);
    ck_assert(c.restricted == good_options[_i].restricted);
    ck_assert_uint_eq(c.forwards, good_options[_i].forwards);
    if (!c.forwards)
        return;
    const struct net_forward *f = &c.forward[c.forwards - 1], *expected = &good_options[_i].last;
    ck_assert(f->udp == expected->udp);
    ck_assert_uint_eq(f->host_address, expected->host_address);
    ck_assert_uint_eq(f->guest_address, expected->guest_address);
    ck_assert_uint_eq(f->host_port, expected->host_port);
    ck_assert_uint_eq(f->guest_port, expected->guest_port);
}
END_TEST

static const char *const bad_options[] = {
    "",
    "tap",
    "users",
    "user:",
    "user,",
    "user,,loopback",
    "user,loop",
    "user,loopback=on",
    "user,hostfwd",
    "user,hostfwd=",
    "user,hostfwd=tcp",
    "user,hostfwd=sctp::1-:1",
    "user,hostfwd=tcp:1-:1",
    "user,hostfwd=tcp::1",
    "user,hostfwd=tcp::1-",
    "user,hostfwd=tcp::1-1",
    "user,hostfwd=tcp::0-:1",
    "user,hostfwd=tcp::1-:0",
    "user,hostfwd=tcp::65536-:1",
    "user,hostfwd=tcp::-1-:1",
    "user,hostfwd=tcp::1-:1x",
    "user,hostfwd=tcp:::1-:1",
    "user,hostfwd=tcp:localhost:1-:1",
    "user,hostfwd=tcp:1.2.3:1-:1",
    "user,hostfwd=tcp::99999999999999999999-:1",
    "user,hostfwd=tcp::1-1.2.3.4:1",
    "user,hostfwd=udp::1-:1",
    "user,hostfwd=udp:127.9.9.9:1-:1",
    "user,hostfwd=udp:0.0.0.0:1-:1,restrict",
    "user,hostfwd=tcp::1-:1-",
    "user,hostfwd=tcp:%s%n:1-:1",
    "user,"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

START_TEST(options_are_refused)
{
    struct net_config c = {0};
    char why[NET_WHY] = "";
    ck_assert_msg(net_config_parse(&c, bad_options[_i], why) == -EINVAL, "%s", bad_options[_i]);
    ck_assert(why[0] && !strchr(why, '\n'));
}
END_TEST

START_TEST(so_many_ports_and_no_more)
{
    struct net_config c = {0};
    char why[NET_WHY], text[1024] = "user";
    for (int i = 0; i < NET_FORWARDS; i++)
        sprintf(text + strlen(text), ",hostfwd=tcp::%d-:%d", i + 1, i + 1);
    ck_assert_int_eq(net_config_parse(&c, text, why), 0);
    ck_assert_uint_eq(c.forwards, NET_FORWARDS);
    strcat(text, ",hostfwd=tcp::99-:99");
    c = (struct net_config){0};
    ck_assert_int_eq(net_config_parse(&c, text, why), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net-filter");
    TCase *tests = tcase_create("net-filter");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, reaches, 0, ROWS(reach_cases));
    tcase_add_loop_test(tests, refuses, 0, ROWS(bad_cases));
    tcase_add_test(tests, arp_passes_whole);
    tcase_add_test(tests, options_of_ip_are_no_trouble);
    tcase_add_test(tests, no_more_sockets);
    tcase_add_test(tests, dns_goes_to_the_hosts_server_and_back);
    tcase_add_test(tests, no_udp_checksum_stays_none);
    tcase_add_test(tests, answers_of_others_stay);
    tcase_add_test(tests, a_name_server_on_loopback);
    tcase_add_test(tests, no_name_server);
    tcase_add_loop_test(tests, reads_resolv_conf, 0, ROWS(resolv_cases));
    tcase_add_test(tests, takes_nonsense);
    tcase_add_loop_test(tests, options_are_read, 0, ROWS(good_options));
    tcase_add_loop_test(tests, options_are_refused, 0, ROWS(bad_options));
    tcase_add_test(tests, so_many_ports_and_no_more);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
