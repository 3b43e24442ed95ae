/* Symbols and source lines of an image: building them. Asking is in image.h. */
#ifndef VITRINE_CPU_SYMBOLS_H
#define VITRINE_CPU_SYMBOLS_H

#include <libelf.h>

#include "cpu/image.h"

/* Reads the symbol table and, if `lines`, the line tables of an ELF handle. Names are copied, so
 * the handle may be closed afterwards. NULL: there are none, or no memory. Damaged tables are left
 * out: a guest runs without symbols, too. */
struct symbols *symbols_read(Elf *elf, bool lines);

/* The same of an ELF file of 32 or 64 bits, of any machine. NULL also if it cannot be read or is no
 * ELF. */
struct symbols *symbols_load(const char *path, bool lines);

#endif
