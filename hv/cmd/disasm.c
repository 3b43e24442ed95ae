/*
 * `vitrine disasm`: a guest's instructions with symbols and source lines, without running it.
 *
 * With a symbol: from there to its end. Without: the whole image, data too; runs of zeros are left
 * out and shown as "...". Needs no session: the image is loaded into memory of its own.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpu/image.h"
#include "cpu/isa.h"
#include "cpu/ram.h"
#include "cpu/rv.h"
#include "hv/cmd/cmd.h"
#include "hv/cmd/disasm.h"
#include "hv/cmd/show.h"

static const uint32_t MEMORY = 1u << 30; /* the most that a guest may have */

static void fill_insn(struct view_insn *insn, const struct image *image, struct ram *ram,
                      uint32_t pa)
{
    const char *file;
    uint64_t offset = 0;
    const char *symbol = image->symbols ? symbols_at(image->symbols, pa, &offset) : NULL;
    *insn = (struct view_insn){.va = pa, .length = 4};
    insn->readable = ram_read(ram, pa, &insn->word, sizeof insn->word);
    memcpy(insn->bytes, &insn->word, sizeof insn->word);
    isa_disassemble(pa, insn->word, insn->text, sizeof insn->text);
    insn->sensitive = isa_traps_in_user_mode(insn->word);
    if (symbol) {
        snprintf(insn->symbol, sizeof insn->symbol, "%s", symbol);
        insn->symbol_start = offset == 0;
    }
    if (image->symbols && symbols_line(image->symbols, pa, &file, &insn->line))
        snprintf(insn->file, sizeof insn->file, "%s", file);
    else
        insn->line = 0;
}

static void show_range(const struct image *image, struct ram *ram, uint32_t from, uint32_t to)
{
    bool zeros = false;
    for (uint32_t pa = from; pa < to && pa >= from; pa += 4) {
        struct view_insn insn;
        if (!ram_peek(ram, pa)) { /* a page never written: all zeros */
            insn = (struct view_insn){.va = pa};
            pa |= PAGE_MASK & ~3u;
        } else {
            fill_insn(&insn, image, ram, pa);
        }
        bool zero = insn.word == 0 && !insn.symbol_start;
        if (zero && !zeros)
            puts("    ...");
        zeros = zero;
        if (!zero)
            show_insns(stdout, ISA_RV32, &insn, 1, UINT64_MAX);
    }
}

/* The symbol's range: its size, or up to the next symbol if it has none. */
static bool find_symbol(const struct image *image, const char *name, uint64_t *from, uint64_t *to)
{
    const char *at;
    uint64_t address, size;
    if (!image->symbols || !symbols_find(image->symbols, name, from))
        return false;
    *to = image->high;
    for (unsigned n = 0; (at = symbols_nth(image->symbols, n, &address, &size)); n++) {
        if (address == *from && size && !strcmp(at, name)) {
            *to = address + size;
            return true;
        }
        if (address > *from && address < *to)
            *to = address;
    }
    return true;
}

int cmd_disasm(const struct options *options, int argc, char **argv)
{
    struct image image = {0};
    struct ram ram;
    char why[IMAGE_ERROR];
    if (session_is_x86(argv[0]))
        return disasm_x86(argv[0], argc > 1 ? argv[1] : NULL);
    int failed = ram_init(&ram, VIRT_RAM, MEMORY), status = 0;
    if (failed)
        return cmd_fail("memory: %s", strerror(-failed));
    if (image_load(&image, argv[0], &ram, why)) {
        status = cmd_fail("%s", why);
    } else {
        uint64_t from = image.low & ~3u, to = image.high;
        if (argc > 1 && !find_symbol(&image, argv[1], &from, &to))
            status = cmd_fail("%s: no symbol '%s'", argv[0], argv[1]);
        else
            show_range(&image, &ram, (uint32_t)from, (uint32_t)to);
    }
    symbols_free(image.symbols);
    ram_free(&ram);
    return status;
}
