/*
 * Virtio over MMIO: registers, configuration space, status. See virtio.h; queues are in
 * virtio-queue.c.
 *
 * Source: VIRTIO 1.1, section 4.2.2 (registers), 2.1 (status), 2.2 (features), 2.4 (configuration).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dev/virtio_priv.h"

enum {
    MAGIC = 0x000, VERSION = 0x004, DEVICE_ID = 0x008, VENDOR_ID = 0x00c, DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SEL = 0x014, DRIVER_FEATURES = 0x020, DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030, QUEUE_NUM_MAX = 0x034, QUEUE_NUM = 0x038, QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050, INTERRUPT_STATUS = 0x060, INTERRUPT_ACK = 0x064, STATUS = 0x070,
    QUEUE_DESC = 0x080, QUEUE_DRIVER = 0x090, QUEUE_DEVICE = 0x0a0, CONFIG_GENERATION = 0x0fc,
    CONFIG = 0x100,
};

#define MAGIC_VALUE 0x74726976u /* "virt" */
#define F_VERSION_1 (1ull << 32)

static const struct device_register REGISTERS[] = {
    {"MagicValue", MAGIC, 4, "r", "\"virt\""},
    {"Version", VERSION, 4, "r", "2"},
    {"DeviceID", DEVICE_ID, 4, "r", "what it is: 0 nothing, 1 net, 2 block, 3 console, 4 entropy, 5 balloon"},
    {"VendorID", VENDOR_ID, 4, "r", "who made it"},
    {"DeviceFeatures", DEVICE_FEATURES, 4, "r", "features offered, the half selected"},
    {"DriverFeatures", DRIVER_FEATURES, 4, "w", "features accepted, the half selected"},
    {"QueueSel", QUEUE_SEL, 4, "w", "the queue that the next registers mean"},
    {"QueueNumMax", QUEUE_NUM_MAX, 4, "r", "largest queue size"},
    {"QueueNum", QUEUE_NUM, 4, "w", "queue size"},
    {"QueueReady", QUEUE_READY, 4, "rw", "1: the queue is in use"},
    {"QueueNotify", QUEUE_NOTIFY, 4, "w", "requests are available in this queue"},
    {"InterruptStatus", INTERRUPT_STATUS, 4, "r", "1 buffers were used, 2 the configuration has changed"},
    {"InterruptACK", INTERRUPT_ACK, 4, "w", "takes the interrupt back"},
    {"Status", STATUS, 4, "rw", "1 seen, 2 driver, 8 features, 4 go, 64 needs reset, 128 failed"},
    {"QueueDescLow", QUEUE_DESC, 4, "w", "physical address of the descriptor table"},
    {"QueueDriverLow", QUEUE_DRIVER, 4, "w", "physical address of the available ring"},
    {"QueueDeviceLow", QUEUE_DEVICE, 4, "w", "physical address of the used ring"},
    {"ConfigGeneration", CONFIG_GENERATION, 4, "r", "changes with the configuration"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct virtio, device, "wiring"),
    STATE_NOT(struct virtio, registers, "descriptions"),
    STATE_NOT(struct virtio, kind, "what it is"),
    STATE_NOT(struct virtio, owner, "wiring"),
    STATE_NOT(struct virtio, dma, "wiring"),
    STATE_NOT(struct virtio, irq, "wiring"),
    STATE(struct virtio, U64, driver_features),
    STATE(struct virtio, U32, device_features_sel),
    STATE(struct virtio, U32, driver_features_sel),
    STATE(struct virtio, U32, queue_sel),
    STATE(struct virtio, U32, status),
    STATE(struct virtio, U32, interrupt),
    STATE(struct virtio, U32, generation),
    STATE(struct virtio, U32, num),
    STATE(struct virtio, BOOL, ready),
    STATE(struct virtio, U64, desc),
    STATE(struct virtio, U64, driver),
    STATE(struct virtio, U64, used),
    STATE(struct virtio, U16, seen),
};
static const struct state_table table = STATE_TABLE("virtio", struct virtio, 1, fields);

/* ---- registers ---------------------------------------------------------------------------- */

static uint64_t offered(const struct virtio *v)
{
    return v->kind->features | VIRTIO_F_INDIRECT | F_VERSION_1;
}

static uint32_t read_config(const struct virtio *v, uint32_t offset, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG] = {0};
    uint32_t value = 0;
    if (v->kind->configure)
        v->kind->configure(v->owner, config);
    if (offset <= sizeof config - size)
        memcpy(&value, config + offset, size);
    return value;
}

static uint32_t virtio_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct virtio *v = self;
    if (offset >= CONFIG)
        return read_config(v, offset - CONFIG, size);
    switch (offset) {
    case MAGIC: return MAGIC_VALUE;
    case VERSION: return 2;
    case DEVICE_ID: return v->kind->device_id;
    case VENDOR_ID: return 0x52544956; /* "VITR" */
    case DEVICE_FEATURES:
        return v->device_features_sel < 2 ? (uint32_t)(offered(v) >> (32 * v->device_features_sel))
                                          : 0;
    case QUEUE_NUM_MAX: return v->queue_sel < v->kind->queues ? VIRTIO_QUEUE_MAX : 0;
    case QUEUE_READY: return v->queue_sel < v->kind->queues && v->ready[v->queue_sel];
    case INTERRUPT_STATUS: return v->interrupt;
    case STATUS: return v->status;
    case CONFIG_GENERATION: return v->generation;
    default: return 0;
    }
}

static bool virtio_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = virtio_peek(self, offset, size);
    return offset >= CONFIG || size == 4;
}

static void reset(struct virtio *v, bool power)
{
    v->driver_features = 0;
    v->device_features_sel = v->driver_features_sel = v->queue_sel = 0;
    v->status = v->interrupt = 0;
    for (unsigned q = 0; q < VIRTIO_QUEUES; q++) {
        v->num[q] = 0;
        v->ready[q] = false;
        v->desc[q] = v->driver[q] = v->used[q] = 0;
        v->seen[q] = 0;
    }
    if (v->kind->reset)
        v->kind->reset(v->owner, power);
}

static void virtio_reset(void *self)
{
    struct virtio *v = self;
    v->generation = 0;
    reset(v, true);
    virtio_update(v);
}

/* FEATURES_OK is taken only if the driver accepts nothing but what is offered, and version 1. */
static void write_status(struct virtio *v, uint32_t status)
{
    if (status == 0) {
        reset(v, false);
        return;
    }
    bool acceptable = !(v->driver_features & ~offered(v)) && v->driver_features & F_VERSION_1;
    if (!acceptable)
        status &= ~(uint32_t)STATUS_FEATURES_OK;
    v->status = (v->status & STATUS_NEEDS_RESET) | (status & 0xff);
}

static void write_features(struct virtio *v, uint32_t value)
{
    bool settled = v->status & STATUS_FEATURES_OK; /* section 3.1.1 */
    unsigned shift = 32 * (v->driver_features_sel & 1);
    if (v->driver_features_sel < 2 && !settled)
        v->driver_features = (v->driver_features & ~(0xffffffffull << shift)) |
                             (uint64_t)value << shift;
}

/* The registers that describe the selected queue; they are fixed while it is ready. */
static void write_queue(struct virtio *v, uint32_t offset, uint32_t value)
{
    unsigned q = v->queue_sel;
    uint64_t *address[] = {&v->desc[q], &v->driver[q], &v->used[q]};
    if (offset == QUEUE_READY) {
        v->ready[q] = value & 1;
        if (!v->ready[q])
            v->seen[q] = 0;
        return;
    }
    if (v->ready[q])
        return;
    if (offset == QUEUE_NUM) {
        v->num[q] = value <= VIRTIO_QUEUE_MAX ? value : 0;
        return;
    }
    uint64_t *a = address[(offset - QUEUE_DESC) / 0x10];
    bool high = offset & 4;
    *a = high ? (*a & 0xffffffffu) | (uint64_t)value << 32 : (*a & ~0xffffffffull) | value;
}

static bool is_queue_register(uint32_t offset)
{
    return offset == QUEUE_NUM || offset == QUEUE_READY ||
           (offset >= QUEUE_DESC && offset < QUEUE_DEVICE + 8 && (offset & 8) == 0);
}

/* The line falls, even if there is more to tell than the driver has seen: who waits for an edge would
 * miss that. */
static void acknowledge(struct virtio *v, uint32_t bits)
{
    bool taken = v->interrupt & bits;
    v->interrupt &= ~bits;
    if (!taken || !v->interrupt)
        return;
    irq_set(&v->irq, false);
    irq_set(&v->irq, true);
}

static void write_register(struct virtio *v, uint32_t offset, uint32_t value)
{
    switch (offset) {
    case DEVICE_FEATURES_SEL: v->device_features_sel = value; break;
    case DRIVER_FEATURES_SEL: v->driver_features_sel = value; break;
    case DRIVER_FEATURES: write_features(v, value); break;
    case QUEUE_SEL: v->queue_sel = value; break;
    case QUEUE_NOTIFY: virtio_notify(v, value); break;
    case INTERRUPT_ACK: acknowledge(v, value); break;
    case STATUS: write_status(v, value); break;
    default:
        if (is_queue_register(offset) && v->queue_sel < v->kind->queues)
            write_queue(v, offset, value);
    }
}

static bool virtio_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct virtio *v = self;
    bool level = v->interrupt != 0;
    if (offset < CONFIG && size != 4)
        return false;
    if (offset < CONFIG)
        write_register(v, offset, value);
    else if (v->kind->config_write)
        v->kind->config_write(v->owner, offset - CONFIG, size, value);
    if (level != (v->interrupt != 0)) /* on KVM, pulling a wire is a system call */
        virtio_update(v);
    return true;
}

static const struct device_ops ops = {virtio_read, virtio_write, virtio_peek, virtio_reset, NULL};

/* ---- life --------------------------------------------------------------------------------- */

/* The transport's registers, then the kind's. Returns how many. */
static unsigned list_registers(struct virtio *v)
{
    unsigned n = sizeof REGISTERS / sizeof REGISTERS[0];
    assert(n + v->kind->config_count <= VIRTIO_REGISTERS);
    memcpy(v->registers, REGISTERS, sizeof REGISTERS);
    for (unsigned i = 0; i < v->kind->config_count; i++, n++) {
        v->registers[n] = v->kind->config[i];
        v->registers[n].offset += CONFIG;
    }
    return n;
}

struct virtio *virtio_new(const struct virtio_kind *kind, void *owner, struct dma dma,
                          struct irq_line irq)
{
    struct virtio *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->kind = kind;
    v->owner = owner;
    v->dma = dma;
    v->irq = irq;
    v->device = (struct device){
        .name = kind->name,
        .about = kind->about,
        .size = 0x1000,
        .ops = &ops,
        .self = v,
        .registers = v->registers,
        .register_count = list_registers(v),
        .state = {&table, v},
        .more = kind->state,
    };
    return v;
}

void virtio_free(struct virtio *virtio)
{
    free(virtio);
}

struct device *virtio_device(struct virtio *virtio)
{
    return &virtio->device;
}

/* ---- for devices -------------------------------------------------------------------------- */

uint64_t virtio_features(const struct virtio *v)
{
    return v->driver_features;
}

const struct dma *virtio_dma(const struct virtio *v)
{
    return &v->dma;
}

/* A driver that is not there yet reads the configuration anyway. */
void virtio_config_changed(struct virtio *v)
{
    v->generation++;
    if (!(v->status & STATUS_DRIVER_OK))
        return;
    v->interrupt |= INTERRUPT_CONFIG;
    virtio_update(v);
}

/* ---- the empty slot ----------------------------------------------------------------------- */

static uint32_t empty_peek(const void *self, uint32_t offset, unsigned size)
{
    return offset == MAGIC ? MAGIC_VALUE : offset == VERSION ? 2 : 0;
}

static bool empty_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = empty_peek(self, offset, size);
    return true;
}

static bool empty_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    return true;
}

static void empty_reset(void *self)
{
}

struct device virtio_empty_slot(void)
{
    static const struct device_ops empty = {empty_read, empty_write, empty_peek, empty_reset, NULL};
    return (struct device){
        .name = "virtio-mmio",
        .about = "an empty virtio-mmio slot",
        .size = 0x1000,
        .ops = &empty,
        .registers = REGISTERS,
        .register_count = 3,
    };
}
