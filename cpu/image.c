/*
 * Loading guest images. See image.h.
 *
 * The file is read into memory, checked number by number against what it must be, and only then
 * written to the machine's RAM. The headers are copied out first, because a file may put them at
 * any address. libelf reads symbols and lines, which a guest can do without.
 */
#include "cpu/image.h"

#include <errno.h>
#include <fcntl.h>
#include <libelf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/isa.h"
#include "cpu/rv.h"
#include "cpu/symbols.h"

enum { FILE_MAX_BYTES = 512 << 20 };

/* An image on its way: the file's bytes and where complaints go. */
struct source {
    const char *name;
    const uint8_t *bytes;
    size_t count;
    char *why;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct source *s, const char *format,
                                                        ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(s->why, IMAGE_ERROR, "%.240s: %s", s->name, reason);
    return -EINVAL;
}

/* ---- ELF header --------------------------------------------------------------------------- */

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386: return "32-bit x86";
    case EM_X86_64: return "x86-64";
    case EM_ARM: return "ARM";
    case EM_AARCH64: return "64-bit ARM";
    case EM_MIPS: return "MIPS";
    case EM_PPC: return "PowerPC";
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

static int check_identity(const struct source *s)
{
    if (s->count < sizeof(Elf32_Ehdr))
        return refuse(s, "truncated: an ELF header has 52 bytes, the file has %zu", s->count);
    if (s->bytes[EI_CLASS] == ELFCLASS64)
        return refuse(s, "a 64-bit ELF file; this machine is 32-bit RISC-V");
    if (s->bytes[EI_CLASS] != ELFCLASS32)
        return refuse(s, "damaged ELF header: class %u", s->bytes[EI_CLASS]);
    if (s->bytes[EI_DATA] == ELFDATA2MSB)
        return refuse(s, "a big-endian ELF file; RISC-V is little-endian");
    if (s->bytes[EI_DATA] != ELFDATA2LSB)
        return refuse(s, "damaged ELF header: byte order %u", s->bytes[EI_DATA]);
    if (s->bytes[EI_VERSION] != EV_CURRENT)
        return refuse(s, "damaged ELF header: version %u", s->bytes[EI_VERSION]);
    return 0;
}

static int check_header(const struct source *s, const Elf32_Ehdr *h)
{
    if (h->e_machine != EM_RISCV)
        return refuse(s, "an ELF file for %s (machine %u), not RISC-V", machine_name(h->e_machine),
                      h->e_machine);
    if (h->e_type != ET_EXEC)
        return refuse(s, "%s; an executable linked to a fixed address is needed",
                      type_name(h->e_type));
    if (h->e_phnum == 0)
        return refuse(s, "no segments to load");
    if (h->e_phentsize != sizeof(Elf32_Phdr))
        return refuse(s, "damaged ELF header: program headers of %u bytes", h->e_phentsize);
    if (h->e_phnum > IMAGE_SEGMENTS)
        return refuse(s, "%u program headers; at most %d are taken", h->e_phnum, IMAGE_SEGMENTS);
    if (h->e_phoff > s->count || s->count - h->e_phoff < h->e_phnum * sizeof(Elf32_Phdr))
        return refuse(s, "truncated: the program headers lie beyond the end of the file");
    return 0;
}

/* ---- segments ----------------------------------------------------------------------------- */

static int check_segment(const struct source *s, const Elf32_Phdr *p, unsigned n,
                         const struct ram *ram)
{
    if (p->p_filesz > p->p_memsz)
        return refuse(s, "segment %u has more bytes in the file (%u) than in memory (%u)", n,
                      p->p_filesz, p->p_memsz);
    if (p->p_offset > s->count || s->count - p->p_offset < p->p_filesz)
        return refuse(s, "truncated: segment %u lies beyond the end of the file", n);
    if ((uint64_t)p->p_paddr + p->p_memsz > 1ull << 32)
        return refuse(s, "segment %u reaches past 4 GiB", n);
    if (!ram_has(ram, p->p_paddr) || p->p_memsz > ram->size - (p->p_paddr - ram->base))
        return refuse(s, "segment %u (0x%08x, %u bytes) is outside memory (0x%08x, %u MiB)", n,
                      p->p_paddr, p->p_memsz, ram->base, ram->size >> 20);
    return 0;
}

static bool overlap(const Elf32_Phdr *a, const Elf32_Phdr *b)
{
    return a->p_paddr - b->p_paddr < b->p_memsz || b->p_paddr - a->p_paddr < a->p_memsz;
}

static int check_overlaps(const struct source *s, const Elf32_Phdr *segment, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < i; j++)
            if (overlap(&segment[i], &segment[j]))
                return refuse(s, "two segments overlap at 0x%08x", segment[i].p_paddr);
    return 0;
}

/* The entry is a virtual address: its physical one follows from the segment that holds it. */
static int find_entry(const struct source *s, uint32_t entry, const Elf32_Phdr *segment,
                      unsigned count, struct image *image)
{
    if (entry % 4)
        return refuse(s, "the entry 0x%08x is not a multiple of 4", entry);
    for (unsigned i = 0; i < count; i++) {
        if (entry - segment[i].p_vaddr < segment[i].p_memsz) {
            image->entry = entry - segment[i].p_vaddr + segment[i].p_paddr;
            return 0;
        }
    }
    return refuse(s, "the entry 0x%08x is in no segment", entry);
}

/* Copies the PT_LOAD headers that take memory. */
static unsigned collect(const struct source *s, const Elf32_Ehdr *header, Elf32_Phdr *segment)
{
    unsigned count = 0;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf32_Phdr *p = &segment[count];
        memcpy(p, s->bytes + header->e_phoff + i * sizeof *p, sizeof *p);
        count += p->p_type == PT_LOAD && p->p_memsz;
    }
    return count;
}

static int place(const struct source *s, const Elf32_Phdr *p, struct ram *ram)
{
    static const uint8_t zero[PAGE_SIZE];
    if (!ram_write(ram, p->p_paddr, s->bytes + p->p_offset, p->p_filesz))
        return refuse(s, "the host has no memory left");
    for (uint32_t at = p->p_filesz; at < p->p_memsz;) {
        uint32_t part = p->p_memsz - at < PAGE_SIZE ? p->p_memsz - at : PAGE_SIZE;
        /* Pages that were never touched are zero already. */
        if (ram_peek(ram, p->p_paddr + at) || ram_peek(ram, p->p_paddr + at + part - 1))
            ram_write(ram, p->p_paddr + at, zero, part);
        at += part;
    }
    return 0;
}

static int load_segments(const struct source *s, const Elf32_Ehdr *header, struct image *image,
                         struct ram *ram)
{
    Elf32_Phdr segment[IMAGE_SEGMENTS];
    unsigned count = collect(s, header, segment);
    int error = count ? 0 : refuse(s, "no segments to load");
    for (unsigned i = 0; i < count && !error; i++)
        error = check_segment(s, &segment[i], i, ram);
    error = error ? error : check_overlaps(s, segment, count);
    error = error ? error : find_entry(s, header->e_entry, segment, count, image);

    image->low = UINT32_MAX;
    for (unsigned i = 0; i < count && !error; i++) {
        uint32_t end = segment[i].p_paddr + segment[i].p_memsz;
        image->low = segment[i].p_paddr < image->low ? segment[i].p_paddr : image->low;
        image->high = end > image->high ? end : image->high;
        error = place(s, &segment[i], ram);
    }
    return error;
}

static struct symbols *read_symbols(const struct source *s, bool lines)
{
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory((char *)s->bytes, s->count); /* which only reads */
    struct symbols *symbols = elf ? symbols_read(elf, lines) : NULL;
    elf_end(elf);
    return symbols;
}

static int load_elf(const struct source *s, struct image *image, struct ram *ram, bool lines)
{
    Elf32_Ehdr header;
    int error = check_identity(s);
    if (error)
        return error;
    memcpy(&header, s->bytes, sizeof header);
    error = check_header(s, &header);
    error = error ? error : load_segments(s, &header, image, ram);
    if (!error)
        image->symbols = read_symbols(s, lines);
    return error;
}

/* ---- flat images -------------------------------------------------------------------------- */

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    return length >= tail && !strcmp(name + length - tail, suffix);
}

/* Only what is printed: some letters are instructions, too ("#!/b" is a store). */
static bool is_text(const struct source *s)
{
    for (size_t i = 0; i < s->count && i < 4096; i++) {
        uint8_t c = s->bytes[i];
        bool blank = c == '\t' || c == '\n' || c == '\r' || c == '\f';
        if (!blank && (c < ' ' || c == 0x7f))
            return false;
    }
    return true;
}

/* The header of a Linux kernel image, which may begin with a compressed instruction. */
static bool is_linux(const struct source *s)
{
    return s->count >= 64 && !memcmp(s->bytes + 56, "RSC\005", 4);
}

/* Anything could be a flat image: it must be named like one, or begin with an instruction. */
static bool may_be_flat(const struct source *s)
{
    static const char *const suffix[] = {".bin", ".img", ".flat", "Image"};
    uint32_t word;
    if (s->count < sizeof word || is_text(s))
        return false;
    for (unsigned i = 0; i < sizeof suffix / sizeof suffix[0]; i++)
        if (has_suffix(s->name, suffix[i]))
            return true;
    memcpy(&word, s->bytes, sizeof word);
    return is_linux(s) || isa_decode(word).op != OP_ILLEGAL;
}

static int load_flat(const struct source *s, struct image *image, struct ram *ram)
{
    if (!may_be_flat(s))
        return refuse(s, "not an ELF file, nor a flat RISC-V image");
    if (!ram_has(ram, VIRT_KERNEL) || s->count > ram->size - (VIRT_KERNEL - ram->base))
        return refuse(s, "a flat image of %zu bytes at 0x%08x does not fit into %u MiB of memory",
                      s->count, VIRT_KERNEL, ram->size >> 20);
    image->flat = true;
    image->entry = image->low = VIRT_KERNEL;
    image->high = VIRT_KERNEL + (uint32_t)s->count;
    return ram_write(ram, VIRT_KERNEL, s->bytes, s->count)
               ? 0
               : refuse(s, "the host has no memory left");
}

/* ---- files -------------------------------------------------------------------------------- */

static int load(const struct source *s, struct image *image, struct ram *ram, bool lines)
{
    *image = (struct image){0};
    if (s->count == 0)
        return refuse(s, "the file is empty");
    if (s->count >= SELFMAG && !memcmp(s->bytes, ELFMAG, SELFMAG))
        return load_elf(s, image, ram, lines);
    return load_flat(s, image, ram);
}

int image_load_bytes(struct image *image, const char *name, const uint8_t *bytes, size_t count,
                     struct ram *ram, char *why)
{
    struct source s = {name, bytes, count, why};
    return load(&s, image, ram, false);
}

static int read_whole(struct source *s, int fd, uint8_t *bytes, size_t size)
{
    while (s->count < size) {
        ssize_t got = read(fd, bytes + s->count, size - s->count);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return refuse(s, "%s", strerror(errno));
        if (got == 0)
            return 0; /* it has become shorter: the checks will say what is missing */
        s->count += (size_t)got;
    }
    return 0;
}

static int read_file(struct source *s, uint8_t **bytes)
{
    /* Not blocking: opening a FIFO must not hang. */
    int fd = open(s->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return refuse(s, "%s", strerror(errno));
    struct stat st;
    int error = 0;
    if (fstat(fd, &st))
        error = refuse(s, "%s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        error = refuse(s, "is a directory");
    else if (!S_ISREG(st.st_mode))
        error = refuse(s, "not a regular file");
    else if (st.st_size > FILE_MAX_BYTES)
        error = refuse(s, "the file is larger than %d MiB", FILE_MAX_BYTES >> 20);
    *bytes = error ? NULL : malloc((size_t)st.st_size + 1);
    if (!error && !*bytes)
        error = refuse(s, "the host has no memory left");
    if (!error)
        error = read_whole(s, fd, *bytes, (size_t)st.st_size);
    close(fd);
    s->bytes = *bytes;
    return error;
}

int image_load(struct image *image, const char *path, struct ram *ram, char *why)
{
    struct source s = {.name = path, .why = why};
    uint8_t *bytes = NULL;
    int error = read_file(&s, &bytes);
    if (!error)
        error = load(&s, image, ram, true);
    free(bytes);
    return error;
}
