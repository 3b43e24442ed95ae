/* See x86-sample.h. */
#include "tests/x86-sample.h"

#include <string.h>

#define VIRTUAL 0xffffffff80000000ull

static void note_fill(struct x86_note *note, int pvh)
{
    *note = (struct x86_note){4, 4, pvh ? 18 : 1, "Xen", X86_ENTRY};
}

void x86_elf64(struct x86_elf64 *f, const void *code, size_t count, int pvh)
{
    size_t text = offsetof(struct x86_elf64, text), note = offsetof(struct x86_elf64, note);
    memset(f, 0, sizeof *f);
    f->ehdr = (Elf64_Ehdr){
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
        .e_entry = VIRTUAL + X86_ENTRY, .e_phoff = offsetof(struct x86_elf64, phdr),
        .e_ehsize = sizeof f->ehdr, .e_phentsize = sizeof f->phdr[0], .e_phnum = 3,
        .e_shentsize = sizeof(Elf64_Shdr),
    };
    f->phdr[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, text, VIRTUAL + X86_TEXT, X86_TEXT,
                              sizeof f->text, sizeof f->text, 4};
    f->phdr[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, text, VIRTUAL + X86_BSS, X86_BSS, 16, 0x2010,
                              4};
    f->phdr[2] = (Elf64_Phdr){PT_NOTE, PF_R, note, 0, 0, sizeof f->note, sizeof f->note, 4};
    note_fill(&f->note, pvh);
    memcpy(f->text.code, code, count);
}

void x86_elf32(struct x86_elf32 *f, const void *code, size_t count, int pvh)
{
    size_t text = offsetof(struct x86_elf32, text), note = offsetof(struct x86_elf32, note);
    memset(f, 0, sizeof *f);
    f->ehdr = (Elf32_Ehdr){
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT, .e_entry = X86_ENTRY,
        .e_phoff = offsetof(struct x86_elf32, phdr), .e_ehsize = sizeof f->ehdr,
        .e_phentsize = sizeof f->phdr[0], .e_phnum = 3, .e_shentsize = sizeof(Elf32_Shdr),
    };
    f->phdr[0] = (Elf32_Phdr){PT_LOAD, (Elf32_Off)text, X86_TEXT, X86_TEXT, sizeof f->text,
                              sizeof f->text, PF_R | PF_X, 4};
    f->phdr[1] = (Elf32_Phdr){PT_LOAD, (Elf32_Off)text, X86_BSS, X86_BSS, 16, 0x2010, PF_R | PF_W,
                              4};
    f->phdr[2] = (Elf32_Phdr){PT_NOTE, (Elf32_Off)note, 0, 0, sizeof f->note, sizeof f->note, PF_R,
                              4};
    note_fill(&f->note, pvh);
    memcpy(f->text.code, code, count);
}

void x86_bzimage(struct x86_bzimage *f, const void *code32, size_t count32, const void *code64,
                 size_t count64)
{
    memset(f, 0, sizeof *f);
    f->header = (struct setup_header){
        .setup_sects = 1, .syssize = 0x400 / 16, .boot_flag = 0xaa55,
        .jump = 0xeb | (0x1f1 + sizeof f->header - 0x202) << 8,
        .header = 0x53726448, .version = 0x020f, .loadflags = LOADED_HIGH,
        .code32_start = 0x100000, .initrd_addr_max = 0x7fffffff, .kernel_alignment = 0x200000,
        .relocatable_kernel = 1, .xloadflags = XLF_KERNEL_64, .cmdline_size = 2047,
        .pref_address = 0x1000000, .init_size = 0x200000,
    };
    memcpy(f->entry32, code32, count32);
    memcpy(f->entry64, code64, count64);
}

void x86_multiboot(struct x86_text *text, uint32_t flags, int addresses)
{
    uint32_t *h = text->header;
    flags |= addresses ? 1 << 16 : 0;
    h[0] = 0x1badb002;
    h[1] = flags;
    h[2] = -(h[0] + h[1]);
    h[3] = X86_TEXT;                /* of the header itself */
    h[4] = X86_TEXT;                /* begin of loading */
    h[5] = 0;                       /* to the end of the file */
    h[6] = X86_TEXT + 0x10000;      /* end of bss */
    h[7] = X86_ENTRY;
}

void x86_multiboot2(struct x86_text *text, int addresses)
{
    uint32_t *h = text->header, n = 4;
    h[0] = 0xe85250d6;
    h[1] = 0;
    if (addresses) {
        uint32_t tags[] = {2, 24, X86_TEXT, X86_TEXT, 0, X86_TEXT + 0x10000, 3, 12, X86_ENTRY};
        memcpy(h + n, tags, sizeof tags);
        n += 10; /* tags begin at multiples of 8 */
    }
    h[n++] = 0; /* the end */
    h[n++] = 8;
    h[2] = n * 4;
    h[3] = -(h[0] + h[1] + h[2]);
}
