/*
 * Multiboot 2: a header made of tags in the first 32 KiB of the file, and information made of tags
 * for the kernel. A tag of the header that is not marked optional must be understood and granted.
 *
 * Granted are: requests for the information below, load addresses, the entry, a console (the debug
 * or serial port stands for one), and modules aligned to pages. What concerns EFI, which is not
 * here, is without meaning; a frame buffer or moving the kernel is refused.
 *
 * Source: Multiboot2 Specification version 2.0, sections 3.1 and 3.2 (header), 3.3 (state), 3.6
 * (information).
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <assert.h>
#include <string.h>

#include "hv/kvm/acpi.h"

#define HEADER_MAGIC 0xe85250d6u
#define START_MAGIC  0x36d76289u

enum { SEARCH = 32768, ALIGN = 8, ARCHITECTURE_I386 = 0 };
/* Tags of the header */
enum {
    WANT_END,
    WANT_INFO,
    WANT_ADDRESSES,
    WANT_ENTRY,
    WANT_CONSOLE,
    WANT_FRAMEBUFFER,
    WANT_MODULE_PAGES,
    WANT_EFI,
    WANT_EFI_I386,
    WANT_EFI_AMD64,
    WANT_RELOCATION
};
enum { TAG_OPTIONAL = 1 };
/* As address to load at (3.1.6): the file is loaded from its first byte on, and where that goes
 * follows from the header's address. */
#define FROM_THE_BEGINNING 0xffffffffu
/* Tags of the information */
enum {
    INFO_END = 0,
    INFO_ARGS = 1,
    INFO_LOADER = 2,
    INFO_MODULE = 3,
    INFO_MEMORY = 4,
    INFO_MAP = 6,
    INFO_RSDP_OLD = 14,
    INFO_RSDP = 15
};

struct header {
    uint32_t magic, architecture, length, checksum;
};

struct tag {
    uint16_t type, flags;
    uint32_t size; /* with this head; the next is at a multiple of 8 */
};

/* What the tags of the header amount to. */
struct wishes {
    bool has_addresses, has_entry;
    struct boot_addresses addresses;
    uint32_t entry;
};

/* ---- the header --------------------------------------------------------------------------- */

static bool find_header(const struct boot *b, size_t *at, struct header *h)
{
    size_t end = b->count < SEARCH ? b->count : SEARCH;
    for (size_t i = 0; i + sizeof *h <= end; i += ALIGN) {
        memcpy(h, b->bytes + i, sizeof *h);
        if (h->magic == HEADER_MAGIC && h->magic + h->architecture + h->length + h->checksum == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

bool boot_is_multiboot2(const struct boot *b)
{
    struct header h;
    size_t at;
    return find_header(b, &at, &h);
}

static bool can_tell(uint32_t info)
{
    static const uint8_t told[] = {INFO_ARGS, INFO_LOADER,   INFO_MODULE, INFO_MEMORY,
                                   INFO_MAP,  INFO_RSDP_OLD, INFO_RSDP};
    return memchr(told, (int)info, sizeof told) && info < 256;
}

static int check_requests(const struct boot *b, const struct tag *t, const uint8_t *body)
{
    uint32_t info;
    for (size_t i = 0; i + sizeof info <= t->size - sizeof *t; i += sizeof info) {
        memcpy(&info, body + i, sizeof info);
        if (!can_tell(info) && !(t->flags & TAG_OPTIONAL))
            return boot_refuse(b,
                               "its Multiboot 2 header requests information %u, which is not "
                               "there",
                               info);
    }
    return 0;
}

/* One tag; `body` has t->size - 8 bytes. */
static int grant(const struct boot *b, const struct tag *t, const uint8_t *body, struct wishes *w)
{
    size_t size = t->size - sizeof *t, found_at = w->addresses.found_at;
    uint32_t word[4] = {0};
    memcpy(word, body, size < sizeof word ? size : sizeof word);
    switch (t->type) {
    case WANT_INFO: return check_requests(b, t, body);
    case WANT_ADDRESSES:
        w->has_addresses = true;
        w->addresses = (struct boot_addresses){found_at, word[0], word[1], word[2], word[3]};
        if (word[1] == FROM_THE_BEGINNING)
            w->addresses.load_at = word[0] - (uint32_t)found_at;
        return 0;
    case WANT_ENTRY:
        w->has_entry = true;
        w->entry = word[0];
        return 0;
    case WANT_CONSOLE:
    case WANT_MODULE_PAGES:
    case WANT_EFI:
    case WANT_EFI_I386:
    case WANT_EFI_AMD64: return 0;
    }
    if (t->flags & TAG_OPTIONAL)
        return 0;
    if (t->type == WANT_FRAMEBUFFER)
        return boot_refuse(b, "its Multiboot 2 header insists on a frame buffer; there is none");
    return boot_refuse(b, "its Multiboot 2 header insists on tag %u, which is not known", t->type);
}

static int read_header(const struct boot *b, size_t at, const struct header *h, struct wishes *w)
{
    if (h->architecture != ARCHITECTURE_I386)
        return boot_refuse(b, "a Multiboot 2 kernel for architecture %u, not x86", h->architecture);
    if (h->length > b->count - at)
        return boot_refuse(b, "truncated: the Multiboot 2 header lies beyond the end of the file");
    w->addresses.found_at = at;
    size_t i = sizeof *h;
    while (i + sizeof(struct tag) <= h->length) {
        struct tag t;
        memcpy(&t, b->bytes + at + i, sizeof t);
        if (t.type == WANT_END)
            return 0;
        if (t.size < sizeof t || t.size > h->length - i)
            return boot_refuse(b, "damaged Multiboot 2 header: tag %u has %u bytes", t.type,
                               t.size);
        int error = grant(b, &t, b->bytes + at + i + sizeof t, w);
        if (error)
            return error;
        i += ((size_t)t.size + ALIGN - 1) / ALIGN * ALIGN;
    }
    return 0; /* without an end: the header's length is one */
}

/* ---- the information ---------------------------------------------------------------------- */

/* Grows in BOOT_INFO_SIZE bytes, which hold the longest command line and all else. */
struct info {
    uint8_t bytes[BOOT_INFO_SIZE];
    uint32_t used;
};

static void add_bytes(struct info *i, const void *bytes, size_t count)
{
    assert(count <= sizeof i->bytes - i->used);
    if (count)
        memcpy(i->bytes + i->used, bytes, count);
    i->used += (uint32_t)count;
}

/* A tag of up to two parts. */
static void add_tag(struct info *i, uint32_t type, const void *first, size_t first_count,
                    const void *second, size_t second_count)
{
    uint32_t head[2] = {type, (uint32_t)(sizeof head + first_count + second_count)};
    add_bytes(i, head, sizeof head);
    add_bytes(i, first, first_count);
    add_bytes(i, second, second_count);
    i->used = (i->used + ALIGN - 1) / ALIGN * ALIGN;
}

static void add_map(const struct boot *b, struct info *i)
{
    struct boot_map_entry map[BOOT_MAP_MAX];
    struct {
        uint64_t start, size;
        uint32_t type, reserved;
    } entry[BOOT_MAP_MAX];
    unsigned count = boot_map(b->memory, map);
    for (unsigned n = 0; n < count; n++) {
        entry[n].start = map[n].start;
        entry[n].size = map[n].size;
        entry[n].type = map[n].type;
        entry[n].reserved = 0;
    }
    uint32_t head[2] = {sizeof entry[0], 0}; /* size and version of an entry */
    add_tag(i, INFO_MAP, head, sizeof head, entry, count * sizeof entry[0]);
}

static void put_info(const struct boot *b)
{
    struct info i = {.used = 8};
    const uint8_t *rsdp = kvm_memory_at(b->memory, BOOT_ACPI, ACPI_RSDP_SIZE);
    uint32_t memory[2] = {BOOT_EBDA >> 10, (uint32_t)((b->memory->low - BOOT_MIB) >> 10)};
    uint32_t module[2] = {(uint32_t)b->initrd.start, (uint32_t)(b->initrd.start + b->initrd.size)};
    add_tag(&i, INFO_ARGS, b->args, strlen(b->args) + 1, NULL, 0);
    add_tag(&i, INFO_LOADER, "Vitrine", sizeof "Vitrine", NULL, 0);
    add_tag(&i, INFO_MEMORY, memory, sizeof memory, NULL, 0);
    add_map(b, &i);
    add_tag(&i, INFO_RSDP_OLD, rsdp, ACPI_RSDP_OLD_SIZE, NULL, 0);
    add_tag(&i, INFO_RSDP, rsdp, ACPI_RSDP_SIZE, NULL, 0);
    if (b->initrd.size) {
        const char *name = boot_module_name(b);
        add_tag(&i, INFO_MODULE, module, sizeof module, name, strnlen(name, 255) + 1);
    }
    add_tag(&i, INFO_END, NULL, 0, NULL, 0);
    uint32_t total[2] = {i.used, 0};
    memcpy(i.bytes, total, sizeof total);
    boot_put(b, BOOT_INFO, i.bytes, i.used);
}

/* ---- loading ------------------------------------------------------------------------------ */

static int read_kernel(struct boot *b, const struct wishes *w, struct boot_elf *e, uint64_t *entry)
{
    if (!w->has_addresses && !boot_is_elf(b))
        return boot_refuse(b, "neither ELF nor a Multiboot 2 header with addresses");
    if (w->has_addresses && !w->has_entry)
        return boot_refuse(b, "its Multiboot 2 header has addresses, but no entry");
    int error = w->has_addresses ? boot_addresses_read(b, &w->addresses, e) : boot_elf_read(b, e);
    if (error)
        return error;
    uint64_t wanted = w->has_entry ? w->entry : e->entry;
    if (!boot_elf_entry(e, wanted, entry) || *entry >> 32)
        return boot_refuse(b, "the entry 0x%llx is in no segment below 4 GiB",
                           (unsigned long long)wanted);
    return 0;
}

int boot_load_multiboot2(struct boot *b)
{
    struct header h;
    struct wishes w = {0};
    struct boot_elf elf;
    size_t at;
    uint64_t entry;
    if (!find_header(b, &at, &h))
        return boot_refuse(b, "no Multiboot 2 header in the first 32 KiB");
    int error = read_header(b, at, &h, &w);
    error = error ? error : boot_claim_low(b);
    error = error ? error : read_kernel(b, &w, &elf, &entry);
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
