/* Random programs as files. See random-elf.h. */
#include "tests/random-elf.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/machine.h"
#include "tests/random-program.h"

enum { PIECES = 16 };

struct writer {
    Elf32_Phdr phdr[PIECES];
    unsigned count;
    uint32_t at;
    FILE *file;
    bool failed;
};

static void add_piece(void *context, uint32_t pa, const void *bytes, size_t size)
{
    struct writer *w = context;
    if (w->count == PIECES) {
        w->failed = true;
        return;
    }
    w->phdr[w->count++] = (Elf32_Phdr){.p_type = PT_LOAD,
                                       .p_offset = w->at,
                                       .p_vaddr = pa,
                                       .p_paddr = pa,
                                       .p_filesz = (uint32_t)size,
                                       .p_memsz = (uint32_t)size,
                                       .p_flags = PF_R | PF_W | PF_X,
                                       .p_align = 4};
    fseek(w->file, (long)w->at, SEEK_SET);
    w->failed |= fwrite(bytes, 1, size, w->file) != size;
    w->at += (uint32_t)size;
}

bool random_elf_write(char *path, uint64_t seed, unsigned options)
{
    static struct random_program program;
    struct writer w = {.at = 4096};
    random_program_make_as(&program, seed, options);
    int fd = mkstemp(path);
    w.file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!w.file)
        return false;
    random_program_write(&program, add_piece, &w);
    Elf32_Ehdr ehdr = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, 1},
                       .e_type = ET_EXEC,
                       .e_machine = EM_RISCV,
                       .e_version = 1,
                       .e_entry = VIRT_RAM,
                       .e_phoff = sizeof ehdr,
                       .e_ehsize = sizeof ehdr,
                       .e_phentsize = sizeof w.phdr[0],
                       .e_phnum = (Elf32_Half)w.count};
    rewind(w.file);
    fwrite(&ehdr, sizeof ehdr, 1, w.file);
    fwrite(w.phdr, sizeof w.phdr[0], w.count, w.file);
    return fclose(w.file) == 0 && !w.failed;
}
