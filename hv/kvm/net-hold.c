/* Frames that wait until they may leave the host. See net-hold.h. */
#include "hv/kvm/net-hold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "hv/kvm/net.h"

struct held {
    uint16_t size;
    uint8_t bytes[NET_FRAME_MAX];
};

struct net_hold {
    unsigned first, count;
    unsigned marked; /* so many of them are before the mark */
    uint64_t lost;
    struct held frame[NET_HOLD_FRAMES];
};

struct net_hold *net_hold_new(void)
{
    return calloc(1, sizeof(struct net_hold));
}

void net_hold_free(struct net_hold *h)
{
    free(h);
}

bool net_hold_put(struct net_hold *h, const uint8_t *frame, size_t size)
{
    assert(size <= NET_FRAME_MAX);
    if (h->count == NET_HOLD_FRAMES) {
        h->lost++;
        return false;
    }
    struct held *f = &h->frame[(h->first + h->count++) % NET_HOLD_FRAMES];
    f->size = (uint16_t)size;
    memcpy(f->bytes, frame, size);
    return true;
}

void net_hold_mark(struct net_hold *h)
{
    h->marked = h->count;
}

void net_hold_pass(struct net_hold *h, bool all,
                   void (*send)(void *context, const uint8_t *frame, size_t size), void *context)
{
    for (unsigned left = all ? h->count : h->marked; left; left--) {
        const struct held *f = &h->frame[h->first];
        if (send)
            send(context, f->bytes, f->size);
        h->first = (h->first + 1) % NET_HOLD_FRAMES;
        h->count--;
    }
    h->marked = 0;
}

uint64_t net_hold_lost(const struct net_hold *h)
{
    return h->lost;
}
