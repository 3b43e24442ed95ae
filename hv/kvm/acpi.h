/*
 * ACPI tables: how a PC's firmware tells what it is made of.
 *
 *      RSDP ─> RSDT, XSDT ─┬─> FADT ─┬─> FACS
 *                          │         └─> DSDT    devices, and the way to switch off
 *                          └─> MADT              processors and interrupt controllers
 *
 * Described are: `cpus` local APICs with identifiers from 0 on; one IOAPIC at 0xfec00000 with
 * global interrupts from 0 on; COM1 (0x3f8, interrupt 4); the clock in the CMOS; and each
 * virtio-mmio device as LNRO0005 with a level-triggered interrupt. No PCI, no display, no keyboard,
 * no PM timer.
 *
 * What the machine has to do for that:
 *   - interrupt 0, the PIT's, arrives at input 2 of the IOAPIC (KVM_SET_GSI_ROUTING);
 *   - a write to the ports of the power management block and the reset register is understood as
 *     hv/kvm/dev/pm.c does: sleep type 0 (S5) with the enable bit is power-off.
 *
 * The tables refer to each other by address. They are built for address 0 with a list of what to
 * relocate; acpi_place() does that for a known address, and firmware can do it from the list.
 *
 * Source: ACPI Specification 6.3, chapters 5 (tables), 6 (_CRS), 20 (AML); LNRO0005 is Linux's,
 * drivers/virtio/virtio_mmio.c.
 */
#ifndef VITRINE_KVM_ACPI_H
#define VITRINE_KVM_ACPI_H

#include <stddef.h>

#include "hv/kvm/boot.h"

/* The interrupt controllers, and where interrupts arrive that are special. */
#define ACPI_LAPIC_BASE  0xfee00000u
#define ACPI_IOAPIC_BASE 0xfec00000u
enum { ACPI_SCI = 9, ACPI_PIT_INPUT = 2 };

enum { ACPI_TABLES_MAX = 12288, ACPI_LINKS = 16, ACPI_TABLES = 8, ACPI_RSDP_SIZE = 36 };
enum { ACPI_ALIGN = 64 }; /* of `tables`, because of the FACS; the RSDP's is 16 */
/* Offsets of addresses in the RSDP: of the RSDT (4 bytes) and of the XSDT (8). */
enum { ACPI_RSDP_RSDT = 16, ACPI_RSDP_XSDT = 24 };
/* Offsets of the RSDP's checksums, the first over 20 bytes, the second over all. */
enum { ACPI_RSDP_SUM = 8, ACPI_RSDP_SUM_ALL = 32, ACPI_RSDP_OLD_SIZE = 20 };
enum { ACPI_TABLE_SUM = 9 }; /* of a table's checksum */

struct acpi {
    uint8_t rsdp[ACPI_RSDP_SIZE];
    uint8_t tables[ACPI_TABLES_MAX];
    uint32_t size; /* of the tables, in use */
    struct acpi_link {
        uint32_t at;  /* offset in `tables` of an address in `tables` */
        uint8_t size; /* 4 or 8 bytes */
    } link[ACPI_LINKS];
    unsigned links;
    struct acpi_table {
        uint32_t at, size;
    } table[ACPI_TABLES]; /* those with a header, which have a checksum */
    unsigned table_count;
};

/* Of `config` only cpus and virtio are looked at, both within the limits of boot.h. */
void acpi_build(struct acpi *acpi, const struct kvm_boot_config *config);

/* Makes the tables fit for guest-physical address `at` (a multiple of ACPI_ALIGN, below 4 GiB) and
 * sets all checksums. Once. */
void acpi_place(struct acpi *acpi, uint32_t at);

/* The value that makes the bytes' sum 0, if the byte that takes it was 0. */
uint8_t acpi_checksum(const void *bytes, size_t count);

#endif
