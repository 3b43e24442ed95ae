/*
 * Virtio over MMIO: registers, virtqueues, requests. See virtio.h.
 *
 * Requests are served at once, within the guest's store to QueueNotify, so that runs replay. A
 * queue that the guest has set up wrongly (addresses outside RAM, chains that loop or are too long)
 * makes the device set DEVICE_NEEDS_RESET and do nothing more until it is reset (section 2.1.2).
 */
#include "cpu/dev/virtio.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAGIC = 0x000, VERSION = 0x004, DEVICE_ID = 0x008, VENDOR_ID = 0x00c, DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SEL = 0x014, DRIVER_FEATURES = 0x020, DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030, QUEUE_NUM_MAX = 0x034, QUEUE_NUM = 0x038, QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050, INTERRUPT_STATUS = 0x060, INTERRUPT_ACK = 0x064, STATUS = 0x070,
    QUEUE_DESC = 0x080, QUEUE_DRIVER = 0x090, QUEUE_DEVICE = 0x0a0, CONFIG_GENERATION = 0x0fc,
    CONFIG = 0x100,
};
enum { STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8, STATUS_NEEDS_RESET = 64 };
enum { INTERRUPT_USED = 1, INTERRUPT_CONFIG = 2 };
enum { DESC_NEXT = 1, DESC_WRITE = 2, AVAIL_NO_INTERRUPT = 1 };

#define MAGIC_VALUE 0x74726976u /* "virt" */
#define F_VERSION_1 (1ull << 32)

/* One virtqueue, as the driver has described it. Arrays, so that the state table can name them. */
struct virtio {
    struct device device;
    const struct virtio_kind *kind;
    void *owner;
    struct ram *ram;
    struct irq_line irq;
    uint64_t driver_features;
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint32_t status, interrupt;
    uint32_t num[VIRTIO_QUEUES];
    bool ready[VIRTIO_QUEUES];
    uint64_t desc[VIRTIO_QUEUES], driver[VIRTIO_QUEUES], used[VIRTIO_QUEUES];
    uint16_t seen[VIRTIO_QUEUES]; /* available entries served so far, modulo 2^16 */
};

static const struct device_register registers[] = {
    {"MagicValue", MAGIC, 4, "r", "\"virt\""},
    {"Version", VERSION, 4, "r", "2"},
    {"DeviceID", DEVICE_ID, 4, "r", "what it is: 0 nothing, 2 block"},
    {"VendorID", VENDOR_ID, 4, "r", "who made it"},
    {"DeviceFeatures", DEVICE_FEATURES, 4, "r", "features offered, the half selected"},
    {"DriverFeatures", DRIVER_FEATURES, 4, "w", "features accepted, the half selected"},
    {"QueueSel", QUEUE_SEL, 4, "w", "the queue that the next registers mean"},
    {"QueueNumMax", QUEUE_NUM_MAX, 4, "r", "largest queue size"},
    {"QueueNum", QUEUE_NUM, 4, "w", "queue size"},
    {"QueueReady", QUEUE_READY, 4, "rw", "1: the queue is in use"},
    {"QueueNotify", QUEUE_NOTIFY, 4, "w", "requests are available in this queue"},
    {"InterruptStatus", INTERRUPT_STATUS, 4, "r", "1: buffers were used"},
    {"InterruptACK", INTERRUPT_ACK, 4, "w", "takes the interrupt back"},
    {"Status", STATUS, 4, "rw", "1 seen, 2 driver, 8 features, 4 go, 64 needs reset, 128 failed"},
    {"QueueDescLow", QUEUE_DESC, 4, "w", "physical address of the descriptor table"},
    {"QueueDriverLow", QUEUE_DRIVER, 4, "w", "physical address of the available ring"},
    {"QueueDeviceLow", QUEUE_DEVICE, 4, "w", "physical address of the used ring"},
    {"Config0", CONFIG, 4, "r", "configuration; block: capacity in sectors"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct virtio, device, "wiring"),
    STATE_NOT(struct virtio, kind, "what it is"),
    STATE_NOT(struct virtio, owner, "wiring"),
    STATE_NOT(struct virtio, ram, "wiring"),
    STATE_NOT(struct virtio, irq, "wiring"),
    STATE(struct virtio, U64, driver_features),
    STATE(struct virtio, U32, device_features_sel),
    STATE(struct virtio, U32, driver_features_sel),
    STATE(struct virtio, U32, queue_sel),
    STATE(struct virtio, U32, status),
    STATE(struct virtio, U32, interrupt),
    STATE(struct virtio, U32, num),
    STATE(struct virtio, BOOL, ready),
    STATE(struct virtio, U64, desc),
    STATE(struct virtio, U64, driver),
    STATE(struct virtio, U64, used),
    STATE(struct virtio, U16, seen),
};
static const struct state_table table = STATE_TABLE("virtio", struct virtio, 1, fields);

/* ---- guest memory ------------------------------------------------------------------------- */

static bool get(const struct virtio *v, uint64_t pa, void *bytes, size_t count)
{
    return pa <= UINT32_MAX && ram_read(v->ram, (uint32_t)pa, bytes, count);
}

static bool put(struct virtio *v, uint64_t pa, const void *bytes, size_t count)
{
    return pa <= UINT32_MAX && ram_write(v->ram, (uint32_t)pa, bytes, count);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* Section 2.6.5 */
struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

/* A chain of descriptors: first those that the device reads, then those that it writes. */
struct virtio_request {
    struct virtio *virtio;
    struct descriptor part[VIRTIO_QUEUE_MAX];
    unsigned parts, readable; /* the first `readable` are for reading */
    unsigned take, give;      /* the part where the next byte is */
    uint32_t taken, given;    /* bytes done of that part */
    uint32_t written;         /* in all */
};

/* The queue's size. A saved state may hold any number. */
static unsigned queue_size(const struct virtio *v, unsigned q)
{
    return v->num[q] <= VIRTIO_QUEUE_MAX ? v->num[q] : 0;
}

/* Follows the chain from `head`. false: it is broken. */
static bool read_chain(struct virtio *v, unsigned q, uint16_t head, struct virtio_request *r)
{
    uint16_t index = head;
    uint64_t bytes = 0;
    *r = (struct virtio_request){.virtio = v};
    do {
        struct descriptor d;
        if (index >= queue_size(v, q) || r->parts == queue_size(v, q) ||
            !get(v, v->desc[q] + 16ull * index, &d, sizeof d))
            return false;
        bool writable = d.flags & DESC_WRITE;
        if (!writable && r->readable < r->parts)
            return false; /* section 2.6.4.2: readable parts come first */
        bytes += d.length;
        if (bytes > VIRTIO_REQUEST_MAX)
            return false;
        r->readable += !writable;
        r->part[r->parts++] = d;
        index = d.next;
    } while (r->part[r->parts - 1].flags & DESC_NEXT);
    r->give = r->readable;
    return true;
}

size_t virtio_left(const struct virtio_request *r)
{
    size_t left = 0;
    for (unsigned i = r->take; i < r->readable; i++)
        left += r->part[i].length;
    return left - (left ? r->taken : 0);
}

size_t virtio_room(const struct virtio_request *r)
{
    size_t room = 0;
    for (unsigned i = r->give; i < r->parts; i++)
        room += r->part[i].length;
    return room - (room ? r->given : 0);
}

size_t virtio_take(struct virtio_request *r, void *bytes, size_t count)
{
    size_t done = 0;
    while (done < count && r->take < r->readable) {
        const struct descriptor *d = &r->part[r->take];
        size_t part = d->length - r->taken < count - done ? d->length - r->taken : count - done;
        if (!get(r->virtio, d->address + r->taken, (uint8_t *)bytes + done, part))
            break;
        done += part;
        r->taken += (uint32_t)part;
        if (r->taken == d->length)
            r->take++, r->taken = 0;
    }
    return done;
}

size_t virtio_give(struct virtio_request *r, const void *bytes, size_t count)
{
    size_t done = 0;
    while (done < count && r->give < r->parts) {
        const struct descriptor *d = &r->part[r->give];
        size_t part = d->length - r->given < count - done ? d->length - r->given : count - done;
        if (!put(r->virtio, d->address + r->given, (const uint8_t *)bytes + done, part))
            break;
        done += part;
        r->given += (uint32_t)part;
        if (r->given == d->length)
            r->give++, r->given = 0;
    }
    r->written += (uint32_t)done;
    return done;
}

/* ---- queues ------------------------------------------------------------------------------- */

static void update(struct virtio *v)
{
    irq_set(&v->irq, v->interrupt != 0);
}

static void give_up(struct virtio *v)
{
    v->status |= STATUS_NEEDS_RESET;
    v->interrupt |= INTERRUPT_CONFIG;
}

/* Puts the finished request into the used ring, section 2.6.8. */
static bool finish(struct virtio *v, unsigned q, uint16_t head, uint32_t written)
{
    uint16_t index;
    uint32_t entry[2] = {head, written};
    if (!get(v, v->used[q] + 2, &index, sizeof index))
        return false;
    if (!put(v, v->used[q] + 4 + 8ull * (index % queue_size(v, q)), entry, sizeof entry))
        return false;
    index++;
    return put(v, v->used[q] + 2, &index, sizeof index);
}

static bool serve_one(struct virtio *v, unsigned q)
{
    struct virtio_request request;
    uint16_t head;
    if (!get(v, v->driver[q] + 4 + 2ull * (v->seen[q] % queue_size(v, q)), &head, sizeof head))
        return false;
    v->seen[q]++;
    if (!read_chain(v, q, head, &request))
        return false;
    v->kind->serve(v->owner, &request);
    return finish(v, q, head, request.written);
}

static bool is_running(const struct virtio *v, unsigned q)
{
    return q < v->kind->queues && v->ready[q] && queue_size(v, q) &&
           (v->status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) == STATUS_DRIVER_OK;
}

/* Serves what was available when the guest said so, which cannot be more than the queue holds: what
 * a request writes over the ring itself makes no more work. */
static bool serve_available(struct virtio *v, unsigned q)
{
    uint16_t available, flags;
    if (!get(v, v->driver[q] + 2, &available, sizeof available))
        return false;
    unsigned waiting = (uint16_t)(available - v->seen[q]);
    if (waiting > queue_size(v, q))
        return false;
    for (unsigned i = 0; i < waiting; i++)
        if (!serve_one(v, q))
            return false;
    if (!get(v, v->driver[q], &flags, sizeof flags))
        return false;
    if (waiting && !(flags & AVAIL_NO_INTERRUPT))
        v->interrupt |= INTERRUPT_USED;
    return true;
}

static void notify(struct virtio *v, unsigned q)
{
    if (is_running(v, q) && !serve_available(v, q))
        give_up(v);
}

/* ---- registers ---------------------------------------------------------------------------- */

static uint64_t offered(const struct virtio *v)
{
    return v->kind->features | F_VERSION_1;
}

static uint32_t read_config(const struct virtio *v, uint32_t offset, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG] = {0};
    uint32_t value = 0;
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
    default: return 0;
    }
}

static bool virtio_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = virtio_peek(self, offset, size);
    return offset >= CONFIG || size == 4;
}

static void virtio_reset(void *self)
{
    struct virtio *v = self;
    v->driver_features = 0;
    v->device_features_sel = v->driver_features_sel = v->queue_sel = 0;
    v->status = v->interrupt = 0;
    for (unsigned q = 0; q < VIRTIO_QUEUES; q++) {
        v->num[q] = 0;
        v->ready[q] = false;
        v->desc[q] = v->driver[q] = v->used[q] = 0;
        v->seen[q] = 0;
    }
}

/* FEATURES_OK is taken only if the driver accepts nothing but what is offered, and version 1. */
static void write_status(struct virtio *v, uint32_t status)
{
    if (status == 0) {
        virtio_reset(v);
        update(v);
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

static bool virtio_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct virtio *v = self;
    if (offset >= CONFIG)
        return true; /* nothing there can be written */
    if (size != 4)
        return false;
    switch (offset) {
    case DEVICE_FEATURES_SEL: v->device_features_sel = value; break;
    case DRIVER_FEATURES_SEL: v->driver_features_sel = value; break;
    case DRIVER_FEATURES: write_features(v, value); break;
    case QUEUE_SEL: v->queue_sel = value; break;
    case QUEUE_NOTIFY: notify(v, value); break;
    case INTERRUPT_ACK: v->interrupt &= ~value; break;
    case STATUS: write_status(v, value); break;
    default:
        if (is_queue_register(offset) && v->queue_sel < v->kind->queues)
            write_queue(v, offset, value);
    }
    update(v);
    return true;
}

static const struct device_ops ops = {virtio_read, virtio_write, virtio_peek, virtio_reset, NULL};

/* ---- life --------------------------------------------------------------------------------- */

struct virtio *virtio_new(const struct virtio_kind *kind, void *owner, struct ram *ram,
                          struct irq_line irq)
{
    struct virtio *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->kind = kind;
    v->owner = owner;
    v->ram = ram;
    v->irq = irq;
    v->device = (struct device){
        .name = kind->name,
        .about = kind->about,
        .size = 0x1000,
        .ops = &ops,
        .self = v,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, v},
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
        .registers = registers,
        .register_count = 3,
    };
}
