/*
 * Guest images: ELF by libelf (segments, symbols), source lines by libdw, or flat binaries.
 *
 * Every number in the file is distrusted: libelf accepts much that must not be loaded. Nothing is
 * written to memory before the whole image has been checked.
 */
#ifndef VITRINE_CPU_IMAGE_H
#define VITRINE_CPU_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/ram.h"

struct symbols;

enum { IMAGE_SEGMENTS = 64, IMAGE_ERROR = 512 };

struct image {
    bool flat;      /* not an ELF: loaded at VIRT_KERNEL, S mode */
    uint32_t entry;
    uint32_t low, high; /* first and last + 1 physical address used */
    struct symbols *symbols; /* NULL if there are none; taken over by the caller, symbols_free() */
};

/* Loads the file into RAM. 0, or -errno with one line in `why` (IMAGE_ERROR bytes) that names the
 * file and the reason: cannot be read, not a 32-bit little-endian RISC-V executable, truncated,
 * segments outside RAM or overlapping, entry outside every segment, too large, empty. */
int image_load(struct image *image, const char *path, struct ram *ram, char *why);

/* The same from memory, for fuzzing and tests; no source lines. */
int image_load_bytes(struct image *image, const char *name, const uint8_t *bytes, size_t count,
                     struct ram *ram, char *why);

/* ---- symbols and lines -------------------------------------------------------------------- */

void symbols_free(struct symbols *symbols); /* NULL is allowed */

/* Address of a symbol by name. false: there is none. */
bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address);
/* The symbol at or before `address` and within its size (or, for size 0, before the next symbol):
 * its name (valid as long as `symbols`) and the offset. NULL: none. */
const char *symbols_at(const struct symbols *symbols, uint64_t address, uint64_t *offset);
/* Source file and 1-based line of an address. false: no debug information for it. */
bool symbols_line(const struct symbols *symbols, uint64_t address, const char **file, int *line);
/* First address of a source line; file may be the last part of the path. false: there is none. */
bool symbols_line_address(const struct symbols *symbols, const char *file, int line,
                          uint64_t *address);
/* The n-th symbol in order of address, NULL after the last. */
const char *symbols_nth(const struct symbols *symbols, unsigned n, uint64_t *address,
                        uint64_t *size);

/* An address by what a person types: "symbol", "symbol+8" or "file.c:42". false: there is none, or
 * `symbols` is NULL. */
bool symbols_lookup(const struct symbols *symbols, const char *name, uint64_t *address);
/* "main+0x10" of an address, "" if it has no symbol or `symbols` is NULL. Returns whether it is the
 * symbol's first. */
bool symbols_text(const struct symbols *symbols, uint64_t address, char *out, size_t size);

#endif
