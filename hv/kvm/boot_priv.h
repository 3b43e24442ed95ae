/*
 * Inside the loaders: an image on its way into memory, and where things go.
 *
 * Low memory, as every protocol but the 16-bit ones finds it:
 *
 *      0x00500  GDT
 *      0x01000  what the protocol passes: hvm_start_info and its lists, or Multiboot information
 *      0x04000  command line (4 KiB)
 *      0x05000  Linux's zero page
 *      0x06000  stack, growing down from 0x9000
 *      0x09000  page tables: PML4, PDPT, four page directories
 *      0x0f000  free to 64 KiB
 *      0x9fc00  the pointer to the MultiProcessor tables
 *      0xe0000  ACPI tables, the RSDP first
 *      0xe8000  MultiProcessor tables
 *
 * Every loader goes the same way: claim each range (which checks that it is RAM and nobody else's),
 * and only when everything is claimed write to memory.
 */
#ifndef VITRINE_KVM_BOOT_PRIV_H
#define VITRINE_KVM_BOOT_PRIV_H

#include <stddef.h>

#include "hv/kvm/boot.h"

#define BOOT_GDT       0x00500u
#define BOOT_INFO      0x01000u
#define BOOT_INFO_SIZE 0x03000u
#define BOOT_ARGS      0x04000u
#define BOOT_ZERO_PAGE 0x05000u
#define BOOT_STACK     0x09000u /* its top */
#define BOOT_TABLES    0x09000u
#define BOOT_LOW_END   0x10000u
#define BOOT_SECTOR    0x07c00u
#define BOOT_EBDA      0x9fc00u /* the extended BIOS data area: 1 KiB below the display's memory */
#define BOOT_ACPI      0xe0000u
#define BOOT_MPTABLE   0xe8000u
#define BOOT_MIB       0x100000u

enum { BOOT_CODE = 0x10, BOOT_DATA = 0x18 }; /* selectors, as Linux's boot protocol wants them */
enum { BOOT_CLAIMS = 80, BOOT_SEGMENTS = 64, BOOT_MAP_MAX = 8 };

struct boot_range {
    uint64_t start, size;
    const char *what;
};

struct boot {
    const struct kvm_boot_config *config;
    const struct kvm_memory *memory;
    struct kvm_boot_state *state;
    char *why;

    const char *name; /* the file that complaints name */
    uint8_t *bytes;   /* the image */
    size_t count;

    struct boot_range claim[BOOT_CLAIMS];
    unsigned claims;
    struct boot_range initrd; /* size 0: none */
    char args[KVM_BOOT_ARGS_MAX + 1];
};

/* ---- boot.c ------------------------------------------------------------------------------- */

/* Always -EINVAL. The line begins with boot->name. */
__attribute__((format(printf, 2, 3))) int boot_refuse(const struct boot *boot, const char *format,
                                                      ...);

/* Takes a range for `what`: 0, or a refusal if it is not RAM or overlaps another. Size 0 is fine.
 */
int boot_claim(struct boot *boot, uint64_t start, uint64_t size, const char *what);
/* The ranges that every protected or long mode guest gets: low memory, and the ACPI tables. */
int boot_claim_low(struct boot *boot);

/* Into a claimed range. Cannot fail. */
void boot_put(const struct boot *boot, uint64_t at, const void *bytes, size_t count);
void boot_clear(const struct boot *boot, uint64_t at, uint64_t count);

/* The whole file in a block that the caller frees, or NULL with a reason. */
uint8_t *boot_read_file(const struct boot *boot, size_t max, size_t *count);
/* The first bytes of a file of any size. */
bool boot_read_start(const struct boot *boot, uint8_t *bytes, size_t count);

/* Puts config->initrd, if any, where it ends highest below `limit` (0: anywhere below the hole), or
 * lowest from `floor` on if that is not 0. Sets boot->initrd. */
int boot_initrd(struct boot *boot, uint64_t floor, uint64_t limit);

/* Sets boot->args: the command line, with the virtio devices behind it if `announce`. `max`:
 * characters that the guest takes. */
int boot_args(struct boot *boot, bool announce, size_t max);

/* ---- boot-map.c --------------------------------------------------------------------------- */

enum boot_memory { BOOT_RAM = 1, BOOT_RESERVED = 2 }; /* ACPI 15, "E820 types" */

struct boot_map_entry {
    uint64_t start, size;
    enum boot_memory type;
};

/* The memory map of a guest without firmware. Returns the number of entries. */
unsigned boot_map(const struct kvm_memory *memory, struct boot_map_entry map[BOOT_MAP_MAX]);

/* ---- boot-state.c ------------------------------------------------------------------------- */

/* Sets mode, entry and registers (all 0 but rip, rflags, rsp) and, but for real mode, writes GDT,
 * page tables and ACPI tables into low memory. */
void boot_start(struct boot *boot, enum kvm_boot_mode mode, uint64_t entry);

/* ---- boot-pvh.c --------------------------------------------------------------------------- */

/* Starts what finds everything through hvm_start_info: writes that, what it refers to and, for long
 * mode, the zero page; boot_start(); ebx or rdi and rsi. Call it when everything is claimed. */
int boot_start_info(struct boot *boot, enum kvm_boot_mode mode, uint64_t entry);

/* ---- formats ------------------------------------------------------------------------------ */

struct boot_format {
    const char *name;
    bool (*is)(const struct boot *boot); /* NULL: never guessed */
    int (*load)(struct boot *boot);
};

bool boot_is_bzimage(const struct boot *boot);
bool boot_is_pvh(const struct boot *boot);
bool boot_is_elf64(const struct boot *boot);
bool boot_is_elf32(const struct boot *boot);
bool boot_is_multiboot(const struct boot *boot);
bool boot_is_multiboot2(const struct boot *boot);
bool boot_is_sector(const struct boot *boot);

int boot_load_bzimage(struct boot *boot);
int boot_load_pvh(struct boot *boot);
int boot_load_elf64(struct boot *boot);
int boot_load_elf32(struct boot *boot);
int boot_load_multiboot(struct boot *boot);
int boot_load_multiboot2(struct boot *boot);
int boot_load_sector(struct boot *boot);
int boot_load_flat16(struct boot *boot);
int boot_load_flat32(struct boot *boot);
int boot_load_flat64(struct boot *boot);
int boot_load_firmware(struct boot *boot);
/* The first sector of config->disk. */
int boot_load_disk(struct boot *boot);

/* ---- boot-linux.c ------------------------------------------------------------------------- */

/* Writes Linux's zero page and the command line. `header`: the image's struct setup_header, packed,
 * NULL: there is none. */
struct setup_header;
void boot_put_zero_page(const struct boot *boot, const struct setup_header *header);

/* ---- boot-elf.c --------------------------------------------------------------------------- */

/* An ELF file's segments, checked and claimed but not yet written. */
struct boot_elf {
    unsigned bits; /* 32 or 64 */
    unsigned count;
    uint64_t entry; /* physical */
    struct boot_segment {
        uint64_t virtual, physical, size, offset, file_size;
    } segment[BOOT_SEGMENTS];
};

bool boot_is_elf(const struct boot *boot);
int boot_elf_read(struct boot *boot, struct boot_elf *elf);
void boot_elf_write(const struct boot *boot, const struct boot_elf *elf);
/* Is a physical address in a segment? */
bool boot_elf_physical(const struct boot_elf *elf, uint64_t address);
/* The physical address for an entry that is virtual or physical, if it is in a segment. */
bool boot_elf_entry(const struct boot_elf *elf, uint64_t address, uint64_t *physical);
/* The 4 or 8 bytes of Xen's note PHYS32_ENTRY. false: the file has none. */
bool boot_elf_pvh_entry(const struct boot *boot, uint64_t *entry);

/* ---- boot-multiboot.c, for both versions -------------------------------------------------- */

/* Load addresses in a header, for files that are not ELF (1: 3.1.3; 2: 3.1.6). */
struct boot_addresses {
    size_t found_at; /* the header's offset in the file */
    uint32_t header_at, load_at, load_end, bss_end;
};

/* The same as boot_elf_read(), as one segment and without an entry. */
int boot_addresses_read(struct boot *boot, const struct boot_addresses *addresses,
                        struct boot_elf *elf);
/* What the only module is called: the last part of its path. */
const char *boot_module_name(const struct boot *boot);

#endif
