/*
 * Which kind of guest a file is, by its first bytes: session_is_x86(). What the file holds beyond
 * them is for the loaders to judge (cpu/image.c, hv/kvm/boot.c).
 *
 * Source: ELF header; Documentation/arch/x86/boot.rst of Linux; the two bytes at the end of a
 * sector that every BIOS looks for.
 */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/session.h"

enum { SECTOR = 512, LINUX_MAGIC_AT = 0x202, RISCV_MAGIC_AT = 0x30, START = 1024 };

static bool is_elf(const uint8_t *start)
{
    return memcmp(start, ELFMAG, SELFMAG) == 0;
}

/* Two bytes that are at the same place in both classes. */
static bool is_x86_elf(const uint8_t *start)
{
    unsigned machine =
        start[offsetof(Elf32_Ehdr, e_machine)] | start[offsetof(Elf32_Ehdr, e_machine) + 1] << 8;
    return start[EI_DATA] == ELFDATA2LSB && (machine == EM_386 || machine == EM_X86_64);
}

/* Linux for RISC-V may begin like a program of DOS, too. */
static bool is_boot_sector(const uint8_t *start, off_t size)
{
    return size >= SECTOR && start[SECTOR - 2] == 0x55 && start[SECTOR - 1] == 0xaa &&
           memcmp(start + RISCV_MAGIC_AT, "RISCV", 5) != 0;
}

bool session_is_x86(const char *image)
{
    uint8_t start[START] = {0};
    struct stat info;
    int fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    bool got = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && read(fd, start, sizeof start) > 0;
    close(fd);
    if (!got)
        return false;
    if (is_elf(start))
        return is_x86_elf(start);
    return memcmp(start + LINUX_MAGIC_AT, "HdrS", 4) == 0 || is_boot_sector(start, info.st_size);
}
