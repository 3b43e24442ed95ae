/*
 * The disk: a virtio block device behind virtio-mmio, version 2 ("modern").
 *
 * Driver and device share three tables in memory. To read, the driver describes three pieces of
 * memory (what it wants, where the data go, where the status goes) in a chain of descriptors, puts
 * the chain's head into the ring of available ones and notifies the device. The device does it,
 * puts the head into the ring of used ones and interrupts.
 *
 *   descriptors  [0 request] -> [1 data] -> [2 status]
 *   available    ... 0          used    ... 0
 *
 * There is one request at a time (fs.c sees to that), so the same three descriptors serve always.
 * "Virtual I/O Device (VIRTIO) Version 1.1", sections 2.6, 3.1, 4.2 and 5.2.
 */
#include "minios.h"

enum { SLOTS = 8, FIRST_IRQ = 1, QUEUE = 4 };

#define SLOT(n) (0x10001000u + 0x1000 * (uint32_t)(n))

enum { /* registers */
    MAGIC = 0x00, VERSION = 0x04, DEVICE_ID = 0x08,
    DEVICE_FEATURES = 0x10, DEVICE_FEATURES_SELECT = 0x14,
    DRIVER_FEATURES = 0x20, DRIVER_FEATURES_SELECT = 0x24,
    QUEUE_SELECT = 0x30, QUEUE_SIZE_MAX = 0x34, QUEUE_SIZE = 0x38, QUEUE_READY = 0x44,
    QUEUE_NOTIFY = 0x50, INTERRUPT_STATUS = 0x60, INTERRUPT_ACK = 0x64, STATUS = 0x70,
    QUEUE_DESCRIPTORS = 0x80, QUEUE_AVAILABLE = 0x90, QUEUE_USED = 0xa0,
    CAPACITY = 0x100, /* in sectors of 512 bytes, 64 bits */
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 }; /* STATUS */
enum { NEXT = 1, WRITTEN_BY_DEVICE = 2 };                             /* flags of a descriptor */
enum { BLOCK_DEVICE = 2, FEATURE_VERSION_1 = 1 /* bit 32 */, SECTORS = PAGE / 512 };

struct descriptor {
    uint32_t address, address_high, length;
    uint16_t flags, next;
};

static struct descriptor descriptors[QUEUE] __attribute__((aligned(16)));
static volatile struct {
    uint16_t flags, index, ring[QUEUE];
} available;
static volatile struct {
    uint16_t flags, index;
    struct {
        uint32_t head, length;
    } ring[QUEUE];
} used __attribute__((aligned(4)));

static struct {
    uint32_t type, unused, sector, sector_high;
} request;
static volatile uint8_t status;
static uint32_t base; /* the device's registers, 0: no disk */

static void on_interrupt(void)
{
    MMIO32(base + INTERRUPT_ACK) = MMIO32(base + INTERRUPT_STATUS);
    proc_wakeup(&request);
}

static void fence(void)
{
    __asm__ volatile("fence iorw, iorw" : : : "memory");
}

/* The device must take the one feature that is asked for: to be modern. */
static bool negotiate(void)
{
    MMIO32(base + STATUS) = 0;
    MMIO32(base + STATUS) = ACKNOWLEDGE | DRIVER;
    MMIO32(base + DRIVER_FEATURES_SELECT) = 0;
    MMIO32(base + DRIVER_FEATURES) = 0;
    MMIO32(base + DRIVER_FEATURES_SELECT) = 1;
    MMIO32(base + DRIVER_FEATURES) = FEATURE_VERSION_1;
    MMIO32(base + STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    return MMIO32(base + STATUS) & FEATURES_OK;
}

static void set_address(uint32_t register_, const volatile void *table)
{
    MMIO32(base + register_) = (uint32_t)table;
    MMIO32(base + register_ + 4) = 0;
}

static bool set_up_queue(void)
{
    MMIO32(base + QUEUE_SELECT) = 0;
    if (MMIO32(base + QUEUE_SIZE_MAX) < QUEUE)
        return false;
    MMIO32(base + QUEUE_SIZE) = QUEUE;
    set_address(QUEUE_DESCRIPTORS, descriptors);
    set_address(QUEUE_AVAILABLE, &available);
    set_address(QUEUE_USED, &used);
    MMIO32(base + QUEUE_READY) = 1;
    MMIO32(base + STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
    return true;
}

static bool is_disk(uint32_t slot)
{
    if (MMIO32(slot + MAGIC) != 0x74726976 || MMIO32(slot + DEVICE_ID) != BLOCK_DEVICE)
        return false;
    if (MMIO32(slot + VERSION) == 2)
        return true;
    print("minios: the disk is a legacy device, which is not supported\n");
    return false;
}

uint32_t disk_init(void)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        if (!is_disk(SLOT(slot)))
            continue;
        base = SLOT(slot);
        if (negotiate() && set_up_queue()) {
            plic_enable(FIRST_IRQ + slot, on_interrupt);
            return MMIO32(base + CAPACITY) / SECTORS;
        }
    }
    base = 0;
    return 0;
}

/* A process sleeps until the interrupt; during start-up there is none yet, so wait in a loop. */
static void wait_until_used(uint16_t index)
{
    while (used.index != index)
        if (proc_current())
            proc_sleep(&request);
    fence(); /* the data are newer than the index */
}

int disk_read(uint32_t block, void *page)
{
    request.type = 0; /* read */
    request.sector = block * SECTORS;
    status = 0xff;
    descriptors[0] = (struct descriptor){(uint32_t)&request, 0, sizeof request, NEXT, 1};
    descriptors[1] = (struct descriptor){(uint32_t)page, 0, PAGE, NEXT | WRITTEN_BY_DEVICE, 2};
    descriptors[2] = (struct descriptor){(uint32_t)&status, 0, 1, WRITTEN_BY_DEVICE, 0};
    available.ring[available.index % QUEUE] = 0;
    fence(); /* the device must see the chain before the index, */
    uint16_t index = ++available.index;
    fence(); /* and the index before the notification */
    MMIO32(base + QUEUE_NOTIFY) = 0;
    wait_until_used(index);
    return status == 0 ? 0 : -1;
}
