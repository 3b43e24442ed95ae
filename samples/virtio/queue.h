/*
 * A virtio device's registers, and queues: what every driver needs, in the smallest form.
 *
 * To be included behind a board's header, of which it wants barrier().
 *
 * Source: Virtual I/O Device 1.1: 2.6 (queues), 3.1.1 (start of a device), 4.2.2 (registers).
 */
#ifndef SAMPLES_VIRTIO_QUEUE_H
#define SAMPLES_VIRTIO_QUEUE_H

#include <stdint.h>

enum { QUEUE_SIZE = 4 };

/* ---- registers ---------------------------------------------------------------------------- */

enum {
    MAGIC = 0x000,
    DEVICE_ID = 0x008,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030,
    QUEUE_NUM = 0x038,
    QUEUE_READY = 0x044,
    NOTIFY = 0x050,
    STATUS = 0x070,
    QUEUE_DESC = 0x080,
    QUEUE_DRIVER = 0x090,
    QUEUE_DEVICE = 0x0a0,
    CONFIG = 0x100,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { BLOCK = 2, CONSOLE = 3, ENTROPY = 4, BALLOON = 5 }; /* DEVICE_ID */

static inline uint32_t get(uint32_t device, uint32_t offset)
{
    return *(volatile uint32_t *)(uintptr_t)(device + offset);
}

static inline void put(uint32_t device, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)(device + offset) = value;
}

/* ---- queues ------------------------------------------------------------------------------- */

enum { NEXT = 1, WRITE = 2 }; /* another descriptor follows; the device writes there */

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct queue {
    _Alignas(16) struct descriptor descriptor[QUEUE_SIZE];
    struct {
        uint16_t flags, index, ring[QUEUE_SIZE];
    } available;
    _Alignas(4) struct {
        uint16_t flags, index;
        struct {
            uint32_t head, length; /* bytes that the device has written */
        } ring[QUEUE_SIZE];
    } used;
    uint32_t device, number;
};

/* The steps of 3.1.1, as far as the queues. */
static inline void start(uint32_t device)
{
    put(device, STATUS, 0); /* reset */
    put(device, STATUS, ACKNOWLEDGE | DRIVER);
    put(device, DRIVER_FEATURES_SEL, 0);
    put(device, DRIVER_FEATURES, 0);
    put(device, DRIVER_FEATURES_SEL, 1);
    put(device, DRIVER_FEATURES, 1); /* VIRTIO_F_VERSION_1, and nothing else */
    put(device, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

/* All our memory is mapped to itself: an address of ours is one that the device can use. */
static inline void set_address(uint32_t device, uint32_t offset, const volatile void *at)
{
    put(device, offset, (uint32_t)(uintptr_t)at);
    put(device, offset + 4, (uint32_t)((uint64_t)(uintptr_t)at >> 32));
}

static inline void set_up(struct queue *q, uint32_t device, uint32_t number)
{
    q->device = device;
    q->number = number;
    put(device, QUEUE_SEL, number);
    put(device, QUEUE_NUM, QUEUE_SIZE);
    set_address(device, QUEUE_DESC, q->descriptor);
    set_address(device, QUEUE_DRIVER, &q->available);
    set_address(device, QUEUE_DEVICE, &q->used);
    put(device, QUEUE_READY, 1);
}

static inline void go(uint32_t device)
{
    put(device, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static inline void describe(struct queue *q, uint16_t n, const volatile void *at, uint32_t length,
                            uint16_t flags)
{
    q->descriptor[n] = (struct descriptor){(uintptr_t)at, length, flags, (uint16_t)(n + 1)};
}

/* Hands the chain that begins with descriptor 0 to the device. */
static inline void submit(struct queue *q)
{
    volatile uint16_t *index = &q->available.index;
    q->available.ring[*index % QUEUE_SIZE] = 0;
    barrier(); /* the entry first, then the count */
    ++*index;
    put(q->device, NOTIFY, q->number);
}

/* Waits until the device is done with it. Returns the bytes that it has written. */
static inline uint32_t wait(struct queue *q)
{
    volatile uint16_t *index = &q->used.index;
    while (*index != q->available.index)
        ;
    barrier();
    return q->used.ring[(uint16_t)(*index - 1) % QUEUE_SIZE].length;
}

static inline uint32_t request(struct queue *q)
{
    submit(q);
    return wait(q);
}

#endif
