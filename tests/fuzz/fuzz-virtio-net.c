/*
 * Fuzzes the virtio network device: the input is what the guest's memory holds where the rings are,
 * and a list of things that happen: accesses to the registers, and frames that come for the guest.
 *
 * First byte: how many things follow, of five bytes each (what, and a value). The rest is laid into
 * memory from the rings on. The mutator begins with a frame that comes and one that goes: random
 * bytes are hardly ever a ring with something in it.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/dev/virtio-net.h"
#include "cpu/ram.h"

enum { MEMORY = 1 << 20, THING = 5, A_FRAME = 0x7f };
#define RAM 0x80000000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

static void require(bool sound)
{
    if (!sound)
        abort();
}

static void put(struct device *device, uint32_t offset, uint32_t value)
{
    require(device->ops->write(device->self, offset, 4, value));
}

/* Frames that the guest sends are read to the last byte. */
static void sent(void *context, const uint8_t *frame, size_t size)
{
    uint8_t *sum = context;
    require(size >= VIRTIO_NET_FRAME_MIN && size <= VIRTIO_NET_FRAME_MAX);
    for (size_t i = 0; i < size; i++)
        *sum ^= frame[i];
}

/* As a driver would do it, so that the input begins at a device that runs: queue 0 with its rings
 * at the start of memory, queue 1 a page later. */
static void start(struct device *device)
{
    static const uint32_t setup[][2] = {
        {0x070, 0}, {0x070, 3}, {0x020, 1u << 28}, {0x024, 1}, {0x020, 1}, {0x070, 11}};
    for (unsigned i = 0; i < sizeof setup / sizeof setup[0]; i++)
        put(device, setup[i][0], setup[i][1]);
    for (uint32_t q = 0; q < 2; q++) {
        put(device, 0x030, q);
        put(device, 0x038, 8);
        put(device, 0x080, RAM + 0x1000 * q + 0x100);
        put(device, 0x090, RAM + 0x1000 * q);
        put(device, 0x0a0, RAM + 0x1000 * q + 0x40);
        put(device, 0x044, 1);
    }
    put(device, 0x070, 15);
}

static void happen(struct virtio_net *net, const uint8_t *thing)
{
    static const uint8_t frame[VIRTIO_NET_FRAME_MAX] = {1, 2, 3};
    struct device *device = virtio_net_device(net);
    uint32_t value, offset = (thing[0] & 0x7fu) * 4;
    memcpy(&value, thing + 1, sizeof value);
    if ((thing[0] & 0x7f) == A_FRAME) {
        size_t span = VIRTIO_NET_FRAME_MAX - VIRTIO_NET_FRAME_MIN + 1;
        virtio_net_receive(net, frame, VIRTIO_NET_FRAME_MIN + value % span);
        return;
    }
    device->ops->peek(device->self, offset, 4);
    if (thing[0] & 0x80)
        put(device, offset, value);
    else
        require(device->ops->read(device->self, offset, 4, &value));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint8_t sum = 0;
    struct ram ram;
    struct irq_line nobody = {0};
    struct virtio_net_config config = {.mac = {2}, .send = sent, .context = &sum};
    size_t things = count ? bytes[0] % 32 : 0;
    if (count < 1 + things * THING)
        return 0;
    require(ram_init(&ram, RAM, MEMORY) == 0);
    struct virtio_net *net = virtio_net_new(ram_dma(&ram), nobody, &config);
    require(net);

    size_t rest = count - 1 - things * THING;
    ram_write(&ram, RAM, bytes + 1 + things * THING, rest < MEMORY ? rest : MEMORY);
    start(virtio_net_device(net));
    put(virtio_net_device(net), 0x050, 1);
    for (size_t i = 0; i < things; i++)
        happen(net, bytes + 1 + i * THING);
    put(virtio_net_device(net), 0x050, 1);
    virtio_net_free(net);
    ram_free(&ram);
    return 0;
}

/* ---- what to begin with --------------------------------------------------------------------- */

/* A queue as start() places it, with one buffer. */
struct queue {
    uint16_t flags, head, ring[126]; /* the used ring is in what is not */
    struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    } part[8];
    uint8_t unused[3712];
};

struct good {
    struct queue queue[2];
    uint8_t data[128];
};

_Static_assert(sizeof(struct queue) == 0x1000, "start() places one each page");

static size_t good(uint8_t *bytes)
{
    enum { FILL = 2, THINGS = 1 };
    static const uint8_t frame_comes[THING] = {A_FRAME, 20};
    struct good g = {.queue = {{.head = 1}, {.head = 1}}};
    g.queue[0].part[0].address = RAM + sizeof g;
    g.queue[0].part[0].length = 2 * VIRTIO_NET_FRAME_MAX;
    g.queue[0].part[0].flags = FILL;
    g.queue[1].part[0].address = RAM + sizeof g.queue;
    g.queue[1].part[0].length = sizeof g.data;
    bytes[0] = THINGS;
    memcpy(bytes + 1, frame_comes, THING);
    memcpy(bytes + 1 + THING, &g, sizeof g);
    return 1 + THING + sizeof g;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    if ((count < 64 || seed % 64 == 0) && max > 1 + THING + sizeof(struct good))
        count = good(bytes);
    return LLVMFuzzerMutate(bytes, count, max);
}
