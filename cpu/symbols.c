/*
 * Symbols and source lines: sorted arrays, made once from what libelf and libdw find.
 *
 * Everything is copied out of the file, so neither library is needed afterwards. A file can claim
 * anything: how much is read is bounded everywhere, so that a damaged or malicious one costs at
 * most some seconds and its lines. Inlined functions and columns are left out.
 */
#include "cpu/symbols.h"

#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct symbol {
    uint64_t address, size;
    const char *name;
};

struct line {
    uint64_t address;
    uint32_t file; /* index into files; NO_FILE: the end of a sequence */
    int number;
};

#define NO_FILE UINT32_MAX
enum { MAX_SYMBOLS = 1 << 20, MAX_LINES = 1 << 20, MAX_FILES = 1 << 14, FILE_SLOTS = 1 << 15,
       MAX_NAME = 1023 };
enum { MAX_DEBUG_BYTES = 64 << 20 }; /* of one section of debug information, unpacked */

struct symbols {
    struct symbol *symbol;
    unsigned count;
    struct line *line;
    unsigned lines;
    char **file;
    unsigned files;
};

void symbols_free(struct symbols *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++)
        free((char *)s->symbol[i].name);
    for (unsigned i = 0; i < s->files; i++)
        free(s->file[i]);
    free(s->symbol);
    free(s->line);
    free(s->file);
    free(s);
}

/* Makes room for one more element of a growing array. false: no memory, or `max` are there. */
static bool room_for_one(void **array, unsigned count, unsigned max, size_t element)
{
    bool is_power_of_two = (count & (count - 1)) == 0;
    if (count >= max)
        return false;
    if (!is_power_of_two)
        return true;
    void *grown = realloc(*array, (count ? 2 * count : 1) * element);
    if (grown)
        *array = grown;
    return grown != NULL;
}

/* ---- symbols ------------------------------------------------------------------------------ */

static bool is_wanted(const GElf_Sym *sym, const char *name)
{
    unsigned type = GELF_ST_TYPE(sym->st_info);
    bool has_place = sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_COMMON;
    bool is_label = type == STT_NOTYPE || type == STT_FUNC || type == STT_OBJECT;
    /* "$x" and ".L12" are the assembler's own. */
    return has_place && is_label && name && name[0] && name[0] != '$' && strncmp(name, ".L", 2);
}

static void add_symbol(struct symbols *s, const GElf_Sym *sym, const char *name)
{
    if (!room_for_one((void **)&s->symbol, s->count, MAX_SYMBOLS, sizeof *s->symbol))
        return;
    char *copy = strndup(name, MAX_NAME);
    if (copy)
        s->symbol[s->count++] = (struct symbol){sym->st_value, sym->st_size, copy};
}

static void read_symbol_table(struct symbols *s, Elf *elf)
{
    Elf_Scn *section = NULL;
    bool is_64 = gelf_getclass(elf) == ELFCLASS64;
    size_t entry = is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB ||
            header.sh_entsize != entry)
            continue;
        Elf_Data *data = elf_getdata(section, NULL);
        size_t count = data && data->d_buf ? data->d_size / entry : 0;
        for (size_t i = 0; i < count && i < MAX_SYMBOLS; i++) {
            GElf_Sym sym;
            if (!gelf_getsym(data, (int)i, &sym))
                continue;
            const char *name = elf_strptr(elf, header.sh_link, sym.st_name);
            if (is_wanted(&sym, name))
                add_symbol(s, &sym, name);
        }
        return; /* there is one table at most */
    }
}

/* By address; at the same address by name, so that the order is always the same. */
static int compare_symbols(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* ---- lines -------------------------------------------------------------------------------- */

/* What reading needs: the symbols being made, and the files' indices + 1 by their names' hash. */
struct reading {
    struct symbols *symbols;
    uint32_t slot[FILE_SLOTS];
};

static uint32_t hash(const char *name)
{
    uint32_t h = 2166136261u;
    for (unsigned i = 0; i < MAX_NAME && name[i]; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    return h;
}

static uint32_t file_index(struct reading *r, const char *name)
{
    struct symbols *s = r->symbols;
    uint32_t at = hash(name) % FILE_SLOTS; /* never full: MAX_FILES is half of it */
    for (; r->slot[at]; at = (at + 1) % FILE_SLOTS)
        if (!strncmp(s->file[r->slot[at] - 1], name, MAX_NAME))
            return r->slot[at] - 1;
    if (!room_for_one((void **)&s->file, s->files, MAX_FILES, sizeof *s->file))
        return NO_FILE;
    s->file[s->files] = strndup(name, MAX_NAME);
    if (!s->file[s->files])
        return NO_FILE;
    r->slot[at] = ++s->files;
    return s->files - 1;
}

/* false: no room for more. */
static bool add_line(struct reading *r, Dwarf_Line *row)
{
    struct symbols *s = r->symbols;
    Dwarf_Addr address;
    int number = 0;
    bool end = false;
    if (dwarf_lineaddr(row, &address))
        return true;
    if (!room_for_one((void **)&s->line, s->lines, MAX_LINES, sizeof *s->line))
        return false;
    dwarf_lineno(row, &number);
    dwarf_lineendsequence(row, &end);
    const char *name = end ? NULL : dwarf_linesrc(row, NULL, NULL);
    s->line[s->lines++] = (struct line){address, name ? file_index(r, name) : NO_FILE, number};
    return true;
}

static bool read_unit(struct reading *r, Dwarf_Die *unit)
{
    Dwarf_Lines *rows;
    size_t count;
    if (dwarf_getsrclines(unit, &rows, &count))
        return true;
    for (size_t i = 0; i < count; i++)
        if (!add_line(r, dwarf_onesrcline(rows, i)))
            return false;
    return true;
}

/* libdw unpacks compressed sections whatever size they claim, and makes some 40 bytes of each byte
 * of a line table: are they all of a reasonable size? */
static bool is_reasonable(Elf *elf)
{
    Elf_Scn *section = NULL;
    size_t names;
    if (elf_getshdrstrndx(elf, &names))
        return false;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        GElf_Chdr packed;
        if (!gelf_getshdr(section, &header))
            return false;
        const char *name = elf_strptr(elf, names, header.sh_name);
        if (name && !strncmp(name, ".zdebug", 7)) /* an old form, which hides its size */
            return false;
        bool is_packed = header.sh_flags & SHF_COMPRESSED && header.sh_type != SHT_NOBITS;
        if (is_packed && (!gelf_getchdr(section, &packed) || packed.ch_size > MAX_DEBUG_BYTES))
            return false;
        if (header.sh_type == SHT_PROGBITS && !(header.sh_flags & SHF_ALLOC) &&
            header.sh_size > MAX_DEBUG_BYTES)
            return false;
    }
    return true;
}

static void read_lines(struct symbols *s, Elf *elf)
{
    struct reading *r = is_reasonable(elf) ? calloc(1, sizeof *r) : NULL;
    Dwarf *dwarf = r ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
    Dwarf_Off at = 0, next;
    size_t header;
    if (r)
        r->symbols = s;
    while (dwarf && dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL) == 0) {
        Dwarf_Die unit;
        if (next <= at || (dwarf_offdie(dwarf, at + header, &unit) && !read_unit(r, &unit)))
            break;
        at = next;
    }
    dwarf_end(dwarf);
    free(r);
}

/* By address; an end of sequence comes before a sequence that begins there. */
static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return (y->file == NO_FILE) - (x->file == NO_FILE);
}

struct symbols *symbols_read(Elf *elf, bool lines)
{
    struct symbols *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    read_symbol_table(s, elf);
    if (lines)
        read_lines(s, elf);
    if (s->count)
        qsort(s->symbol, s->count, sizeof *s->symbol, compare_symbols);
    if (s->lines)
        qsort(s->line, s->lines, sizeof *s->line, compare_lines);
    if (!s->count && !s->lines) {
        symbols_free(s);
        return NULL;
    }
    return s;
}

struct symbols *symbols_load(const char *path, bool lines)
{
    struct symbols *s = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || elf_version(EV_CURRENT) == EV_NONE)
        goto close;
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    if (elf && elf_kind(elf) == ELF_K_ELF)
        s = symbols_read(elf, lines);
    elf_end(elf);
close:
    if (fd >= 0)
        close(fd);
    return s;
}

/* ---- asking ------------------------------------------------------------------------------- */

bool symbols_find(const struct symbols *s, const char *name, uint64_t *address)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (!strcmp(s->symbol[i].name, name)) {
            *address = s->symbol[i].address;
            return true;
        }
    }
    return false;
}

const char *symbols_at(const struct symbols *s, uint64_t address, uint64_t *offset)
{
    unsigned low = 0, high = s->count; /* the last symbol at or before address is in low - 1 */
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (s->symbol[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    unsigned i = low - 1;
    /* Of several labels at one place, the one with a size is the function's. */
    while (i > 0 && s->symbol[i - 1].address == s->symbol[i].address && !s->symbol[i].size)
        i--;
    const struct symbol *found = &s->symbol[i];
    *offset = address - found->address;
    enum { FAR = 1 << 20 }; /* beyond this a label without a size says nothing */
    bool inside = found->size ? *offset < found->size : *offset < FAR && low < s->count;
    return inside || *offset == 0 ? found->name : NULL;
}

bool symbols_line(const struct symbols *s, uint64_t address, const char **file, int *line)
{
    unsigned low = 0, high = s->lines;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (s->line[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || s->line[low - 1].file == NO_FILE)
        return false;
    *file = s->file[s->line[low - 1].file];
    *line = s->line[low - 1].number;
    return *line > 0;
}

static bool is_file(const char *path, const char *wanted)
{
    size_t length = strlen(path), tail = strlen(wanted);
    if (tail > length || strcmp(path + length - tail, wanted))
        return false;
    return tail == length || path[length - tail - 1] == '/';
}

bool symbols_line_address(const struct symbols *s, const char *file, int line, uint64_t *address)
{
    for (unsigned i = 0; i < s->lines; i++) {
        const struct line *l = &s->line[i];
        if (l->number == line && l->file != NO_FILE && is_file(s->file[l->file], file)) {
            *address = l->address;
            return true;
        }
    }
    return false;
}

const char *symbols_nth(const struct symbols *s, unsigned n, uint64_t *address, uint64_t *size)
{
    if (n >= s->count)
        return NULL;
    *address = s->symbol[n].address;
    *size = s->symbol[n].size;
    return s->symbol[n].name;
}

/* "file.c:42" */
static bool lookup_line(const struct symbols *s, const char *name, uint64_t *address)
{
    char file[256];
    const char *colon = strrchr(name, ':');
    if (!colon || colon == name || (size_t)(colon - name) >= sizeof file)
        return false;
    memcpy(file, name, (size_t)(colon - name));
    file[colon - name] = 0;
    char *end;
    long line = strtol(colon + 1, &end, 10);
    return end != colon + 1 && !*end && line > 0 && line <= INT_MAX &&
           symbols_line_address(s, file, (int)line, address);
}

/* "symbol" or "symbol+8" */
static bool lookup_symbol(const struct symbols *s, const char *name, uint64_t *address)
{
    char symbol[256];
    const char *plus = strchr(name, '+');
    size_t length = plus ? (size_t)(plus - name) : strlen(name);
    if (length == 0 || length >= sizeof symbol)
        return false;
    memcpy(symbol, name, length);
    symbol[length] = 0;
    char *end = NULL;
    unsigned long offset = plus ? strtoul(plus + 1, &end, 0) : 0;
    if (plus && (end == plus + 1 || *end))
        return false;
    if (!symbols_find(s, symbol, address))
        return false;
    *address += offset;
    return true;
}

bool symbols_lookup(const struct symbols *s, const char *name, uint64_t *address)
{
    return s && (lookup_symbol(s, name, address) || lookup_line(s, name, address));
}

bool symbols_text(const struct symbols *s, uint64_t address, char *out, size_t size)
{
    uint64_t offset = 0;
    const char *name = s ? symbols_at(s, address, &offset) : NULL;
    if (!name)
        snprintf(out, size, "%s", "");
    else if (offset)
        snprintf(out, size, "%s+0x%" PRIx64, name, offset);
    else
        snprintf(out, size, "%s", name);
    return name && offset == 0;
}
