/*
 * Files without a format: flat images in the three widths, and boot sectors.
 *
 * In real mode the interrupt vectors would be the BIOS's. Without one they all lead to a few
 * instructions that say so on the debug console and end the run, instead of into zeros.
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <errno.h>
#include <string.h>

enum { SECTOR = 512, SECTOR_FILE_MAX = 64 << 10, VECTORS = 256 };
enum { FIRST_DISK = 0x80 }; /* dl, as a BIOS passes it */
#define STUB 0xfff00u       /* f000:ff00 */

/* ---- real mode ---------------------------------------------------------------------------- */

/* cs mov al,[si] / out dx,al over the text, then out to the exit port. */
static const uint8_t stub[] = {
    0xbe, 0x20, 0xff, /* mov si, 0xff20   the text, 0x20 bytes on */
    0xba, 0x02, 0x04, /* mov dx, 0x402    the debug console */
    0x2e, 0xac,       /* cs lodsb */
    0xee,             /* out dx, al */
    0x84, 0xc0,       /* test al, al */
    0x75, 0xf9,       /* jnz cs lodsb */
    0xba, 0x01, 0x05, /* mov dx, 0x501    the exit port */
    0xb0, 0xff,       /* mov al, 0xff */
    0xee,             /* out dx, al */
    0xf4,             /* hlt */
    0xeb, 0xfd,       /* jmp hlt */
};
static const char stub_text[] = "interrupt without a BIOS to serve it\n";

static int claim_bios(struct boot *b)
{
    int error = boot_claim(b, 0, BOOT_GDT, "the interrupt vectors");
    return error ? error : boot_claim(b, STUB, BOOT_MIB - STUB, "the place of the BIOS");
}

static void put_bios(const struct boot *b)
{
    uint32_t vector[VECTORS];
    for (unsigned i = 0; i < VECTORS; i++)
        vector[i] = 0xf000u << 16 | (STUB & 0xffff);
    boot_put(b, 0, vector, sizeof vector);
    boot_put(b, STUB, stub, sizeof stub);
    boot_put(b, STUB + 0x20, stub_text, sizeof stub_text);
}

static int start_real(struct boot *b, size_t count)
{
    int error = claim_bios(b);
    error = error ? error : boot_claim(b, BOOT_SECTOR, count, "the image");
    if (error)
        return error;
    put_bios(b);
    boot_put(b, BOOT_SECTOR, b->bytes, count);
    b->state->low = BOOT_SECTOR;
    b->state->high = BOOT_SECTOR + count;
    boot_start(b, KVM_BOOT_REAL, BOOT_SECTOR);
    b->state->regs.rdx = FIRST_DISK;
    b->state->regs.rsp = BOOT_SECTOR; /* it grows down to the vectors */
    return 0;
}

bool boot_is_sector(const struct boot *b)
{
    return b->count >= SECTOR && b->bytes[SECTOR - 2] == 0x55 && b->bytes[SECTOR - 1] == 0xaa;
}

int boot_load_sector(struct boot *b)
{
    if (!boot_is_sector(b))
        return boot_refuse(b, "not a boot sector: no 55 aa at the end of the first 512 bytes");
    if (b->count > SECTOR_FILE_MAX)
        return boot_refuse(b, "a disk image of %zu KiB; to boot from it takes firmware",
                           b->count >> 10);
    return start_real(b, SECTOR);
}

int boot_load_disk(struct boot *b)
{
    uint8_t sector[SECTOR];
    struct disk *disk = b->config->disk_image;
    int unread = disk ? disk_read(disk, 0, sector, sizeof sector) : 0;
    if (unread)
        return boot_refuse(b, "%s", strerror(-unread));
    if (!disk && !boot_read_start(b, sector, sizeof sector))
        return -EINVAL;
    b->bytes = sector;
    b->count = sizeof sector;
    int error = boot_load_sector(b);
    b->bytes = NULL;
    return error;
}

int boot_load_flat16(struct boot *b)
{
    if (b->count > BOOT_EBDA - BOOT_SECTOR)
        return boot_refuse(b, "%zu bytes from 0x7c00 on do not fit below 0x%x", b->count,
                           BOOT_EBDA);
    return start_real(b, b->count);
}

/* ---- 32 and 64 bits ----------------------------------------------------------------------- */

static int start_flat(struct boot *b, enum kvm_boot_mode mode)
{
    int error = boot_claim_low(b);
    error = error ? error : boot_claim(b, BOOT_MIB, b->count, "the image");
    error = error ? error : boot_initrd(b, 0, 0);
    if (error)
        return error;
    boot_put(b, BOOT_MIB, b->bytes, b->count);
    b->state->low = BOOT_MIB;
    b->state->high = BOOT_MIB + b->count;
    return boot_start_info(b, mode, BOOT_MIB);
}

int boot_load_flat32(struct boot *b)
{
    return start_flat(b, KVM_BOOT_PROTECTED);
}

int boot_load_flat64(struct boot *b)
{
    return start_flat(b, KVM_BOOT_LONG);
}
