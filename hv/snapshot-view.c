/* The differences of two snapshots with names that a person knows: see snapshot.h. */
#include <stdio.h>
#include <string.h>

#include "cpu/isa.h"
#include "hv/snapshot_priv.h"

struct naming {
    snapshot_difference_fn see;
    void *context;
    uint64_t base; /* address of the guest's first page */
};

/* In the order of struct kvm_regs. */
static const char *const X86_NAMES[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi",
                                        "rsp", "rbp", "r8",  "r9",  "r10", "r11",
                                        "r12", "r13", "r14", "r15", "rip", "rflags"};
enum { X86_REGISTERS = sizeof X86_NAMES / sizeof *X86_NAMES };

const char *snapshot_x86_register(unsigned index)
{
    return index < X86_REGISTERS ? X86_NAMES[index] : NULL;
}

void snapshot_element_name(const char *table, const char *field, uint32_t index, uint32_t count,
                           char *text, size_t size)
{
    if (!strcmp(table, "hart") && !strcmp(field, "x") && index < 32)
        snprintf(text, size, "%s", isa_register_name(index));
    else if (count == 1)
        snprintf(text, size, "%s", field);
    else
        snprintf(text, size, "%.60s[%u]", field, index);
}

static void tell(struct naming *n, enum view_difference_kind kind, const char *part,
                 const char *name, uint64_t a, uint64_t b)
{
    struct view_difference d = {.kind = kind, .a = a, .b = b};
    snprintf(d.part, sizeof d.part, "%s", part);
    snprintf(d.name, sizeof d.name, "%s", name);
    n->see(n->context, &d);
}

static void see_field(void *context, const char *table, const char *field, uint32_t index,
                      uint32_t count, uint64_t a, uint64_t b)
{
    char name[80];
    snapshot_element_name(table, field, index, count, name, sizeof name);
    tell(context, DIFFERENCE_VALUE, table, name, a, b);
}

static void see_pages(void *context, const char *part, uint32_t first, uint32_t last)
{
    struct naming *n = context;
    bool memory = !strcmp(part, "memory");
    uint64_t base = memory ? n->base : 0;
    tell(n, memory ? DIFFERENCE_MEMORY : DIFFERENCE_DISK, part, "",
         base + (uint64_t)first * SNAPSHOT_PAGE, base + ((uint64_t)last + 1) * SNAPSHOT_PAGE - 1);
}

static uint64_t word_at(const uint8_t *bytes, unsigned index)
{
    uint64_t value;
    memcpy(&value, bytes + index * sizeof value, sizeof value);
    return value;
}

static void see_piece(void *context, const char *piece, const uint8_t *a, const uint8_t *b,
                      size_t count)
{
    if (strcmp(piece, "regs") || count < X86_REGISTERS * sizeof(uint64_t)) {
        tell(context, count ? DIFFERENCE_PIECE : DIFFERENCE_ABSENT, piece, "", 0, 0);
        return;
    }
    for (unsigned i = 0; i < X86_REGISTERS; i++)
        if (word_at(a, i) != word_at(b, i))
            tell(context, DIFFERENCE_VALUE, piece, X86_NAMES[i], word_at(a, i), word_at(b, i));
}

void snapshot_differences(const struct snapshot_file *a, const struct snapshot_file *b,
                          snapshot_difference_fn see, void *context)
{
    struct naming naming = {see, context, a->kvm.count ? 0 : 0x80000000u};
    struct snapshot_differ differ = {see_field, see_pages, see_piece, &naming};
    snapshot_diff(a, b, &differ);
}

/* Of each kind a quarter at most, so that none hides the others. */
static void collect(void *context, const struct view_difference *d)
{
    struct view_differences *out = context;
    uint64_t pages = (d->b - d->a) / SNAPSHOT_PAGE + 1;
    out->pages += d->kind == DIFFERENCE_MEMORY ? pages : 0;
    out->blocks += d->kind == DIFFERENCE_DISK ? pages : 0;
    if (out->total[d->kind]++ < VIEW_DIFFERENCES / 4 && out->count < VIEW_DIFFERENCES)
        out->difference[out->count++] = *d;
}

void snapshot_view_differences(const struct snapshot_file *a, const struct snapshot_file *b,
                               struct view_differences *out)
{
    *out = (struct view_differences){.count = 0};
    snapshot_differences(a, b, collect, out);
}
