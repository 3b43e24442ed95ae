/*
 * Fuzzes what decides about a guest's frames: the input is one, which goes out, and back as if it
 * were an answer. What passes must be whole and for an address that a guest may reach.
 *
 * Sources: hv/kvm/net-filter.c
 */
#include <stdlib.h>
#include <string.h>

#include "hv/kvm/net_priv.h"

#define NAMESERVER 0x7f000035u /* of this computer's own, where nothing else may be reached */

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
    if (count < NET_FRAME_MIN || count > NET_FRAME_MAX)
        return 0;
    uint8_t *frame = malloc(count); /* of its own, for the sanitizer to see the end */
    require(frame);
    memcpy(frame, bytes, count);
    if (net_filter_out(&filter, frame, count) && get(frame + 12, 2) == 0x0800)
        check_passed(frame + 14, count - 14);
    net_filter_in(&filter, frame, count);
    free(frame);
    return 0;
}
