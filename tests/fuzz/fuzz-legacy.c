/*
 * Fuzzes a PC's small devices: keyboard controller, CMOS, debug ports, fw_cfg with its DMA, power
 * management, UART. All are on one bus; the input is a list of what a guest does to it.
 *
 * An action has six bytes: what, where (a device's window and an offset), and a value. Beside
 * accesses there are writes to guest memory (where DMA requests are), typed bytes, resets, and
 * going back to a state that was saved, whole or damaged.
 * Parts: cpu/bus.c cpu/state.c cpu/dev/uart.c hv/kvm/memory.c hv/kvm/dev/cmos.c
 * Parts: hv/kvm/dev/debugport.c hv/kvm/dev/fwcfg.c hv/kvm/dev/i8042.c hv/kvm/dev/pm.c
 */
#include "config.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "cpu/bus.h"
#include "cpu/dev/uart.h"
#include "hv/kvm/dev/cmos.h"
#include "hv/kvm/dev/debugport.h"
#include "hv/kvm/dev/fwcfg.h"
#include "hv/kvm/dev/i8042.h"
#include "hv/kvm/dev/pm.h"
#include "tests/fuzz/guarded.h"

enum { MEMORY = 64 << 10, LOW = 32 << 10, COM1 = 0x3f8, ACTION = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static struct kvm_memory memory;
static struct uart *uart;
static uint64_t host_seconds;

/* ---- what devices ask of the machine: none of it comes back to them ---------------------------
 */

static void on_power(void *context, enum power_request request, int code)
{
    require(context == &memory && (request == POWER_OFF || request == POWER_RESET));
}

static void on_output(void *context, const uint8_t *bytes, size_t count)
{
    require(context == &memory && bytes && count > 0);
}

static void on_irq(void *opaque, int number, bool level)
{
    require(opaque == &memory && (number == 1 || number == 4));
}

static int64_t now(void *context)
{
    return (int64_t)host_seconds;
}

/* ---- the board --------------------------------------------------------------------------------
 */

static void plug(struct bus *bus, struct device *device)
{
    require(bus_plug(bus, device) == 0);
}

static void plug_uart(struct bus *bus)
{
    uart = uart_new((struct irq_line){on_irq, &memory, 4}, on_output, &memory);
    struct device *device = uart_device(uart);
    device->base = COM1;
    device->size = 8;
    plug(bus, device);
}

static void plug_fwcfg(struct bus *bus)
{
    static const uint8_t file[3000] = "a file";
    struct fwcfg *fwcfg = fwcfg_new(&memory);
    require(fwcfg_add_file(fwcfg, "etc/file", file, sizeof file) == 0);
    require(fwcfg_add_file(fwcfg, "etc/empty", file, 0) == 0);
    plug(bus, fwcfg_device(fwcfg));
}

static void make_board(struct bus *bus)
{
    struct power power = {on_power, &memory};
    struct cmos_config cmos = {.memory = &memory, .cpus = 4, .now = now};
    struct debugport *debugport = debugport_new(power, on_output, &memory);
    struct pm *pm = pm_new(power);
    *bus = (struct bus){0};
    plug_uart(bus);
    plug_fwcfg(bus);
    plug(bus, i8042_device(i8042_new(power, (struct irq_line){on_irq, &memory, 1})));
    plug(bus, cmos_device(cmos_new(&cmos)));
    plug(bus, debugport_exit(debugport));
    plug(bus, debugport_console(debugport));
    plug(bus, debugport_bochs(debugport));
    plug(bus, pm_device(pm));
    plug(bus, pm_port_92(pm));
    plug(bus, pm_reset_port(pm));
}

static void free_board(struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->device[i]->ops->free)
            bus->device[i]->ops->free(bus->device[i]->self);
}

/* ---- state ------------------------------------------------------------------------------------
 */

static uint64_t digest_of(const struct device *device)
{
    struct digest digest;
    digest_init(&digest);
    state_digest(device->state, &digest);
    return digest.value;
}

/* Saved and loaded, a device is what it was; damaged state is refused or changes what a guest could
 * have changed. */
static void reload(struct device *device, uint32_t value)
{
    struct state_buffer saved = {0};
    size_t at = 0;
    if (!device->state.table)
        return;
    uint64_t before = digest_of(device);
    require(state_save(device->state, &saved) == 0);
    require(state_load(device->state, saved.bytes, saved.count, &at) == 0 && at == saved.count);
    require(digest_of(device) == before);
    at = 0;
    saved.bytes[(value >> 8) % saved.count] = (uint8_t)value;
    if (state_load(device->state, saved.bytes, saved.count, &at))
        require(digest_of(device) == before);
    state_buffer_free(&saved);
}

/* ---- actions ----------------------------------------------------------------------------------
 */

/* Big-endian, as fw_cfg reads its requests. */
static void write_memory(uint32_t place, uint32_t value)
{
    uint32_t word = htobe32(value);
    uint64_t at = place * 4 % MEMORY;
    kvm_memory_write(&memory, at < LOW ? at : KVM_HIGH_BASE + at - LOW, &word, sizeof word);
}

static void act(struct bus *bus, const uint8_t *a)
{
    struct device *device = bus->device[(a[1] >> 4) % bus->count];
    unsigned size = 1u << (a[0] >> 3) % 3;
    uint32_t value, got = 0, port = device->base + (a[1] & 15u);
    port -= port % size;
    memcpy(&value, a + 2, sizeof value);
    switch (a[0] & 7) {
    case 0:
    case 1: bus_write(bus, port, size, value); break;
    case 2: bus_read(bus, port, size, &got); break;
    case 3: write_memory(a[1], value); break;
    case 4: reload(device, value); break;
    case 5: device->ops->reset(device->self); break;
    case 6: uart_input(uart, a + 2, 4); break;
    case 7: host_seconds += (uint64_t)value << (a[1] & 31); break;
    }
}

static void look(const struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++) {
        const struct device *d = bus->device[i];
        for (unsigned r = 0; r < d->register_count; r++)
            d->ops->peek(d->self, d->registers[r].offset, d->registers[r].size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct bus bus;
    static uint64_t written[MEMORY / KVM_PAGE / 64 + 1];
    if (!memory.host) {
        memory = guarded_memory(MEMORY, LOW);
        memory.written = written;
    }
    memset(memory.host, 0, MEMORY);
    host_seconds = 1700000000;
    make_board(&bus);
    for (; count >= ACTION; bytes += ACTION, count -= ACTION)
        act(&bus, bytes);
    look(&bus);
    free_board(&bus);
    return 0;
}
