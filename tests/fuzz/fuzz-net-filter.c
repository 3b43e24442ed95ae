/*
 * Fuzzes what decides about a guest's frames: a frame goes out, and back as if it were an answer.
 * What passes must be whole and for an address that a guest may reach.
 *
 * The input is the frame's length, two bytes, and what makes it of a question to the name server,
 * by exclusive or: so few bytes are enough for a packet that is almost right.
 *
 * Sources: hv/kvm/net-filter.c
 */
#include <stdlib.h>
#include <string.h>

#include "hv/kvm/net-filter.h"

#define NAMESERVER 0x7f000035u /* of this computer's own, where nothing else may be reached */

/* 10.0.2.15, port 5000, by UDP to 10.0.2.3, port 53: eight bytes of nothing. */
static const uint8_t QUESTION[50] = {
    [12] = 0x08, [14] = 0x45, [17] = 36, [22] = 64,   [23] = 17,   [26] = 10, [28] = 2,  [29] = 15,
    [30] = 10,   [32] = 2,    [33] = 3,  [34] = 0x13, [35] = 0x88, [37] = 53, [39] = 16,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool sound)
{
    if (!sound)
        abort();
}

static uint32_t get(const uint8_t *p, unsigned count)
{
    uint32_t value = 0;
    while (count--)
        value = value << 8 | *p++;
    return value;
}

/* By its own reading of the packet. */
static void check_passed(const uint8_t *ip, size_t size)
{
    size_t header = (ip[0] & 15u) * 4, length = get(ip + 2, 2);
    uint32_t to = get(ip + 16, 4);
    require(ip[0] >> 4 == 4 && header >= 20 && header + 8 <= length && length <= size);
    require((get(ip + 6, 2) & 0x3fff) == 0);
    require(ip[9] == 1 || ip[9] == 6 || ip[9] == 17);
    if (to >> 24 == 127)
        require(to == NAMESERVER && ip[9] != 1 && get(ip + header + 2, 2) == 53);
    if (to >> 28 >= 0xe)
        require(to == UINT32_MAX && ip[9] == 17 && get(ip + header + 2, 2) == 67);
    require(to >> 24 != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct net_filter filter = {.nameserver = NAMESERVER};
    if (count < 2)
        return 0;
    size_t size = NET_FRAME_MIN + get(bytes, 2) % (NET_FRAME_MAX - NET_FRAME_MIN + 1);
    uint8_t *frame = calloc(1, size); /* of its own, for the sanitizer to see the end */
    require(frame);
    memcpy(frame, QUESTION, size < sizeof QUESTION ? size : sizeof QUESTION);
    for (size_t i = 2; i < count && i - 2 < size; i++)
        frame[i - 2] ^= bytes[i];
    if (net_filter_out(&filter, frame, size) && get(frame + 12, 2) == 0x0800)
        check_passed(frame + 14, size - 14);
    net_filter_in(&filter, frame, size);
    free(frame);
    return 0;
}
