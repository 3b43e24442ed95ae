/*
 * ELF files: their segments, the note by which a kernel says that it can be entered the PVH way,
 * and the kernels that are nothing but ELF. libelf reads the structures; every number of them is
 * checked here.
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <gelf.h>
#include <string.h>

/* Xen, xen/include/public/elfnote.h */
enum { XEN_ELFNOTE_PHYS32_ENTRY = 18 };

bool boot_is_elf(const struct boot *b)
{
    return b->count >= SELFMAG && !memcmp(b->bytes, ELFMAG, SELFMAG);
}

static Elf *open_elf(const struct boot *b)
{
    elf_version(EV_CURRENT);
    return boot_is_elf(b) ? elf_memory((char *)b->bytes, b->count) : NULL;
}

/* ---- the header --------------------------------------------------------------------------- */

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_RISCV: return "RISC-V";
    case EM_ARM: return "ARM";
    case EM_AARCH64: return "64-bit ARM";
    case EM_MIPS: return "MIPS";
    case EM_PPC: return "PowerPC";
    case EM_PPC64: return "64-bit PowerPC";
    default: return "another machine";
    }
}

static const char *type_name(unsigned type)
{
    switch (type) {
    case ET_REL: return "an object file, not linked yet";
    case ET_DYN: return "a shared object or position-independent executable";
    case ET_CORE: return "a core dump";
    default: return "of an unknown type";
    }
}

static int check_header(const struct boot *b, const GElf_Ehdr *h)
{
    bool is_64 = h->e_ident[EI_CLASS] == ELFCLASS64;
    if (h->e_ident[EI_DATA] != ELFDATA2LSB)
        return boot_refuse(b, "a big-endian ELF file; x86 is little-endian");
    if (h->e_machine != EM_X86_64 && (h->e_machine != EM_386 || is_64))
        return boot_refuse(b, "an ELF file for %s (machine %u), not x86",
                           machine_name(h->e_machine), h->e_machine);
    if (h->e_type != ET_EXEC)
        return boot_refuse(b, "%s; an executable linked to a fixed address is needed",
                           type_name(h->e_type));
    return 0;
}

/* ---- segments ----------------------------------------------------------------------------- */

static int add_segment(struct boot *b, struct boot_elf *e, const GElf_Phdr *p, unsigned n)
{
    if (p->p_filesz > p->p_memsz)
        return boot_refuse(b, "segment %u has more bytes in the file (%llu) than in memory (%llu)",
                           n, (unsigned long long)p->p_filesz, (unsigned long long)p->p_memsz);
    if (p->p_offset > b->count || b->count - p->p_offset < p->p_filesz)
        return boot_refuse(b, "truncated: segment %u lies beyond the end of the file", n);
    if (e->count == BOOT_SEGMENTS)
        return boot_refuse(b, "more than %d segments", BOOT_SEGMENTS);
    e->segment[e->count++] = (struct boot_segment){
        p->p_vaddr, p->p_paddr, p->p_memsz, p->p_offset, p->p_filesz,
    };
    return boot_claim(b, p->p_paddr, p->p_memsz, "a segment");
}

static int read_segments(struct boot *b, Elf *file, struct boot_elf *e)
{
    size_t headers;
    GElf_Phdr p;
    int error = 0;
    if (elf_getphdrnum(file, &headers))
        return boot_refuse(b, "damaged ELF header: %s", elf_errmsg(-1));
    for (unsigned i = 0; i < headers && !error; i++) {
        if (!gelf_getphdr(file, (int)i, &p))
            return boot_refuse(b, "truncated: the program headers lie beyond the end of the file");
        if (p.p_type == PT_LOAD && p.p_memsz)
            error = add_segment(b, e, &p, i);
    }
    if (!error && !e->count)
        return boot_refuse(b, "no segments to load");
    return error;
}

static void set_extent(struct boot *b, const struct boot_elf *e)
{
    struct kvm_boot_state *s = b->state;
    s->low = UINT64_MAX;
    for (unsigned i = 0; i < e->count; i++) {
        uint64_t start = e->segment[i].physical, end = start + e->segment[i].size;
        s->low = start < s->low ? start : s->low;
        s->high = end > s->high ? end : s->high;
    }
}

static int read_elf(struct boot *b, Elf *file, struct boot_elf *e)
{
    GElf_Ehdr header;
    if (!gelf_getehdr(file, &header))
        return boot_refuse(b, "damaged ELF header: %s", elf_errmsg(-1));
    int error = check_header(b, &header);
    error = error ? error : read_segments(b, file, e);
    if (error)
        return error;
    e->bits = header.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
    e->entry = header.e_entry;
    set_extent(b, e);
    return 0;
}

int boot_elf_read(struct boot *b, struct boot_elf *e)
{
    *e = (struct boot_elf){0};
    if (!boot_is_elf(b))
        return boot_refuse(b, "not an ELF file");
    Elf *file = open_elf(b);
    int error = file && elf_kind(file) == ELF_K_ELF
                    ? read_elf(b, file, e)
                    : boot_refuse(b, "damaged ELF header: %s", elf_errmsg(-1));
    elf_end(file);
    return error;
}

void boot_elf_write(const struct boot *b, const struct boot_elf *e)
{
    for (unsigned i = 0; i < e->count; i++) {
        const struct boot_segment *s = &e->segment[i];
        boot_put(b, s->physical, b->bytes + s->offset, s->file_size);
        boot_clear(b, s->physical + s->file_size, s->size - s->file_size);
    }
}

bool boot_elf_physical(const struct boot_elf *e, uint64_t address)
{
    for (unsigned i = 0; i < e->count; i++)
        if (address - e->segment[i].physical < e->segment[i].size)
            return true;
    return false;
}

bool boot_elf_entry(const struct boot_elf *e, uint64_t address, uint64_t *physical)
{
    *physical = address;
    for (unsigned i = 0; i < e->count; i++) {
        if (address - e->segment[i].virtual < e->segment[i].size) {
            *physical = address - e->segment[i].virtual + e->segment[i].physical;
            return true;
        }
    }
    return boot_elf_physical(e, address);
}

/* ---- notes -------------------------------------------------------------------------------- */

/* The entry in the notes of one segment. Its value has 4 or 8 bytes. */
static bool find_entry_note(Elf_Data *data, uint64_t *entry)
{
    GElf_Nhdr note;
    size_t name, value, at = 0;
    const char *bytes = data->d_buf;
    while ((at = gelf_getnote(data, at, &note, &name, &value)) > 0) {
        if (note.n_type != XEN_ELFNOTE_PHYS32_ENTRY || note.n_namesz != sizeof "Xen" ||
            memcmp(bytes + name, "Xen", sizeof "Xen"))
            continue;
        *entry = 0;
        if (note.n_descsz != 4 && note.n_descsz != 8)
            return false;
        memcpy(entry, bytes + value, note.n_descsz);
        return true;
    }
    return false;
}

bool boot_elf_pvh_entry(const struct boot *b, uint64_t *entry)
{
    GElf_Phdr p;
    size_t headers = 0;
    bool found = false;
    Elf *file = open_elf(b);
    if (!file || elf_kind(file) != ELF_K_ELF || elf_getphdrnum(file, &headers))
        headers = 0;
    for (unsigned i = 0; i < headers && !found && gelf_getphdr(file, (int)i, &p); i++) {
        if (p.p_type != PT_NOTE || p.p_offset > b->count || b->count - p.p_offset < p.p_filesz)
            continue;
        Elf_Data *data = elf_getdata_rawchunk(file, (int64_t)p.p_offset, p.p_filesz,
                                              p.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        found = data && find_entry_note(data, entry);
    }
    elf_end(file);
    return found;
}

/* ---- kernels that are plain ELF ----------------------------------------------------------- */

static bool is_class(const struct boot *b, unsigned class)
{
    return boot_is_elf(b) && b->count > EI_CLASS && b->bytes[EI_CLASS] == class;
}

bool boot_is_elf64(const struct boot *b)
{
    return is_class(b, ELFCLASS64);
}

/* Whatever is left that begins like an ELF file, so that the complaint is about that. */
bool boot_is_elf32(const struct boot *b)
{
    return boot_is_elf(b);
}

static int load_plain(struct boot *b, unsigned bits, enum kvm_boot_mode mode)
{
    struct boot_elf elf;
    uint64_t entry;
    int error = boot_claim_low(b);
    error = error ? error : boot_elf_read(b, &elf);
    if (error)
        return error;
    if (elf.bits != bits)
        return boot_refuse(b, "a %u-bit ELF file, not a %u-bit one", elf.bits, bits);
    if (!boot_elf_entry(&elf, elf.entry, &entry) || entry >> 32)
        return boot_refuse(b, "the entry 0x%llx is in no segment below 4 GiB",
                           (unsigned long long)elf.entry);
    error = boot_initrd(b, 0, 0);
    if (error)
        return error;
    boot_elf_write(b, &elf);
    return boot_start_info(b, mode, entry);
}

int boot_load_elf64(struct boot *b)
{
    return load_plain(b, 64, KVM_BOOT_LONG);
}

int boot_load_elf32(struct boot *b)
{
    return load_plain(b, 32, KVM_BOOT_PROTECTED);
}
