/* Building the MultiProcessor tables. See mptable.h. */
#include "config.h"

#include "hv/kvm/mptable.h"

#include <assert.h>
#include <string.h>

#include "hv/kvm/acpi.h"

enum { REVISION = 4 }; /* of the specification: 1.4 */
enum { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum { ISA_BUS = 0, ISA_INTERRUPTS = 16, IOAPIC_INPUTS = 24, PIT = 0 };
enum { AS_THE_BUS = 0, LEVEL_HIGH = 0xd }; /* polarity in bits 1:0, trigger in 3:2 */
enum { INT, NMI, EXTINT = 3 };
enum { ALL_LAPICS = 0xff };

/* Offsets in the header (table 4-2), which is 44 bytes. */
enum { HEADER = 44, LENGTH = 4, SUM = 7, ENTRIES = 34 };

static void add_bytes(struct mptable *mp, const void *bytes, size_t count)
{
    assert(count <= sizeof mp->table - mp->size);
    memcpy(mp->table + mp->size, bytes, count);
    mp->size += (uint32_t)count;
}

/* One of the entries, which the header counts. */
static void add_entry(struct mptable *mp, const void *bytes, size_t count)
{
    add_bytes(mp, bytes, count);
    mp->entries++;
}

/* 4.2. Length, checksum and the number of entries follow when they are known. */
static void add_header(struct mptable *mp)
{
    uint32_t lapic = ACPI_LAPIC_BASE;
    uint8_t header[HEADER] = {[6] = REVISION};
    memcpy(header, "PCMP", 4);
    memcpy(header + 8, "VITRINE VITRINE     ", 20); /* who, and what */
    memcpy(header + 36, &lapic, 4);
    add_bytes(mp, header, sizeof header);
}

/* 4.3.1. What the processor can do says CPUID better. */
static void add_cpu(struct mptable *mp, unsigned id)
{
    enum { ENABLED = 1, BOOTS = 2, LAPIC_VERSION = 0x14, FAMILY_6 = 0x600, FPU_AND_APIC = 0x201 };
    uint32_t signature = FAMILY_6, features = FPU_AND_APIC;
    uint8_t entry[20] = {ENTRY_CPU, (uint8_t)id, LAPIC_VERSION, id ? ENABLED : ENABLED | BOOTS};
    memcpy(entry + 4, &signature, 4);
    memcpy(entry + 8, &features, 4);
    add_entry(mp, entry, sizeof entry);
}

/* 4.3.2, 4.3.3 */
static void add_bus_and_ioapic(struct mptable *mp, unsigned ioapic)
{
    enum { ENABLED = 1, IOAPIC_VERSION = 0x11 };
    uint32_t base = ACPI_IOAPIC_BASE;
    uint8_t entry[8] = {ENTRY_IOAPIC, (uint8_t)ioapic, IOAPIC_VERSION, ENABLED};
    memcpy(entry + 4, &base, 4);
    add_entry(mp, (const uint8_t[8]){ENTRY_BUS, ISA_BUS, 'I', 'S', 'A', ' ', ' ', ' '}, 8);
    add_entry(mp, entry, sizeof entry);
}

/* 4.3.4, 4.3.5: both kinds have the same form. */
static void add_interrupt(struct mptable *mp, uint8_t kind, uint8_t type, uint8_t flags,
                          uint8_t source, uint8_t apic, uint8_t input)
{
    const uint8_t entry[8] = {kind, type, flags, 0, ISA_BUS, source, apic, input};
    add_entry(mp, entry, sizeof entry);
}

static bool is_virtio(const struct kvm_boot_config *c, unsigned interrupt)
{
    for (unsigned i = 0; i < c->virtio_count; i++)
        if (c->virtio[i].irq == (int)interrupt)
            return true;
    return false;
}

/* Those of the ISA bus arrive at the input of their number but for the PIT's (acpi.h); 2 is where
 * the second 8259 is connected, and no device. Virtio's stay up until they are served. */
static void add_interrupts(struct mptable *mp, const struct kvm_boot_config *c, uint8_t ioapic)
{
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        bool level = is_virtio(c, i) || i == ACPI_SCI;
        if (level || (i < ISA_INTERRUPTS && i != ACPI_PIT_INPUT))
            add_interrupt(mp, ENTRY_INTERRUPT, INT, level ? LEVEL_HIGH : AS_THE_BUS, (uint8_t)i,
                          ioapic, i == PIT ? ACPI_PIT_INPUT : (uint8_t)i);
    }
    add_interrupt(mp, ENTRY_LOCAL, EXTINT, AS_THE_BUS, 0, 0, 0); /* the 8259s: LINT0 of the first */
    add_interrupt(mp, ENTRY_LOCAL, NMI, AS_THE_BUS, 0, ALL_LAPICS, 1);
}

/* 4.1. No default configuration (feature byte 1), no IMCR (bit 7 of byte 2). */
static void fill_pointer(struct mptable *mp, uint32_t at)
{
    enum { PARAGRAPHS = 1, POINTER_SUM = 10 };
    memcpy(mp->pointer, "_MP_", 4);
    memcpy(mp->pointer + 4, &at, 4);
    mp->pointer[8] = PARAGRAPHS;
    mp->pointer[9] = REVISION;
    mp->pointer[POINTER_SUM] = acpi_checksum(mp->pointer, sizeof mp->pointer);
}

void mptable_build(struct mptable *mp, uint32_t at, const struct kvm_boot_config *c)
{
    unsigned cpus = c->cpus ? c->cpus : 1;
    *mp = (struct mptable){0};
    add_header(mp);
    for (unsigned i = 0; i < cpus; i++)
        add_cpu(mp, i);
    add_bus_and_ioapic(mp, cpus); /* the first identifier that no processor has */
    add_interrupts(mp, c, (uint8_t)cpus);
    memcpy(mp->table + LENGTH, &mp->size, 2);
    memcpy(mp->table + ENTRIES, &mp->entries, 2);
    mp->table[SUM] = acpi_checksum(mp->table, mp->size);
    fill_pointer(mp, at);
}
