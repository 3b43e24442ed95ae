/*
 * Fuzzes every virtio device: the input is what the guest's memory holds where the rings are, and a
 * list of accesses to the registers.
 *
 * First byte: the device, and whose memory it has. Second byte: how many accesses follow, of five
 * bytes each (register and direction, value). The rest is laid into memory from the rings on. Now
 * and then an access is the host's instead: something is typed, the balloon's size is changed, the
 * machine is reset, or its devices are saved and loaded again.
 *
 * Random bytes are hardly ever a ring with something in it, so the mutator begins with requests
 * that are well.
 *
 * Sources: hv/kvm/memory.c
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/dev/virtio-balloon.h"
#include "cpu/dev/virtio-blk.h"
#include "cpu/dev/virtio-console.h"
#include "cpu/dev/virtio-rng.h"
#include "cpu/dev/virtio.h"
#include "cpu/ram.h"
#include "hv/kvm/memory.h"

enum { MEMORY = 1 << 20, SECTORS = 16, ACCESS = 5, QUEUE_SIZE = 8, RINGS = 0x100 };
enum { BLOCK, CONSOLE, ENTROPY, BALLOON, DEVICES };
enum { OF_RAM, OF_KVM, OF_KVM_FROZEN, MEMORIES };
#define RAM 0x80000000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

struct computer {
    int kind, memory;
    struct ram ram;
    struct kvm_memory kvm;
    struct dma dma;
    uint32_t base;
    struct virtio_blk *block;
    struct virtio_console *console;
    struct virtio_rng *rng;
    struct virtio_balloon *balloon;
    struct device *device;
};

static void require(bool sound)
{
    if (!sound)
        abort();
}

/* ---- a computer --------------------------------------------------------------------------- */

static struct disk *make_disk(void)
{
    char path[64], why[DISK_ERROR];
    int fd = memfd_create("disk", 0);
    require(fd >= 0 && ftruncate(fd, SECTORS * DISK_SECTOR) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct disk *disk = disk_open(path, false, why);
    require(disk);
    close(fd);
    return disk;
}

static void make_memory(struct computer *c)
{
    c->base = c->memory == OF_RAM ? RAM : 0;
    if (c->memory == OF_RAM) {
        require(ram_init(&c->ram, RAM, MEMORY) == 0);
        c->dma = ram_dma(&c->ram);
        return;
    }
    require(kvm_memory_init(&c->kvm, MEMORY) == 0);
    c->kvm.written = calloc(MEMORY / KVM_PAGE / 64, sizeof *c->kvm.written);
    if (c->memory == OF_KVM_FROZEN) {
        require(mmap(c->kvm.host, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                     c->kvm.fd, 0) == c->kvm.host);
        c->kvm.frozen = true;
    }
    c->dma = kvm_memory_dma(&c->kvm);
}

static void printed(void *context, const uint8_t *bytes, size_t count)
{
    volatile uint8_t sum = 0; /* looks at each of them */
    for (size_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + bytes[i]);
}

static void make_device(struct computer *c)
{
    static struct disk *disk;
    struct irq_line nobody = {0};
    if (!disk)
        disk = make_disk();
    switch (c->kind) {
    case BLOCK:
        c->device = virtio_blk_device(c->block = virtio_blk_new(c->dma, nobody, disk));
        break;
    case CONSOLE:
        c->console = virtio_console_new(c->dma, nobody, printed, NULL);
        c->device = virtio_console_device(c->console);
        break;
    case ENTROPY:
        c->rng = virtio_rng_new(c->dma, nobody, NULL, NULL, 1);
        c->device = virtio_rng_device(c->rng);
        break;
    case BALLOON:
        c->balloon = virtio_balloon_new(c->dma, nobody, 3);
        c->device = virtio_balloon_device(c->balloon);
        break;
    }
}

static void free_computer(struct computer *c)
{
    virtio_blk_free(c->block);
    virtio_console_free(c->console);
    virtio_rng_free(c->rng);
    virtio_balloon_free(c->balloon);
    if (c->memory == OF_RAM)
        ram_free(&c->ram);
    else
        kvm_memory_free(&c->kvm);
}

/* ---- what the guest does ------------------------------------------------------------------ */

static void put(struct device *device, uint32_t offset, uint32_t value)
{
    require(device->ops->write(device->self, offset, 4, value));
}

/* As a driver would do it, so that the input's accesses begin at a device that runs. */
static void start(struct computer *c)
{
    static const uint32_t features[][2] = {
        {0x070, 0}, {0x070, 3}, {0x020, 1u << 28}, {0x024, 1}, {0x020, 1}, {0x070, 11},
    };
    for (unsigned i = 0; i < sizeof features / sizeof features[0]; i++)
        put(c->device, features[i][0], features[i][1]);
    for (uint32_t q = 0; q < 2; q++) {
        uint32_t rings = c->base + q * 2 * RINGS;
        put(c->device, 0x030, q);
        put(c->device, 0x038, QUEUE_SIZE);
        put(c->device, 0x080, rings + RINGS);
        put(c->device, 0x090, rings);
        put(c->device, 0x0a0, rings + RINGS / 2);
        put(c->device, 0x044, 1);
    }
    put(c->device, 0x070, 15);
}

static void save_and_load(const struct state_object object)
{
    struct state_buffer saved = {0};
    size_t at = 0;
    if (!object.table)
        return;
    require(state_save(object, &saved) == 0);
    require(state_load(object, saved.bytes, saved.count, &at) == 0 && at == saved.count);
    state_buffer_free(&saved);
}

static void host_does(struct computer *c, uint32_t value)
{
    static const uint8_t typed[600];
    if (value % 16 == 15)
        c->device->ops->reset(c->device->self);
    save_and_load(c->device->state);
    save_and_load(c->device->more);
    if (c->balloon)
        virtio_balloon_set(c->balloon, value);
    if (c->console)
        require(virtio_console_input(c->console, typed, value % sizeof typed) <= sizeof typed);
}

static void access_register(struct computer *c, const uint8_t *a)
{
    uint32_t value, offset = (a[0] & 0x7fu) * 4;
    memcpy(&value, a + 1, sizeof value);
    c->device->ops->peek(c->device->self, offset, 4);
    if (offset >= 0x1f0)
        host_does(c, value);
    else if (a[0] & 0x80)
        put(c->device, offset, value);
    else
        require(c->device->ops->read(c->device->self, offset, 4, &value));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    size_t accesses = count > 1 ? bytes[1] % 32 : 0, head = 2 + accesses * ACCESS;
    if (count < head)
        return 0;
    struct computer c = {.kind = bytes[0] % DEVICES, .memory = bytes[0] / DEVICES % MEMORIES};
    make_memory(&c);
    make_device(&c);
    require(c.device);
    size_t rest = count - head;
    require(dma_write(&c.dma, c.base, bytes + head, rest < MEMORY ? rest : MEMORY));
    start(&c);
    put(c.device, 0x050, 0);
    put(c.device, 0x050, 1);
    host_does(&c, 100);
    for (size_t i = 0; i < accesses; i++)
        access_register(&c, bytes + 2 + i * ACCESS);
    put(c.device, 0x050, 0);
    free_computer(&c);
    return 0;
}

/* ---- what to begin with --------------------------------------------------------------------- */

/* Queue 0 has a read, a write and a discard, as for a disk, but each with buffers of both kinds, so
 * that any device has something to take and to fill; queue 1 has a buffer to be taken. */
struct good {
    struct queue {
        struct {
            uint16_t flags, head, ring[QUEUE_SIZE], unused[118];
        } available; /* the used ring is in what is not */
        struct {
            uint64_t address;
            uint32_t length;
            uint16_t flags, next;
        } part[16];
    } queue[2];
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } request[4]; /* the last one is the range of the third */
    uint8_t data[512];
};

enum { NEXT = 1, FILL = 2, READ = 0, WRITE = 1, DISCARD = 11 };

static void add_part(struct queue *queue, unsigned n, uint64_t address, uint32_t length,
                     uint16_t flags)
{
    queue->part[n].address = address;
    queue->part[n].length = length;
    queue->part[n].flags = flags;
    queue->part[n].next = (uint16_t)(n + 1);
}

/* Header, data and status are parts `n` and the two behind it. */
static void add_request(struct queue *queue, unsigned n, uint64_t request, uint64_t data,
                        uint32_t length, uint16_t flags)
{
    add_part(queue, n, request, 16, NEXT);
    add_part(queue, n + 1, data, length, (uint16_t)(NEXT | flags));
    add_part(queue, n + 2, data, 1, FILL);
    queue->available.ring[queue->available.head++] = (uint16_t)n;
}

static size_t good(uint8_t *bytes, uint8_t device)
{
    struct good g = {.request = {{READ, 0, 1}, {WRITE, 0, 2}, {DISCARD, 0, 0}, {3, 0, 1}}};
    uint64_t base = device / DEVICES % MEMORIES == OF_RAM ? RAM : 0;
    uint64_t request = base + sizeof g.queue, data = request + sizeof g.request;
    add_request(&g.queue[0], 0, request, data, sizeof g.data, FILL);
    add_request(&g.queue[0], 3, request + 16, data, sizeof g.data, 0);
    add_part(&g.queue[0], 6, request + 32, 32, NEXT);
    add_part(&g.queue[0], 7, data, 1, FILL);
    g.queue[0].available.ring[g.queue[0].available.head++] = 6;
    add_part(&g.queue[1], 0, data, 64, 0);
    g.queue[1].available.head = 1;
    bytes[0] = device;
    bytes[1] = 0; /* accesses */
    memcpy(bytes + 2, &g, sizeof g);
    return 2 + sizeof g;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    if ((count < 64 || seed % 64 == 0) && max >= 2 + sizeof(struct good))
        count = good(bytes, (uint8_t)(seed / 64 % (DEVICES * MEMORIES)));
    return LLVMFuzzerMutate(bytes, count, max);
}
