/* Inside of virtio: virtio.c (registers, life), virtio-queue.c (rings and requests). */
#ifndef VITRINE_CPU_VIRTIO_PRIV_H
#define VITRINE_CPU_VIRTIO_PRIV_H

#include "cpu/dev/virtio.h"

enum { STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8, STATUS_NEEDS_RESET = 64 };
#define VIRTIO_F_INDIRECT (1ull << 28) /* section 6 */
enum { INTERRUPT_USED = 1, INTERRUPT_CONFIG = 2 };

/* The queues are arrays, so that the state table can name them. */
struct virtio {
    struct device device;
    struct device_register registers[VIRTIO_REGISTERS];
    const struct virtio_kind *kind;
    void *owner;
    struct dma dma;
    struct irq_line irq;
    uint64_t driver_features;
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint32_t status, interrupt;
    uint32_t generation; /* of the configuration space */
    uint32_t num[VIRTIO_QUEUES];
    bool ready[VIRTIO_QUEUES];
    uint64_t desc[VIRTIO_QUEUES], driver[VIRTIO_QUEUES], used[VIRTIO_QUEUES];
    uint16_t seen[VIRTIO_QUEUES]; /* available entries taken so far, modulo 2^16 */
};

/* The level of the line follows from `interrupt`. */
static inline void virtio_update(struct virtio *v)
{
    irq_set(&v->irq, v->interrupt != 0);
}

/* The driver has written to QueueNotify. */
void virtio_notify(struct virtio *virtio, unsigned queue);

#endif
