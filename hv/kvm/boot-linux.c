/*
 * Linux's own boot protocol: a bzImage, or the zero page alone for others that want it.
 *
 * A bzImage is the code for a BIOS (not used here, but for the setup header in it) followed by the
 * kernel proper, which this loader puts where the header asks for it and enters 0x200 bytes in, in
 * long mode, or at its beginning in protected mode if the kernel has no 64-bit entry.
 *
 * Source: Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header", "64-bit Boot Protocol")
 * and zero-page.rst of the Linux kernel; the structures are in <asm/bootparam.h>.
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <stdio.h>
#include <string.h>

#include <asm/bootparam.h>

enum {
    HEADER_AT = 0x1f1,         /* in the file and in the zero page */
    HEADER_MAGIC = 0x53726448, /* "HdrS" */
    BOOT_FLAG = 0xaa55,
    ENTRY_64 = 0x200,        /* behind the 32-bit entry */
    LOADER_UNDEFINED = 0xff, /* type_of_loader: none with a number */
    VIDEO_NORMAL = 0xffff,
    KERNEL_AT = 0x100000, /* where kernels before relocatable ones are */
};

/* What older headers do not say. Documentation/arch/x86/boot.rst, "Details of Header Fields" */
enum { ARGS_MAX_OLD = 255, PROTOCOL_MIN = 0x0206, SETUP_SECTORS_OLD = 4 };
#define INITRD_MAX_OLD 0x37ffffffu

/* ---- the zero page ------------------------------------------------------------------------ */

void boot_put_zero_page(const struct boot *b, const struct setup_header *header)
{
    struct boot_params page = {.acpi_rsdp_addr = BOOT_ACPI};
    struct boot_map_entry map[BOOT_MAP_MAX];
    if (header)
        page.hdr = *header;
    page.hdr.boot_flag = BOOT_FLAG;
    page.hdr.header = HEADER_MAGIC;
    page.hdr.type_of_loader = LOADER_UNDEFINED;
    page.hdr.vid_mode = VIDEO_NORMAL;
    page.hdr.cmd_line_ptr = BOOT_ARGS;
    page.hdr.ramdisk_image = (uint32_t)b->initrd.start;
    page.hdr.ramdisk_size = (uint32_t)b->initrd.size;
    page.e820_entries = (uint8_t)boot_map(b->memory, map);
    for (unsigned i = 0; i < page.e820_entries; i++)
        page.e820_table[i] = (struct boot_e820_entry){map[i].start, map[i].size, map[i].type};
    boot_put(b, BOOT_ZERO_PAGE, &page, sizeof page);
    boot_put(b, BOOT_ARGS, b->args, strlen(b->args) + 1);
}

/* ---- the setup header --------------------------------------------------------------------- */

/* The header and where the kernel proper is in the file. */
struct bzimage {
    struct setup_header header;
    size_t kernel_at;
    uint64_t load_at, size; /* in memory, with what it needs to unpack itself */
    size_t args_max;
    bool is_64;
};

bool boot_is_bzimage(const struct boot *b)
{
    uint32_t magic = 0;
    if (b->count >= HEADER_AT + sizeof(struct setup_header))
        memcpy(&magic, b->bytes + HEADER_AT + offsetof(struct setup_header, header), sizeof magic);
    return magic == HEADER_MAGIC;
}

/* The header ends where its jump at 0x200 goes to; what follows in the file is code. */
static void copy_header(const struct boot *b, struct setup_header *h)
{
    size_t end = 0x202 + b->bytes[0x201], size = end - HEADER_AT;
    *h = (struct setup_header){0};
    memcpy(h, b->bytes + HEADER_AT, size < sizeof *h ? size : sizeof *h);
}

static int check_header(const struct boot *b, struct bzimage *z)
{
    const struct setup_header *h = &z->header;
    if (h->boot_flag != BOOT_FLAG)
        return boot_refuse(b, "damaged Linux header: no 55 aa at the end of its first sector");
    if (h->version < PROTOCOL_MIN)
        return boot_refuse(b, "boot protocol %u.%02u; Linux 2.6.22 (2.06) or newer is needed",
                           h->version >> 8, h->version & 0xff);
    if (!(h->loadflags & LOADED_HIGH))
        return boot_refuse(b, "a zImage, which is loaded below 1 MiB; a bzImage is needed");
    z->kernel_at = ((h->setup_sects ? h->setup_sects : SETUP_SECTORS_OLD) + 1u) * 512;
    if (z->kernel_at >= b->count || b->count - z->kernel_at <= ENTRY_64)
        return boot_refuse(b, "truncated: a kernel of %zu bytes ends before byte %zu", b->count,
                           z->kernel_at);
    /* In paragraphs of 16 bytes; the tail may be signatures. */
    if ((uint64_t)h->syssize * 16 > b->count - z->kernel_at + 15)
        return boot_refuse(b, "truncated: the kernel has %llu bytes, the file only %zu of them",
                           (unsigned long long)h->syssize * 16, b->count - z->kernel_at);
    z->args_max = h->cmdline_size ? h->cmdline_size : ARGS_MAX_OLD;
    z->is_64 = h->version >= 0x020c && h->xloadflags & XLF_KERNEL_64;
    return 0;
}

/* ---- places ------------------------------------------------------------------------------- */

/* Where the kernel prefers to run (protocol 2.10), if there is memory; else, if it can be moved,
 * the lowest address that it accepts. */
static int place_kernel(struct boot *b, struct bzimage *z)
{
    const struct setup_header *h = &z->header;
    uint64_t file = b->count - z->kernel_at;
    bool has_size = h->version >= 0x020a;
    z->size = has_size && h->init_size > file ? h->init_size : file;
    z->load_at = has_size ? h->pref_address : KERNEL_AT;
    bool fits = z->load_at >> 32 == 0 && kvm_memory_at(b->memory, z->load_at, z->size);
    if (!fits && h->relocatable_kernel) {
        uint64_t align = h->kernel_alignment ? h->kernel_alignment : 1;
        z->load_at = (KERNEL_AT + align - 1) / align * align;
    }
    if (z->load_at < KERNEL_AT || z->load_at >> 32)
        return boot_refuse(b, "damaged Linux header: wants to be loaded at 0x%llx",
                           (unsigned long long)z->load_at);
    return boot_claim(b, z->load_at, z->size, "the kernel");
}

static void start_kernel(struct boot *b, struct bzimage *z)
{
    struct kvm_boot_state *s = b->state;
    z->header.code32_start = (uint32_t)z->load_at;
    boot_put(b, z->load_at, b->bytes + z->kernel_at, b->count - z->kernel_at);
    boot_put_zero_page(b, &z->header);
    boot_start(b, z->is_64 ? KVM_BOOT_LONG : KVM_BOOT_PROTECTED,
               z->load_at + (z->is_64 ? ENTRY_64 : 0));
    s->regs.rsi = BOOT_ZERO_PAGE;
    s->low = z->load_at;
    s->high = z->load_at + z->size;
}

int boot_load_bzimage(struct boot *b)
{
    struct bzimage z = {0};
    if (!boot_is_bzimage(b))
        return boot_refuse(b, "not a Linux bzImage: no \"HdrS\" at 0x202");
    copy_header(b, &z.header);
    int error = check_header(b, &z);
    error = error ? error : boot_claim_low(b);
    error = error ? error : place_kernel(b, &z);
    uint64_t last = z.header.initrd_addr_max ? z.header.initrd_addr_max : INITRD_MAX_OLD;
    error = error ? error : boot_initrd(b, 0, last + 1);
    error = error ? error : boot_args(b, true, z.args_max);
    if (!error)
        start_kernel(b, &z);
    return error;
}
