/*
 * Virtio: the part that all virtio devices share, with the memory-mapped transport.
 *
 * "Virtual I/O Device (VIRTIO)" 1.1: device status (2.1), features (2.2), split virtqueues (2.6),
 * virtio over MMIO, version 2 (4.2). A device says what it is in a struct virtio_kind; it is called
 * for each request that the guest's driver makes available, and moves data with virtio_take() and
 * virtio_give(). Everything that the guest writes (addresses, indices, chains) is checked here.
 */
#ifndef VITRINE_CPU_VIRTIO_H
#define VITRINE_CPU_VIRTIO_H

#include "cpu/dev/device.h"
#include "cpu/ram.h"

enum { VIRTIO_QUEUES = 2, VIRTIO_QUEUE_MAX = 128, VIRTIO_CONFIG = 64 };

/* Longest request in bytes: a guest must not be able to keep the host busy for long by one store. */
enum { VIRTIO_REQUEST_MAX = 4 << 20 };

struct virtio;
struct virtio_request;

struct virtio_kind {
    const char *name, *about;
    uint32_t device_id; /* section 5: 2 = block */
    uint64_t features;  /* of the device type; VIRTIO_F_VERSION_1 is added */
    unsigned queues;
    /* One request of a queue. The device reads what the driver has put in and writes its answer. */
    void (*serve)(void *device, struct virtio_request *request);
    /* Fills in the device's configuration space. */
    void (*configure)(const void *device, uint8_t config[VIRTIO_CONFIG]);
};

struct virtio *virtio_new(const struct virtio_kind *kind, void *device, struct ram *ram,
                          struct irq_line irq);
void virtio_free(struct virtio *virtio);
struct device *virtio_device(struct virtio *virtio);

/* A slot of the transport without a device: device ID 0. */
struct device virtio_empty_slot(void);

/* Copies the next `count` bytes of what the driver sends. Returns how many there were. */
size_t virtio_take(struct virtio_request *request, void *bytes, size_t count);
/* Copies to the next `count` bytes of the driver's answer buffers. Returns how many had room. */
size_t virtio_give(struct virtio_request *request, const void *bytes, size_t count);
/* Bytes left to take; room left to give. */
size_t virtio_left(const struct virtio_request *request);
size_t virtio_room(const struct virtio_request *request);

#endif
