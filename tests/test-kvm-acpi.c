/* ACPI tables: read back as a guest's operating system does, from the RSDP on, and by iasl where
 * that is installed. */
#include "config.h"

#include "hv/kvm/acpi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/kvm/dev/pm.h"
#include "tests/tap.h"

enum { BASE = 0xe0040 };

static struct acpi acpi;
static const struct kvm_boot_device devices[KVM_BOOT_VIRTIO_MAX] = {
    {0xd0000000u, 4096, 5}, {0xd0001000u, 512, 23}, {0xfe000000u, 4096, 12},
};

static void build(unsigned cpus, unsigned virtio_count)
{
    struct kvm_boot_config config = {
        .cpus = cpus, .virtio = devices, .virtio_count = virtio_count,
    };
    acpi_build(&acpi, &config);
    acpi_place(&acpi, BASE);
}

static uint64_t number(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, bytes, size);
    return value;
}

static uint8_t sum(const uint8_t *bytes, size_t count)
{
    uint8_t total = 0;
    while (count--)
        total = (uint8_t)(total + *bytes++);
    return total;
}

/* A sound table at a guest-physical address. */
static const uint8_t *table_at(uint64_t at, const char *signature)
{
    ck_assert_uint_ge(at, BASE);
    ck_assert_uint_le(at, BASE + acpi.size - 36);
    const uint8_t *t = acpi.tables + (at - BASE);
    uint32_t size = (uint32_t)number(t + 4, 4);
    ck_assert_uint_le(at - BASE + size, acpi.size);
    if (signature)
        ck_assert_mem_eq(t, signature, 4);
    if (!signature || strcmp(signature, "FACS"))
        ck_assert_uint_eq(sum(t, size), 0);
    return t;
}

static const uint8_t *xsdt(void)
{
    ck_assert_mem_eq(acpi.rsdp, "RSD PTR ", 8);
    ck_assert_uint_eq(acpi.rsdp[15], 2);
    ck_assert_uint_eq(sum(acpi.rsdp, 20), 0);
    ck_assert_uint_eq(sum(acpi.rsdp, 36), 0);
    return table_at(number(acpi.rsdp + 24, 8), "XSDT");
}

static const uint8_t *find(const char *signature)
{
    const uint8_t *root = xsdt();
    unsigned count = (unsigned)(number(root + 4, 4) - 36) / 8;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *t = table_at(number(root + 36 + 8 * i, 8), NULL);
        if (!memcmp(t, signature, 4))
            return t;
    }
    ck_abort_msg("no %s", signature);
}

START_TEST(roots_agree)
{
    build(1, 0);
    const uint8_t *new = xsdt(), *old = table_at(number(acpi.rsdp + 16, 4), "RSDT");
    unsigned count = (unsigned)(number(new + 4, 4) - 36) / 8;
    ck_assert_uint_eq((number(old + 4, 4) - 36) / 4, count);
    ck_assert_uint_eq(count, 2);
    for (unsigned i = 0; i < count; i++)
        ck_assert_uint_eq(number(new + 36 + 8 * i, 8), number(old + 36 + 4 * i, 4));
}
END_TEST

START_TEST(power_management)
{
    build(1, 0);
    const uint8_t *t = find("FACP");
    ck_assert_uint_eq(number(t + 4, 4), 276);
    table_at(number(t + 36, 4), "FACS");
    ck_assert_uint_eq(number(t + 36, 4) % 64, 0);
    table_at(number(t + 40, 4), "DSDT");
    ck_assert_uint_eq(number(t + 140, 8), number(t + 40, 4));
    ck_assert_uint_eq(number(t + 46, 2), 9);       /* SCI */
    ck_assert_uint_eq(number(t + 48, 4), 0);       /* no SMI: ACPI is on */
    ck_assert_uint_eq(number(t + 56, 4), PM_PORT);
    ck_assert_uint_eq(number(t + 152, 8), PM_PORT);
    ck_assert_uint_eq(number(t + 64, 4), PM_PORT + PM_CONTROL);
    ck_assert_uint_eq(number(t + 176, 8), PM_PORT + PM_CONTROL);
    ck_assert_uint_eq(number(t + 112, 4) >> 10 & 1, 1);
    ck_assert_uint_eq(t[116], 1);
    ck_assert_uint_eq(number(t + 120, 8), PM_RESET_PORT);
    ck_assert_uint_eq(t[128], PM_RESET_VALUE);
}
END_TEST

START_TEST(processors_and_controllers)
{
    static const unsigned counts[] = {0, 1, 2, 16, KVM_BOOT_CPUS_MAX};
    unsigned cpus = 0, ioapics = 0, overrides = 0;
    build(counts[_i], 0);
    const uint8_t *t = find("APIC"), *end = t + number(t + 4, 4);
    ck_assert_uint_eq(number(t + 36, 4), 0xfee00000u);
    for (const uint8_t *e = t + 44; e < end; e += e[1]) {
        ck_assert_uint_ge(e[1], 6);
        ck_assert(e + e[1] <= end);
        if (e[0] == 0) {
            ck_assert_uint_eq(e[3], cpus++);
            ck_assert_uint_eq(number(e + 4, 4), 1);
        } else if (e[0] == 1) {
            ioapics++;
            ck_assert_uint_ge(e[2], KVM_BOOT_CPUS_MAX); /* no processor's identifier */
            ck_assert_uint_eq(number(e + 4, 4), 0xfec00000u);
        } else if (e[0] == 2) {
            static const uint32_t inputs[][2] = {{0, 2}, {9, 9}};
            ck_assert_uint_eq(e[3], inputs[overrides][0]);
            ck_assert_uint_eq(number(e + 4, 4), inputs[overrides++][1]);
        }
    }
    ck_assert_uint_eq(cpus, counts[_i] ? counts[_i] : 1);
    ck_assert_uint_eq(ioapics, 1);
    ck_assert_uint_eq(overrides, 2);
}
END_TEST

/* ---- AML ---------------------------------------------------------------------------------- */

static const uint8_t *search(const uint8_t *from, const uint8_t *end, const void *bytes,
                             size_t count)
{
    return memmem(from, (size_t)(end - from), bytes, count);
}

/* Packages of three bytes of length end where they should: at the table's end. */
START_TEST(lengths_nest)
{
    build(1, KVM_BOOT_VIRTIO_MAX);
    const uint8_t *t = table_at(number(find("FACP") + 40, 4), "DSDT");
    const uint8_t *end = t + number(t + 4, 4), *scope = search(t + 36, end, "_SB_", 4);
    ck_assert_ptr_nonnull(scope);
    ck_assert_uint_eq(scope[-3] >> 6, 2);
    unsigned length = (scope[-3] & 15) | scope[-2] << 4 | scope[-1] << 12;
    ck_assert_ptr_eq(scope - 3 + length, end);
    unsigned found = 0;
    const uint8_t *at = scope + 4;
    while (at < end) { /* the devices follow each other without a gap */
        ck_assert_uint_eq(at[0], 0x5b);
        ck_assert_uint_eq(at[1], 0x82);
        found++;
        at += 2 + ((at[2] & 15) | at[3] << 4 | at[4] << 12);
    }
    ck_assert_ptr_eq(at, end);
    ck_assert_uint_eq(found, 2 + KVM_BOOT_VIRTIO_MAX);
}
END_TEST

START_TEST(devices_are_described)
{
    build(1, 3);
    const uint8_t *t = table_at(number(find("FACP") + 40, 4), "DSDT");
    const uint8_t *end = t + number(t + 4, 4), *at = t;
    ck_assert_ptr_nonnull(search(t, end, "\x0c\x41\xd0\x05\x01", 5)); /* PNP0501 */
    ck_assert_ptr_nonnull(search(t, end, "\x47\x01\xf8\x03\xf8\x03\x01\x08\x22\x10\x00", 11));
    ck_assert_ptr_nonnull(search(t, end, "_S5_\x12", 5));
    for (unsigned i = 0; i < 3; i++) {
        at = search(at + 1, end, "\x0dLNRO0005", 10);
        ck_assert_ptr_nonnull(at);
        const uint8_t *memory = search(at, end, "\x86\x09\x00\x01", 4);
        const uint8_t *irq = search(at, end, "\x89\x06\x00\x01\x01", 5);
        ck_assert_uint_eq(number(memory + 4, 4), devices[i].base);
        ck_assert_uint_eq(number(memory + 8, 4), devices[i].size);
        ck_assert_uint_eq(number(irq + 5, 4), (unsigned)devices[i].irq);
        ck_assert_uint_eq(irq[9], 0x79);
    }
    ck_assert_ptr_null(search(at + 1, end, "\x0dLNRO0005", 10));
}
END_TEST

/* Placing adds the address to what the list names, and to nothing else. */
START_TEST(links_are_complete)
{
    static struct acpi a, b;
    struct kvm_boot_config config = {.cpus = 3, .virtio = devices, .virtio_count = 3};
    acpi_build(&a, &config);
    b = a;
    acpi_place(&b, 0x12345640);
    for (unsigned i = 0; i < a.links; i++) {
        uint64_t before = number(a.tables + a.link[i].at, a.link[i].size);
        uint64_t after = number(b.tables + b.link[i].at, b.link[i].size);
        ck_assert_uint_lt(before, a.size);
        ck_assert_uint_eq(after, before + 0x12345640);
        memset(b.tables + b.link[i].at, 0, b.link[i].size);
        memset(a.tables + a.link[i].at, 0, a.link[i].size);
    }
    for (unsigned i = 0; i < a.table_count; i++)
        b.tables[b.table[i].at + ACPI_TABLE_SUM] = 0;
    ck_assert_mem_eq(a.tables, b.tables, a.size);
}
END_TEST

static bool has_iasl(void)
{
    return system("iasl -v >/dev/null 2>&1") == 0;
}

START_TEST(iasl_understands_it)
{
    static const char *const tables[] = {"FACP", "APIC", "DSDT"};
    char folder[] = "/tmp/vitrine-test-acpi.XXXXXX", command[256], path[64];
    if (!has_iasl())
        return;
    build(4, 3);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < ROWS(tables); i++) {
        const uint8_t *t = i == 2 ? table_at(number(find("FACP") + 40, 4), "DSDT") : find(tables[i]);
        snprintf(path, sizeof path, "%s/%s.aml", folder, tables[i]);
        FILE *file = fopen(path, "wb");
        ck_assert_uint_eq(fwrite(t, 1, number(t + 4, 4), file), number(t + 4, 4));
        fclose(file);
    }
    snprintf(command, sizeof command,
             "cd %s && iasl -d *.aml >log 2>&1 && iasl -p new DSDT.dsl >>log 2>&1 && "
             "! grep -iE '[1-9][0-9]* (errors|warnings)|invalid' log *.dsl", folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kvm-acpi");
    TCase *tests = tcase_create("kvm-acpi");
    tcase_add_test(tests, roots_agree);
    tcase_add_test(tests, power_management);
    tcase_add_loop_test(tests, processors_and_controllers, 0, 5);
    tcase_add_test(tests, lengths_nest);
    tcase_add_test(tests, devices_are_described);
    tcase_add_test(tests, links_are_complete);
    tcase_add_test(tests, iasl_understands_it);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
