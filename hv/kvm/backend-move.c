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

/* KVM fills in the APIC ID of whichever processor of the host was asked. The guest sees its vCPU's
 * own in that place (cpuid.c), so that it makes no difference. */
static struct kvm_cpuid_entry2 without_apic_id(struct kvm_cpuid_entry2 entry)
{
    if (entry.function == 1)
        entry.ebx &= 0xffff;
    if (entry.function == 0xb || entry.function == 0x1f)
        entry.edx = 0;
    return entry;
}

static void describe_cpu(const struct kvm_backend *b, char *text, size_t size)
{
    struct digest digest;
    const struct kvm_cpuid2 *cpuid = b->vm.cpuid;
    digest_init(&digest);
    for (unsigned i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 entry = without_apic_id(cpuid->entries[i]);
        digest_bytes(&digest, &entry, sizeof entry);
    }
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
    item(context, "disk", b->config->disk ? "yes" : "none");
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
    return kvm_backend_load(b, &buffer);
}

/* Requests are done before the vCPUs are parked; and disks write through, unless there are
 * snapshots. */
static int flush(void *self)
{
    char why[SESSION_ERROR];
    return kvm_backend_write_disk(self, why);
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
};
