/* A small, whole ELF executable as a struct: the struct's bytes are the file's. Tests and fuzzers
 * damage it by member. */
#ifndef VITRINE_TESTS_ELF_SAMPLE_H
#define VITRINE_TESTS_ELF_SAMPLE_H

#include <elf.h>
#include <stdint.h>

enum { SECTION_NULL, SECTION_SYMTAB, SECTION_STRTAB, SECTION_SHSTRTAB, SECTION_ABBREV, SECTION_INFO,
       SECTION_LINE, SECTIONS };
enum { SAMPLE_SYMBOLS = 6 };

struct elf_sample {
    Elf32_Ehdr ehdr;
    Elf32_Phdr phdr[2];
    uint32_t text[16]; /* the first segment's bytes; the second has the first four of them */
    Elf32_Sym sym[SAMPLE_SYMBOLS];
    char strtab[48], shstrtab[80];
    uint8_t abbrev[16], info[24], line[64];
    Elf32_Shdr shdr[SECTIONS];
};

/*
 * Where things are in it:
 *
 *     0x80000000  64 bytes of text, then 4096 of bss: "start", "loop", "end" (no size)
 *     0x80002000  16 bytes at virtual 0xc0002000: "high"; the entry is 0xc0002004
 *     src/a.c     line 10 at 0x80000000, line 12 at 0x80000008, ends at 0x80000010
 */
void elf_sample(struct elf_sample *sample);

#endif
