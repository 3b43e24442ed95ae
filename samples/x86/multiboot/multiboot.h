/*
 * What a Multiboot loader hands over: Multiboot Specification 0.6.96, section 3.3, and 2.0, section
 * 3.6. Only what main.c prints.
 */
#ifndef SAMPLES_X86_MULTIBOOT_H
#define SAMPLES_X86_MULTIBOOT_H

#include <stdint.h>

#define STARTED_BY_1 0x2badb002u
#define STARTED_BY_2 0x36d76289u

/* ---- version 1: one structure; a bit of `flags` says which members are valid ---------------- */

enum { HAS_ARGS = 1 << 2, HAS_MODULES = 1 << 3, HAS_MAP = 1 << 6, HAS_LOADER = 1 << 9 };

struct information {
    uint32_t flags, lower, upper, boot_device;
    uint32_t args;
    uint32_t modules, module_list;
    uint32_t symbols[4];
    uint32_t map_size, map;
    uint32_t drives_size, drives, config_table, loader;
};

/* `size` says how much follows it, so entries may grow. */
struct map_entry {
    uint32_t size;
    uint64_t start, length;
    uint32_t type;
} __attribute__((packed));

struct module {
    uint32_t start, end, name, reserved;
};

/* ---- version 2: a list of tags, each at a multiple of 8 ------------------------------------- */

enum { TAG_END = 0, TAG_ARGS = 1, TAG_LOADER = 2, TAG_MODULE = 3, TAG_MAP = 6 };

struct tag {
    uint32_t type, size;
};

struct text_tag {
    struct tag tag;
    char text[];
};

struct module_tag {
    struct tag tag;
    uint32_t start, end;
    char name[];
};

struct map_tag {
    struct tag tag;
    uint32_t entry_size, entry_version;
};

struct map2_entry {
    uint64_t start, length;
    uint32_t type, reserved;
};

#endif
