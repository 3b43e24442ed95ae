/*
 * Prints what the loader has told: its name, the command line, modules, and where memory is.
 *
 * The memory map is the first thing that a kernel needs, and the one that it cannot find out by
 * itself: reading an address where nothing is may give anything, or hang a real computer.
 *
 * With 64 MiB and the command line "one two" (the second version tells it in another order):
 */
// expect: started by Vitrine
// expect: command line: one two
// expect: 0x00000000 639 KiB of memory
// expect: 0x0009fc00 1 KiB reserved
// expect: 0x000e0000 128 KiB reserved
// expect: 0x00100000 64512 KiB of memory
// expect: 65151 KiB of memory in all
#include "com1.h"
#include "multiboot.h"

static uint32_t total;

static const void *at(uint32_t address)
{
    return (const void *)(uintptr_t)address;
}

static void say(const char *what, const char *text)
{
    com1_puts(what);
    com1_puts(text);
    com1_putc('\n');
}

static void say_region(uint64_t start, uint64_t length, uint32_t type)
{
    enum { AVAILABLE = 1 };
    uint32_t kib = (uint32_t)(length >> 10);
    com1_hex(start, 8);
    com1_putc(' ');
    com1_dec(kib);
    com1_puts(type == AVAILABLE ? " KiB of memory\n" : " KiB reserved\n");
    if (type == AVAILABLE)
        total += kib;
}

static void say_module(uint32_t start, uint32_t end, const char *name)
{
    com1_puts("module of ");
    com1_dec(end - start);
    say(" bytes: ", name);
}

/* ---- version 1 ---------------------------------------------------------------------------- */

static void say_map(uint32_t start, uint32_t size)
{
    const struct map_entry *e;
    for (uint32_t offset = 0; offset < size; offset += e->size + (uint32_t)sizeof e->size) {
        e = at(start + offset);
        say_region(e->start, e->length, e->type);
    }
}

static void say_information(const struct information *i)
{
    if (i->flags & HAS_LOADER)
        say("started by ", at(i->loader));
    if (i->flags & HAS_ARGS)
        say("command line: ", at(i->args));
    for (uint32_t n = 0; i->flags & HAS_MODULES && n < i->modules; n++) {
        const struct module *m = at(i->module_list + n * (uint32_t)sizeof *m);
        say_module(m->start, m->end, at(m->name));
    }
    if (i->flags & HAS_MAP)
        say_map(i->map, i->map_size);
}

/* ---- version 2 ---------------------------------------------------------------------------- */

static void say_map_tag(const struct map_tag *map)
{
    uint32_t end = (uint32_t)(uintptr_t)map + map->tag.size;
    uint32_t next = (uint32_t)(uintptr_t)(map + 1);
    for (; next < end; next += map->entry_size) {
        const struct map2_entry *e = at(next);
        say_region(e->start, e->length, e->type);
    }
}

static void say_tag(const struct tag *tag)
{
    const struct text_tag *text = (const struct text_tag *)tag;
    const struct module_tag *module = (const struct module_tag *)tag;
    switch (tag->type) {
    case TAG_LOADER: say("started by ", text->text); break;
    case TAG_ARGS: say("command line: ", text->text); break;
    case TAG_MODULE: say_module(module->start, module->end, module->name); break;
    case TAG_MAP: say_map_tag((const struct map_tag *)tag); break;
    }
}

/* The first 8 bytes are the size of all. */
static void say_tags(uint32_t information)
{
    const struct tag *tag = at(information + 8);
    while (tag->type != TAG_END) {
        say_tag(tag);
        tag = at((uint32_t)(uintptr_t)tag + ((tag->size + 7) & ~7u));
    }
}

void main(uint32_t magic, uint32_t information);
void main(uint32_t magic, uint32_t information)
{
    if (magic == STARTED_BY_1) {
        say_information(at(information));
    } else if (magic == STARTED_BY_2) {
        say_tags(information);
    } else {
        com1_puts("not started by a Multiboot loader\n");
        leave(1);
    }
    com1_dec(total);
    com1_puts(" KiB of memory in all\n");
    leave(0);
}
