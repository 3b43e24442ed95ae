/*
 * Multiboot 1: the protocol of GRUB and of many a student's kernel. A header in the first 8 KiB of
 * the file says what the kernel wants; where its parts go is said by ELF or, if bit 16 of the flags
 * is set, by addresses in the header itself.
 *
 * There is no display here, so a kernel that insists on a video mode is refused, as the
 * specification asks.
 *
 * Source: Multiboot Specification 0.6.96, sections 3.1 to 3.3.
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <string.h>

#define HEADER_MAGIC 0x1badb002u
#define START_MAGIC  0x2badb002u

enum { SEARCH = 8192, ALIGN = 4 };
/* Flags of the header: bits 0 to 15 must be understood. */
enum { WANT_PAGES = 1 << 0, WANT_MEMORY = 1 << 1, WANT_VIDEO = 1 << 2, HAS_ADDRESSES = 1 << 16 };
enum { UNDERSTOOD = WANT_PAGES | WANT_MEMORY };
/* Flags of the information: which of its members are valid. */
enum {
    INFO_MEMORY = 1 << 0,
    INFO_ARGS = 1 << 2,
    INFO_MODULES = 1 << 3,
    INFO_MAP = 1 << 6,
    INFO_LOADER = 1 << 9
};

struct header {
    uint32_t magic, flags, checksum;
    uint32_t header_at, load_at, load_end, bss_end, entry; /* with HAS_ADDRESSES */
};

struct info {
    uint32_t flags;
    uint32_t lower, upper; /* KiB below 640 KiB, and from 1 MiB on */
    uint32_t boot_device, args;
    uint32_t modules, module_list;
    uint32_t symbols[4];
    uint32_t map_size, map;
    uint32_t drives_size, drives, config_table, loader, apm_table;
};

struct module {
    uint32_t start, end, name, reserved;
};

struct map_entry {
    uint32_t size; /* of what follows */
    uint64_t start, length;
    uint32_t type;
} __attribute__((packed));

/* At BOOT_INFO. */
struct info_page {
    struct info info;
    struct module module;
    char loader[16], module_name[64];
    struct map_entry map[BOOT_MAP_MAX];
};

/* ---- the header --------------------------------------------------------------------------- */

/* Where the header is; its first three words are in the file. */
static bool find_header(const struct boot *b, size_t *at, struct header *h)
{
    size_t end = b->count < SEARCH ? b->count : SEARCH;
    *h = (struct header){0};
    for (size_t i = 0; i + 12 <= end; i += ALIGN) {
        memcpy(h, b->bytes + i, 12);
        if (h->magic == HEADER_MAGIC && h->magic + h->flags + h->checksum == 0) {
            size_t left = b->count - i;
            memcpy(h, b->bytes + i, left < sizeof *h ? left : sizeof *h);
            *at = i;
            return true;
        }
    }
    return false;
}

bool boot_is_multiboot(const struct boot *b)
{
    struct header h;
    size_t at;
    return find_header(b, &at, &h);
}

static int check_header(const struct boot *b, const struct header *h, size_t at)
{
    if (h->flags & WANT_VIDEO)
        return boot_refuse(b, "its Multiboot header asks for a video mode; there is no display");
    if (h->flags & 0xffff & ~UNDERSTOOD)
        return boot_refuse(b, "its Multiboot header has flags 0x%x, of which 0x%x are not known",
                           h->flags, h->flags & 0xffff & ~UNDERSTOOD);
    if (h->flags & HAS_ADDRESSES && b->count - at < sizeof *h)
        return boot_refuse(b, "truncated: the Multiboot header lies beyond the end of the file");
    return 0;
}

/* ---- addresses in the header -------------------------------------------------------------- */

int boot_addresses_read(struct boot *b, const struct boot_addresses *a, struct boot_elf *e)
{
    uint64_t before = (uint64_t)a->header_at - a->load_at, size, end;
    if (a->load_at > a->header_at || before > a->found_at)
        return boot_refuse(b, "its Multiboot header is at 0x%x, but loading begins at 0x%x",
                           a->header_at, a->load_at);
    size_t offset = a->found_at - (size_t)before;
    size = a->load_end ? (uint64_t)a->load_end - a->load_at : b->count - offset;
    if (a->load_end && a->load_end < a->load_at)
        return boot_refuse(b, "its Multiboot header ends loading at 0x%x, before its start 0x%x",
                           a->load_end, a->load_at);
    if (size > b->count - offset)
        return boot_refuse(b, "truncated: its Multiboot header wants %llu bytes of %zu",
                           (unsigned long long)size, b->count - offset);
    end = a->load_at + size;
    end = a->bss_end > end ? a->bss_end : end;
    *e = (struct boot_elf){
        .count = 1,
        .segment = {{a->load_at, a->load_at, end - a->load_at, offset, size}},
    };
    b->state->low = a->load_at;
    b->state->high = end;
    return boot_claim(b, a->load_at, end - a->load_at, "the image");
}

/* ---- the information ---------------------------------------------------------------------- */

const char *boot_module_name(const struct boot *b)
{
    const char *slash = strrchr(b->config->initrd, '/');
    return slash ? slash + 1 : b->config->initrd;
}

static void add_module(const struct boot *b, struct info_page *page)
{
    if (!b->initrd.size)
        return;
    page->info.flags |= INFO_MODULES;
    page->info.modules = 1;
    page->info.module_list = BOOT_INFO + offsetof(struct info_page, module);
    page->module = (struct module){
        .start = (uint32_t)b->initrd.start,
        .end = (uint32_t)(b->initrd.start + b->initrd.size),
        .name = BOOT_INFO + offsetof(struct info_page, module_name),
    };
    strncpy(page->module_name, boot_module_name(b), sizeof page->module_name - 1);
}

static void put_info(const struct boot *b)
{
    struct boot_map_entry map[BOOT_MAP_MAX];
    unsigned count = boot_map(b->memory, map);
    struct info_page page = {
        .info =
            {
                .flags = INFO_MEMORY | INFO_ARGS | INFO_MAP | INFO_LOADER,
                .lower = BOOT_EBDA >> 10,
                .upper = (uint32_t)((b->memory->low - BOOT_MIB) >> 10),
                .args = BOOT_ARGS,
                .map = BOOT_INFO + offsetof(struct info_page, map),
                .map_size = count * (uint32_t)sizeof(struct map_entry),
                .loader = BOOT_INFO + offsetof(struct info_page, loader),
            },
        .loader = "Vitrine",
    };
    add_module(b, &page);
    for (unsigned i = 0; i < count; i++)
        page.map[i] = (struct map_entry){sizeof(struct map_entry) - 4, map[i].start, map[i].size,
                                         map[i].type};
    boot_put(b, BOOT_INFO, &page, sizeof page);
    boot_put(b, BOOT_ARGS, b->args, strlen(b->args) + 1);
}

/* ---- loading ------------------------------------------------------------------------------ */

/* The segments, from the header's addresses or from ELF, and the entry. */
static int read_kernel(struct boot *b, const struct header *h, size_t at, struct boot_elf *e,
                       uint64_t *entry)
{
    struct boot_addresses a = {at, h->header_at, h->load_at, h->load_end, h->bss_end};
    bool own = h->flags & HAS_ADDRESSES;
    if (!own && !boot_is_elf(b))
        return boot_refuse(b, "neither ELF nor a Multiboot header with addresses");
    int error = own ? boot_addresses_read(b, &a, e) : boot_elf_read(b, e);
    if (error)
        return error;
    if (!boot_elf_entry(e, own ? h->entry : e->entry, entry) || *entry >> 32)
        return boot_refuse(b, "the entry 0x%llx is in no segment below 4 GiB",
                           (unsigned long long)(own ? h->entry : e->entry));
    return 0;
}

int boot_load_multiboot(struct boot *b)
{
    struct header h;
    struct boot_elf elf;
    size_t at;
    uint64_t entry;
    if (!find_header(b, &at, &h))
        return boot_refuse(b, "no Multiboot header in the first 8 KiB");
    int error = check_header(b, &h, at);
    error = error ? error : boot_claim_low(b);
    error = error ? error : read_kernel(b, &h, at, &elf, &entry);
    error = error ? error : boot_initrd(b, b->state->high, 0);
    error = error ? error : boot_args(b, false, KVM_BOOT_ARGS_MAX);
    if (error)
        return error;
    boot_elf_write(b, &elf);
    boot_start(b, KVM_BOOT_PROTECTED, entry);
    put_info(b);
    b->state->regs.rax = START_MAGIC;
    b->state->regs.rbx = BOOT_INFO;
    return 0;
}
