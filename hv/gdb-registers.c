/*
 * The GDB stub's registers: reading, writing, and the target description that tells gdb which there
 * are.
 *
 * The same for every ISA: what is there, with gdb's names and numbers, comes as a list from the
 * ISA's file. A value is sent as the target would store it, little-endian, two hex digits a byte;
 * "xx" is a byte that nobody knows. Source: "Debugging with GDB", appendices E.2 (packets) and G
 * (target descriptions).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/gdb_priv.h"

static uint8_t byte_of(const struct gdb_register *r, unsigned n)
{
    return (uint8_t)(n < 8 ? r->value >> 8 * n : r->high >> 8 * (n - 8));
}

static void reply_value(struct gdb *gdb, const struct gdb_register *r)
{
    for (unsigned i = 0; i < r->bits / 8u; i++)
        if (r->known)
            gdb_reply(gdb, "%02x", byte_of(r, i));
        else
            gdb_reply(gdb, "xx");
}

/* Reads a value of `bits` bits. */
static bool take_value(const char **at, unsigned bits, uint64_t *value, uint64_t *high)
{
    uint8_t byte;
    *value = *high = 0;
    for (unsigned i = 0; i < bits / 8; i++) {
        if (!gdb_take_byte(at, &byte))
            return false;
        *(i < 8 ? value : high) |= (uint64_t)byte << 8 * (i % 8);
    }
    return true;
}

static int list_registers(struct gdb *gdb, struct gdb_register *out)
{
    return gdb->isa->list(gdb->session, out);
}

static const struct gdb_register *find_register(const struct gdb_register *list, int count,
                                                uint32_t number)
{
    for (int i = 0; i < count; i++)
        if (list[i].number == number)
            return &list[i];
    return NULL;
}

/* Wide registers can be looked at, not written: the session takes 64 bits. */
static int write_value(struct gdb *gdb, const struct gdb_register *r, uint64_t value, uint64_t high)
{
    if (r->bits <= 64)
        return gdb->isa->write(gdb->session, r->number, value);
    return r->known && value == r->value && high == r->high ? 0 : -ENOTSUP;
}

void gdb_answer_registers(struct gdb *gdb, const char *at)
{
    struct gdb_register list[GDB_REGISTERS];
    int count = list_registers(gdb, list);
    for (int i = 0; i < count && i < gdb->isa->general; i++)
        reply_value(gdb, &list[i]);
}

/* What is unknown ("xx") or as it was is not written. Nothing is, if the packet is too short. */
void gdb_answer_set_registers(struct gdb *gdb, const char *at)
{
    struct gdb_register list[GDB_REGISTERS], wanted[GDB_REGISTERS];
    int count = list_registers(gdb, list), failed = 0;
    if (count > gdb->isa->general)
        count = gdb->isa->general;
    for (int i = 0; i < count; i++) {
        wanted[i] = list[i];
        size_t unknown = strspn(at, "x");
        if (unknown >= list[i].bits / 4u)
            at += list[i].bits / 4;
        else if (!take_value(&at, list[i].bits, &wanted[i].value, &wanted[i].high)) {
            gdb_reply_error(gdb, EINVAL);
            return;
        }
    }
    for (int i = 0; i < count && !failed; i++)
        if (wanted[i].value != list[i].value || wanted[i].high != list[i].high)
            failed = write_value(gdb, &list[i], wanted[i].value, wanted[i].high);
    gdb_reply_result(gdb, failed);
}

void gdb_answer_register(struct gdb *gdb, const char *at)
{
    struct gdb_register list[GDB_REGISTERS];
    const struct gdb_register *found = NULL;
    uint32_t number;
    if (gdb_take_number(&at, &number) && !*at)
        found = find_register(list, list_registers(gdb, list), number);
    if (found)
        reply_value(gdb, found);
    else
        gdb_reply_error(gdb, EINVAL);
}

void gdb_answer_set_register(struct gdb *gdb, const char *at)
{
    struct gdb_register list[GDB_REGISTERS];
    const struct gdb_register *found = NULL;
    uint64_t value, high;
    uint32_t number;
    if (gdb_take_number(&at, &number) && gdb_take_char(&at, '='))
        found = find_register(list, list_registers(gdb, list), number);
    if (found && take_value(&at, found->bits, &value, &high) && !*at)
        gdb_reply_result(gdb, write_value(gdb, found, value, high));
    else
        gdb_reply_error(gdb, EINVAL);
}

/* ---- target description ------------------------------------------------------------------- */

static void write_register(const struct gdb_register *r, FILE *out)
{
    fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" regnum=\"%u\"", r->name, r->bits, r->number);
    if (r->type)
        fprintf(out, " type=\"%s\"", r->type);
    if (r->group)
        fprintf(out, " group=\"%s\"", r->group);
    fputs("/>\n", out);
}

static void write_description(struct gdb *gdb, FILE *out)
{
    struct gdb_register list[GDB_REGISTERS];
    const char *feature = NULL;
    int count = list_registers(gdb, list);
    fprintf(out,
            "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
            "<target version=\"1.0\">\n<architecture>%s</architecture>\n",
            gdb->isa->architecture);
    for (int i = 0; i < count; i++) {
        if (feature != list[i].feature) {
            fprintf(out, "%s<feature name=\"%s\">\n", feature ? "</feature>\n" : "",
                    list[i].feature);
            feature = list[i].feature;
            if (gdb->isa->types)
                gdb->isa->types(feature, out);
        }
        write_register(&list[i], out);
    }
    fprintf(out, "%s</target>\n", feature ? "</feature>\n" : "");
}

/* "OFFSET,LENGTH": a part of the description, which has no character that would need escaping. */
void gdb_answer_description(struct gdb *gdb, const char *at)
{
    uint32_t offset, length;
    char *text = NULL;
    size_t size = 0;
    if (!gdb_take_range(&at, &offset, &length) || *at) {
        gdb_reply_error(gdb, EINVAL);
        return;
    }
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        gdb_reply_error(gdb, ENOMEM);
        return;
    }
    write_description(gdb, out);
    fclose(out);
    if (offset > size)
        offset = (uint32_t)size;
    if (length > GDB_PACKET - 2)
        length = GDB_PACKET - 2;
    bool last = size - offset <= length;
    gdb_reply(gdb, "%c%.*s", last ? 'l' : 'm', (int)(last ? size - offset : length), text + offset);
    free(text);
}
