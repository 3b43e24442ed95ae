/* The device tree: read back with libfdt, and compared with the machine that it describes. */
#include "cpu/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/machine.h"
#include "tests/tap.h"

enum { BLOB = 16384 };

static struct machine *m;
static uint8_t blob[BLOB];

static void build(const struct machine_config *config)
{
    char why[MACHINE_ERROR];
    m = machine_new(config, why);
    ck_assert_msg(m, "%s", m ? "" : why);
    int size = fdt_build(m, blob, sizeof blob);
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(size, (int)fdt_totalsize(blob));
    ck_assert_int_eq(fdt_check_full(blob, (size_t)size), 0);
}

static void setup(void)
{
    struct machine_config config;
    machine_config_init(&config);
    config.kernel_args = "console=ttyS0 quiet";
    build(&config);
}

static void teardown(void)
{
    machine_free(m);
}

static int node(const char *path)
{
    int at = fdt_path_offset(blob, path);
    ck_assert_msg(at >= 0, "no node %s", path);
    return at;
}

static uint32_t cell(const char *path, const char *property, int n)
{
    int length;
    const fdt32_t *value = fdt_getprop(blob, node(path), property, &length);
    ck_assert_msg(value && length > 4 * n, "%s has no %s[%d]", path, property, n);
    return fdt32_to_cpu(value[n]);
}

static const char *text(const char *path, const char *property)
{
    const char *value = fdt_getprop(blob, node(path), property, NULL);
    ck_assert_msg(value, "%s has no %s", path, property);
    return value;
}

/* Numbers that a kernel looks for, as the virt board has them. */
static const struct {
    const char *path, *property;
    int n;
    uint32_t value;
} numbers[] = {
    {"/", "#address-cells", 0, 2},
    {"/", "#size-cells", 0, 2},
    {"/memory@80000000", "reg", 1, VIRT_RAM},
    {"/memory@80000000", "reg", 3, 64 << 20},
    {"/cpus", "timebase-frequency", 0, 10000000},
    {"/cpus", "#address-cells", 0, 1},
    {"/cpus/cpu@0", "reg", 0, 0},
    {"/cpus/cpu@0/interrupt-controller", "#interrupt-cells", 0, 1},
    {"/soc/clint@2000000", "reg", 1, VIRT_CLINT},
    {"/soc/clint@2000000", "interrupts-extended", 1, 3},
    {"/soc/clint@2000000", "interrupts-extended", 3, 7},
    {"/soc/plic@c000000", "reg", 3, 0x600000},
    {"/soc/plic@c000000", "riscv,ndev", 0, 95},
    {"/soc/plic@c000000", "interrupts-extended", 1, 11},
    {"/soc/plic@c000000", "interrupts-extended", 3, 9},
    {"/soc/serial@10000000", "interrupts", 0, 10},
    {"/soc/serial@10000000", "clock-frequency", 0, 3686400},
    {"/soc/rtc@101000", "interrupts", 0, 11},
    {"/soc/virtio_mmio@10001000", "interrupts", 0, 1},
    {"/soc/virtio_mmio@10008000", "interrupts", 0, 8},
    {"/soc/virtio_mmio@10008000", "reg", 1, 0x10008000},
    {"/poweroff", "value", 0, 0x5555},
    {"/reboot", "value", 0, 0x7777},
};

START_TEST(number)
{
    ck_assert_uint_eq(cell(numbers[_i].path, numbers[_i].property, numbers[_i].n),
                      numbers[_i].value);
}
END_TEST

static const struct {
    const char *path, *property, *value;
} texts[] = {
    {"/", "compatible", "riscv-virtio"},
    {"/chosen", "stdout-path", "/soc/serial@10000000"},
    {"/chosen", "bootargs", "console=ttyS0 quiet"},
    {"/cpus/cpu@0", "device_type", "cpu"},
    {"/cpus/cpu@0", "mmu-type", "riscv,sv32"},
    {"/cpus/cpu@0", "riscv,isa", "rv32ima_zicsr_zifencei_sstc"},
    {"/cpus/cpu@0/interrupt-controller", "compatible", "riscv,cpu-intc"},
    {"/memory@80000000", "device_type", "memory"},
    {"/soc", "compatible", "simple-bus"},
    {"/soc/clint@2000000", "compatible", "sifive,clint0"},
    {"/soc/plic@c000000", "compatible", "sifive,plic-1.0.0"},
    {"/soc/serial@10000000", "compatible", "ns16550a"},
    {"/soc/rtc@101000", "compatible", "google,goldfish-rtc"},
    {"/soc/virtio_mmio@10001000", "compatible", "virtio,mmio"},
    {"/poweroff", "compatible", "syscon-poweroff"},
    {"/reboot", "compatible", "syscon-reboot"},
};

START_TEST(string)
{
    ck_assert_str_eq(text(texts[_i].path, texts[_i].property), texts[_i].value);
}
END_TEST

START_TEST(compatible_lists)
{
    ck_assert_int_eq(fdt_node_check_compatible(blob, node("/soc/test@100000"), "syscon"), 0);
    ck_assert_int_eq(fdt_node_check_compatible(blob, node("/soc/plic@c000000"), "riscv,plic0"), 0);
    ck_assert_int_eq(fdt_node_check_compatible(blob, node("/soc/clint@2000000"), "riscv,clint0"),
                     0);
}
END_TEST

/* Each phandle that is spoken of is the one of the right node. */
START_TEST(phandles)
{
    uint32_t intc = cell("/cpus/cpu@0/interrupt-controller", "phandle", 0);
    uint32_t plic = cell("/soc/plic@c000000", "phandle", 0);
    uint32_t finisher = cell("/soc/test@100000", "phandle", 0);
    ck_assert(intc != plic && plic != finisher && intc != finisher);
    for (int n = 0; n <= 2; n += 2) {
        ck_assert_uint_eq(cell("/soc/plic@c000000", "interrupts-extended", n), intc);
        ck_assert_uint_eq(cell("/soc/clint@2000000", "interrupts-extended", n), intc);
    }
    ck_assert_uint_eq(cell("/soc/serial@10000000", "interrupt-parent", 0), plic);
    ck_assert_uint_eq(cell("/soc/virtio_mmio@10003000", "interrupt-parent", 0), plic);
    ck_assert_uint_eq(cell("/poweroff", "regmap", 0), finisher);
    ck_assert_uint_eq(cell("/reboot", "regmap", 0), finisher);
}
END_TEST

/* What is plugged into the bus and what the tree says must be the same, both ways. */
START_TEST(tree_and_bus_agree)
{
    unsigned described = 0;
    int child, soc = node("/soc");
    fdt_for_each_subnode(child, blob, soc)
    {
        const fdt32_t *reg = fdt_getprop(blob, child, "reg", NULL);
        const fdt32_t *irq = fdt_getprop(blob, child, "interrupts", NULL);
        struct device *d = bus_find(&m->bus, fdt32_to_cpu(reg[1]));
        ck_assert_msg(d, "%s is not there", fdt_get_name(blob, child, NULL));
        ck_assert_uint_eq(fdt32_to_cpu(reg[1]), d->base);
        ck_assert_uint_eq(fdt32_to_cpu(reg[3]), d->size);
        ck_assert_int_eq(irq ? (int)fdt32_to_cpu(*irq) : 0, d->irq);
        described++;
    }
    ck_assert_uint_eq(described, m->bus.count);
}
END_TEST

START_TEST(without_devices)
{
    struct machine_config config;
    teardown();
    machine_config_init(&config);
    config.no_devices = true;
    config.memory = 1u << 30;
    build(&config);
    ck_assert_int_eq(fdt_path_offset(blob, "/soc"), -FDT_ERR_NOTFOUND);
    ck_assert_int_eq(fdt_path_offset(blob, "/poweroff"), -FDT_ERR_NOTFOUND);
    ck_assert_uint_eq(cell("/memory@80000000", "reg", 3), 1u << 30);
    ck_assert_str_eq(text("/chosen", "bootargs"), "");
}
END_TEST

START_TEST(same_machine_same_tree)
{
    static uint8_t again[BLOB];
    memset(again, 0xff, sizeof again);
    int size = fdt_build(m, again, sizeof again);
    ck_assert_int_eq(size, (int)fdt_totalsize(blob));
    ck_assert_mem_eq(blob, again, (size_t)size);
}
END_TEST

/* Whatever the room, nothing is written behind it. */
START_TEST(too_little_room)
{
    int whole = fdt_build(m, blob, sizeof blob);
    for (int size = 0; size < whole; size += 7) {
        uint8_t *exactly = malloc(size ? (size_t)size : 1);
        ck_assert_int_eq(fdt_build(m, exactly, (size_t)size), -ENOSPC);
        free(exactly);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fdt");
    TCase *tests = tcase_create("fdt");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, number, 0, ROWS(numbers));
    tcase_add_loop_test(tests, string, 0, ROWS(texts));
    tcase_add_test(tests, compatible_lists);
    tcase_add_test(tests, phandles);
    tcase_add_test(tests, tree_and_bus_agree);
    tcase_add_test(tests, without_devices);
    tcase_add_test(tests, same_machine_same_tree);
    tcase_add_test(tests, too_little_room);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
