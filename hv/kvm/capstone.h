/*
 * capstone, loaded when the first instruction is to be read.
 *
 * Most runs never disassemble anything, and the library is the largest part of what a run would
 * carry: its tables are full of pointers, which the dynamic linker must set at every start (1.4 MiB
 * that no other process shares). So it is no library of the program, but is opened by its name.
 *
 * Source: capstone.h of the version that this was built with; its major version is in the name.
 */
#ifndef VITRINE_KVM_CAPSTONE_H
#define VITRINE_KVM_CAPSTONE_H

#include <capstone/capstone.h>
#include <stdbool.h>

#define CAPSTONE_TEXT(x)   #x
#define CAPSTONE_SONAME(n) "libcapstone.so." CAPSTONE_TEXT(n)
#define CAPSTONE_NAME      CAPSTONE_SONAME(CS_API_MAJOR) /* "libcapstone.so.4" */

/* The functions that are used, by their own names. */
#define CAPSTONE_FUNCTIONS(F)                                                                      \
    F(cs_open) F(cs_close) F(cs_option) F(cs_malloc) F(cs_free) F(cs_disasm_iter)

struct capstone {
    void *library;
#define CAPSTONE_POINTER(name) __typeof__(&name) name;
    CAPSTONE_FUNCTIONS(CAPSTONE_POINTER)
};

/* False: the host has no such library, or not these functions. */
bool capstone_load(struct capstone *capstone);
/* Also after a failed load, or none. */
void capstone_unload(struct capstone *capstone);

#endif
