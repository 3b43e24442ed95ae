/*
 * `vitrine disasm` of an x86 guest: an ELF file's executable segments, or a boot sector.
 *
 * Instructions of x86 have many lengths, so the text is right only from a place where one begins:
 * each symbol is such a place, and what would reach over it is cut there. Data between functions
 * comes out as instructions, too. How the bytes are to be read follows from the file (ELF64: 64
 * bits, ELF32: 32, a boot sector: 16); a kernel that changes its mode on the way has parts that
 * are shown wrongly, as its 32-bit entry in an ELF64 file.
 */
#include "config.h"

#include "hv/cmd/disasm.h"

#include "hv/cmd/cmd.h"

#ifndef HAVE_KVM

int disasm_x86(const char *path, const char *symbol)
{
    return cmd_fail("%s: an x86 guest; this build has no part for them", path);
}

#else

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/symbols.h"
#include "hv/cmd/show.h"
#include "hv/kvm/disasm.h"

enum { SECTOR = 512, SECTOR_AT = 0x7c00 };

struct listing {
    struct kvm_disasm *disasm;
    struct symbols *symbols; /* may be NULL */
    unsigned nth;            /* the first symbol that is not passed yet */
    unsigned bits;
    uint64_t from, to; /* addresses to show; to = 0: all */
};

/* ---- instructions --------------------------------------------------------------------------- */

/* Where the next symbol behind `va` begins: an instruction does not reach over it. */
static uint64_t next_symbol(struct listing *l, uint64_t va)
{
    uint64_t address = UINT64_MAX, size;
    while (l->symbols && symbols_nth(l->symbols, l->nth, &address, &size) && address <= va)
        l->nth++;
    return address > va ? address : UINT64_MAX;
}

static void fill(const struct listing *l, const struct kvm_insn *from, struct view_insn *to)
{
    const char *file;
    *to = (struct view_insn){
        .va = from->va,
        .length = from->length,
        .readable = true,
        .sensitive =
            from->sensitivity == KVM_INSN_PRIVILEGED || from->sensitivity == KVM_INSN_EXITS,
    };
    memcpy(to->bytes, from->bytes, from->length);
    snprintf(to->text, sizeof to->text, "%s", from->text);
    to->symbol_start = symbols_text(l->symbols, from->va, to->symbol, sizeof to->symbol);
    if (l->symbols && symbols_line(l->symbols, from->va, &file, &to->line))
        snprintf(to->file, sizeof to->file, "%s", file);
    else
        to->line = 0;
}

/* `count` bytes that stand at `va`; of them what is asked for. */
static void show_bytes(struct listing *l, const uint8_t *bytes, uint64_t count, uint64_t va)
{
    uint64_t end = va + count, at = l->to && l->from > va ? l->from : va;
    uint64_t to = l->to && l->to < end ? l->to : end;
    l->nth = 0;
    while (at < to) {
        uint64_t stop = next_symbol(l, at), left = (stop < end ? stop : end) - at;
        struct kvm_insn insn;
        struct view_insn view;
        kvm_disassemble_bytes(l->disasm, l->bits, at, bytes + (at - va), left, &insn);
        fill(l, &insn, &view);
        show_insns(stdout, ISA_X86, &view, 1, UINT64_MAX);
        at += insn.length;
    }
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The symbol's range: its size, or up to the next one. */
static bool find_symbol(struct listing *l, const char *name)
{
    uint64_t address, size;
    const char *at;
    if (!l->symbols || !symbols_find(l->symbols, name, &l->from))
        return false;
    for (unsigned n = 0; (at = symbols_nth(l->symbols, n, &address, &size)); n++)
        if (address == l->from && size && !strcmp(at, name))
            l->to = address + size;
    if (!l->to)
        l->to = next_symbol(l, l->from);
    return true;
}

static int show_elf(struct listing *l, Elf *elf, const char *path)
{
    size_t count, size;
    const uint8_t *file = (const uint8_t *)elf_rawfile(elf, &size);
    if (!file || elf_getphdrnum(elf, &count))
        return cmd_fail("%s: damaged ELF: %s", path, elf_errmsg(-1));
    l->bits = gelf_getclass(elf) == ELFCLASS64 ? 64 : 32;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p))
            return cmd_fail("%s: damaged ELF: %s", path, elf_errmsg(-1));
        if (p.p_type != PT_LOAD || !(p.p_flags & PF_X))
            continue;
        if (p.p_offset > size || p.p_filesz > size - p.p_offset || p.p_vaddr > UINT64_MAX - size)
            return cmd_fail("%s: damaged ELF: a segment reaches behind the end of the file", path);
        show_bytes(l, file + p.p_offset, p.p_filesz, p.p_vaddr);
    }
    return 0;
}

static int show_sector(struct listing *l, int fd, const char *path)
{
    uint8_t sector[SECTOR];
    if (pread(fd, sector, SECTOR, 0) != SECTOR || sector[SECTOR - 2] != 0x55)
        return cmd_fail("%s: neither an ELF file nor a boot sector", path);
    l->bits = 16;
    show_bytes(l, sector, SECTOR - 2, SECTOR_AT);
    return 0;
}

static int show_file(struct listing *l, int fd, const char *path, const char *symbol)
{
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    bool is_elf = elf && elf_kind(elf) == ELF_K_ELF;
    int status;
    if (symbol && !find_symbol(l, symbol))
        status = cmd_fail("%s: no symbol '%s'", path, symbol);
    else
        status = is_elf ? show_elf(l, elf, path) : show_sector(l, fd, path);
    elf_end(elf);
    return status;
}

int disasm_x86(const char *path, const char *symbol)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return cmd_fail("%s: %s", path, strerror(errno));
    struct listing listing = {.disasm = kvm_disasm_new(), .symbols = symbols_load(path, true)};
    int status =
        listing.disasm ? show_file(&listing, fd, path, symbol) : cmd_fail("%s", strerror(ENOMEM));
    kvm_disasm_free(listing.disasm);
    symbols_free(listing.symbols);
    close(fd);
    return status;
}

#endif
