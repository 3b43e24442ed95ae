/* The KVM backend: the status, exits, devices, dirty pages, the digest. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "cpu/event.h"
#include "hv/kvm/backend_priv.h"

/* ---- status --------------------------------------------------------------------------------- */

static uint64_t sum(const uint64_t *values)
{
    uint64_t total = 0;
    for (int i = 0; i < KVM_REASONS; i++)
        total += values[i];
    return total;
}

void kvm_backend_status(void *self, struct view_status *out)
{
    struct kvm_backend *b = self;
    out->exits = b->vm.exits->total;
    out->exit_ns = sum(b->vm.exits->ns);
    out->under_monitor = true;
    out->isa = ISA_X86;
    out->vcpus = b->vm.vcpus;
    out->vcpu = b->vcpu;
    out->memory = b->vm.memory.size;
    snprintf(out->engine, sizeof out->engine, "kvm");
    snprintf(out->detail, sizeof out->detail, "%s", b->detail);
}

/* ---- exits ---------------------------------------------------------------------------------- */

/* The register of a device at this offset, by its table: of two at one place that which can be
 * accessed so. */
static const char *register_name(const struct device *d, uint64_t offset, bool write)
{
    const char *found = "";
    for (unsigned i = 0; i < d->register_count; i++) {
        const struct device_register *r = &d->registers[i];
        if (r->offset != offset)
            continue;
        if (strchr(r->access, write ? 'w' : 'r'))
            return r->name;
        found = r->name;
    }
    return found;
}

static void name_access(const struct kvm_exit *e, struct view_exit *out)
{
    char times[24] = "";
    if (e->count != 1)
        snprintf(times, sizeof times, ", %u times", e->count);
    snprintf(out->text, sizeof out->text, "%s 0x%llx, %u byte%s, %s0x%llx%s",
             e->reason == KVM_EXIT_IO ? e->write ? "out" : "in"
             : e->write               ? "store"
                                      : "load",
             (unsigned long long)e->address, e->size, e->size == 1 ? "" : "s",
             e->write ? "" : "gets ", (unsigned long long)e->value, times);
    out->access = e->write ? 'w' : 'r';
    out->size = e->size;
    out->data = e->value;
    if (e->device)
        snprintf(out->device, sizeof out->device, "%s", e->device->name);
    const char *name =
        e->device ? register_name(e->device, e->address - e->device->base, e->write) : "";
    if (e->device)
        snprintf(out->action, sizeof out->action, "%s%s%s %s", e->device->name, *name ? " " : "",
                 name, e->write ? "written" : "read");
    else
        snprintf(out->action, sizeof out->action, "no device answers: %s",
                 e->write ? "ignored" : "reads as ones");
}

static void fill_exit(const struct kvm_exit *e, struct view_exit *out)
{
    *out = (struct view_exit){
        .seq = e->seq,
        .pc = e->rip,
        .reason = (uint8_t)e->reason,
        .cause = e->reason,
        .tval = e->address,
        .mode = 1,
        .ns = e->ns ? e->ns : 1,
        .vcpu = e->vcpu,
    };
    snprintf(out->reason_name, sizeof out->reason_name, "%s", kvm_exit_name(e->reason));
    if (e->reason == KVM_EXIT_IO || e->reason == KVM_EXIT_MMIO)
        name_access(e, out);
    else
        snprintf(out->action, sizeof out->action, "%s", kvm_exit_meaning(e->reason));
}

int kvm_backend_exits(void *self, uint64_t after, struct view_exit *out, int max)
{
    struct kvm_backend *b = self;
    const struct kvm_exits *exits = b->vm.exits;
    uint64_t oldest = exits->total > KVM_EXIT_LOG ? exits->total - KVM_EXIT_LOG : 0;
    int count = 0;
    for (uint64_t n = after > oldest ? after : oldest; n < exits->total && count < max; n++)
        if (exits->ring[n % KVM_EXIT_LOG].seq == n + 1) /* else it was before a snapshot's time */
            fill_exit(&exits->ring[n % KVM_EXIT_LOG], &out[count++]);
    return count;
}

void kvm_backend_exit_stats(void *self, struct view_exit_stats *out)
{
    struct kvm_backend *b = self;
    const struct kvm_exits *exits = b->vm.exits;
    const unsigned rows = sizeof out->by_reason / sizeof *out->by_reason;
    out->total = exits->total;
    out->ns = sum(exits->ns);
    for (uint32_t reason = 0; reason < KVM_REASONS && out->count < rows; reason++) {
        if (!exits->count[reason])
            continue;
        struct view_exit_count *row = &out->by_reason[out->count++];
        row->count = exits->count[reason];
        row->ns = exits->ns[reason];
        snprintf(row->name, sizeof row->name, "%s", kvm_exit_name(reason));
        snprintf(row->meaning, sizeof row->meaning, "%s", kvm_exit_meaning(reason));
    }
}

/* ---- the stream of events -------------------------------------------------------------------- */

/* An exit, and the access to a device that it was for. */
static void publish_exit(void *context, const struct kvm_exit *e)
{
    struct kvm_backend *b = context;
    bool access = e->reason == KVM_EXIT_IO || e->reason == KVM_EXIT_MMIO;
    struct event event = {
        .pc = e->rip,
        .type = EVENT_EXIT,
        .source = 1,
        .a = e->reason,
        .b = e->vcpu,
        .c = (uint32_t)e->address,
        .d = e->ns < UINT32_MAX ? (uint32_t)e->ns : UINT32_MAX,
    };
    session_publish(b->session, &event);
    if (!access || !e->device)
        return;
    event.type = e->write ? EVENT_DEVICE_WRITE : EVENT_DEVICE_READ;
    event.a = (uint32_t)e->address;
    event.b = (uint32_t)e->value;
    event.c = e->size;
    event.d = 0;
    session_publish(b->session, &event);
}

void kvm_backend_events_mask(void *self, uint32_t mask)
{
    const uint32_t known =
        EVENT_BIT(EVENT_EXIT) | EVENT_BIT(EVENT_DEVICE_READ) | EVENT_BIT(EVENT_DEVICE_WRITE);
    struct kvm_backend *b = self;
    b->vm.exited_context = b;
    b->vm.exited = mask & known ? publish_exit : NULL;
}

/* ---- devices -------------------------------------------------------------------------------- */

static void fill_device(const struct device *d, bool ports, struct view_device *out)
{
    *out = (struct view_device){.base = d->base, .size = d->size, .irq = d->irq, .ports = ports};
    snprintf(out->name, sizeof out->name, "%s", d->name);
    snprintf(out->about, sizeof out->about, "%s", d->about);
    for (unsigned i = 0; i < d->register_count && out->count < VIEW_DEVICE_REGS; i++) {
        const struct device_register *r = &d->registers[i];
        struct view_device_register *v = &out->reg[out->count++];
        *v = (struct view_device_register){.offset = r->offset, .size = r->size};
        snprintf(v->name, sizeof v->name, "%s", r->name);
        snprintf(v->access, sizeof v->access, "%s", r->access);
        snprintf(v->meaning, sizeof v->meaning, "%s", r->meaning);
        v->value = r->access[0] == 'r' ? d->ops->peek(d->self, r->offset, r->size) : 0;
    }
}

void kvm_backend_view_devices(void *self, struct view_devices *out)
{
    struct kvm_backend *b = self;
    for (unsigned i = 0; i < b->vm.ports.count && out->count < VIEW_DEVICES; i++)
        fill_device(b->vm.ports.device[i], true, &out->device[out->count++]);
    for (unsigned i = 0; i < b->vm.mmio.count && out->count < VIEW_DEVICES; i++)
        fill_device(b->vm.mmio.device[i], false, &out->device[out->count++]);
}

/* ---- dirty pages ---------------------------------------------------------------------------- */

void kvm_backend_view_dirty(void *self, struct view_dirty *out)
{
    struct kvm_backend *b = self;
    uint64_t pages = b->vm.memory.size / KVM_PAGE;
    if (kvm_layers_look(b->layers, &out->dirty_now))
        return;
    const uint8_t *heat = kvm_layers_heat(b->layers);
    b->dirty_total += out->dirty_now;
    out->present = true;
    out->memory = b->vm.memory.size;
    out->dirty_total = b->dirty_total;
    out->pages_per_cell = (uint32_t)((pages + VIEW_DIRTY_CELLS - 1) / VIEW_DIRTY_CELLS);
    out->cells = (uint32_t)((pages + out->pages_per_cell - 1) / out->pages_per_cell);
    for (uint64_t page = 0; page < pages; page++) {
        uint8_t *cell = &out->heat[page / out->pages_per_cell];
        *cell = heat[page] > *cell ? heat[page] : *cell;
    }
}

/* ---- digest --------------------------------------------------------------------------------- */

/* Memory, registers, devices. Time stamps are part of what KVM keeps, so two runs are not equal;
 * the digest tells whether one state is another, as after a snapshot is restored. */
uint64_t kvm_backend_digest(void *self)
{
    struct kvm_backend *b = self;
    struct digest digest;
    digest_init(&digest);
    for (unsigned i = 0; i < b->vm.vcpus; i++) {
        struct kvm_cpu_state cpu;
        if (kvm_cpu_state_get(b->vm.vcpu[i].fd, &cpu))
            continue;
        digest_bytes(&digest, &cpu.regs, sizeof cpu.regs);
        digest_bytes(&digest, &cpu.sregs, sizeof cpu.sregs);
        digest_bytes(&digest, &cpu.fpu, sizeof cpu.fpu);
    }
    kvm_memory_digest(&b->vm.memory, &digest);
    kvm_board_digest(b->board, &digest);
    return digest.value;
}
