/* Symbols and source lines of an image: building them. Asking is in image.h. */
#ifndef VITRINE_CPU_SYMBOLS_H
#define VITRINE_CPU_SYMBOLS_H

#include <libelf.h>

#include "cpu/image.h"

/* Reads the symbol table and, if `lines`, the line tables of an ELF handle. Names are copied, so
 * the handle may be closed afterwards. NULL: there are none, or no memory. Damaged tables are left
 * out: a guest runs without symbols, too. */
struct symbols *symbols_read(Elf *elf, bool lines);

#endif
