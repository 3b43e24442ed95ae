/* See virtio-driver.h. */
#include "tests/virtio-driver.h"
#include "tests/tap.h"

uint32_t driver_get(struct driver *d, uint32_t reg)
{
    return device_get(d->device, reg, 4);
}

void driver_put(struct driver *d, uint32_t reg, uint32_t value)
{
    device_put(d->device, reg, 4, value);
}

void driver_read(struct driver *d, uint64_t at, void *bytes, size_t count)
{
    ck_assert(dma_read(&d->dma, at, bytes, count));
}

void driver_write(struct driver *d, uint64_t at, const void *bytes, size_t count)
{
    ck_assert(dma_write(&d->dma, at, bytes, count));
}

static void put_address(struct driver *d, uint32_t reg, uint64_t at)
{
    driver_put(d, reg, (uint32_t)at);
    driver_put(d, reg + 4, (uint32_t)(at >> 32));
}

static void set_queue(struct driver *d, unsigned q)
{
    static const uint8_t zeros[RING_PAGE];
    uint64_t at = d->rings + q * RING_PAGE;
    driver_write(d, at, zeros, sizeof zeros);
    d->available[q] = 0;
    driver_put(d, REG_QUEUE_SEL, q);
    driver_put(d, REG_QUEUE_NUM, QUEUE_SIZE);
    put_address(d, REG_DESC, at);
    put_address(d, REG_DRIVER, at + RING_AVAILABLE);
    put_address(d, REG_DEVICE, at + RING_USED);
    driver_put(d, REG_QUEUE_READY, 1);
}

/* `low`: features 0 to 31. */
static void negotiate(struct driver *d, uint32_t low)
{
    driver_put(d, REG_STATUS, 0);
    driver_put(d, REG_STATUS, S_ACKNOWLEDGE | S_DRIVER);
    driver_put(d, REG_DRIVER_FEATURES_SEL, 0);
    driver_put(d, REG_DRIVER_FEATURES, low);
    driver_put(d, REG_DRIVER_FEATURES_SEL, 1);
    driver_put(d, REG_DRIVER_FEATURES, 1);
    driver_put(d, REG_STATUS, S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK);
    ck_assert_uint_eq(driver_get(d, REG_STATUS), S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK);
}

static void go(struct driver *d)
{
    driver_put(d, REG_STATUS, S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
}

static void start(struct driver *d, unsigned queues, uint32_t low)
{
    negotiate(d, low);
    for (unsigned q = 0; q < queues; q++)
        set_queue(d, q);
    go(d);
}

void driver_start(struct driver *d, unsigned queues)
{
    start(d, queues, 0);
}

void driver_describe(struct driver *d, unsigned q, uint16_t n, uint64_t at, uint32_t length,
                     uint16_t flags, uint16_t next)
{
    struct virtio_part part = {at, length, flags, next};
    driver_write(d, d->rings + q * RING_PAGE + 16u * n, &part, sizeof part);
}

void driver_offer(struct driver *d, unsigned q, uint16_t head)
{
    uint64_t ring = d->rings + q * RING_PAGE + RING_AVAILABLE;
    driver_write(d, ring + 4 + 2u * (d->available[q] % QUEUE_SIZE), &head, sizeof head);
    d->available[q]++;
    driver_write(d, ring + 2, &d->available[q], sizeof d->available[q]);
}

void driver_notify(struct driver *d, unsigned q)
{
    driver_put(d, REG_NOTIFY, q);
}

void driver_send(struct driver *d, unsigned q, uint64_t at, uint32_t length, uint16_t flags)
{
    uint16_t n = d->available[q] % QUEUE_SIZE;
    driver_describe(d, q, n, at, length, flags, 0);
    driver_offer(d, q, n);
    driver_notify(d, q);
}

uint16_t driver_used(struct driver *d, unsigned q)
{
    uint16_t index;
    driver_read(d, d->rings + q * RING_PAGE + RING_USED + 2, &index, sizeof index);
    return index;
}

uint32_t driver_used_length(struct driver *d, unsigned q, unsigned n)
{
    uint32_t entry[2];
    driver_read(d, d->rings + q * RING_PAGE + RING_USED + 4 + 8 * (n % QUEUE_SIZE), entry,
                sizeof entry);
    return entry[1];
}

#define F_INDIRECT (1u << 28)

/* ---- as no driver should be --------------------------------------------------------------- */

/* Mostly memory around the rings, so that buffers and rings meet. */
static uint64_t any_address(struct driver *d, struct random *r)
{
    uint64_t high = random_below(r, 4) ? 0 : (uint64_t)random_next(r) << 32;
    return random_below(r, 8) ? d->rings + random_below(r, 0x8000) : high | random_next(r);
}

static uint32_t any_length(struct random *r)
{
    switch (random_below(r, 8)) {
    case 0: return random_next(r);
    case 1: return 0;
    case 2: return random_below(r, 5 << 20);
    default: return random_below(r, 600);
    }
}

static void fill_rings(struct driver *d, struct random *r, unsigned q)
{
    uint16_t ahead = (uint16_t)random_below(r, random_below(r, 16) ? 4 : 0x10000);
    for (uint16_t n = 0; n < QUEUE_SIZE; n++) {
        uint16_t flags = (uint16_t)(random_below(r, 3) ? D_WRITE : random_below(r, 8));
        driver_describe(d, q, n, any_address(d, r), any_length(r), flags,
                        (uint16_t)random_below(r, QUEUE_SIZE + 1));
    }
    for (int n = 0; n < QUEUE_SIZE; n++)
        driver_offer(d, q, (uint16_t)random_below(r, random_below(r, 8) ? QUEUE_SIZE : 0x10000));
    driver_write(d, d->rings + q * RING_PAGE + RING_AVAILABLE + 2, &ahead, sizeof ahead);
}

unsigned driver_gone_wild(struct driver *d, unsigned queues, unsigned rounds,
                          void (*poke)(void *context), void *context)
{
    struct random r = {rounds};
    unsigned sound = 0;
    for (unsigned round = 0; round < rounds; round++) {
        start(d, queues, round % 2 ? F_INDIRECT : 0);
        for (unsigned q = 0; q < queues; q++)
            fill_rings(d, &r, q);
        for (int i = 0; i < 4; i++) {
            driver_notify(d, random_below(&r, queues + 1));
            uint32_t at = REG_CONFIG + random_below(&r, 64), size = 1u << random_below(&r, 3);
            device_put(d->device, at - at % size, size, random_next(&r));
            if (poke)
                poke(context);
        }
        sound += !(driver_get(d, REG_STATUS) & S_NEEDS_RESET);
    }
    return sound;
}
