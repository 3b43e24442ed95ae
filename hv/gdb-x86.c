/*
 * An x86 vCPU as gdb expects it: i386:x86-64 with the features core, sse and segments; every other
 * register of the session follows in a feature of our own, so that gdb knows `$cr3` and `$lstar`.
 *
 * The description cannot change while gdb is connected, so a guest in 32- or 16-bit code is shown
 * as x86-64, too: its registers are right, but gdb disassembles as if it were 64-bit code, and does
 * not know that in real mode an address is the segment's base + offset. `vitrine debug` and
 * the window disassemble in the mode that holds.
 *
 * Source: gdb's features/i386/ for names, numbers and order; "Debugging with GDB", section G.5.6.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/gdb_priv.h"

static const char CORE[] = "org.gnu.gdb.i386.core", SSE[] = "org.gnu.gdb.i386.sse",
                  SEGMENTS[] = "org.gnu.gdb.i386.segments", SYSTEM[] = "vitrine.x86.system";

/* gdb's registers in gdb's order, which makes their numbers. */
static const struct row {
    const char *feature, *name;
    const char *session; /* the session's name, NULL: it does not tell */
    uint16_t bits;
    const char *type, *group;
} ROWS[] = {
    {CORE, "rax", "rax", 64, "int64", NULL},
    {CORE, "rbx", "rbx", 64, "int64", NULL},
    {CORE, "rcx", "rcx", 64, "int64", NULL},
    {CORE, "rdx", "rdx", 64, "int64", NULL},
    {CORE, "rsi", "rsi", 64, "int64", NULL},
    {CORE, "rdi", "rdi", 64, "int64", NULL},
    {CORE, "rbp", "rbp", 64, "data_ptr", NULL},
    {CORE, "rsp", "rsp", 64, "data_ptr", NULL},
    {CORE, "r8", "r8", 64, "int64", NULL},
    {CORE, "r9", "r9", 64, "int64", NULL},
    {CORE, "r10", "r10", 64, "int64", NULL},
    {CORE, "r11", "r11", 64, "int64", NULL},
    {CORE, "r12", "r12", 64, "int64", NULL},
    {CORE, "r13", "r13", 64, "int64", NULL},
    {CORE, "r14", "r14", 64, "int64", NULL},
    {CORE, "r15", "r15", 64, "int64", NULL},
    {CORE, "rip", "rip", 64, "code_ptr", NULL},
    {CORE, "eflags", "rflags", 32, "i386_eflags", NULL},
    {CORE, "cs", "cs", 32, "int32", NULL},
    {CORE, "ss", "ss", 32, "int32", NULL},
    {CORE, "ds", "ds", 32, "int32", NULL},
    {CORE, "es", "es", 32, "int32", NULL},
    {CORE, "fs", "fs", 32, "int32", NULL},
    {CORE, "gs", "gs", 32, "int32", NULL},
    {CORE, "st0", "st0", 80, "i387_ext", NULL},
    {CORE, "st1", "st1", 80, "i387_ext", NULL},
    {CORE, "st2", "st2", 80, "i387_ext", NULL},
    {CORE, "st3", "st3", 80, "i387_ext", NULL},
    {CORE, "st4", "st4", 80, "i387_ext", NULL},
    {CORE, "st5", "st5", 80, "i387_ext", NULL},
    {CORE, "st6", "st6", 80, "i387_ext", NULL},
    {CORE, "st7", "st7", 80, "i387_ext", NULL},
    {CORE, "fctrl", "fcw", 32, "int", "float"},
    {CORE, "fstat", "fsw", 32, "int", "float"},
    {CORE, "ftag", NULL, 32, "int", "float"},
    {CORE, "fiseg", NULL, 32, "int", "float"},
    {CORE, "fioff", NULL, 32, "int", "float"},
    {CORE, "foseg", NULL, 32, "int", "float"},
    {CORE, "fooff", NULL, 32, "int", "float"},
    {CORE, "fop", NULL, 32, "int", "float"},
    {SSE, "xmm0", "xmm0", 128, "vec128", NULL},
    {SSE, "xmm1", "xmm1", 128, "vec128", NULL},
    {SSE, "xmm2", "xmm2", 128, "vec128", NULL},
    {SSE, "xmm3", "xmm3", 128, "vec128", NULL},
    {SSE, "xmm4", "xmm4", 128, "vec128", NULL},
    {SSE, "xmm5", "xmm5", 128, "vec128", NULL},
    {SSE, "xmm6", "xmm6", 128, "vec128", NULL},
    {SSE, "xmm7", "xmm7", 128, "vec128", NULL},
    {SSE, "xmm8", "xmm8", 128, "vec128", NULL},
    {SSE, "xmm9", "xmm9", 128, "vec128", NULL},
    {SSE, "xmm10", "xmm10", 128, "vec128", NULL},
    {SSE, "xmm11", "xmm11", 128, "vec128", NULL},
    {SSE, "xmm12", "xmm12", 128, "vec128", NULL},
    {SSE, "xmm13", "xmm13", 128, "vec128", NULL},
    {SSE, "xmm14", "xmm14", 128, "vec128", NULL},
    {SSE, "xmm15", "xmm15", 128, "vec128", NULL},
    {SSE, "mxcsr", "mxcsr", 32, "i386_mxcsr", "vector"},
    {SEGMENTS, "fs_base", "fs_base", 64, "int64", NULL},
    {SEGMENTS, "gs_base", "gs_base", 64, "int64", NULL},
};

enum { ROW_COUNT = sizeof ROWS / sizeof *ROWS };

static const struct view_register *find(const struct view_registers *view, const char *name)
{
    for (unsigned i = 0; name && i < view->count; i++)
        if (!strcmp(view->reg[i].name, name))
            return &view->reg[i];
    return NULL;
}

static bool is_in_rows(const char *name)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (ROWS[i].session && !strcmp(ROWS[i].session, name))
            return true;
    return false;
}

static void add_row(struct gdb_register *out, int n, const struct view_register *value)
{
    const struct row *row = &ROWS[n];
    *out = (struct gdb_register){.feature = row->feature,
                                 .type = row->type,
                                 .group = row->group,
                                 .number = (uint32_t)n,
                                 .bits = row->bits,
                                 .known = value != NULL};
    snprintf(out->name, sizeof out->name, "%s", row->name);
    if (value) {
        out->value = row->bits < 64 ? value->value & ((1ull << row->bits) - 1) : value->value;
        out->high = row->bits > 64 ? value->high : 0;
    }
}

/* A register that only we have: control registers, tables, MSRs. Names that XML would not take are
 * ours to avoid; they are checked all the same. */
static bool add_other(struct gdb_register *out, int n, const struct view_register *r)
{
    if (r->bits > 64 || is_in_rows(r->name) || strpbrk(r->name, "<>&\"'}#$*"))
        return false;
    *out = (struct gdb_register){.feature = SYSTEM,
                                 .type = r->bits <= 32 ? "uint32" : "uint64",
                                 .number = (uint32_t)n,
                                 .bits = r->bits <= 32 ? 32 : 64,
                                 .known = true,
                                 .value = r->value};
    snprintf(out->name, sizeof out->name, "%s", r->name);
    return true;
}

static int list(struct session *session, struct gdb_register *out)
{
    struct view_registers view;
    int n = 0;
    session_view_registers(session, &view);
    for (; n < ROW_COUNT; n++)
        add_row(&out[n], n, find(&view, ROWS[n].session));
    for (unsigned i = 0; i < view.count && n < GDB_REGISTERS; i++)
        n += add_other(&out[n], n, &view.reg[i]);
    return n;
}

static int write(struct session *session, uint32_t number, uint64_t value)
{
    struct gdb_register all[GDB_REGISTERS];
    if (number < ROW_COUNT && !ROWS[number].session)
        return -ENOTSUP;
    if (number < ROW_COUNT)
        return session_write_register64(session, ROWS[number].session, value);
    if (number >= (uint32_t)list(session, all))
        return -EINVAL;
    return session_write_register64(session, all[number].name, value);
}

/* ---- types ---------------------------------------------------------------------------------- */

struct flag {
    const char *name;
    unsigned bit;
};

static void write_flags(FILE *out, const char *id, const struct flag *flags, size_t count)
{
    fprintf(out, "<flags id=\"%s\" size=\"4\">\n", id);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", flags[i].name, flags[i].bit,
                flags[i].bit);
    fputs("</flags>\n", out);
}

/* An XMM register as vectors of everything that fits. */
static void write_vectors(FILE *out)
{
    static const struct {
        const char *id, *field, *type;
        unsigned count;
    } VECTORS[] = {{"v4f", "v4_float", "ieee_single", 4}, {"v2d", "v2_double", "ieee_double", 2},
                   {"v16i8", "v16_int8", "int8", 16},     {"v8i16", "v8_int16", "int16", 8},
                   {"v4i32", "v4_int32", "int32", 4},     {"v2i64", "v2_int64", "int64", 2}};
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++)
        fprintf(out, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", VECTORS[i].id,
                VECTORS[i].type, VECTORS[i].count);
    fputs("<union id=\"vec128\">\n", out);
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++)
        fprintf(out, "<field name=\"%s\" type=\"%s\"/>\n", VECTORS[i].field, VECTORS[i].id);
    fputs("<field name=\"uint128\" type=\"uint128\"/>\n</union>\n", out);
}

static void types(const char *feature, FILE *out)
{
    static const struct flag EFLAGS[] = {{"CF", 0},  {"PF", 2},   {"AF", 4},   {"ZF", 6},
                                         {"SF", 7},  {"TF", 8},   {"IF", 9},   {"DF", 10},
                                         {"OF", 11}, {"NT", 14},  {"RF", 16},  {"VM", 17},
                                         {"AC", 18}, {"VIF", 19}, {"VIP", 20}, {"ID", 21}};
    static const struct flag MXCSR[] = {{"IE", 0},  {"DE", 1},  {"ZE", 2},  {"OE", 3}, {"UE", 4},
                                        {"PE", 5},  {"DAZ", 6}, {"IM", 7},  {"DM", 8}, {"ZM", 9},
                                        {"OM", 10}, {"UM", 11}, {"PM", 12}, {"FZ", 15}};
    if (feature == CORE)
        write_flags(out, "i386_eflags", EFLAGS, sizeof EFLAGS / sizeof *EFLAGS);
    if (feature == SSE) {
        write_vectors(out);
        write_flags(out, "i386_mxcsr", MXCSR, sizeof MXCSR / sizeof *MXCSR);
    }
}

const struct gdb_isa gdb_x86 = {
    .architecture = "i386:x86-64",
    .cpu = "vCPU",
    .pc = "rip",
    .address_max = UINT64_MAX,
    .general = ROW_COUNT,
    .list = list,
    .write = write,
    .types = types,
};
