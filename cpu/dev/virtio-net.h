/*
 * The virtio network device: Ethernet frames from and to a guest.
 *
 * It knows nothing of what is at the cable's other end: what the guest sends it hands to a
 * function, and what comes for the guest is handed to it. Both under the lock of the device's bus
 * (see virtio.h).
 *
 * Source: VIRTIO 1.1, section 5.1. One pair of queues, no offloads (checksums and segmentation are
 * the guest's work), no control queue.
 */
#ifndef VITRINE_CPU_VIRTIO_NET_H
#define VITRINE_CPU_VIRTIO_NET_H

#include "cpu/dev/device.h"
#include "cpu/dev/dma.h"

enum { VIRTIO_NET_FRAME_MIN = 14, VIRTIO_NET_FRAME_MAX = 1514, VIRTIO_NET_MAC = 6 };

struct virtio_net_config {
    uint8_t mac[VIRTIO_NET_MAC];
    /* A frame that the guest sends: VIRTIO_NET_FRAME_MIN to _MAX bytes. NULL: it goes nowhere. */
    void (*send)(void *context, const uint8_t *frame, size_t size);
    /* The guest has buffers for frames again. May be NULL. */
    void (*ready)(void *context);
    void *context;
};

struct virtio_net_counts {
    uint64_t sent, received;
    uint64_t bad;     /* frames of the guest that are none: too short, too long, with offloads */
    uint64_t dropped; /* for a guest without a driver, or with a buffer that is too small */
};

struct virtio_net;

/* NULL: no memory. The configuration is copied. */
struct virtio_net *virtio_net_new(struct dma dma, struct irq_line irq,
                                  const struct virtio_net_config *config);
void virtio_net_free(struct virtio_net *net);
struct device *virtio_net_device(struct virtio_net *net);

/* A frame for the guest, of VIRTIO_NET_FRAME_MIN to _MAX bytes. false: it has a driver but no
 * buffer now; offer the frame again when it is ready(). Otherwise the device is done with it. */
bool virtio_net_receive(struct virtio_net *net, const uint8_t *frame, size_t size);

struct virtio_net_counts virtio_net_counts(const struct virtio_net *net);

#endif
