/* virtio memory balloon: a guest gives pages back while it runs. */
#ifndef VITRINE_CPU_VIRTIO_BALLOON_H
#define VITRINE_CPU_VIRTIO_BALLOON_H

#include "cpu/dev/device.h"
#include "cpu/dev/dma.h"

struct virtio_balloon;

/* `pages` (of 4 KiB) is what it asks for at power-on. NULL: no memory. */
struct virtio_balloon *virtio_balloon_new(struct dma dma, struct irq_line irq, uint32_t pages);
void virtio_balloon_free(struct virtio_balloon *balloon);
struct device *virtio_balloon_device(struct virtio_balloon *balloon);

/* Asks the guest to give back so many pages in all. It does so when and as far as it wants. Under
 * the lock of virtio.h. */
void virtio_balloon_set(struct virtio_balloon *balloon, uint32_t pages);
/* How many the guest says it has given back. */
uint32_t virtio_balloon_actual(const struct virtio_balloon *balloon);

#endif
