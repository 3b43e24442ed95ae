/* Small, whole kernels for x86 as structs: the struct's bytes are the file's. Tests and fuzzers
 * damage them by member. */
#ifndef VITRINE_TESTS_X86_SAMPLE_H
#define VITRINE_TESTS_X86_SAMPLE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/bootparam.h>

enum { X86_CODE = 256 };
#define X86_TEXT 0x00100000u /* physical address of struct x86_text */
#define X86_BSS  0x00102000u /* 16 bytes of the file, then zeros up to 0x2010 bytes */

/* Code with room for a Multiboot header before it. */
struct x86_text {
    uint32_t header[32];
    uint8_t code[X86_CODE];
};
#define X86_ENTRY (X86_TEXT + 128u)

struct x86_note {
    uint32_t name_size, size, type;
    char name[4];
    uint32_t entry;
};

struct x86_elf64 {
    Elf64_Ehdr ehdr;
    Elf64_Phdr phdr[3]; /* text, bss, note */
    struct x86_note note;
    uint32_t padding;
    struct x86_text text;
};

struct x86_elf32 {
    Elf32_Ehdr ehdr;
    Elf32_Phdr phdr[3];
    struct x86_note note;
    struct x86_text text;
};

/* A bzImage: boot sector and one sector of setup, the kernel proper with its two entries. */
struct x86_bzimage {
    uint8_t sector[0x1f1];
    struct setup_header header;
    uint8_t setup[0x400 - 0x1f1 - sizeof(struct setup_header)];
    uint8_t entry32[0x200], entry64[0x200];
};

/* Each begins at `code`, which is copied. The 64-bit one is linked 2 GiB below the top, as Linux is.
 * `pvh`: with the note. */
void x86_elf64(struct x86_elf64 *file, const void *code, size_t count, int pvh);
void x86_elf32(struct x86_elf32 *file, const void *code, size_t count, int pvh);
void x86_bzimage(struct x86_bzimage *file, const void *code32, size_t count32, const void *code64,
                 size_t count64);

/* Headers in front of the code. `addresses`: with load addresses, for a file that is only a
 * struct x86_text. */
void x86_multiboot(struct x86_text *text, uint32_t flags, int addresses);
void x86_multiboot2(struct x86_text *text, int addresses);

#endif
