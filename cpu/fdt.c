/*
 * The flattened device tree, made with libfdt's sequential-write functions. See fdt.h.
 *
 * Node names, order and properties are those that kernels expect of a `virt` board; addresses and
 * interrupt numbers come from the machine's own constants, so that nothing is said twice.
 */
#include "cpu/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "cpu/dev/plic.h"
#include "cpu/machine.h"

enum { PHANDLE_INTC = 1, PHANDLE_PLIC = 2, PHANDLE_FINISHER = 3 };

/* libfdt's functions return 0 or a negative error; after the first one nothing more is written. */
struct tree {
    void *blob;
    int error;
};

#define TRY(t, call) ((t)->error = (t)->error ? (t)->error : (call))

static void begin(struct tree *t, const char *name)
{
    TRY(t, fdt_begin_node(t->blob, name));
}

static void begin_at(struct tree *t, const char *name, uint32_t address)
{
    char full[64];
    snprintf(full, sizeof full, "%s@%x", name, address);
    begin(t, full);
}

static void end(struct tree *t)
{
    TRY(t, fdt_end_node(t->blob));
}

static void u32(struct tree *t, const char *name, uint32_t value)
{
    TRY(t, fdt_property_u32(t->blob, name, value));
}

static void string(struct tree *t, const char *name, const char *value)
{
    TRY(t, fdt_property_string(t->blob, name, value));
}

static void flag(struct tree *t, const char *name)
{
    TRY(t, fdt_property(t->blob, name, NULL, 0));
}

/* A property of `count` cells, at most 8. */
static void cells(struct tree *t, const char *name, const uint32_t *value, unsigned count)
{
    fdt32_t big[8];
    for (unsigned i = 0; i < count && i < 8; i++)
        big[i] = cpu_to_fdt32(value[i]);
    TRY(t, fdt_property(t->blob, name, big, (int)(count * sizeof big[0])));
}

/* Two strings, one behind the other. */
static void two_strings(struct tree *t, const char *name, const char *first, const char *second)
{
    char both[64];
    int length = snprintf(both, sizeof both, "%s%c%s", first, 0, second) + 1;
    TRY(t, fdt_property(t->blob, name, both, length));
}

static void reg(struct tree *t, uint32_t base, uint32_t size)
{
    uint32_t value[] = {0, base, 0, size};
    cells(t, "reg", value, 4);
}

static void interrupt(struct tree *t, uint32_t source)
{
    u32(t, "interrupt-parent", PHANDLE_PLIC);
    u32(t, "interrupts", source);
}

static void put_cpus(struct tree *t)
{
    begin(t, "cpus");
    u32(t, "#address-cells", 1);
    u32(t, "#size-cells", 0);
    u32(t, "timebase-frequency", TIMEBASE_HZ);
    begin(t, "cpu@0");
    string(t, "device_type", "cpu");
    u32(t, "reg", 0);
    string(t, "status", "okay");
    string(t, "compatible", "riscv");
    string(t, "riscv,isa", "rv32ima_zicsr_zifencei_sstc");
    string(t, "mmu-type", "riscv,sv32");
    begin(t, "interrupt-controller");
    u32(t, "#interrupt-cells", 1);
    flag(t, "interrupt-controller");
    string(t, "compatible", "riscv,cpu-intc");
    u32(t, "phandle", PHANDLE_INTC);
    end(t);
    end(t);
    end(t);
}

static void put_interrupt_controllers(struct tree *t)
{
    static const uint32_t clint[] = {PHANDLE_INTC, IRQ_MSI, PHANDLE_INTC, IRQ_MTI};
    static const uint32_t plic[] = {PHANDLE_INTC, IRQ_MEI, PHANDLE_INTC, IRQ_SEI};
    begin_at(t, "clint", VIRT_CLINT);
    two_strings(t, "compatible", "sifive,clint0", "riscv,clint0");
    reg(t, VIRT_CLINT, 0x10000);
    cells(t, "interrupts-extended", clint, 4);
    end(t);
    begin_at(t, "plic", VIRT_PLIC);
    two_strings(t, "compatible", "sifive,plic-1.0.0", "riscv,plic0");
    reg(t, VIRT_PLIC, 0x600000);
    flag(t, "interrupt-controller");
    u32(t, "#interrupt-cells", 1);
    u32(t, "#address-cells", 0);
    u32(t, "riscv,ndev", PLIC_SOURCES - 1);
    cells(t, "interrupts-extended", plic, 4);
    u32(t, "phandle", PHANDLE_PLIC);
    end(t);
}

static void put_serial(struct tree *t)
{
    begin_at(t, "serial", VIRT_UART);
    string(t, "compatible", "ns16550a");
    reg(t, VIRT_UART, 0x100);
    u32(t, "clock-frequency", 3686400);
    interrupt(t, VIRT_UART_IRQ);
    end(t);
    begin_at(t, "rtc", VIRT_RTC);
    string(t, "compatible", "google,goldfish-rtc");
    reg(t, VIRT_RTC, 0x1000);
    interrupt(t, VIRT_RTC_IRQ);
    end(t);
}

static void put_virtio(struct tree *t)
{
    for (uint32_t n = 0; n < VIRT_VIRTIO_SLOTS; n++) {
        begin_at(t, "virtio_mmio", VIRT_VIRTIO + 0x1000 * n);
        string(t, "compatible", "virtio,mmio");
        reg(t, VIRT_VIRTIO + 0x1000 * n, 0x1000);
        interrupt(t, VIRT_VIRTIO_IRQ + n);
        end(t);
    }
}

/* Switching off by the finisher, in the way that kernels look for it. */
static void put_syscon(struct tree *t, const char *name, uint32_t value)
{
    char compatible[32];
    snprintf(compatible, sizeof compatible, "syscon-%s", name);
    begin(t, name);
    string(t, "compatible", compatible);
    u32(t, "regmap", PHANDLE_FINISHER);
    u32(t, "offset", 0);
    u32(t, "value", value);
    end(t);
}

static void put_finisher(struct tree *t)
{
    static const char compatible[] = "sifive,test1\0sifive,test0\0syscon";
    begin_at(t, "test", VIRT_FINISHER);
    TRY(t, fdt_property(t->blob, "compatible", compatible, sizeof compatible));
    reg(t, VIRT_FINISHER, 0x1000);
    u32(t, "phandle", PHANDLE_FINISHER);
    end(t);
}

static void put_soc(struct tree *t)
{
    begin(t, "soc");
    u32(t, "#address-cells", 2);
    u32(t, "#size-cells", 2);
    string(t, "compatible", "simple-bus");
    flag(t, "ranges");
    put_interrupt_controllers(t);
    put_serial(t);
    put_virtio(t);
    put_finisher(t);
    end(t);
}

static void put_chosen(struct tree *t, const char *kernel_args)
{
    char path[64];
    snprintf(path, sizeof path, "/soc/serial@%x", VIRT_UART);
    begin(t, "chosen");
    string(t, "stdout-path", path);
    string(t, "bootargs", kernel_args ? kernel_args : "");
    end(t);
}

static void put_memory(struct tree *t, const struct ram *ram)
{
    begin_at(t, "memory", ram->base);
    string(t, "device_type", "memory");
    reg(t, ram->base, ram->size);
    end(t);
}

int fdt_build(const struct machine *m, void *blob, size_t size)
{
    struct tree t = {blob, fdt_create(blob, (int)size)};
    TRY(&t, fdt_finish_reservemap(blob));
    begin(&t, "");
    u32(&t, "#address-cells", 2);
    u32(&t, "#size-cells", 2);
    string(&t, "compatible", "riscv-virtio");
    string(&t, "model", "vitrine,virt");
    put_chosen(&t, m->config.kernel_args);
    put_memory(&t, &m->ram);
    put_cpus(&t);
    if (!m->config.no_devices) {
        put_soc(&t);
        put_syscon(&t, "poweroff", 0x5555);
        put_syscon(&t, "reboot", 0x7777);
    }
    end(&t);
    TRY(&t, fdt_finish(blob));
    return t.error ? -ENOSPC : (int)fdt_totalsize(blob);
}
