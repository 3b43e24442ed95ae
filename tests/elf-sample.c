/* See elf-sample.h. */
#include "tests/elf-sample.h"

#include <stddef.h>
#include <string.h>

#define AT(member) ((uint32_t)offsetof(struct elf_sample, member))
#define SIZE(member) ((uint32_t)sizeof(((struct elf_sample *)0)->member))

static const char strtab[] = "\0start\0loop\0end\0high\0.L1";
static const char shstrtab[] =
    "\0.symtab\0.strtab\0.shstrtab\0.debug_abbrev\0.debug_info\0.debug_line";

/* DWARF 4: one unit, of a name and a line table. */
static const uint8_t abbrev[] = {
    1, 0x11, 0,      /* compile unit, no children */
    0x03, 0x08,      /* name: string */
    0x10, 0x17,      /* line table: offset */
    0, 0, 0,
};
static const uint8_t info[] = {
    20, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, /* length, version, abbreviations, address size */
    1, 's', 'r', 'c', '/', 'a', '.', 'c', 0, 0, 0, 0, 0,
};
static const uint8_t line[] = {
    54, 0, 0, 0, 4, 0, 28, 0, 0, 0,             /* length, version, header's length */
    1, 1, 1, 0xfb, 14, 10,                      /* opcode base 10: nine standard opcodes */
    0, 1, 1, 1, 1, 0, 0, 0, 1,
    0,                                          /* no directories */
    's', 'r', 'c', '/', 'a', '.', 'c', 0, 0, 0, 0, /* one file */
    0,
    0, 5, 2, 0, 0, 0, 0x80,                     /* address 0x80000000 */
    3, 9, 1,                                    /* line 10, row */
    2, 8, 3, 2, 1,                              /* 8 bytes on, line 12, row */
    2, 8, 0, 1, 1,                              /* 8 bytes on, end */
};

static Elf32_Sym symbol(uint32_t name, uint32_t value, uint32_t size, unsigned type,
                        uint16_t section)
{
    return (Elf32_Sym){name, value, size, (uint8_t)ELF32_ST_INFO(STB_GLOBAL, type), 0, section};
}

static Elf32_Shdr section(uint32_t name, uint32_t type, uint32_t offset, uint32_t size)
{
    return (Elf32_Shdr){.sh_name = name, .sh_type = type, .sh_offset = offset, .sh_size = size,
                        .sh_addralign = 1};
}

static Elf32_Phdr segment(uint32_t vaddr, uint32_t paddr, uint32_t filesz, uint32_t memsz)
{
    return (Elf32_Phdr){.p_type = PT_LOAD, .p_offset = AT(text), .p_vaddr = vaddr,
                        .p_paddr = paddr, .p_filesz = filesz, .p_memsz = memsz,
                        .p_flags = PF_R | PF_X};
}

static void put_sections(struct elf_sample *s)
{
    s->shdr[SECTION_SYMTAB] = section(1, SHT_SYMTAB, AT(sym), SIZE(sym));
    s->shdr[SECTION_SYMTAB].sh_entsize = sizeof(Elf32_Sym);
    s->shdr[SECTION_SYMTAB].sh_link = SECTION_STRTAB;
    s->shdr[SECTION_SYMTAB].sh_info = 1;
    s->shdr[SECTION_SYMTAB].sh_addralign = 4;
    s->shdr[SECTION_STRTAB] = section(9, SHT_STRTAB, AT(strtab), SIZE(strtab));
    s->shdr[SECTION_SHSTRTAB] = section(17, SHT_STRTAB, AT(shstrtab), SIZE(shstrtab));
    s->shdr[SECTION_ABBREV] = section(27, SHT_PROGBITS, AT(abbrev), sizeof abbrev);
    s->shdr[SECTION_INFO] = section(41, SHT_PROGBITS, AT(info), sizeof info);
    s->shdr[SECTION_LINE] = section(53, SHT_PROGBITS, AT(line), sizeof line);
}

void elf_sample(struct elf_sample *s)
{
    memset(s, 0, sizeof *s);
    s->ehdr = (Elf32_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_RISCV,
        .e_version = EV_CURRENT,
        .e_entry = 0xc0002004u,
        .e_phoff = AT(phdr),
        .e_shoff = AT(shdr),
        .e_ehsize = sizeof(Elf32_Ehdr),
        .e_phentsize = sizeof(Elf32_Phdr),
        .e_phnum = 2,
        .e_shentsize = sizeof(Elf32_Shdr),
        .e_shnum = SECTIONS,
        .e_shstrndx = SECTION_SHSTRTAB,
    };
    s->phdr[0] = segment(0x80000000u, 0x80000000u, SIZE(text), SIZE(text) + 4096);
    s->phdr[1] = segment(0xc0002000u, 0x80002000u, 16, 16);
    for (unsigned i = 0; i < 16; i++)
        s->text[i] = 0x13 | i << 20; /* addi zero, zero, i */
    s->sym[1] = symbol(1, 0x80000000u, 8, STT_FUNC, 1);
    s->sym[2] = symbol(7, 0x80000008u, 0, STT_NOTYPE, 1);
    s->sym[3] = symbol(12, 0x80000040u, 0, STT_NOTYPE, 1);
    s->sym[4] = symbol(16, 0xc0002000u, 16, STT_OBJECT, 1);
    s->sym[5] = symbol(21, 0x80000004u, 0, STT_NOTYPE, 1);
    memcpy(s->strtab, strtab, sizeof strtab);
    memcpy(s->shstrtab, shstrtab, sizeof shstrtab);
    memcpy(s->abbrev, abbrev, sizeof abbrev);
    memcpy(s->info, info, sizeof info);
    memcpy(s->line, line, sizeof line);
    put_sections(s);
}
