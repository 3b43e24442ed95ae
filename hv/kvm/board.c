/* The board of an x86 virtual machine. See board.h. */
#include "config.h"

#include "hv/kvm/board.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/dev/uart.h"

enum { COM1 = 0x3f8, COM1_IRQ = 4, EXIT_PORT = 0x501, DEBUG_PORT = 0x402, WHY = 512 };

struct kvm_board {
    struct kvm_vm *vm;
    struct kvm_board_config config;
    struct uart *uart;
    struct device exit_port, debug_port;
};

/* ---- debug exit, debug console ------------------------------------------------------------------
 */

static bool read_ones(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = UINT32_MAX;
    return true;
}

static uint32_t peek_ones(const void *self, uint32_t offset, unsigned size)
{
    return UINT32_MAX;
}

static void nothing(void *self) {}

/* The guest ends its run with this byte as exit code. */
static bool write_exit(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct kvm_board *b = self;
    kvm_vm_stop(b->vm, (struct kvm_stop){.kind = KVM_STOP_POWEROFF, .code = (int)(value & 0xff)});
    return true;
}

static bool write_debug(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct kvm_board *b = self;
    uint8_t byte = (uint8_t)value;
    b->config.console(b->config.context, &byte, 1);
    return true;
}

static const struct device_ops EXIT_OPS = {read_ones, write_exit, peek_ones, nothing, NULL};
static const struct device_ops DEBUG_OPS = {read_ones, write_debug, peek_ones, nothing, NULL};

/* ---- plugging -----------------------------------------------------------------------------------
 */

static void plug(struct bus *bus, struct device *device, uint32_t base, int irq)
{
    device->base = base;
    device->irq = irq;
    bus_plug(bus, device);
}

static struct irq_line line(struct kvm_vm *vm, int number)
{
    return (struct irq_line){.set = kvm_vm_irq, .opaque = vm, .number = number};
}

static int plug_ports(struct kvm_board *b)
{
    struct bus *ports = &b->vm->ports;
    b->uart = uart_new(line(b->vm, COM1_IRQ), b->config.console, b->config.context);
    if (!b->uart)
        return -ENOMEM;
    plug(ports, uart_device(b->uart), COM1, COM1_IRQ);
    uart_device(b->uart)->size = 8;
    b->exit_port = (struct device){.name = "debug exit",
                                   .about = "a byte written ends the run with it as exit code",
                                   .size = 1,
                                   .ops = &EXIT_OPS,
                                   .self = b};
    b->debug_port = (struct device){.name = "debug console",
                                    .about = "a byte written is printed",
                                    .size = 1,
                                    .ops = &DEBUG_OPS,
                                    .self = b};
    plug(ports, &b->exit_port, EXIT_PORT, 0);
    plug(ports, &b->debug_port, DEBUG_PORT, 0);
    return 0;
}

struct kvm_board *kvm_board_new(struct kvm_vm *vm, const struct kvm_board_config *config, char *why)
{
    struct kvm_board *b = calloc(1, sizeof *b);
    if (b) {
        b->vm = vm;
        b->config = *config;
    }
    int error = b ? plug_ports(b) : -ENOMEM;
    if (!error)
        return b;
    snprintf(why, WHY, "the host has no memory left");
    kvm_board_free(b);
    return NULL;
}

void kvm_board_free(struct kvm_board *b)
{
    if (!b)
        return;
    if (b->uart)
        uart_device(b->uart)->ops->free(uart_device(b->uart)->self);
    free(b);
}

size_t kvm_board_input(struct kvm_board *b, const uint8_t *bytes, size_t count)
{
    return uart_input(b->uart, bytes, count);
}

const struct kvm_boot_device *kvm_board_announce(const struct kvm_board *b, unsigned *count)
{
    *count = 0;
    return NULL;
}

/* ---- state --------------------------------------------------------------------------------------
 */

static int save_bus(const struct bus *bus, struct state_buffer *buffer)
{
    int error = 0;
    for (unsigned i = 0; i < bus->count && !error; i++)
        if (bus->device[i]->state.table)
            error = state_save(bus->device[i]->state, buffer);
    return error;
}

static int load_bus(const struct bus *bus, const uint8_t *bytes, size_t count, size_t *at)
{
    int error = 0;
    for (unsigned i = 0; i < bus->count && !error; i++)
        if (bus->device[i]->state.table)
            error = state_load(bus->device[i]->state, bytes, count, at);
    return error;
}

int kvm_board_save(struct kvm_board *b, struct state_buffer *buffer)
{
    int error = save_bus(&b->vm->ports, buffer);
    return error ? error : save_bus(&b->vm->mmio, buffer);
}

int kvm_board_load(struct kvm_board *b, const uint8_t *bytes, size_t count, size_t *at)
{
    int error = load_bus(&b->vm->ports, bytes, count, at);
    return error ? error : load_bus(&b->vm->mmio, bytes, count, at);
}

void kvm_board_digest(struct kvm_board *b, struct digest *digest)
{
    const struct bus *bus[] = {&b->vm->ports, &b->vm->mmio};
    for (int n = 0; n < 2; n++)
        for (unsigned i = 0; i < bus[n]->count; i++)
            if (bus[n]->device[i]->state.table)
                state_digest(bus[n]->device[i]->state, digest);
}
