/* The virtio devices of an x86 board. See virtio.h. */
#include "config.h"

#include "hv/kvm/virtio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "cpu/dev/disk.h"
#include "cpu/dev/virtio-balloon.h"
#include "cpu/dev/virtio-blk.h"
#include "cpu/dev/virtio-console.h"
#include "cpu/dev/virtio-net.h"
#include "cpu/dev/virtio-rng.h"
#include "cpu/dev/virtio.h"
#include "hv/kvm/net-hold.h"
#include "hv/kvm/net.h"

enum slot { SLOT_BLOCK, SLOT_NET, SLOT_CONSOLE, SLOT_RNG, SLOT_BALLOON, SLOTS };
enum { SLOT_SIZE = 0x1000, WHY = 512 };
#define SLOT_BASE 0xd0000000u

static const int LINES[SLOTS] = {5, 10, 11, 6, 14};

struct kvm_virtio {
    struct kvm_vm *vm;
    struct disk *disk; /* NULL: none */
    struct virtio_blk *block;
    struct net *net;       /* NULL: none */
    struct net_hold *held; /* frames that may not leave yet; NULL: they leave at once */
    struct virtio_net *card;
    struct virtio_console *console;
    struct virtio_rng *rng;
    struct virtio_balloon *balloon;
    struct device empty[SLOTS];
    struct kvm_boot_device announced[SLOTS];
    unsigned announced_count;
};

/* ---- making --------------------------------------------------------------------------------- */

static struct dma memory_of(struct kvm_virtio *v)
{
    return kvm_memory_dma(&v->vm->memory);
}

static struct irq_line line_of(struct kvm_virtio *v, enum slot slot)
{
    return (struct irq_line){.set = kvm_vm_irq, .opaque = v->vm, .number = LINES[slot]};
}

/* The kernel's own random numbers, as the guest's device asks for them. */
static size_t host_entropy(void *context, uint8_t *bytes, size_t count)
{
    ssize_t got;
    do
        got = getrandom(bytes, count, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? 0 : (size_t)got;
}

/* The vCPUs' threads read and write the disk, all layers of it. */
static bool keep_disk(struct kvm_virtio *v)
{
    int fd, error = 0;
    for (unsigned n = 0; (fd = disk_descriptor(v->disk, n)) >= 0 && !error; n++)
        error = kvm_vm_keep(v->vm, fd);
    return !error;
}

static bool make_block(struct kvm_virtio *v, const struct kvm_board_config *c, char *why)
{
    if (!c->disk)
        return true;
    v->disk = (c->disk_open ? c->disk_open : disk_open)(c->disk, c->disk_readonly, why);
    if (v->disk)
        v->block = virtio_blk_new(memory_of(v), line_of(v, SLOT_BLOCK), v->disk);
    return v->block && keep_disk(v);
}

/* ---- the network ---------------------------------------------------------------------------- */

/* On the network's thread. */
static bool frame_to_guest(void *context, const uint8_t *frame, size_t size)
{
    struct kvm_virtio *v = context;
    if (!kvm_vm_enter(v->vm))
        return false;
    bool taken = virtio_net_receive(v->card, frame, size);
    kvm_vm_leave(v->vm);
    return taken;
}

/* What the network cannot take, it has counted: as on any Ethernet, frames may be lost. */
static void send_frame(void *context, const uint8_t *frame, size_t size)
{
    struct kvm_virtio *v = context;
    net_send(v->net, frame, size);
}

static void frame_from_guest(void *context, const uint8_t *frame, size_t size)
{
    struct kvm_virtio *v = context;
    if (v->held)
        net_hold_put(v->held, frame, size);
    else
        send_frame(v, frame, size);
}

static void wake_network(void *context)
{
    struct kvm_virtio *v = context;
    net_wake(v->net);
}

/* An address that was given to nobody (the second bit of the first byte), and one is enough on an
 * Ethernet of its own. */
static bool make_card(struct kvm_virtio *v)
{
    struct virtio_net_config card = {
        .mac = {0x02, 'V', 'T', 'R', 'N', 0x01},
        .send = frame_from_guest,
        .ready = wake_network,
        .context = v,
    };
    v->card = virtio_net_new(memory_of(v), line_of(v, SLOT_NET), &card);
    return v->card != NULL;
}

/* The network begins to deliver when the guest first runs; by then the card is there. */
static bool make_net(struct kvm_virtio *v, const struct kvm_board_config *c, char *why)
{
    struct net_config config;
    if (!c->net)
        return true;
    net_config_init(&config);
    config.receive = frame_to_guest;
    config.context = v;
    config.confine = v->vm->config.confine != NULL;
    config.keep[config.keeps++] = v->vm->fd; /* whose interrupt lines it pulls */
    if (!make_card(v) || net_config_parse(&config, c->net, why))
        return false;
    v->net = net_new(&config, why);
    v->vm->begun = wake_network;
    v->vm->begun_context = v;
    return v->net && kvm_vm_keep(v->vm, net_descriptor(v->net)) == 0;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool make_others(struct kvm_virtio *v, const struct kvm_board_config *c)
{
    v->console = virtio_console_new(memory_of(v), line_of(v, SLOT_CONSOLE), c->console, c->context);
    v->rng = virtio_rng_new(memory_of(v), line_of(v, SLOT_RNG), host_entropy, NULL, 0);
    v->balloon = virtio_balloon_new(memory_of(v), line_of(v, SLOT_BALLOON), c->balloon_pages);
    return v->console && v->rng && v->balloon;
}

/* `device` NULL: the slot is empty, and nobody hears of it. */
static bool plug(struct kvm_virtio *v, enum slot slot, struct device *device)
{
    uint32_t base = SLOT_BASE + SLOT_SIZE * (uint32_t)slot;
    if (device)
        v->announced[v->announced_count++] =
            (struct kvm_boot_device){.base = base, .size = SLOT_SIZE, .irq = LINES[slot]};
    else
        device = &v->empty[slot];
    device->base = base;
    device->irq = LINES[slot];
    return bus_plug(&v->vm->mmio, device) == 0;
}

static bool plug_all(struct kvm_virtio *v)
{
    for (int slot = 0; slot < SLOTS; slot++)
        v->empty[slot] = virtio_empty_slot();
    return plug(v, SLOT_BLOCK, v->block ? virtio_blk_device(v->block) : NULL) &&
           plug(v, SLOT_NET, v->card ? virtio_net_device(v->card) : NULL) &&
           plug(v, SLOT_CONSOLE, virtio_console_device(v->console)) &&
           plug(v, SLOT_RNG, virtio_rng_device(v->rng)) &&
           plug(v, SLOT_BALLOON, virtio_balloon_device(v->balloon));
}

struct kvm_virtio *kvm_virtio_new(struct kvm_vm *vm, const struct kvm_board_config *config,
                                  char *why)
{
    struct kvm_virtio *v = calloc(1, sizeof *v);
    snprintf(why, WHY, "the host has no memory left");
    if (!v)
        return NULL;
    v->vm = vm;
    if (make_block(v, config, why) && make_net(v, config, why) && make_others(v, config) &&
        plug_all(v))
        return v;
    kvm_virtio_free(v);
    return NULL;
}

void kvm_virtio_free(struct kvm_virtio *v)
{
    if (!v)
        return;
    v->vm->begun = NULL;
    net_free(v->net); /* and with it the thread that uses the card */
    net_hold_free(v->held);
    virtio_net_free(v->card);
    virtio_blk_free(v->block);
    virtio_console_free(v->console);
    virtio_rng_free(v->rng);
    virtio_balloon_free(v->balloon);
    if (v->disk)
        disk_close(v->disk);
    free(v);
}

/* ---- use ------------------------------------------------------------------------------------ */

struct disk *kvm_virtio_disk(const struct kvm_virtio *v)
{
    return v->disk;
}

const struct kvm_boot_device *kvm_virtio_announce(const struct kvm_virtio *v, unsigned *count)
{
    *count = v->announced_count;
    return v->announced;
}

size_t kvm_virtio_input(struct kvm_virtio *v, const uint8_t *bytes, size_t count)
{
    return virtio_console_input(v->console, bytes, count);
}

int kvm_virtio_reconnect(struct kvm_virtio *v)
{
    char why[NET_WHY];
    return v->net ? net_restart(v->net, why) : 0;
}

static int hold_frames(struct kvm_virtio *v)
{
    if (!v->held)
        v->held = net_hold_new();
    return v->held ? 0 : -ENOMEM;
}

static void end_holding(struct kvm_virtio *v, bool send)
{
    net_hold_pass(v->held, true, send ? send_frame : NULL, v);
    net_hold_free(v->held);
    v->held = NULL;
}

int kvm_virtio_sent(struct kvm_virtio *v, enum move_sent how)
{
    if (how == MOVE_SENT_HOLD)
        return v->net ? hold_frames(v) : 0;
    if (!v->held)
        return 0;
    switch (how) {
    case MOVE_SENT_HOLD: break;
    case MOVE_SENT_MARK: net_hold_mark(v->held); break;
    case MOVE_SENT_PASS: net_hold_pass(v->held, false, send_frame, v); break;
    case MOVE_SENT_RELEASE: end_holding(v, true); break;
    case MOVE_SENT_DROP: end_holding(v, false); break;
    }
    return 0;
}

void kvm_virtio_set_balloon(struct kvm_virtio *v, uint32_t pages)
{
    virtio_balloon_set(v->balloon, pages);
}
