/*
 * Building ACPI tables. See acpi.h for what they say.
 *
 * Most of this is bytes at offsets: the tables' layouts are in the specification, and only what is
 * not 0 is written here.
 */
#include "config.h"

#include "hv/kvm/acpi.h"

#include <assert.h>
#include <string.h>

#include "hv/kvm/dev/pm.h"

enum { IOAPIC_ID = 254, CMOS_CENTURY = 0x32 };

/* ---- writing ------------------------------------------------------------------------------ */

static void add_bytes(struct acpi *a, const void *bytes, size_t count)
{
    assert(count <= sizeof a->tables - a->size);
    memcpy(a->tables + a->size, bytes, count);
    a->size += (uint32_t)count;
}

/* The low `size` bytes of a value; this host is little-endian, as ACPI is. */
static void add(struct acpi *a, uint64_t value, unsigned size)
{
    add_bytes(a, &value, size);
}

static void put(struct acpi *a, uint32_t at, uint64_t value, unsigned size)
{
    memcpy(a->tables + at, &value, size);
}

/* An address in the tables, to be relocated. */
static void put_link(struct acpi *a, uint32_t at, uint32_t target, unsigned size)
{
    assert(a->links < ACPI_LINKS);
    put(a, at, target, size);
    a->link[a->links++] = (struct acpi_link){at, (uint8_t)size};
}

/* The header of a table (5.2.6); the length follows when it is known. Returns where it is. */
static uint32_t begin_table(struct acpi *a, const char *signature, unsigned revision)
{
    a->size = (a->size + 15) & ~15u;
    uint32_t at = a->size;
    add_bytes(a, signature, 4);
    add(a, 0, 4); /* length */
    add(a, revision, 1);
    add(a, 0, 1); /* checksum */
    add_bytes(a, "VITRIN", 6);
    add_bytes(a, "VITRINE ", 8);
    add(a, 1, 4);
    add_bytes(a, "VTRN", 4);
    add(a, 1, 4);
    return at;
}

static void end_table(struct acpi *a, uint32_t at)
{
    assert(a->table_count < ACPI_TABLES);
    put(a, at + 4, a->size - at, 4);
    a->table[a->table_count++] = (struct acpi_table){at, a->size - at};
}

/* ---- AML ---------------------------------------------------------------------------------- */

enum {
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_DWORD = 0x0c,
    AML_STRING = 0x0d,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_EXT = 0x5b,
    AML_DEVICE = 0x82
};

/* A package's length comes before it: three bytes are kept free, and name lengths up to 2^20 - 1
 * (20.2.4: two low bits of count in the lead byte, then 4 + 8 + 8 bits). */
static uint32_t begin_package(struct acpi *a)
{
    uint32_t at = a->size;
    add(a, 0, 3);
    return at;
}

static void end_package(struct acpi *a, uint32_t at)
{
    uint32_t length = a->size - at;
    put(a, at, 2u << 6 | (length & 15), 1);
    put(a, at + 1, length >> 4, 2);
}

static void add_name(struct acpi *a, const char *name)
{
    add(a, AML_NAME, 1);
    add_bytes(a, name, 4);
}

static void add_number(struct acpi *a, const char *name, uint32_t value)
{
    add_name(a, name);
    add(a, AML_DWORD, 1);
    add(a, value, 4);
}

/* Three letters in 5 bits each and four hexadecimal digits, the first byte highest (19.3.4). */
static uint32_t eisa_id(const char *letters, uint16_t number)
{
    uint32_t id = (uint32_t)(letters[0] & 31) << 26 | (uint32_t)(letters[1] & 31) << 21 |
                  (uint32_t)(letters[2] & 31) << 16 | number;
    return __builtin_bswap32(id);
}

static uint32_t begin_device(struct acpi *a, const char *name)
{
    add(a, AML_EXT, 1);
    add(a, AML_DEVICE, 1);
    uint32_t at = begin_package(a);
    add_bytes(a, name, 4);
    return at;
}

/* _CRS = Buffer of resource descriptors (6.4), which an end tag closes. */
static void add_resources(struct acpi *a, const uint8_t *descriptors, unsigned count)
{
    static const uint8_t end_tag[] = {0x79, 0};
    add_name(a, "_CRS");
    add(a, AML_BUFFER, 1);
    uint32_t at = begin_package(a);
    add(a, AML_BYTE, 1);
    add(a, count + sizeof end_tag, 1);
    add_bytes(a, descriptors, count);
    add_bytes(a, end_tag, sizeof end_tag);
    end_package(a, at);
}

/* ---- DSDT --------------------------------------------------------------------------------- */

static void add_com1(struct acpi *a)
{
    static const uint8_t resources[] = {
        0x47, 1,      0xf8, 0x03, 0xf8, 0x03, 1, 8, /* I/O ports 0x3f8 to 0x3ff (6.4.2.5) */
        0x22, 1 << 4, 0,                            /* interrupt 4, edge (6.4.2.1) */
    };
    uint32_t at = begin_device(a, "COM1");
    add_number(a, "_HID", eisa_id("PNP", 0x0501));
    add_number(a, "_UID", 1);
    add_resources(a, resources, sizeof resources);
    end_package(a, at);
}

/* Without an interrupt: this clock's alarm does not ring. */
static void add_clock(struct acpi *a)
{
    static const uint8_t resources[] = {0x47, 1, 0x70, 0, 0x70, 0, 1, 2};
    uint32_t at = begin_device(a, "RTC_");
    add_number(a, "_HID", eisa_id("PNP", 0x0b00));
    add_resources(a, resources, sizeof resources);
    end_package(a, at);
}

static void add_virtio(struct acpi *a, const struct kvm_boot_device *d, unsigned n)
{
    uint8_t resources[] = {
        0x86, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, /* memory, fixed, read-write (6.4.3.4) */
        0x89, 6, 0, 1, 1, 0, 0, 0, 0,          /* interrupt, consumed, level, high (6.4.3.6) */
    };
    char name[5] = {'V', 'R', (char)('0' + n / 10), (char)('0' + n % 10)};
    uint32_t base = (uint32_t)d->base, irq = (uint32_t)d->irq;
    memcpy(resources + 4, &base, 4);
    memcpy(resources + 8, &d->size, 4);
    memcpy(resources + 17, &irq, 4);
    uint32_t at = begin_device(a, name);
    add_name(a, "_HID");
    add(a, AML_STRING, 1);
    add_bytes(a, "LNRO0005", 9);
    add_number(a, "_UID", n);
    add_number(a, "_CCA", 1); /* its DMA is coherent with the caches */
    add_resources(a, resources, sizeof resources);
    end_package(a, at);
}

/* _S5 names the sleep type to write for power-off, for both halves of the register (7.4.2). */
static void add_power_off(struct acpi *a)
{
    add_name(a, "_S5_");
    add(a, AML_PACKAGE, 1);
    uint32_t at = begin_package(a);
    add(a, 2, 1);
    for (int i = 0; i < 2; i++) {
        add(a, AML_BYTE, 1);
        add(a, PM_SLEEP_OFF, 1);
    }
    end_package(a, at);
}

static uint32_t add_dsdt(struct acpi *a, const struct kvm_boot_config *c)
{
    uint32_t table = begin_table(a, "DSDT", 2);
    add_power_off(a);
    add(a, AML_SCOPE, 1);
    uint32_t at = begin_package(a);
    add_bytes(a, "_SB_", 4);
    add_com1(a);
    add_clock(a);
    for (unsigned i = 0; i < c->virtio_count; i++)
        add_virtio(a, &c->virtio[i], i);
    end_package(a, at);
    end_table(a, table);
    return table;
}

/* ---- the other tables --------------------------------------------------------------------- */

/* 5.2.10. It has no checksum. */
static uint32_t add_facs(struct acpi *a)
{
    uint32_t at = a->size;
    assert(at % ACPI_ALIGN == 0);
    add_bytes(a, "FACS", 4);
    add(a, 64, 4);
    a->size = at + 64;
    put(a, at + 32, 2, 1); /* version */
    return at;
}

/* Generic address structure (5.2.3.2) of an I/O port. */
static void put_port(struct acpi *a, uint32_t at, uint16_t port, unsigned bytes)
{
    enum { IO_SPACE = 1 };
    put(a, at, IO_SPACE, 1);
    put(a, at + 1, bytes * 8, 1);
    put(a, at + 3, bytes, 1); /* access size: 1 byte, 2 word */
    put(a, at + 4, port, 8);
}

/* 5.2.9. There is no SMM, so that ACPI is on from the start (SMI_CMD is 0). */
static uint32_t add_fadt(struct acpi *a, uint32_t facs, uint32_t dsdt)
{
    enum { SIZE = 276, REVISION = 6, MINOR = 3 };
    enum { LEGACY_DEVICES = 1, NO_VGA = 4, NO_MSI = 8 };
    enum {
        WBINVD = 1 << 0,
        NO_POWER_BUTTON = 1 << 4,
        NO_SLEEP_BUTTON = 1 << 5,
        NO_RTC_WAKE = 1 << 6,
        HAS_RESET = 1 << 10
    };
    uint32_t t = begin_table(a, "FACP", REVISION);
    a->size = t + SIZE;
    put_link(a, t + 36, facs, 4);
    put_link(a, t + 40, dsdt, 4);
    put(a, t + 46, ACPI_SCI, 2);
    put(a, t + 56, PM_PORT, 4); /* PM1a event block: status, enable */
    put(a, t + 64, PM_PORT + PM_CONTROL, 4);
    put(a, t + 88, 4, 1); /* their lengths */
    put(a, t + 89, 2, 1);
    put(a, t + 96, 0xffff, 2); /* no C2, C3 */
    put(a, t + 98, 0xffff, 2);
    put(a, t + 108, CMOS_CENTURY, 1);
    put(a, t + 109, LEGACY_DEVICES | NO_VGA | NO_MSI, 2);
    put(a, t + 112, WBINVD | NO_POWER_BUTTON | NO_SLEEP_BUTTON | NO_RTC_WAKE | HAS_RESET, 4);
    put_port(a, t + 116, PM_RESET_PORT, 1);
    put(a, t + 128, PM_RESET_VALUE, 1);
    put(a, t + 131, MINOR, 1);
    put_link(a, t + 140, dsdt, 8);
    put_port(a, t + 148, PM_PORT, 4);
    put_port(a, t + 172, PM_PORT + PM_CONTROL, 2);
    end_table(a, t);
    return t;
}

/* 5.2.12.5: another input than the ISA bus's number, or another trigger than an edge. */
static void add_override(struct acpi *a, unsigned source, uint32_t input, unsigned flags)
{
    add(a, 2, 1);
    add(a, 10, 1);
    add(a, 0, 1);
    add(a, source, 1);
    add(a, input, 4);
    add(a, flags, 2);
}

/* 5.2.12 */
static uint32_t add_madt(struct acpi *a, unsigned cpus)
{
    enum { PC_COMPATIBLE = 1, ENABLED = 1, ACTIVE_HIGH_LEVEL = 0xd, ALL_CPUS = 0xff };
    uint32_t t = begin_table(a, "APIC", 5);
    add(a, ACPI_LAPIC_BASE, 4);
    add(a, PC_COMPATIBLE, 4); /* there are 8259s, too */
    for (unsigned i = 0; i < cpus; i++) {
        add(a, 0, 1); /* local APIC */
        add(a, 8, 1);
        add(a, i, 1); /* processor */
        add(a, i, 1); /* APIC identifier */
        add(a, ENABLED, 4);
    }
    add(a, 1, 1); /* IOAPIC */
    add(a, 12, 1);
    add(a, IOAPIC_ID, 2);
    add(a, ACPI_IOAPIC_BASE, 4);
    add(a, 0, 4);
    add_override(a, 0, ACPI_PIT_INPUT, 0);
    add_override(a, ACPI_SCI, ACPI_SCI, ACTIVE_HIGH_LEVEL);
    add(a, 4, 1); /* local APIC NMI: LINT1 of every processor */
    add(a, 6, 1);
    add(a, ALL_CPUS, 1);
    add(a, 0, 2);
    add(a, 1, 1);
    end_table(a, t);
    return t;
}

/* RSDT and XSDT: the same list in 4 and in 8 bytes. 5.2.7, 5.2.8 */
static uint32_t add_roots(struct acpi *a, const char *signature, unsigned size, uint32_t fadt,
                          uint32_t madt)
{
    uint32_t t = begin_table(a, signature, 1), list = a->size;
    a->size += 2 * size;
    put_link(a, list, fadt, size);
    put_link(a, list + size, madt, size);
    end_table(a, t);
    return t;
}

/* 5.2.5.3 */
static void fill_rsdp(struct acpi *a, uint32_t rsdt, uint64_t xsdt)
{
    enum { REVISION = 2, SIZE = ACPI_RSDP_SIZE };
    uint32_t size = SIZE;
    memcpy(a->rsdp, "RSD PTR ", 8);
    memcpy(a->rsdp + 9, "VITRIN", 6);
    a->rsdp[15] = REVISION;
    memcpy(a->rsdp + ACPI_RSDP_RSDT, &rsdt, 4);
    memcpy(a->rsdp + 20, &size, 4);
    memcpy(a->rsdp + ACPI_RSDP_XSDT, &xsdt, 8);
}

void acpi_build(struct acpi *a, const struct kvm_boot_config *c)
{
    *a = (struct acpi){0};
    uint32_t facs = add_facs(a), dsdt = add_dsdt(a, c), fadt = add_fadt(a, facs, dsdt);
    uint32_t madt = add_madt(a, c->cpus ? c->cpus : 1);
    uint32_t rsdt = add_roots(a, "RSDT", 4, fadt, madt), xsdt = add_roots(a, "XSDT", 8, fadt, madt);
    fill_rsdp(a, rsdt, xsdt);
}

/* ---- placing ------------------------------------------------------------------------------ */

uint8_t acpi_checksum(const void *bytes, size_t count)
{
    const uint8_t *b = bytes;
    uint8_t sum = 0;
    while (count--)
        sum = (uint8_t)(sum + *b++);
    return (uint8_t)-sum;
}

static void relocate(uint8_t *pointer, unsigned size, uint32_t at)
{
    uint64_t value = 0;
    memcpy(&value, pointer, size);
    value += at;
    memcpy(pointer, &value, size);
}

void acpi_place(struct acpi *a, uint32_t at)
{
    assert(at % ACPI_ALIGN == 0);
    for (unsigned i = 0; i < a->links; i++)
        relocate(a->tables + a->link[i].at, a->link[i].size, at);
    relocate(a->rsdp + ACPI_RSDP_RSDT, 4, at);
    relocate(a->rsdp + ACPI_RSDP_XSDT, 8, at);
    for (unsigned i = 0; i < a->table_count; i++) {
        uint8_t *t = a->tables + a->table[i].at;
        t[ACPI_TABLE_SUM] = acpi_checksum(t, a->table[i].size);
    }
    a->rsdp[ACPI_RSDP_SUM] = acpi_checksum(a->rsdp, ACPI_RSDP_OLD_SIZE);
    a->rsdp[ACPI_RSDP_SUM_ALL] = acpi_checksum(a->rsdp, ACPI_RSDP_SIZE);
}
