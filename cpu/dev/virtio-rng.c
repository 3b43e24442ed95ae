/*
 * virtio entropy device (VIRTIO 1.1, section 5.4): each request is filled with random bytes.
 *
 * Where they come from is the owner's business: a KVM guest gets the host's. The simulated
 * computer's runs must repeat bit for bit, so there the device counts them out itself from a seed:
 * SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), which is
 * good to look at and no secret to anybody.
 */
#include "cpu/dev/virtio-rng.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/dev/virtio.h"

/* A request gets at most this; the driver asks again (section 5.4.6.1). */
enum { BYTES_MAX = 4096, PIECE = 256 };

struct virtio_rng {
    struct virtio *virtio;
    struct virtio_kind kind;
    entropy_fn source;
    void *context;
    uint64_t seed;
    uint64_t state; /* of the device's own generator */
};

static const struct state_field fields[] = {
    STATE_NOT(struct virtio_rng, virtio, "has a table of its own"),
    STATE_NOT(struct virtio_rng, kind, "what it is"),
    STATE_NOT(struct virtio_rng, source, "wiring"),
    STATE_NOT(struct virtio_rng, context, "wiring"),
    STATE_NOT(struct virtio_rng, seed, "configuration"),
    STATE(struct virtio_rng, U64, state),
};
static const struct state_table table = STATE_TABLE("virtio-rng", struct virtio_rng, 1, fields);

static uint64_t next_number(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t own_numbers(struct virtio_rng *r, uint8_t *bytes, size_t count)
{
    for (size_t done = 0; done < count; done += sizeof(uint64_t)) {
        uint64_t number = next_number(&r->state);
        size_t part = count - done < sizeof number ? count - done : sizeof number;
        memcpy(bytes + done, &number, part);
    }
    return count;
}

static void serve(void *self, unsigned queue, struct virtio_request *request)
{
    struct virtio_rng *r = self;
    uint8_t piece[PIECE];
    size_t room = virtio_room(request);
    for (size_t left = room < BYTES_MAX ? room : BYTES_MAX; left;) {
        size_t part = left < PIECE ? left : PIECE;
        size_t got = r->source ? r->source(r->context, piece, part) : own_numbers(r, piece, part);
        if (virtio_give(request, piece, got) < part)
            return;
        left -= part;
    }
}

static void reset(void *self, bool power)
{
    struct virtio_rng *r = self;
    if (power)
        r->state = r->seed;
}

struct virtio_rng *virtio_rng_new(struct dma dma, struct irq_line irq, entropy_fn source,
                                  void *context, uint64_t seed)
{
    struct virtio_rng *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->source = source;
    r->context = context;
    r->seed = r->state = seed;
    r->kind = (struct virtio_kind){
        .name = "virtio-rng",
        .about = "virtio entropy device: random numbers",
        .device_id = 4,
        .queues = 1,
        .serve = serve,
        .reset = reset,
        .state = {&table, r},
    };
    r->virtio = virtio_new(&r->kind, r, dma, irq);
    if (!r->virtio) {
        free(r);
        return NULL;
    }
    return r;
}

void virtio_rng_free(struct virtio_rng *r)
{
    if (!r)
        return;
    virtio_free(r->virtio);
    free(r);
}

struct device *virtio_rng_device(struct virtio_rng *r)
{
    return virtio_device(r->virtio);
}
