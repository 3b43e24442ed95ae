/* Symbols and source lines of an x86 guest's ELF image, by cpu/image.h. */
#ifndef VITRINE_KVM_SYMBOLS_H
#define VITRINE_KVM_SYMBOLS_H

#include "cpu/image.h"

/* Of the ELF file at `path`. NULL: it is none, or has none; a guest runs without. */
struct symbols *kvm_symbols_load(const char *path);

#endif
