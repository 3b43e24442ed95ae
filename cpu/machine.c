/*
 * The machine: building one, loading a guest, saving and comparing its state. See machine.h.
 *
 * How it runs is not here: see engine.c for what happens between instructions and interp.c for
 * what instructions do.
 */
#include "cpu/machine.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/absent.h"
#include "cpu/dev/clint.h"
#include "cpu/dev/disk.h"
#include "cpu/dev/finisher.h"
#include "cpu/dev/plic.h"
#include "cpu/dev/rtc.h"
#include "cpu/dev/uart.h"
#include "cpu/dev/virtio-balloon.h"
#include "cpu/dev/virtio-blk.h"
#include "cpu/dev/virtio-console.h"
#include "cpu/dev/virtio-rng.h"
#include "cpu/dev/virtio.h"
#include "cpu/fdt.h"
#include "cpu/image.h"
#include "cpu/sbi.h"

static const struct state_field machine_fields[] = {
    STATE_NOT(struct machine, hart, "has a table of its own"),
    STATE_NOT(struct machine, ram, "saved page by page"),
    STATE(struct machine, BOOL, firmware),
    STATE_NOT(struct machine, engine, "how it runs"),
    STATE_NOT(struct machine, engine_data, "how it runs"),
    STATE_NOT(struct machine, decoder, "a cache"),
    STATE_NOT(struct machine, stop, "of the last run"),
    STATE_NOT(struct machine, exit_code, "of the last run"),
    STATE_NOT(struct machine, stuck, "of the last run"),
    STATE_NOT(struct machine, watch, "of the last run"),
    STATE_NOT(struct machine, watch_device, "of the last run"),
    STATE_NOT(struct machine, monitored, "wiring"),
    STATE_NOT(struct machine, trap, "of the last run"),
    STATE_NOT(struct machine, cause, "within one instruction"),
    STATE_NOT(struct machine, tval, "within one instruction"),
    STATE_NOT(struct machine, interrupt, "of the last poll"),
    STATE_NOT(struct machine, insn, "within one instruction"),
    STATE_NOT(struct machine, absent, "within one instruction"),
    STATE_NOT(struct machine, absent_page, "of the last run"),
    STATE_NOT(struct machine, unsaid, "within one instruction"),
    STATE_NOT(struct machine, inspected, "debugging"),
    STATE_NOT(struct machine, config, "configuration"),
    STATE_NOT(struct machine, tlb, "a cache"),
    STATE_NOT(struct machine, window, "a cache"),
    STATE_NOT(struct machine, code_epoch, "of a cache"),
    STATE_NOT(struct machine, context, "follows from the hart"),
    STATE_NOT(struct machine, fetch_context, "follows from the hart"),
    STATE_NOT(struct machine, data_context, "follows from the hart"),
    STATE_NOT(struct machine, bus, "wiring"),
    STATE_NOT(struct machine, events, "observers"),
    STATE_NOT(struct machine, debug, "debugging"),
    STATE_NOT(struct machine, symbols, "of the image"),
    STATE_NOT(struct machine, uart, "has a table of its own"),
    STATE_NOT(struct machine, plic, "has a table of its own"),
    STATE_NOT(struct machine, clint, "has a table of its own"),
    STATE_NOT(struct machine, finisher, "has a table of its own"),
    STATE_NOT(struct machine, rtc, "has a table of its own"),
    STATE_NOT(struct machine, disk, "has a table of its own"),
    STATE_NOT(struct machine, disk_image, "the host's file"),
    STATE_NOT(struct machine, console, "has a table of its own"),
    STATE_NOT(struct machine, rng, "has a table of its own"),
    STATE_NOT(struct machine, balloon, "has a table of its own"),
    STATE_NOT(struct machine, slot, "empty slots have no state"),
    STATE_NOT(struct machine, port, "wiring"),
    STATE_NOT(struct machine, entry, "of the image"),
    STATE_NOT(struct machine, dtb, "of the image"),
    STATE_NOT(struct machine, tohost, "of the image"),
    STATE_NOT(struct machine, fromhost, "of the image"),
    STATE_NOT(struct machine, signature_begin, "of the image"),
    STATE_NOT(struct machine, signature_end, "of the image"),
    STATE_NOT(struct machine, on_fence, "wiring"),
    STATE_NOT(struct machine, on_fence_context, "wiring"),
};
const struct state_table machine_state =
    STATE_TABLE("machine", struct machine, 1, machine_fields);

void machine_config_init(struct machine_config *config)
{
    *config = (struct machine_config){.memory = 64u << 20};
}

/* ---- building ----------------------------------------------------------------------------- */

/* The PLIC's outputs end at the hart. */
static void set_hart_line(void *context, unsigned number, bool level)
{
    struct machine *m = context;
    hart_interrupt_line(&m->hart, number, level);
}

static void console_out(void *context, const uint8_t *bytes, size_t count)
{
    absent_print(context, bytes, count);
}

static void power(void *context, enum finisher_request request, int code)
{
    struct machine *m = context;
    m->exit_code = code & 0xff;
    machine_stop(m, request == FINISHER_RESET ? STOP_RESET : STOP_POWEROFF);
}

static int plug(struct machine *m, struct device *device, uint32_t base, int irq)
{
    device->base = base;
    device->irq = irq;
    return bus_plug(&m->bus, device);
}

static int open_disk(struct machine *m, char *why)
{
    if (!m->config.disk)
        return 0;
    disk_open_fn open = m->config.disk_open ? m->config.disk_open : disk_open;
    m->disk_image = open(m->config.disk, m->config.disk_readonly, why);
    return m->disk_image ? 0 : -EINVAL;
}

/* Which device is in which of the virtio-mmio slots, here and on an x86 board (hv/kvm/virtio.h);
 * those without are empty. */
enum { SLOT_BLOCK = 0, SLOT_CONSOLE = 2, SLOT_RNG = 3, SLOT_BALLOON = 4 };

static struct irq_line slot_line(const struct machine *m, int slot)
{
    return plic_input(m->plic, VIRT_VIRTIO_IRQ + slot);
}

/* Those that the configuration asks for. */
static int make_virtio(struct machine *m)
{
    const struct machine_config *c = &m->config;
    if (m->disk_image)
        m->disk = virtio_blk_new(machine_dma(m, SLOT_BLOCK, "virtio-blk"), slot_line(m, SLOT_BLOCK),
                                 m->disk_image);
    if (c->virtio_console)
        m->console = virtio_console_new(machine_dma(m, SLOT_CONSOLE, "virtio-console"),
                                        slot_line(m, SLOT_CONSOLE), console_out, m);
    if (c->rng)
        m->rng = virtio_rng_new(machine_dma(m, SLOT_RNG, "virtio-rng"), slot_line(m, SLOT_RNG),
                                NULL, NULL, c->rng_seed);
    if (c->balloon)
        m->balloon = virtio_balloon_new(machine_dma(m, SLOT_BALLOON, "virtio-balloon"),
                                        slot_line(m, SLOT_BALLOON), c->balloon_pages);
    bool made = !m->disk_image == !m->disk && c->virtio_console == !!m->console &&
                c->rng == !!m->rng && c->balloon == !!m->balloon;
    return made ? 0 : -ENOMEM;
}

static int plug_virtio(struct machine *m)
{
    if (make_virtio(m))
        return -ENOMEM;
    struct device *device[VIRT_VIRTIO_SLOTS] = {
        [SLOT_BLOCK] = m->disk ? virtio_blk_device(m->disk) : NULL,
        [SLOT_CONSOLE] = m->console ? virtio_console_device(m->console) : NULL,
        [SLOT_RNG] = m->rng ? virtio_rng_device(m->rng) : NULL,
        [SLOT_BALLOON] = m->balloon ? virtio_balloon_device(m->balloon) : NULL,
    };
    for (int n = 0; n < VIRT_VIRTIO_SLOTS; n++) {
        m->slot[n] = virtio_empty_slot();
        if (plug(m, device[n] ? device[n] : &m->slot[n], VIRT_VIRTIO + 0x1000u * (unsigned)n,
                 VIRT_VIRTIO_IRQ + n))
            return -ENOMEM;
    }
    return 0;
}

/* Start-up order: what others are wired to comes first. */
static int plug_devices(struct machine *m)
{
    m->clint = clint_new(&m->hart);
    m->plic = plic_new(set_hart_line, m);
    if (!m->clint || !m->plic)
        return -ENOMEM;
    m->uart = uart_new(plic_input(m->plic, VIRT_UART_IRQ), console_out, m);
    m->finisher = finisher_new(power, m);
    m->rtc = rtc_new(&m->hart, plic_input(m->plic, VIRT_RTC_IRQ));
    if (!m->uart || !m->finisher || !m->rtc)
        return -ENOMEM;
    int error = plug(m, finisher_device(m->finisher), VIRT_FINISHER, 0);
    error = error ? error : plug(m, rtc_device(m->rtc), VIRT_RTC, VIRT_RTC_IRQ);
    error = error ? error : plug(m, clint_device(m->clint), VIRT_CLINT, 0);
    error = error ? error : plug(m, plic_device(m->plic), VIRT_PLIC, 0);
    error = error ? error : plug(m, uart_device(m->uart), VIRT_UART, VIRT_UART_IRQ);
    return error ? error : plug_virtio(m);
}

static int init_memory(struct machine *m, char *why)
{
    const struct machine_config *c = &m->config;
    int error = c->allot ? ram_init_allotted(&m->ram, VIRT_RAM, c->memory, c->allot,
                                             c->allot_context)
                         : ram_init(&m->ram, VIRT_RAM, c->memory);
    if (error)
        snprintf(why, MACHINE_ERROR, "%u MiB of memory: %s", c->memory >> 20, strerror(-error));
    return error;
}

struct machine *machine_new(const struct machine_config *config, char *why)
{
    struct machine *m = calloc(1, sizeof *m);
    if (!m) {
        snprintf(why, MACHINE_ERROR, "the host has no memory left");
        return NULL;
    }
    m->config = *config;
    m->engine = config->engine ? config->engine : engine_find(NULL);
    m->hart.clock.host = config->host_clock;
    m->debug.skip = UINT64_MAX;
    if (init_memory(m, why) || open_disk(m, why))
        goto fail;
    if (!interp_init(m) || (!config->no_devices && plug_devices(m))) {
        snprintf(why, MACHINE_ERROR, "the host has no memory left");
        goto fail;
    }
    tlb_reset(&m->tlb);
    hart_reset(&m->hart, VIRT_RAM);
    mmu_context_changed(m);
    return m;
fail:
    machine_free(m);
    return NULL;
}

void machine_free(struct machine *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < m->bus.count; i++)
        if (m->bus.device[i]->ops->free)
            m->bus.device[i]->ops->free(m->bus.device[i]->self);
    virtio_blk_free(m->disk);
    virtio_console_free(m->console);
    virtio_rng_free(m->rng);
    virtio_balloon_free(m->balloon);
    if (m->disk_image)
        disk_close(m->disk_image);
    symbols_free(m->symbols);
    if (m->engine && m->engine->release)
        m->engine->release(m);
    ram_free(&m->ram);
    interp_free(m);
    free(m);
}

/* ---- loading ------------------------------------------------------------------------------ */

static uint32_t symbol(const struct machine *m, const char *name)
{
    uint64_t address = 0;
    if (m->symbols)
        symbols_find(m->symbols, name, &address);
    return (uint32_t)address;
}

/* At the end of memory, but not above 1 GiB of it, out of the way of kernels that grow upwards. */
static int place_dtb(struct machine *m, const struct image *image, char *why)
{
    static const size_t size = 16384;
    uint32_t at = m->ram.base + m->ram.size - 65536;
    if (image->high > at) {
        snprintf(why, MACHINE_ERROR, "no room for the device tree above the image in %u MiB",
                 m->ram.size >> 20);
        return -ENOSPC;
    }
    void *blob = calloc(1, size);
    if (!blob)
        return -ENOMEM;
    int length = fdt_build(m, blob, size);
    int error = length < 0 ? length : 0;
    if (error)
        snprintf(why, MACHINE_ERROR, "the device tree does not fit (are the kernel arguments long?)");
    else if (!ram_write(&m->ram, at, blob, (size_t)length))
        error = -ENOMEM;
    free(blob);
    m->dtb = at;
    return error;
}

/* M-mode images start at their entry; what begins at or above VIRT_KERNEL is a kernel for S mode,
 * and gets the built-in firmware. */
static void reset_hart(struct machine *m, const struct image *image)
{
    m->firmware = image->low >= VIRT_KERNEL;
    hart_reset(&m->hart, m->entry);
    if (m->firmware) {
        sbi_boot(m, m->entry, m->dtb);
    } else {
        m->hart.x[10] = m->hart.id;
        m->hart.x[11] = m->dtb;
    }
}

void machine_clear(struct machine *m)
{
    ram_clear(&m->ram);
    m->firmware = false;
    m->tohost = m->fromhost = m->signature_begin = m->signature_end = 0;
    for (unsigned i = 0; i < m->bus.count; i++)
        m->bus.device[i]->ops->reset(m->bus.device[i]->self);
    hart_reset(&m->hart, VIRT_RAM);
    tlb_reset(&m->tlb);
    mmu_context_changed(m);
    machine_invalidate(m);
    m->stop = STOP_NONE;
}

int machine_load(struct machine *m, const char *path, char *why)
{
    struct image image;
    machine_clear(m);
    int error = image_load(&image, path, &m->ram, why);
    if (error)
        return error;
    symbols_free(m->symbols);
    m->symbols = image.symbols;
    m->entry = image.entry;
    m->tohost = symbol(m, "tohost");
    m->fromhost = symbol(m, "fromhost");
    m->signature_begin = symbol(m, "begin_signature");
    m->signature_end = symbol(m, "end_signature");
    error = place_dtb(m, &image, why);
    if (error)
        return error;
    reset_hart(m, &image);
    mmu_context_changed(m);
    return 0;
}

/* ---- running ------------------------------------------------------------------------------ */

enum stop_reason machine_run(struct machine *m, uint64_t budget)
{
    m->stop = STOP_NONE;
    m->absent = false;
    clock_sample(&m->hart.clock);
    m->engine->run(m, budget);
    return m->stop;
}

void machine_set_engine(struct machine *m, const struct engine *engine)
{
    if (m->engine->release)
        m->engine->release(m);
    if (m->ram.mapping)
        ram_underive(&m->ram);
    m->engine = engine;
    mmu_flush(m);
    m->hart.attention = true;
}

size_t machine_input(struct machine *m, const uint8_t *bytes, size_t count)
{
    if (m->console)
        return absent_console_input(m, bytes, count);
    return m->uart ? uart_input(m->uart, bytes, count) : 0;
}

int machine_set_balloon(struct machine *m, uint32_t pages)
{
    if (!m->balloon)
        return -ENOTSUP;
    virtio_balloon_set(m->balloon, pages);
    return 0;
}

/* ---- state -------------------------------------------------------------------------------- */

unsigned machine_objects(struct machine *m, struct state_object out[MACHINE_OBJECTS])
{
    unsigned n = 0;
    out[n++] = (struct state_object){&machine_state, m};
    out[n++] = (struct state_object){&hart_state, &m->hart};
    out[n++] = (struct state_object){&clock_state, &m->hart.clock};
    for (unsigned i = 0; i < m->bus.count; i++) {
        const struct state_object object[] = {m->bus.device[i]->state, m->bus.device[i]->more};
        for (unsigned k = 0; k < 2; k++) {
            if (!object[k].table)
                continue;
            assert(n < MACHINE_OBJECTS);
            out[n++] = object[k];
        }
    }
    return n;
}

uint64_t machine_digest(struct machine *m)
{
    struct state_object object[MACHINE_OBJECTS];
    unsigned count = machine_objects(m, object);
    struct digest digest;
    digest_init(&digest);
    for (unsigned i = 0; i < count; i++)
        state_digest(object[i], &digest);
    ram_digest(&m->ram, &digest);
    return digest.value;
}

/* Memory in the saved form: size, then every page that is not zero after its index, then ~0. */
static void save_ram(const struct ram *ram, struct state_buffer *buffer)
{
    static const uint8_t zero[PAGE_SIZE];
    static const uint32_t end = UINT32_MAX;
    state_buffer_add(buffer, &ram->size, sizeof ram->size);
    for (uint32_t i = 0; i < ram->size / PAGE_SIZE; i++) {
        if (!ram->page[i] || !memcmp(ram->page[i], zero, PAGE_SIZE))
            continue;
        state_buffer_add(buffer, &i, sizeof i);
        state_buffer_add(buffer, ram->page[i], PAGE_SIZE);
    }
    state_buffer_add(buffer, &end, sizeof end);
}

int machine_save(struct machine *m, struct state_buffer *buffer)
{
    struct state_object object[MACHINE_OBJECTS];
    unsigned count = machine_objects(m, object);
    for (unsigned i = 0; i < count; i++)
        state_save(object[i], buffer);
    save_ram(&m->ram, buffer);
    return buffer->failed ? -ENOMEM : 0;
}

static bool take_u32(const uint8_t *bytes, size_t count, size_t *at, uint32_t *value)
{
    if (count - *at < sizeof *value)
        return false;
    memcpy(value, bytes + *at, sizeof *value);
    *at += sizeof *value;
    return true;
}

/* With `store` false it only checks, so that a torn file changes nothing. */
static int load_ram(struct ram *ram, const uint8_t *bytes, size_t count, size_t at, bool store)
{
    uint32_t size, index;
    if (!take_u32(bytes, count, &at, &size) || size != ram->size)
        return -EINVAL;
    while (take_u32(bytes, count, &at, &index)) {
        if (index == UINT32_MAX)
            return at == count ? 0 : -EINVAL;
        if (index >= size / PAGE_SIZE || count - at < PAGE_SIZE)
            return -EINVAL;
        if (store && !ram_write(ram, ram->base + index * PAGE_SIZE, bytes + at, PAGE_SIZE))
            return -ENOMEM;
        at += PAGE_SIZE;
    }
    return -EINVAL;
}

/* Checks the whole on copies of the objects before it touches the machine. */
static int check_saved(struct state_object *object, unsigned n, const uint8_t *bytes, size_t count,
                       size_t *at)
{
    for (unsigned i = 0; i < n; i++) {
        void *copy = malloc(object[i].table->size);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, object[i].object, object[i].table->size);
        int error = state_load((struct state_object){object[i].table, copy}, bytes, count, at);
        free(copy);
        if (error)
            return error;
    }
    return 0;
}

/* The timers' bits in mip are looked at before the next instruction: had the state been kept just
 * when a timer was due, its comparator would lie in the past, and nothing would ever be due again. */
void machine_loaded(struct machine *m)
{
    m->hart.attention = true;
    m->hart.clock.deadline = m->hart.executed;
    m->stop = STOP_NONE;
    machine_flush(m);
    mmu_context_changed(m);
}

static void after_load(struct machine *m)
{
    tlb_reset(&m->tlb);
    machine_loaded(m);
    machine_invalidate(m);
}

int machine_restore(struct machine *m, const uint8_t *bytes, size_t count)
{
    struct state_object object[MACHINE_OBJECTS];
    unsigned n = machine_objects(m, object);
    size_t at = 0;
    int error = check_saved(object, n, bytes, count, &at);
    if (!error)
        error = load_ram(&m->ram, bytes, count, at, false);
    if (error)
        return error;
    at = 0;
    for (unsigned i = 0; i < n; i++)
        state_load(object[i], bytes, count, &at);
    ram_clear(&m->ram);
    error = load_ram(&m->ram, bytes, count, at, true);
    after_load(m);
    return error;
}
