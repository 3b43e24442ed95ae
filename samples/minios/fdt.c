/*
 * How much memory there is, from the flattened device tree that the firmware hands over.
 *
 * The tree is a stream of big-endian words: a node begins with a name, has properties, may hold
 * further nodes, ends. All that is looked for is `reg` of the node memory@..., which has two words
 * of address and two of size on this machine. "Devicetree Specification", chapter 5.
 */
#include "minios.h"

#define MAGIC 0xd00dfeed

enum { BEGIN_NODE = 1, END_NODE, PROPERTY, NOP };

static uint32_t word(const uint32_t *at)
{
    const uint8_t *byte = (const uint8_t *)at;
    return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

static bool starts_with(const char *text, const char *start)
{
    for (; *start; text++, start++)
        if (*text != *start)
            return false;
    return true;
}

static const uint32_t *behind(const void *start, uint32_t bytes)
{
    return (const uint32_t *)((uintptr_t)start + ((bytes + 3) & ~3u));
}

static uint32_t text_length(const char *text)
{
    uint32_t length = 0;
    while (text[length])
        length++;
    return length;
}

uint32_t fdt_memory_end(const void *tree)
{
    const uint32_t *header = tree;
    if (!tree || word(header) != MAGIC)
        return 0;
    const uint32_t *at = behind(tree, word(&header[2]));
    const char *names = (const char *)tree + word(&header[3]);
    bool in_memory = false;
    for (;;) {
        switch (word(at++)) {
        case BEGIN_NODE:
            in_memory = starts_with((const char *)at, "memory@");
            at = behind(at, text_length((const char *)at) + 1);
            break;
        case PROPERTY:
            if (in_memory && !strcmp(names + word(&at[1]), "reg") && word(&at[0]) == 16)
                return word(&at[3]) + word(&at[5]);
            at = behind(at + 2, word(&at[0]));
            break;
        case END_NODE:
        case NOP: break;
        default: return 0;
        }
    }
}
