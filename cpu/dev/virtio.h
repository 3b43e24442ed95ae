/*
 * Virtio: the part that all virtio devices share, with the memory-mapped transport.
 *
 * "Virtual I/O Device (VIRTIO)" 1.1: device status (2.1), features (2.2), split virtqueues (2.6),
 * virtio over MMIO, version 2 (4.2). Left out: packed rings, event indices.
 *
 * A device says what it is in a struct virtio_kind, and deals with the driver's requests in one of
 * two ways, queue by queue:
 *
 *   at once    serve() is called for each request within the guest's store to QueueNotify, and the
 *              request is finished when it returns (block, transmit, entropy, balloon)
 *   waiting    the driver's buffers stay in the ring until there is something to put into them
 *              (receive). The device takes one when it wants to:
 *
 *                  struct virtio_request r;
 *                  if (virtio_next(v, QUEUE, &r)) {    false: no buffer, or no driver
 *                      virtio_give(&r, bytes, count);
 *                      virtio_done(&r);                used ring, interrupt
 *                  }
 *
 * Data moves by virtio_take() and virtio_give(). Everything that the guest writes (addresses,
 * indices, chains) is read once and checked here; a queue that is set up wrongly makes the device
 * ask for a reset (DEVICE_NEEDS_RESET, section 2.1.2) and do nothing more until it gets one.
 *
 * Who may call: everything here runs under the lock that guards the device's bus (on KVM the VM's
 * `io`, which a vCPU holds while the guest accesses a register; the simulated computer has one
 * thread and no lock). A device with a thread of its own takes that lock and may then call
 * virtio_next(), virtio_done() and virtio_config_changed(), which pull the interrupt line. It keeps
 * no request when it lets go of the lock: what is taken and not finished is in no state table, and
 * the driver may reset the device meanwhile.
 */
#ifndef VITRINE_CPU_VIRTIO_H
#define VITRINE_CPU_VIRTIO_H

#include "cpu/dev/device.h"
#include "cpu/dev/dma.h"

enum { VIRTIO_QUEUES = 3, VIRTIO_QUEUE_MAX = 128, VIRTIO_CONFIG = 64, VIRTIO_REGISTERS = 32 };

/* Longest request in bytes: a guest must not be able to keep the host busy for long by one store.
 */
enum { VIRTIO_REQUEST_MAX = 4 << 20 };

struct virtio;

/* Section 2.6.5 */
struct virtio_part {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

/* A chain of descriptors, copied: first those that the device reads, then those that it writes.
 * Only virtio-queue.c looks inside. */
struct virtio_request {
    struct virtio *virtio;
    unsigned queue;
    uint16_t head;
    struct virtio_part part[VIRTIO_QUEUE_MAX];
    unsigned parts, readable; /* the first `readable` are for reading */
    unsigned take, give;      /* the part where the next byte is */
    uint32_t taken, given;    /* bytes done of that part */
    uint32_t written;         /* in all */
};

struct virtio_kind {
    const char *name, *about;
    uint32_t device_id; /* section 5: 1 = net, 2 = block, 3 = console, 4 = entropy, 5 = balloon */
    uint64_t features; /* of the device type; those of all devices (section 6) are added: version 1,
                        * indirect descriptors */
    unsigned queues;
    uint32_t waiting; /* bit q: requests of queue q wait for virtio_next() */
    /* One request of a queue that is served at once. The device reads what the driver has put in
     * and writes its answer. */
    void (*serve)(void *device, unsigned queue, struct virtio_request *request);
    /* The driver has made buffers available in a waiting queue. NULL: nobody cares. */
    void (*notified)(void *device, unsigned queue);
    /* Fills in the device's configuration space. NULL: it is all zeros. */
    void (*configure)(const void *device, uint8_t config[VIRTIO_CONFIG]);
    /* The driver writes 1, 2 or 4 bytes of it, at a multiple of their number; any offset up to the
     * slot's end may come. NULL: nothing can be written. */
    void (*config_write)(void *device, uint32_t offset, unsigned size, uint32_t value);
    /* The driver resets the device; `power`: it is power-on. NULL: there is nothing to reset. */
    void (*reset)(void *device, bool power);
    /* Registers of the configuration space for those who look; offsets as seen from its start. */
    const struct device_register *config;
    unsigned config_count;
    /* What the device itself remembers; table NULL: nothing. */
    struct state_object state;
};

/* The kind is the caller's and must live as long. NULL: no memory. */
struct virtio *virtio_new(const struct virtio_kind *kind, void *device, struct dma dma,
                          struct irq_line irq);
void virtio_free(struct virtio *virtio);
struct device *virtio_device(struct virtio *virtio);

/* A slot of the transport without a device: device ID 0. */
struct device virtio_empty_slot(void);

/* ---- for devices -------------------------------------------------------------------------- */

/* Copies the next `count` bytes of what the driver sends. Returns how many there were. */
size_t virtio_take(struct virtio_request *request, void *bytes, size_t count);
/* Copies to the next `count` bytes of the driver's answer buffers. Returns how many had room. */
size_t virtio_give(struct virtio_request *request, const void *bytes, size_t count);
/* Bytes left to take; room left to give. */
size_t virtio_left(const struct virtio_request *request);
size_t virtio_room(const struct virtio_request *request);

/* Takes the oldest request that waits in a queue. false: there is none, or no driver runs. Each one
 * taken is to be finished with virtio_done(), before anything else happens to the device. */
bool virtio_next(struct virtio *virtio, unsigned queue, struct virtio_request *request);
void virtio_done(struct virtio_request *request);

/* Is there a driver that has set up this queue? */
bool virtio_is_running(const struct virtio *virtio, unsigned queue);
/* What the driver has accepted; settled while virtio_is_running(). */
uint64_t virtio_features(const struct virtio *virtio);
/* The configuration space reads differently from now on: tells the driver (section 2.4). */
void virtio_config_changed(struct virtio *virtio);
/* Where it reads and writes, for what is no request's data. */
const struct dma *virtio_dma(const struct virtio *virtio);

#endif
