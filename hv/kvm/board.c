/* The board of an x86 virtual machine. See board.h. */
#include "config.h"

#include "hv/kvm/board.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/dev/uart.h"
#include "hv/kvm/dev/cmos.h"
#include "hv/kvm/dev/debugport.h"
#include "hv/kvm/dev/fwcfg.h"
#include "hv/kvm/dev/i8042.h"
#include "hv/kvm/dev/pm.h"
#include "hv/kvm/virtio.h"

enum { COM1 = 0x3f8, COM1_SIZE = 8, COM1_IRQ = 4, KEYBOARD_IRQ = 1, CMOS_IRQ = 8, WHY = 512 };

struct kvm_board {
    struct kvm_vm *vm;
    struct kvm_board_config config;
    struct uart *uart;
    struct i8042 *i8042;
    struct cmos *cmos;
    struct debugport *debugport;
    struct fwcfg *fwcfg;
    struct pm *pm;
    struct kvm_virtio *virtio;
};

/* ---- what devices ask of the machine -------------------------------------------------------- */

static void power_request(void *context, enum power_request request, int code)
{
    struct kvm_board *b = context;
    enum kvm_stop_kind kind = request == POWER_RESET ? KVM_STOP_RESET : KVM_STOP_POWEROFF;
    kvm_vm_stop(b->vm, (struct kvm_stop){.kind = kind, .code = code});
}

static int64_t host_time(void *context)
{
    return time(NULL);
}

static struct irq_line line(struct kvm_vm *vm, int number)
{
    return (struct irq_line){.set = kvm_vm_irq, .opaque = vm, .number = number};
}

/* ---- making --------------------------------------------------------------------------------- */

static bool make_ports(struct kvm_board *b)
{
    struct power power = {power_request, b};
    const struct kvm_board_config *c = &b->config;
    struct cmos_config cmos = {.memory = &b->vm->memory, .cpus = b->vm->vcpus, .now = host_time};
    b->uart = uart_new(line(b->vm, COM1_IRQ), c->console, c->context);
    b->i8042 = i8042_new(power, line(b->vm, KEYBOARD_IRQ));
    b->cmos = cmos_new(&cmos);
    b->debugport = debugport_new(power, c->debug, c->context);
    b->fwcfg = fwcfg_new(&b->vm->memory);
    b->pm = pm_new(power);
    return b->uart && b->i8042 && b->cmos && b->debugport && b->fwcfg && b->pm;
}

static void plug(struct bus *bus, struct device *device)
{
    int error = bus_plug(bus, device);
    (void)error; /* the list below has no overlap and is shorter than a bus */
}

static void plug_ports(struct kvm_board *b)
{
    struct bus *ports = &b->vm->ports;
    struct device *com1 = uart_device(b->uart);
    com1->base = COM1;
    com1->size = COM1_SIZE;
    com1->irq = COM1_IRQ;
    b->vm->typed_port = b->config.virtio_console ? 0 : COM1;
    plug(ports, com1);
    plug(ports, i8042_device(b->i8042));
    plug(ports, cmos_device(b->cmos));
    plug(ports, debugport_exit(b->debugport));
    plug(ports, debugport_console(b->debugport));
    plug(ports, debugport_bochs(b->debugport));
    plug(ports, fwcfg_device(b->fwcfg));
    plug(ports, pm_device(b->pm));
    plug(ports, pm_port_92(b->pm));
    plug(ports, pm_reset_port(b->pm));
}

struct kvm_board *kvm_board_new(struct kvm_vm *vm, const struct kvm_board_config *config, char *why)
{
    struct kvm_board *b = calloc(1, sizeof *b);
    if (b) {
        b->vm = vm;
        b->config = *config;
    }
    snprintf(why, WHY, "the host has no memory left");
    if (b && make_ports(b)) {
        plug_ports(b);
        b->virtio = kvm_virtio_new(vm, config, why);
        if (b->virtio)
            return b;
    }
    kvm_board_free(b);
    return NULL;
}

static void free_device(struct device *device)
{
    if (device->ops->free)
        device->ops->free(device->self);
}

/* A device with several windows on the bus is gone when the last of them is freed. */
void kvm_board_free(struct kvm_board *b)
{
    if (!b)
        return;
    if (b->uart)
        free_device(uart_device(b->uart));
    if (b->i8042)
        free_device(i8042_device(b->i8042));
    if (b->cmos)
        free_device(cmos_device(b->cmos));
    if (b->debugport) {
        free_device(debugport_exit(b->debugport));
        free_device(debugport_console(b->debugport));
        free_device(debugport_bochs(b->debugport));
    }
    if (b->fwcfg)
        free_device(fwcfg_device(b->fwcfg));
    if (b->pm) {
        free_device(pm_device(b->pm));
        free_device(pm_port_92(b->pm));
        free_device(pm_reset_port(b->pm));
    }
    kvm_virtio_free(b->virtio);
    free(b);
}

size_t kvm_board_input(struct kvm_board *b, const uint8_t *bytes, size_t count)
{
    return b->config.virtio_console ? kvm_virtio_input(b->virtio, bytes, count)
                                    : uart_input(b->uart, bytes, count);
}

void kvm_board_set_balloon(struct kvm_board *b, uint32_t pages)
{
    kvm_virtio_set_balloon(b->virtio, pages);
}

struct disk *kvm_board_disk(const struct kvm_board *board)
{
    return kvm_virtio_disk(board->virtio);
}

const struct kvm_boot_device *kvm_board_announce(const struct kvm_board *b, unsigned *count)
{
    return kvm_virtio_announce(b->virtio, count);
}

struct fwcfg *kvm_board_fwcfg(struct kvm_board *b)
{
    return b->fwcfg;
}

void kvm_board_reset(struct kvm_board *b)
{
    const struct bus *bus[] = {&b->vm->ports, &b->vm->mmio};
    for (int n = 0; n < 2; n++)
        for (unsigned i = 0; i < bus[n]->count; i++)
            bus[n]->device[i]->ops->reset(bus[n]->device[i]->self);
}

/* ---- state ---------------------------------------------------------------------------------- */

enum { BUSES = 2, OBJECTS = 2 * BUSES * BUS_DEVICES };

/* All objects with state, bus by bus in the order in which devices were plugged in. */
static unsigned list_objects(const struct kvm_board *b, struct state_object out[OBJECTS])
{
    const struct bus *bus[BUSES] = {&b->vm->ports, &b->vm->mmio};
    unsigned n = 0;
    for (int i = 0; i < BUSES; i++) {
        for (unsigned d = 0; d < bus[i]->count; d++) {
            if (bus[i]->device[d]->state.table)
                out[n++] = bus[i]->device[d]->state;
            if (bus[i]->device[d]->more.table)
                out[n++] = bus[i]->device[d]->more;
        }
    }
    return n;
}

int kvm_board_save(struct kvm_board *b, struct state_buffer *buffer)
{
    struct state_object object[OBJECTS];
    unsigned count = list_objects(b, object);
    int error = 0;
    for (unsigned i = 0; i < count && !error; i++)
        error = state_save(object[i], buffer);
    return error;
}

int kvm_board_load(struct kvm_board *b, const uint8_t *bytes, size_t count, size_t *at)
{
    struct state_object object[OBJECTS];
    unsigned objects = list_objects(b, object);
    int error = 0;
    for (unsigned i = 0; i < objects && !error; i++)
        error = state_load(object[i], bytes, count, at);
    return error;
}

int kvm_board_reconnect(struct kvm_board *b)
{
    return kvm_virtio_reconnect(b->virtio);
}

int kvm_board_sent(struct kvm_board *b, enum move_sent how)
{
    return kvm_virtio_sent(b->virtio, how);
}

void kvm_board_digest(struct kvm_board *b, struct digest *digest)
{
    struct state_object object[OBJECTS];
    unsigned count = list_objects(b, object);
    for (unsigned i = 0; i < count; i++)
        state_digest(object[i], digest);
}
