/* virtio console: a second way for a guest to print and to be typed at. */
#ifndef VITRINE_CPU_VIRTIO_CONSOLE_H
#define VITRINE_CPU_VIRTIO_CONSOLE_H

#include "cpu/dev/device.h"
#include "cpu/dev/dma.h"

struct virtio_console;

/* `out` is called with what the guest prints, under the lock of virtio.h; may be NULL. NULL: no
 * memory. */
struct virtio_console *
virtio_console_new(struct dma dma, struct irq_line irq,
                   void (*out)(void *context, const uint8_t *bytes, size_t count), void *context);
void virtio_console_free(struct virtio_console *console);
struct device *virtio_console_device(struct virtio_console *console);

/* Puts typed bytes into the driver's receive buffers. Returns how many there was room for. */
size_t virtio_console_input(struct virtio_console *console, const uint8_t *bytes, size_t count);

#endif
