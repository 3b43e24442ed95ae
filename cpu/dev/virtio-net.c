/*
 * The virtio network device (VIRTIO 1.1, section 5.1). See virtio-net.h.
 *
 *      queue 0, receiveq    buffers that the driver has put there wait for frames
 *      queue 1, transmitq   frames to send
 *
 * In either a header of 12 bytes stands before the frame (section 5.1.6): it tells of checksums
 * that are left to the other side and of frames that are to be cut. Nothing of that is offered
 * here, so it is all zeros but for num_buffers.
 */
#include "cpu/dev/virtio-net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dev/virtio.h"

enum { RECEIVE, TRANSMIT, QUEUES };
enum { LINK_UP = 1 };

#define F_MAC    (1ull << 5)
#define F_STATUS (1ull << 16)

struct header {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct virtio_net {
    struct virtio *virtio;
    struct virtio_kind kind;
    struct virtio_net_config config;
    struct virtio_net_counts counts;
};

/* ---- from the guest ------------------------------------------------------------------------- */

static bool take_frame(struct virtio_request *r, uint8_t frame[VIRTIO_NET_FRAME_MAX], size_t *size)
{
    struct header header;
    if (virtio_take(r, &header, sizeof header) != sizeof header || header.flags || header.gso_type)
        return false;
    *size = virtio_left(r);
    return *size >= VIRTIO_NET_FRAME_MIN && *size <= VIRTIO_NET_FRAME_MAX &&
           virtio_take(r, frame, *size) == *size;
}

static void serve(void *self, unsigned queue, struct virtio_request *r)
{
    struct virtio_net *n = self;
    uint8_t frame[VIRTIO_NET_FRAME_MAX];
    size_t size;
    if (!take_frame(r, frame, &size)) {
        n->counts.bad++;
        return;
    }
    n->counts.sent++;
    if (n->config.send)
        n->config.send(n->config.context, frame, size);
}

/* ---- to the guest --------------------------------------------------------------------------- */

static void notified(void *self, unsigned queue)
{
    struct virtio_net *n = self;
    if (n->config.ready)
        n->config.ready(n->config.context);
}

static bool put_frame(struct virtio_request *r, const uint8_t *frame, size_t size)
{
    static const struct header header = {.num_buffers = 1};
    return virtio_room(r) >= sizeof header + size &&
           virtio_give(r, &header, sizeof header) == sizeof header &&
           virtio_give(r, frame, size) == size;
}

/* A buffer that is too small, or is no memory, goes back to the driver with what it has got: the
 * driver should have known better (section 5.1.6.3.1), and the next frame needs the next one. */
bool virtio_net_receive(struct virtio_net *n, const uint8_t *frame, size_t size)
{
    struct virtio_request r;
    assert(size >= VIRTIO_NET_FRAME_MIN && size <= VIRTIO_NET_FRAME_MAX);
    if (!virtio_next(n->virtio, RECEIVE, &r)) {
        bool waits = virtio_is_running(n->virtio, RECEIVE);
        n->counts.dropped += !waits;
        return !waits;
    }
    bool put = put_frame(&r, frame, size);
    n->counts.received += put;
    n->counts.dropped += !put;
    virtio_done(&r);
    return true;
}

/* ---- configuration -------------------------------------------------------------------------- */

static const struct device_register CONFIG[] = {
    {"mac", 0, 4, "r", "its Ethernet address, the first four bytes"},
    {"macHigh", 4, 2, "r", "the last two"},
    {"status", 6, 2, "r", "1: the link is up"},
};

static void configure(const void *self, uint8_t config[VIRTIO_CONFIG])
{
    const struct virtio_net *n = self;
    memcpy(config, n->config.mac, VIRTIO_NET_MAC);
    config[VIRTIO_NET_MAC] = LINK_UP;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct virtio_net *virtio_net_new(struct dma dma, struct irq_line irq,
                                  const struct virtio_net_config *config)
{
    struct virtio_net *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->config = *config;
    n->kind = (struct virtio_kind){
        .name = "virtio-net",
        .about = "virtio network device",
        .device_id = 1,
        .features = F_MAC | F_STATUS,
        .queues = QUEUES,
        .waiting = 1u << RECEIVE,
        .serve = serve,
        .notified = notified,
        .configure = configure,
        .config = CONFIG,
        .config_count = sizeof CONFIG / sizeof CONFIG[0],
    };
    n->virtio = virtio_new(&n->kind, n, dma, irq);
    if (!n->virtio) {
        free(n);
        return NULL;
    }
    return n;
}

void virtio_net_free(struct virtio_net *n)
{
    if (!n)
        return;
    virtio_free(n->virtio);
    free(n);
}

struct device *virtio_net_device(struct virtio_net *n)
{
    return virtio_device(n->virtio);
}

struct virtio_net_counts virtio_net_counts(const struct virtio_net *n)
{
    return n->counts;
}
