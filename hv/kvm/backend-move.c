/*
 * The KVM backend: what moving its guest to another host needs. See struct backend_move.
 *
 * The state is that of a snapshot (backend-snapshot.c). Which pages vCPUs have written KVM tells by
 * its dirty log, what this program writes itself (loaders, devices) is kept by memory.c; layers.c
 * puts both together. Both hosts must tell the guest the same by CPUID: a guest that has found an
 * instruction set there does not look again.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hv/kvm/backend_priv.h"
#include "hv/move-disk.h"

/* What the first vCPU is told; the others' differs in their numbers alone. Which of the host's
 * processors KVM has asked makes no difference: what depends on that is said anew (cpuid.h). */
static void describe_cpu(const struct kvm_backend *b, char *text, size_t size)
{
    struct digest digest;
    const struct kvm_cpuid2 *cpuid = b->vm.cpuid;
    digest_init(&digest);
    digest_bytes(&digest, cpuid->entries, cpuid->nent * sizeof *cpuid->entries);
    snprintf(text, size, "%016llx", (unsigned long long)digest.value);
}

static void describe(void *self, void (*item)(void *context, const char *name, const char *value),
                     void *context)
{
    const struct kvm_backend *b = self;
    char text[32];
    item(context, "guest", "x86");
    snprintf(text, sizeof text, "%llu", (unsigned long long)b->vm.memory.size);
    item(context, "memory", text);
    snprintf(text, sizeof text, "%u", b->vm.vcpus);
    item(context, "vCPUs", text);
    describe_cpu(b, text, sizeof text);
    item(context, "CPUID", text);
    item(context, "format", b->format);
    move_disk_describe(kvm_board_disk(b->board), item, context);
    item(context, "net", b->config->net ? "user" : "none");
}

static uint64_t pages(void *self)
{
    const struct kvm_backend *b = self;
    return b->vm.memory.size / KVM_PAGE;
}

static int begin(void *self)
{
    struct kvm_backend *b = self;
    b->moves = false;
    return kvm_layers_moves(b->layers);
}

static void end(void *self)
{
    struct kvm_backend *b = self;
    kvm_layers_moves_end(b->layers);
}

/* Pages that have host memory: where the memfd has none, they are zero. */
static void collect_all(const struct kvm_memory *m, uint64_t *bits)
{
    off_t from = 0, to = (off_t)m->size;
    while (m->frozen || (from = lseek(m->fd, from, SEEK_DATA)) >= 0) {
        if (!m->frozen)
            to = lseek(m->fd, from, SEEK_HOLE);
        for (uint64_t page = (uint64_t)from / KVM_PAGE; page < (uint64_t)to / KVM_PAGE; page++)
            bits[page / 64] |= 1ull << (page % 64);
        if (m->frozen)
            break;
        from = to;
    }
}

static int collect(void *self, uint64_t *bits)
{
    struct kvm_backend *b = self;
    if (!b->moves)
        collect_all(&b->vm.memory, bits);
    b->moves = true;
    return kvm_layers_moved(b->layers, bits);
}

static const uint8_t *page(void *self, uint64_t index)
{
    const struct kvm_backend *b = self;
    return b->vm.memory.host + index * KVM_PAGE;
}

static int put(void *self, uint64_t index, const uint8_t *bytes)
{
    static const uint8_t zero[KVM_PAGE];
    struct kvm_backend *b = self;
    struct kvm_memory *m = &b->vm.memory;
    uint64_t offset = index * KVM_PAGE;
    if (!bytes && !m->frozen && lseek(m->fd, (off_t)offset, SEEK_DATA) != (off_t)offset)
        return 0; /* it has no host memory, and shall not get any */
    uint64_t gpa = offset < m->low ? offset : KVM_HIGH_BASE + (offset - m->low);
    return kvm_memory_write(m, gpa, bytes ? bytes : zero, KVM_PAGE) ? 0 : -ENOMEM;
}

static int save(void *self, struct state_buffer *buffer)
{
    return kvm_backend_save(self, buffer);
}

static int load(void *self, const uint8_t *bytes, size_t count)
{
    struct kvm_backend *b = self;
    struct state_buffer buffer = {.bytes = (uint8_t *)bytes, .count = count};
    b->has_before = false;
    return kvm_backend_load_state(b, &buffer);
}

/* ---- disk and network ----------------------------------------------------------------------- */

static struct disk *disk_of(void *self)
{
    const struct kvm_backend *b = self;
    return kvm_board_disk(b->board);
}

/* No request is under way: a vCPU's store to a queue's register returns when it is done. Snapshots
 * are given up for it, if they keep what was written in memory. */
static int flush(void *self)
{
    char why[SESSION_ERROR];
    struct disk *disk = disk_of(self);
    int error = kvm_backend_write_disk(self, why);
    return error || !disk ? error : disk_flush_file(disk);
}

static int hand(void *self, enum move_hand how, char *why)
{
    struct kvm_backend *b = self;
    return move_disk_hand(disk_of(b), how, &b->disk_held, why);
}

/* The list of blocks written, which tells what is new in an epoch, is what snapshots use otherwise.
 */
static int hold_or_release(void *self, enum move_disk how)
{
    struct kvm_backend *b = self;
    if (how == MOVE_DISK_RELEASE && !b->disk_held)
        return 0;
    if (how == MOVE_DISK_HOLD && b->disk)
        return -EBUSY;
    int error =
        how == MOVE_DISK_HOLD ? move_disk_hold(disk_of(b)) : move_disk_release(disk_of(b), false);
    if (!error)
        b->disk_held = how == MOVE_DISK_HOLD;
    return error;
}

static int blocks(void *self, int (*item)(void *context, uint32_t block, const uint8_t *bytes),
                  void *context)
{
    return move_disk_blocks(disk_of(self), item, context);
}

static int put_block(void *self, uint32_t block, const uint8_t *bytes)
{
    return move_disk_put(disk_of(self), block, bytes);
}

static int commit_block(void *self, uint32_t block, const uint8_t *bytes)
{
    return disk_write_block(disk_of(self), block, bytes);
}

static int sent(void *self, enum move_sent how)
{
    struct kvm_backend *b = self;
    return kvm_board_sent(b->board, how);
}

const struct backend_move kvm_backend_move = {
    .describe = describe,
    .pages = pages,
    .begin = begin,
    .end = end,
    .collect = collect,
    .page = page,
    .put = put,
    .save = save,
    .load = load,
    .flush = flush,
    .hand = hand,
    .disk = hold_or_release,
    .blocks = blocks,
    .put_block = put_block,
    .commit_block = commit_block,
    .sent = sent,
};
