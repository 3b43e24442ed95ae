/*
 * A guest that begins with firmware: a BIOS image at the top of the first 4 GiB, where the
 * processor takes its first instruction after reset, and its last 128 KiB once more below 1 MiB,
 * where it runs in real mode.
 *
 *      0x000e0000 .. 0x00100000    copy, in RAM: a BIOS writes to its variables there
 *      4 GiB - size .. 4 GiB       the image, read-only; first instruction at 0xfffffff0
 *
 * Source: Intel SDM volume 3, 9.1.4 (first instruction executed).
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRMWARE_MAX = 16 << 20, SHADOW = 128 << 10 };
#define RESET_VECTOR 0xfffffff0u

static int check_firmware(const struct boot *b, size_t count)
{
    if (count % (64 << 10))
        return boot_refuse(b, "a firmware image is a multiple of 64 KiB; this has %zu bytes",
                           count);
    return 0;
}

int boot_load_firmware(struct boot *b)
{
    struct kvm_boot_state *s = b->state;
    size_t count;
    uint8_t *rom = boot_read_file(b, FIRMWARE_MAX, &count);
    if (!rom)
        return -EINVAL;
    int error = check_firmware(b, count);
    if (error) {
        free(rom);
        return error;
    }
    size_t shadow = count < SHADOW ? count : SHADOW;
    boot_put(b, BOOT_MIB - shadow, rom + count - shadow, shadow);
    s->rom = rom;
    s->rom_size = (uint32_t)count;
    s->rom_base = KVM_HIGH_BASE - count;
    s->mode = KVM_BOOT_RESET;
    s->entry = RESET_VECTOR;
    s->regs = (struct kvm_regs){.rip = RESET_VECTOR & 0xffff, .rflags = 2};
    return 0;
}
