/* virtio block device on a raw disk image. */
#ifndef VITRINE_CPU_VIRTIO_BLK_H
#define VITRINE_CPU_VIRTIO_BLK_H

#include "cpu/dev/device.h"
#include "cpu/dev/disk.h"
#include "cpu/dev/dma.h"

struct virtio_blk;

/* The disk and the memory stay the caller's. NULL: no memory. */
struct virtio_blk *virtio_blk_new(struct dma dma, struct irq_line irq, struct disk *disk);
void virtio_blk_free(struct virtio_blk *blk);
struct device *virtio_blk_device(struct virtio_blk *blk);

#endif
