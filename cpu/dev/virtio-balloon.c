/*
 * virtio memory balloon (VIRTIO 1.1, section 5.5): the traditional device with its two queues.
 *
 *      host      num_pages = n, "the configuration has changed"
 *      guest     takes free pages from its own allocator, writes their numbers into the inflate
 *                queue, and the size of the balloon into `actual`
 *      device    gives these pages back to the host
 *      host      num_pages smaller: the guest writes numbers into the deflate queue and uses the
 *                pages again
 *
 * A page that was given back reads as zero and comes back by itself when the guest touches it: so
 * deflating needs nothing from the device, and a guest that lies harms itself alone. Always on
 * offer is VIRTIO_BALLOON_F_DEFLATE_ON_OOM, which asks for nothing else. Left out: statistics.
 */
#include "cpu/dev/virtio-balloon.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/dev/virtio.h"

enum { INFLATE, DEFLATE, QUEUES };
enum { NUM_PAGES = 0, ACTUAL = 4 }; /* offsets */

#define F_DEFLATE_ON_OOM (1ull << 2)

/* Page numbers of a request that are looked at. Kernels put so many into one; pages beyond keep
 * their memory, so that one store of the guest cannot ask for a million system calls. */
enum { NUMBERS_MAX = 256 };

struct virtio_balloon {
    struct virtio *virtio;
    struct virtio_kind kind;
    uint32_t initial;
    uint32_t wanted; /* pages */
    uint32_t actual; /* pages, as the driver says */
    uint64_t given;  /* pages taken from the inflate queue since power-on */
};

static const struct state_field fields[] = {
    STATE_NOT(struct virtio_balloon, virtio, "has a table of its own"),
    STATE_NOT(struct virtio_balloon, kind, "what it is"),
    STATE_NOT(struct virtio_balloon, initial, "configuration"),
    STATE(struct virtio_balloon, U32, wanted),
    STATE(struct virtio_balloon, U32, actual),
    STATE(struct virtio_balloon, U64, given),
};
static const struct state_table table =
    STATE_TABLE("virtio-balloon", struct virtio_balloon, 1, fields);

static const struct device_register CONFIG[] = {
    {"num_pages", NUM_PAGES, 4, "r", "pages of 4 KiB that the host wants back in all"},
    {"actual", ACTUAL, 4, "rw", "pages that the guest has given back"},
};

/* Neighbouring pages go back at once: a run of them is one system call. */
struct run {
    uint64_t page, count;
};

static void end_run(struct virtio_balloon *b, struct run *run)
{
    const struct dma *dma = virtio_dma(b->virtio);
    if (run->count && dma_discard(dma, run->page * DMA_PAGE, run->count * DMA_PAGE))
        b->given += run->count;
    run->count = 0;
}

static void inflate(struct virtio_balloon *b, struct virtio_request *r)
{
    struct run run = {0};
    uint32_t number;
    for (int i = 0; i < NUMBERS_MAX && virtio_take(r, &number, sizeof number) == sizeof number;
         i++) {
        if (!run.count || number != run.page + run.count) {
            end_run(b, &run);
            run.page = number;
        }
        run.count++;
    }
    end_run(b, &run);
}

static void serve(void *self, unsigned queue, struct virtio_request *r)
{
    if (queue == INFLATE)
        inflate(self, r);
}

static void configure(const void *self, uint8_t config[VIRTIO_CONFIG])
{
    const struct virtio_balloon *b = self;
    memcpy(config + NUM_PAGES, &b->wanted, sizeof b->wanted);
    memcpy(config + ACTUAL, &b->actual, sizeof b->actual);
}

static void config_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct virtio_balloon *b = self;
    if (offset == ACTUAL && size == sizeof b->actual)
        b->actual = value;
}

/* After a reset the driver's balloon is empty; what the host wants stays. */
static void reset(void *self, bool power)
{
    struct virtio_balloon *b = self;
    b->actual = 0;
    if (!power)
        return;
    b->wanted = b->initial;
    b->given = 0;
}

void virtio_balloon_set(struct virtio_balloon *b, uint32_t pages)
{
    if (b->wanted == pages)
        return;
    b->wanted = pages;
    virtio_config_changed(b->virtio);
}

uint32_t virtio_balloon_actual(const struct virtio_balloon *b)
{
    return b->actual;
}

struct virtio_balloon *virtio_balloon_new(struct dma dma, struct irq_line irq, uint32_t pages)
{
    struct virtio_balloon *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->initial = b->wanted = pages;
    b->kind = (struct virtio_kind){
        .name = "virtio-balloon",
        .about = "virtio memory balloon: pages given back to the host",
        .device_id = 5,
        .features = F_DEFLATE_ON_OOM,
        .queues = QUEUES,
        .serve = serve,
        .configure = configure,
        .config_write = config_write,
        .reset = reset,
        .config = CONFIG,
        .config_count = sizeof CONFIG / sizeof CONFIG[0],
        .state = {&table, b},
    };
    b->virtio = virtio_new(&b->kind, b, dma, irq);
    if (!b->virtio) {
        free(b);
        return NULL;
    }
    return b;
}

void virtio_balloon_free(struct virtio_balloon *b)
{
    if (!b)
        return;
    virtio_free(b->virtio);
    free(b);
}

struct device *virtio_balloon_device(struct virtio_balloon *b)
{
    return virtio_device(b->virtio);
}
