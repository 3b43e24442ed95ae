/*
 * Sends rubbish to a GDB stub and looks whether it still answers.
 *
 *     gdb-fuzz PORT SEED ROUNDS
 *
 * Each round sends one of: random bytes, a packet of random bytes, a real packet with some of its
 * characters changed, a packet that is too long, one that is cut off. Whatever it answers is read
 * and thrown away; in the end a new connection must get a stop reply to "?". Never sends 'k'. Exit
 * status 0; 3 if nobody listens there any more; or 1 after a line that says what was wrong.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const SEEDS[] = {
    "?",
    "g",
    "Gffffffff",
    "p20",
    "P20=00000080",
    "m80000000,40",
    "m0,ffffffff",
    "mffffffff,ffff",
    "M80000000,4:00112233",
    "X80000000,4:abcd",
    "Xffffffff,ffffffff:",
    "Z0,80000000,4",
    "Z2,80000010,ffffffff",
    "Z4,ffffffff,8",
    "z0,80000000,4",
    "s",
    "s80000000",
    "vCont;s:1",
    "vCont?",
    "vCont",
    "vCont;c",
    "qSupported:xmlRegisters=i386",
    "qXfer:features:read:target.xml:0,ff",
    "qXfer:features:read:target.xml:ffffffff,ffffffff",
    "qRcmd,68656c70",
    "qRcmd,77616c6b203078",
    "qRcmd,7",
    "qAttached",
    "qC",
    "qfThreadInfo",
    "qsThreadInfo",
    "Hg0",
    "T1",
    "vMustReplyEmpty",
    "C05",
    "S05",
    "qRcmd,65786974",
    "QNonStop:1",
    "bs",
    "i",
    "R",
    "!",
    "",
};

enum { SEED_COUNT = sizeof SEEDS / sizeof *SEEDS };

static uint32_t state;

static uint32_t random_below(uint32_t bound)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % bound;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) {
        printf("cannot connect: %s\n", strerror(errno));
        exit(errno == ECONNREFUSED ? 3 : 1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

/* Throws away what has been answered so far. */
static void discard(int fd)
{
    char answers[65536];
    while (recv(fd, answers, sizeof answers, MSG_DONTWAIT) > 0)
        ;
}

/* Waits until the answers contain a packet that begins so; false after a minute. */
static bool answers_with(int fd, const char *first, const char *second)
{
    static char answers[65536];
    size_t count = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (count + 1 < sizeof answers && poll(&ready, 1, 300000) > 0) {
        ssize_t got = recv(fd, answers + count, sizeof answers - 1 - count, 0);
        if (got <= 0)
            break;
        count += (size_t)got;
        answers[count] = '\0';
        if (strstr(answers, first) || strstr(answers, second))
            return true;
    }
    printf("no stop reply but '%s'\n", answers);
    return false;
}

static void send_all(int fd, const char *bytes, size_t count)
{
    while (count) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* it has hung up, which it may */
        bytes += sent;
        count -= (size_t)sent;
    }
}

static void send_packet(int fd, const char *payload, size_t count)
{
    char *frame = malloc(count + 8), sum_text[4];
    uint8_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + (uint8_t)payload[i]);
    snprintf(sum_text, sizeof sum_text, "#%02x", sum);
    frame[0] = '$';
    memcpy(frame + 1, payload, count);
    memcpy(frame + 1 + count, sum_text, 3);
    send_all(fd, frame, count + 4);
    free(frame);
}

static void send_changed(int fd)
{
    char payload[256];
    snprintf(payload, sizeof payload, "%s", SEEDS[random_below(SEED_COUNT)]);
    size_t length = strlen(payload);
    for (uint32_t changes = random_below(4); changes && length; changes--)
        payload[random_below((uint32_t)length)] = (char)random_below(256);
    if (payload[0] != 'k' && strncmp(payload, "vKill", 5))
        send_packet(fd, payload, length);
}

static void send_noise(int fd, bool framed)
{
    char noise[300];
    uint32_t count = 1 + random_below(sizeof noise - 1);
    for (uint32_t i = 0; i < count; i++)
        noise[i] = (char)random_below(256);
    if (noise[0] == 'k' || noise[0] == 'v')
        noise[0] = '?';
    if (framed)
        send_packet(fd, noise, count);
    else if (!memchr(noise, '#', count)) /* might be a packet that kills */
        send_all(fd, noise, count);
}

static void send_long(int fd)
{
    size_t count = 1000 + random_below(60000);
    char *payload = malloc(count);
    memset(payload, '}' - (int)random_below(2), count);
    payload[0] = 'm';
    send_packet(fd, payload, count);
    free(payload);
}

static void send_rubbish(int fd)
{
    switch (random_below(8)) {
    case 0: send_noise(fd, false); break;
    case 1: send_noise(fd, true); break;
    case 2: send_all(fd, "$m8000", 6); break;
    case 3: send_all(fd, "\003", 1); break;
    case 4:
        if (random_below(20) == 0)
            send_long(fd);
        break;
    default: send_changed(fd); break;
    }
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int port = atoi(argv[1]), rounds = atoi(argv[3]);
    state = (uint32_t)atoi(argv[2]) * 2654435761u + 1;
    int fd = connect_to(port);
    for (int i = 0; i < rounds; i++) {
        if (random_below(50) == 0) {
            close(fd);
            fd = connect_to(port);
        }
        send_rubbish(fd);
        discard(fd);
    }
    close(fd);
    /* A guest that has come to its end may take the server along, between two connections. */
    for (int tries = 0; tries < 3; tries++) {
        fd = connect_to(port);
        send_packet(fd, "?", 1);
        bool alive = answers_with(fd, "$T", "$W");
        close(fd);
        if (alive)
            return 0;
    }
    printf("no answer\n");
    return 1;
}
