/*
 * The memory map of a PC without firmware: what INT 15h, AX=E820h would say.
 *
 * Below 640 KiB is RAM but for the last kilobyte, which BIOSes keep for themselves; then come the
 * display and ROMs, where only the ACPI tables are announced; then RAM up to the hole for devices,
 * and the rest from 4 GiB on.
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

unsigned boot_map(const struct kvm_memory *m, struct boot_map_entry map[BOOT_MAP_MAX])
{
    unsigned n = 0;
    map[n++] = (struct boot_map_entry){0, BOOT_EBDA, BOOT_RAM};
    map[n++] = (struct boot_map_entry){BOOT_EBDA, 0xa0000 - BOOT_EBDA, BOOT_RESERVED};
    map[n++] = (struct boot_map_entry){BOOT_ACPI, BOOT_MIB - BOOT_ACPI, BOOT_RESERVED};
    if (m->low > BOOT_MIB)
        map[n++] = (struct boot_map_entry){BOOT_MIB, m->low - BOOT_MIB, BOOT_RAM};
    if (m->size > m->low)
        map[n++] = (struct boot_map_entry){KVM_HIGH_BASE, m->size - m->low, BOOT_RAM};
    return n;
}
