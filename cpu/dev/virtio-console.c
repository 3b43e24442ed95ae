/*
 * virtio console device (VIRTIO 1.1, section 5.3): port 0, with its receive and transmit queues,
 * and the emergency write, by which a driver prints a byte before it has set up anything.
 *
 * Left out: more ports and their control queues, the terminal's size. What is typed stays where it
 * is until the driver has a buffer for it, so that the device has nothing to remember.
 */
#include "cpu/dev/virtio-console.h"

#include <stdlib.h>

#include "cpu/dev/virtio.h"

enum { RECEIVE, TRANSMIT, QUEUES };
enum { EMERGENCY_WRITE = 8 }; /* offset of emerg_wr */

#define F_EMERG_WRITE (1ull << 2)

struct virtio_console {
    struct virtio *virtio;
    void (*out)(void *context, const uint8_t *bytes, size_t count);
    void *context;
};

static const struct device_register CONFIG[] = {
    {"emerg_wr", EMERGENCY_WRITE, 4, "w", "prints a byte without a queue"},
};

static void print(struct virtio_console *c, const uint8_t *bytes, size_t count)
{
    if (c->out && count)
        c->out(c->context, bytes, count);
}

static void transmit(void *self, unsigned queue, struct virtio_request *r)
{
    uint8_t piece[512];
    size_t count;
    while ((count = virtio_take(r, piece, sizeof piece)))
        print(self, piece, count);
}

static void config_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    uint8_t byte = (uint8_t)value;
    if (offset == EMERGENCY_WRITE)
        print(self, &byte, 1);
}

size_t virtio_console_input(struct virtio_console *c, const uint8_t *bytes, size_t count)
{
    struct virtio_request r;
    size_t done = 0;
    while (done < count && virtio_next(c->virtio, RECEIVE, &r)) {
        done += virtio_give(&r, bytes + done, count - done);
        virtio_done(&r);
    }
    return done;
}

static const struct virtio_kind KIND = {
    .name = "virtio-console",
    .about = "virtio console: prints, and is typed at",
    .device_id = 3,
    .features = F_EMERG_WRITE,
    .queues = QUEUES,
    .waiting = 1u << RECEIVE,
    .serve = transmit,
    .config_write = config_write,
    .config = CONFIG,
    .config_count = sizeof CONFIG / sizeof CONFIG[0],
};

struct virtio_console *
virtio_console_new(struct dma dma, struct irq_line irq,
                   void (*out)(void *context, const uint8_t *bytes, size_t count), void *context)
{
    struct virtio_console *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->out = out;
    c->context = context;
    c->virtio = virtio_new(&KIND, c, dma, irq);
    if (!c->virtio) {
        free(c);
        return NULL;
    }
    return c;
}

void virtio_console_free(struct virtio_console *c)
{
    if (!c)
        return;
    virtio_free(c->virtio);
    free(c);
}

struct device *virtio_console_device(struct virtio_console *c)
{
    return virtio_device(c->virtio);
}
