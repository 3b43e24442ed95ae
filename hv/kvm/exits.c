/*
 * VM exits of KVM: what the guest did, and who deals with it.
 *
 * One function for each reason, in a table. A port or a physical address that no device answers
 * reads as all ones and ignores writes, as on a PC's bus.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/vm.h"

static void stop(struct kvm_vcpu *v, enum kvm_stop_kind kind, int code)
{
    kvm_vm_stop(v->vm, (struct kvm_stop){.kind = kind, .vcpu = v->index, .code = code});
}

/* ---- accesses to devices ------------------------------------------------------------------ */

/* Devices have registers of 1, 2 and 4 bytes at multiples of their size. An access that is wider or
 * lies across is as many accesses as the bus would make of it. */
static unsigned piece_at(uint64_t address, unsigned left)
{
    unsigned size = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    while (address % size)
        size /= 2;
    return size;
}

static void access_piece(struct bus *bus, uint64_t address, unsigned size, bool write,
                         uint8_t *bytes)
{
    uint32_t value = 0;
    bool answered = false;
    if (address <= UINT32_MAX) {
        memcpy(&value, bytes, size);
        answered = write ? bus_write(bus, (uint32_t)address, size, value)
                         : bus_read(bus, (uint32_t)address, size, &value);
    }
    if (!answered)
        value = UINT32_MAX;
    if (!write)
        memcpy(bytes, &value, size);
}

static void access_bus(struct bus *bus, uint64_t address, unsigned size, bool write, uint8_t *bytes)
{
    for (unsigned done = 0; done < size;) {
        unsigned piece = piece_at(address + done, size - done);
        access_piece(bus, address + done, piece, write, bytes + done);
        done += piece;
    }
}

static void log_access(struct kvm_exit *e, struct bus *bus, uint64_t address, unsigned size,
                       bool write, const uint8_t *bytes)
{
    e->address = address;
    e->size = (uint8_t)size;
    e->write = write;
    memcpy(&e->value, bytes, size < 8 ? size : 8);
    e->device = address <= UINT32_MAX ? bus_find(bus, (uint32_t)address) : NULL;
}

/* A string instruction moves `count` elements through one port in one exit. */
static void on_port(struct kvm_vcpu *v, struct kvm_exit *e)
{
    struct kvm_run *run = v->run;
    uint8_t *bytes = (uint8_t *)run + run->io.data_offset;
    bool write = run->io.direction == KVM_EXIT_IO_OUT;
    for (uint32_t i = 0; i < run->io.count; i++)
        access_bus(&v->vm->ports, run->io.port, run->io.size, write, bytes + i * run->io.size);
    log_access(e, &v->vm->ports, run->io.port, run->io.size, write, bytes);
    e->count = run->io.count;
    v->unfinished = true;
    if (v->vm->typed && !write && run->io.port == v->vm->typed_port)
        kvm_vm_kick(v->vm);
}

static void on_mmio(struct kvm_vcpu *v, struct kvm_exit *e)
{
    struct kvm_run *run = v->run;
    access_bus(&v->vm->mmio, run->mmio.phys_addr, run->mmio.len, run->mmio.is_write,
               run->mmio.data);
    log_access(e, &v->vm->mmio, run->mmio.phys_addr, run->mmio.len, run->mmio.is_write,
               run->mmio.data);
    v->unfinished = true;
}

/* ---- the others --------------------------------------------------------------------------- */

static void on_debug(struct kvm_vcpu *v, struct kvm_exit *e)
{
    e->address = v->run->debug.arch.pc;
    e->value = v->run->debug.arch.exception;
    stop(v, KVM_STOP_DEBUG, 0);
}

static void on_shutdown(struct kvm_vcpu *v, struct kvm_exit *e)
{
    stop(v, KVM_STOP_SHUTDOWN, 0);
}

static void on_fail_entry(struct kvm_vcpu *v, struct kvm_exit *e)
{
    e->address = v->run->fail_entry.hardware_entry_failure_reason;
    stop(v, KVM_STOP_ENTRY, 0);
}

/* The interrupt controllers are the kernel's, so a halted vCPU waits there; this exit comes only
 * from a KVM that does not do that. */
static void on_halt(struct kvm_vcpu *v, struct kvm_exit *e)
{
    stop(v, KVM_STOP_HALTED, 0);
}

static void on_internal_error(struct kvm_vcpu *v, struct kvm_exit *e)
{
    e->address = v->run->internal.suberror;
    if (v->vm->int3_stops && kvm_is_int3(v))
        stop(v, KVM_STOP_DEBUG, 0); /* a breakpoint where the emulator runs the guest */
    else if (!kvm_complete(v))
        stop(v, KVM_STOP_INTERNAL, (int)v->run->internal.suberror);
}

static void on_system_event(struct kvm_vcpu *v, struct kvm_exit *e)
{
    e->address = v->run->system_event.type;
    switch (v->run->system_event.type) {
    case KVM_SYSTEM_EVENT_RESET: stop(v, KVM_STOP_RESET, 0); break;
    case KVM_SYSTEM_EVENT_SHUTDOWN: stop(v, KVM_STOP_POWEROFF, 0); break;
    default: stop(v, KVM_STOP_SHUTDOWN, 0);
    }
}

/* Nothing to do: the guest goes on, or leave was set. */
static void on_interrupted(struct kvm_vcpu *v, struct kvm_exit *e) {}

typedef void (*exit_fn)(struct kvm_vcpu *vcpu, struct kvm_exit *exit);

static const exit_fn HANDLERS[KVM_REASONS] = {
    [KVM_EXIT_IO] = on_port,
    [KVM_EXIT_MMIO] = on_mmio,
    [KVM_EXIT_DEBUG] = on_debug,
    [KVM_EXIT_HLT] = on_halt,
    [KVM_EXIT_SHUTDOWN] = on_shutdown,
    [KVM_EXIT_FAIL_ENTRY] = on_fail_entry,
    [KVM_EXIT_INTERNAL_ERROR] = on_internal_error,
    [KVM_EXIT_SYSTEM_EVENT] = on_system_event,
    [KVM_EXIT_INTR] = on_interrupted,
    [KVM_EXIT_IRQ_WINDOW_OPEN] = on_interrupted,
    [KVM_EXIT_SET_TPR] = on_interrupted,
};

void kvm_exit_handle(struct kvm_vcpu *v, struct kvm_exit *e)
{
    uint32_t reason = v->run->exit_reason;
    exit_fn handle = reason < KVM_REASONS ? HANDLERS[reason] : NULL;
    v->unfinished = false;
    if (handle)
        handle(v, e);
    else
        stop(v, KVM_STOP_INTERNAL, 0);
}
