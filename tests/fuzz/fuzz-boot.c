/*
 * Fuzzes the loaders of x86 guests: bzImage, ELF with and without notes, Multiboot, flat images.
 *
 * What is accepted must be sound: the entry and the image in memory, a state that is complete.
 * Sources: hv/kvm/memory.c hv/kvm/boot*.c hv/kvm/acpi.c hv/kvm/dev/fwcfg.c tests/x86-sample.c
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/kvm/boot.h"
#include "tests/x86-sample.h"

enum { MEMORY = 24 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

static void require(bool sound)
{
    if (!sound)
        abort();
}

/* A file in memory, by a path of its own. */
static int make_file(const uint8_t *bytes, size_t count, char path[32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, bytes, count) == (ssize_t)count);
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

static void check(const struct kvm_memory *memory, const struct kvm_boot_state *s)
{
    struct kvm_sregs sregs = {0};
    require(s->format_name && kvm_memory_at(memory, s->low, s->high - s->low));
    require(s->high > s->low && s->entry >= s->low && s->entry < s->high);
    require(s->regs.rip == s->entry && s->regs.rflags == 2 && s->mode != KVM_BOOT_RESET && !s->rom);
    kvm_boot_sregs(s, &sregs);
    require(sregs.cs.present);
}

/* The first byte chooses a format, or lets it be found out, and whether there is an initrd. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct kvm_memory memory;
    static const struct kvm_boot_device device = {0xd0000000u, 4096, 5};
    struct kvm_boot_state state;
    char path[32], initrd[32], why[KVM_BOOT_WHY] = "";
    if (!memory.host)
        require(kvm_memory_init(&memory, MEMORY) == 0);
    if (count < 1)
        return 0;
    int file = make_file(bytes + 1, count - 1, path), other = make_file(bytes, 1, initrd);
    struct kvm_boot_config config = {
        .image = path,
        .initrd = bytes[0] & 0x80 ? initrd : NULL,
        .args = "quiet",
        .format = bytes[0] & 0x40 ? kvm_boot_format(bytes[0] & 0x0f) : NULL,
        .virtio = &device,
        .virtio_count = 1,
    };
    if (config.format && !strcmp(config.format, "firmware"))
        config.format = NULL;
    if (kvm_boot(&config, &memory, &state, why) == 0)
        check(&memory, &state);
    else
        require(!strchr(why, '\n') && strstr(why, ": ") && strlen(why) < KVM_BOOT_WHY);
    kvm_boot_state_free(&state);
    close(file);
    close(other);
    return 0;
}

/* Begins with good files: random bytes would hardly ever become one. */
static size_t good_file(uint8_t *bytes, unsigned which)
{
    union {
        struct x86_elf64 elf64;
        struct x86_elf32 elf32;
        struct x86_bzimage linux_image;
        struct x86_text text;
    } file;
    size_t size = sizeof file.text;
    memset(&file, 0, sizeof file);
    switch (which) {
    case 0:
    case 1:
        x86_elf64(&file.elf64, "code", 4, which & 1);
        size = sizeof file.elf64;
        break;
    case 2:
        x86_elf32(&file.elf32, "code", 4, 1);
        size = sizeof file.elf32;
        break;
    case 3:
        x86_elf32(&file.elf32, "code", 4, 0);
        x86_multiboot(&file.elf32.text, 3, 0);
        size = sizeof file.elf32;
        break;
    case 4: x86_multiboot(&file.text, 0, 1); break;
    case 5: x86_multiboot2(&file.text, 1); break;
    case 6:
        x86_elf64(&file.elf64, "code", 4, 0);
        x86_multiboot2(&file.elf64.text, 0);
        size = sizeof file.elf64;
        break;
    default:
        x86_bzimage(&file.linux_image, "32", 2, "64", 2);
        file.linux_image.header.pref_address = 0x200000;
        size = sizeof file.linux_image;
    }
    bytes[0] = (uint8_t)(which << 7);
    memcpy(bytes + 1, &file, size);
    return 1 + size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    if ((count < 64 || seed % 64 == 0) && max > sizeof(struct x86_bzimage))
        count = good_file(bytes, seed / 64 % 8);
    return LLVMFuzzerMutate(bytes, count, max);
}
