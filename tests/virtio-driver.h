/*
 * A virtio driver for tests: one device, any memory, any of its queues.
 *
 * Each queue has a page for its rings and is QUEUE_SIZE long; buffers lie where the test wants
 * them. Nothing here waits: what a device answers later is seen in the used ring.
 */
#ifndef VITRINE_TESTS_VIRTIO_DRIVER_H
#define VITRINE_TESTS_VIRTIO_DRIVER_H

#include "cpu/dev/virtio.h"
#include "tests/device.h"

enum {
    REG_MAGIC = 0x000, REG_DEVICE_ID = 0x008, REG_FEATURES = 0x010, REG_FEATURES_SEL = 0x014,
    REG_DRIVER_FEATURES = 0x020, REG_DRIVER_FEATURES_SEL = 0x024, REG_QUEUE_SEL = 0x030,
    REG_QUEUE_NUM_MAX = 0x034, REG_QUEUE_NUM = 0x038, REG_QUEUE_READY = 0x044, REG_NOTIFY = 0x050,
    REG_INTERRUPT = 0x060, REG_ACK = 0x064, REG_STATUS = 0x070, REG_DESC = 0x080,
    REG_DRIVER = 0x090, REG_DEVICE = 0x0a0, REG_GENERATION = 0x0fc, REG_CONFIG = 0x100,
};
enum { S_ACKNOWLEDGE = 1, S_DRIVER = 2, S_DRIVER_OK = 4, S_FEATURES_OK = 8, S_NEEDS_RESET = 64 };
enum { D_NEXT = 1, D_WRITE = 2 };
enum { QUEUE_SIZE = 8, RING_AVAILABLE = 0x400, RING_USED = 0x800, RING_PAGE = 0x1000 };

struct driver {
    struct device *device;
    struct dma dma;
    uint64_t rings; /* queue q's are at rings + q * RING_PAGE */
    uint16_t available[VIRTIO_QUEUES];
};

uint32_t driver_get(struct driver *driver, uint32_t reg);
void driver_put(struct driver *driver, uint32_t reg, uint32_t value);

/* Bytes of guest memory; the range must be RAM. */
void driver_read(struct driver *driver, uint64_t at, void *bytes, size_t count);
void driver_write(struct driver *driver, uint64_t at, const void *bytes, size_t count);

/* Resets the device, accepts no features but version 1, sets up `queues` queues, and starts. */
void driver_start(struct driver *driver, unsigned queues);

/* A chain of one buffer at descriptor `n`. */
void driver_describe(struct driver *driver, unsigned q, uint16_t n, uint64_t at, uint32_t length,
                     uint16_t flags, uint16_t next);
/* Puts a chain's head into the available ring. */
void driver_offer(struct driver *driver, unsigned q, uint16_t head);
void driver_notify(struct driver *driver, unsigned q);
/* All three for one buffer, with descriptor n % QUEUE_SIZE for the n-th offer. */
void driver_send(struct driver *driver, unsigned q, uint64_t at, uint32_t length, uint16_t flags);

/* How many chains were used, and the length that was written into the n-th. */
uint16_t driver_used(struct driver *driver, unsigned q);
uint32_t driver_used_length(struct driver *driver, unsigned q, unsigned n);

/* Random rings in random states, and notifications: the device must only survive. `poke` is called
 * between them for what the host does to the device; may be NULL. Returns how often the device
 * went on and asked for no reset. */
unsigned driver_gone_wild(struct driver *driver, unsigned queues, unsigned rounds,
                          void (*poke)(void *context), void *context);

#endif
