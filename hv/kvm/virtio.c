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
#include "cpu/dev/virtio-rng.h"
#include "cpu/dev/virtio.h"

enum slot { SLOT_BLOCK, SLOT_NET, SLOT_CONSOLE, SLOT_RNG, SLOT_BALLOON, SLOTS };
enum { SLOT_SIZE = 0x1000, WHY = 512 };
#define SLOT_BASE 0xd0000000u

static const int LINES[SLOTS] = {5, 10, 11, 6, 14};

struct kvm_virtio {
    struct kvm_vm *vm;
    struct disk *disk; /* NULL: none */
    struct virtio_blk *block;
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

static bool make_block(struct kvm_virtio *v, const struct kvm_board_config *c, char *why)
{
    if (!c->disk)
        return true;
    v->disk = disk_open(c->disk, c->disk_readonly, why);
    if (v->disk)
        v->block = virtio_blk_new(memory_of(v), line_of(v, SLOT_BLOCK), v->disk);
    return v->block != NULL;
}

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
           plug(v, SLOT_NET, NULL) &&
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
    if (make_block(v, config, why) && make_others(v, config) && plug_all(v))
        return v;
    kvm_virtio_free(v);
    return NULL;
}

void kvm_virtio_free(struct kvm_virtio *v)
{
    if (!v)
        return;
    virtio_blk_free(v->block);
    virtio_console_free(v->console);
    virtio_rng_free(v->rng);
    virtio_balloon_free(v->balloon);
    if (v->disk)
        disk_close(v->disk);
    free(v);
}

/* ---- use ------------------------------------------------------------------------------------ */

const struct kvm_boot_device *kvm_virtio_announce(const struct kvm_virtio *v, unsigned *count)
{
    *count = v->announced_count;
    return v->announced;
}

bool kvm_virtio_has_console(const struct kvm_virtio *v)
{
    return virtio_console_is_open(v->console);
}

size_t kvm_virtio_input(struct kvm_virtio *v, const uint8_t *bytes, size_t count)
{
    return virtio_console_input(v->console, bytes, count);
}

void kvm_virtio_set_balloon(struct kvm_virtio *v, uint32_t pages)
{
    virtio_balloon_set(v->balloon, pages);
}
