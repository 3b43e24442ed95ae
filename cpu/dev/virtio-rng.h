/* virtio entropy device. */
#ifndef VITRINE_CPU_VIRTIO_RNG_H
#define VITRINE_CPU_VIRTIO_RNG_H

#include "cpu/dev/device.h"
#include "cpu/dev/dma.h"

struct virtio_rng;

/* Fills in random bytes; returns how many (less than `count`: there are no more now). */
typedef size_t (*entropy_fn)(void *context, uint8_t *bytes, size_t count);

/* `source` is called under the lock of virtio.h. NULL: the device makes its own numbers, which
 * follow from `seed` alone, so that a run can be repeated. NULL: no memory. */
struct virtio_rng *virtio_rng_new(struct dma dma, struct irq_line irq, entropy_fn source,
                                  void *context, uint64_t seed);
void virtio_rng_free(struct virtio_rng *rng);
struct device *virtio_rng_device(struct virtio_rng *rng);

#endif
