/*
 * A guest that begins with firmware: a BIOS image at the top of the first 4 GiB, where the
 * processor takes its first instruction after reset, and its last 256 KiB once more below 1 MiB,
 * where it runs in real mode. (A chipset shows the last 128 KiB there, and a BIOS that is larger
 * copies itself once it has found the chipset; there is none here.)
 *
 *      0x000c0000 .. 0x00100000    copy, in RAM: a BIOS writes to its variables there
 *      4 GiB - size .. 4 GiB       the image, read-only; first instruction at 0xfffffff0
 *
 * What a loader would have told the guest, the firmware learns by fw_cfg, among it the ACPI tables:
 * it chooses where they go, and a small program for its linker (etc/table-loader) tells how.
 *
 * Source: Intel SDM volume 3, 9.1.4 (first instruction executed); QEMU docs/specs/fw_cfg.rst; the
 * linker's commands in SeaBIOS, src/fw/romfile_loader.h.
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/kvm/acpi.h"

enum { FIRMWARE_MAX = 16 << 20, SHADOW = 256 << 10 };
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

/* ---- what the firmware is told ------------------------------------------------------------ */

#define FILE_TABLES "etc/acpi/tables"
#define FILE_RSDP   "etc/acpi/rsdp"

enum { LINK_ALLOCATE = 1, LINK_POINTER = 2, LINK_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_LOW = 2 }; /* below 1 MiB, where a guest looks for the RSDP */

/* A command of the linker's program, 128 bytes. */
struct link_command {
    uint32_t command;
    union {
        struct {
            char file[FWCFG_NAME];
            uint32_t align;
            uint8_t zone;
        } allocate;
        struct { /* adds the address of `source` to the `size` bytes at `at` in `file` */
            char file[FWCFG_NAME], source[FWCFG_NAME];
            uint32_t at;
            uint8_t size;
        } __attribute__((packed)) pointer;
        struct {
            char file[FWCFG_NAME];
            uint32_t at, start, count;
        } checksum;
        uint8_t whole[124];
    };
};

struct link_program {
    struct link_command command[2 + ACPI_LINKS + 2 + ACPI_TABLES + 2];
    unsigned count;
};

static struct link_command *next_command(struct link_program *p, uint32_t command)
{
    struct link_command *c = &p->command[p->count++];
    *c = (struct link_command){.command = command};
    return c;
}

static void allocate(struct link_program *p, const char *file, uint32_t align, uint8_t zone)
{
    struct link_command *c = next_command(p, LINK_ALLOCATE);
    strncpy(c->allocate.file, file, FWCFG_NAME - 1);
    c->allocate.align = align;
    c->allocate.zone = zone;
}

static void point(struct link_program *p, const char *file, uint32_t at, uint8_t size)
{
    struct link_command *c = next_command(p, LINK_POINTER);
    strncpy(c->pointer.file, file, FWCFG_NAME - 1);
    strncpy(c->pointer.source, FILE_TABLES, FWCFG_NAME - 1);
    c->pointer.at = at;
    c->pointer.size = size;
}

static void sum(struct link_program *p, const char *file, uint32_t at, uint32_t start,
                uint32_t count)
{
    struct link_command *c = next_command(p, LINK_CHECKSUM);
    strncpy(c->checksum.file, file, FWCFG_NAME - 1);
    c->checksum.at = at;
    c->checksum.start = start;
    c->checksum.count = count;
}

static void write_program(struct link_program *p, const struct acpi *a)
{
    allocate(p, FILE_RSDP, 16, ZONE_LOW);
    allocate(p, FILE_TABLES, ACPI_ALIGN, ZONE_HIGH);
    for (unsigned i = 0; i < a->links; i++)
        point(p, FILE_TABLES, a->link[i].at, a->link[i].size);
    point(p, FILE_RSDP, ACPI_RSDP_RSDT, 4);
    point(p, FILE_RSDP, ACPI_RSDP_XSDT, 8);
    for (unsigned i = 0; i < a->table_count; i++)
        sum(p, FILE_TABLES, a->table[i].at + ACPI_TABLE_SUM, a->table[i].at, a->table[i].size);
    sum(p, FILE_RSDP, ACPI_RSDP_SUM, 0, ACPI_RSDP_OLD_SIZE);
    sum(p, FILE_RSDP, ACPI_RSDP_SUM_ALL, 0, ACPI_RSDP_SIZE);
}

static int add_acpi(struct fwcfg *f, const struct kvm_boot_config *config)
{
    struct acpi acpi;
    struct link_program program = {.count = 0};
    acpi_build(&acpi, config);
    write_program(&program, &acpi);
    int error = fwcfg_add_file(f, FILE_RSDP, acpi.rsdp, sizeof acpi.rsdp);
    error = error ? error : fwcfg_add_file(f, FILE_TABLES, acpi.tables, acpi.size);
    return error ? error
                 : fwcfg_add_file(f, "etc/table-loader", program.command,
                                  program.count * sizeof program.command[0]);
}

/* RAM only: the firmware knows best where it keeps itself. */
static int add_map(struct fwcfg *f, const struct kvm_memory *m)
{
    struct {
        uint64_t start, size;
        uint32_t type;
    } __attribute__((packed)) map[] = {
        {0, m->low, BOOT_RAM},
        {KVM_HIGH_BASE, m->size - m->low, BOOT_RAM},
    };
    return fwcfg_add_file(f, "etc/e820", map, m->size > m->low ? sizeof map : sizeof map[0]);
}

int kvm_boot_fwcfg(const struct kvm_boot_config *config, const struct kvm_memory *memory,
                   struct fwcfg *f)
{
    uint64_t size = memory->size, serial = 0x3f8;
    uint16_t cpus = (uint16_t)(config->cpus ? config->cpus : 1);
    int error = fwcfg_add(f, FWCFG_RAM_SIZE, &size, sizeof size);
    error = error ? error : fwcfg_add(f, FWCFG_CPUS, &cpus, sizeof cpus);
    error = error ? error : fwcfg_add(f, FWCFG_CPUS_MAX, &cpus, sizeof cpus);
    error = error ? error : add_map(f, memory);
    error = error ? error : fwcfg_add_file(f, "etc/sercon-port", &serial, sizeof serial);
    return error ? error : add_acpi(f, config);
}
