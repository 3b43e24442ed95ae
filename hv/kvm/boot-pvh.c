/*
 * PVH: the entry that Xen gave ELF kernels, and which monitors without Xen use as well. The kernel
 * says in a note where its 32-bit entry is, and finds all else in struct hvm_start_info.
 *
 * Of the guests here the other flat ones (elf32, elf64, flat32, flat64) get the same structure.
 *
 * Source: Xen, docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h (version 1).
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <string.h>

#define START_MAGIC 0x336ec578u

struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, args, rsdp, map;
    uint32_t map_entries, reserved;
};

struct start_module {
    uint64_t address, size, args, reserved;
};

struct start_map_entry {
    uint64_t address, size;
    uint32_t type, reserved;
};

/* At BOOT_INFO, one behind the other. */
struct start_page {
    struct start_info info;
    struct start_module module;
    struct start_map_entry map[BOOT_MAP_MAX];
};

static void put_start_info(const struct boot *b)
{
    struct boot_map_entry map[BOOT_MAP_MAX];
    struct start_page page = {
        .info =
            {
                .magic = START_MAGIC,
                .version = 1,
                .modules = b->initrd.size != 0,
                .args = BOOT_ARGS,
                .rsdp = BOOT_ACPI,
                .map = BOOT_INFO + offsetof(struct start_page, map),
            },
        .module = {.address = b->initrd.start, .size = b->initrd.size},
    };
    if (b->initrd.size)
        page.info.module_list = BOOT_INFO + offsetof(struct start_page, module);
    page.info.map_entries = boot_map(b->memory, map);
    for (unsigned i = 0; i < page.info.map_entries; i++)
        page.map[i] = (struct start_map_entry){map[i].start, map[i].size, map[i].type, 0};
    boot_put(b, BOOT_INFO, &page, sizeof page);
}

int boot_start_info(struct boot *b, enum kvm_boot_mode mode, uint64_t entry)
{
    struct kvm_regs *r = &b->state->regs;
    int error = boot_args(b, true, KVM_BOOT_ARGS_MAX);
    if (error)
        return error;
    boot_start(b, mode, entry);
    boot_put_zero_page(b, NULL);
    put_start_info(b);
    if (mode == KVM_BOOT_LONG) {
        r->rdi = BOOT_INFO;
        r->rsi = BOOT_ZERO_PAGE;
    } else {
        r->rbx = BOOT_INFO;
    }
    return 0;
}

/* ---- kernels with the note ---------------------------------------------------------------- */

bool boot_is_pvh(const struct boot *b)
{
    uint64_t entry;
    return boot_elf_pvh_entry(b, &entry);
}

int boot_load_pvh(struct boot *b)
{
    struct boot_elf elf;
    uint64_t entry;
    int error = boot_claim_low(b);
    error = error ? error : boot_elf_read(b, &elf);
    if (error)
        return error;
    if (!boot_elf_pvh_entry(b, &entry))
        return boot_refuse(b, "no PVH entry: the ELF note PHYS32_ENTRY is missing");
    if (entry >> 32 || !boot_elf_physical(&elf, entry))
        return boot_refuse(b, "the PVH entry 0x%llx is in no segment below 4 GiB",
                           (unsigned long long)entry);
    error = boot_initrd(b, 0, 0);
    if (error)
        return error;
    boot_elf_write(b, &elf);
    return boot_start_info(b, KVM_BOOT_PROTECTED, entry);
}
