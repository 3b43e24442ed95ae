/* What `vitrine snapshot` prints. See snapshot-show.h. */
#include "config.h"

#include "hv/cmd/show.h"
#include "hv/cmd/snapshot-show.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { DEPTH = 64 };

static const char *when(uint64_t seconds, char text[32])
{
    time_t time = (time_t)seconds;
    struct tm tm;
    if (!localtime_r(&time, &tm) || !strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(text, 32, "?");
    return text;
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* Of both files. */
static uint64_t kib_of(const struct snapshot_about *a)
{
    return (a->file_bytes + a->overlay_bytes + 1023) / 1024;
}

void show_snapshot_list(FILE *out, const struct snapshot_dir *dir)
{
    const struct snapshot_about *a;
    char text[32];
    fprintf(out, "%5s %6s  %-19s %14s %9s %8s %7s %9s  %s\n", "id", "parent", "time",
            "instructions", "exits", "pages", "blocks", "KiB", "name");
    for (int i = 0; (a = snapshot_dir_at(dir, i)); i++)
        if (*a->damage)
            fprintf(out, "%5d %6s  %s\n", a->id, "?", a->damage);
        else
            fprintf(out,
                    "%5d %6d  %-19s %14" PRIu64 " %9" PRIu64 " %8" PRIu64 " %7" PRIu64 " %9" PRIu64
                    "  %s\n",
                    a->id, a->parent, when(a->time, text), a->instructions, a->exits, a->pages,
                    a->blocks, kib_of(a), a->name);
}

/* The next one after `index` that stands on `parent`; NULL: there is none. */
static const struct snapshot_about *next_child(const struct snapshot_dir *dir, int parent,
                                               int *index)
{
    const struct snapshot_about *a;
    while ((a = snapshot_dir_at(dir, (*index)++)))
        if ((*a->damage ? 0 : a->parent) == parent)
            return a;
    return NULL;
}

static void show_node(FILE *out, const struct snapshot_about *a)
{
    if (*a->damage)
        fprintf(out, "%d  %s\n", a->id, a->damage);
    else
        fprintf(out, "%d%s%s  (%" PRIu64 " instructions, %" PRIu64 " pages, %" PRIu64 " blocks)\n",
                a->id, *a->name ? " " : "", a->name, a->instructions, a->pages, a->blocks);
}

/* Children one below the other; deeper than DEPTH they are no longer moved to the right. */
static void show_children(FILE *out, const struct snapshot_dir *dir, int parent, bool more[DEPTH],
                          int depth)
{
    int index = 0;
    const struct snapshot_about *a = next_child(dir, parent, &index);
    while (a) {
        int here = depth < DEPTH ? depth : DEPTH - 1;
        const struct snapshot_about *next = next_child(dir, parent, &index);
        for (int i = 0; i < here; i++)
            fputs(more[i] ? "|   " : "    ", out);
        fputs(next ? "|-- " : "`-- ", out);
        more[here] = next;
        show_node(out, a);
        show_children(out, dir, a->id, more, depth + 1);
        more[here] = next;
        a = next;
    }
}

void show_snapshot_tree(FILE *out, const struct snapshot_dir *dir)
{
    bool more[DEPTH] = {false};
    fprintf(out, "%s\n", snapshot_dir_path(dir));
    show_children(out, dir, 0, more, 0);
}

/* ---- one of them ---------------------------------------------------------------------------- */

static uint64_t word_at(const uint8_t *bytes, unsigned index)
{
    uint64_t value;
    memcpy(&value, bytes + index * sizeof value, sizeof value);
    return value;
}

/* Of an array only what is not zero. */
static void show_field(FILE *out, const struct snapshot_field *f, int *column)
{
    char text[100];
    for (uint32_t i = 0; i < f->count; i++) {
        uint64_t value = snapshot_field_value(f, i);
        if (!value && f->count > 1)
            continue;
        snapshot_element_name(f->table, f->name, i, f->count, text, sizeof text);
        fprintf(out, "%s%-16s 0x%08" PRIx64,
                *column % 3 ? "   "
                : *column   ? "\n  "
                            : "  ",
                text, value);
        ++*column;
    }
}

/* Of the first table with that name: the guest's. */
static void show_table_fields(FILE *out, const struct snapshot_file *s, const char *table)
{
    struct snapshot_fields walk = {s->tables.bytes, s->tables.count, 0, "", 0};
    struct snapshot_field field;
    int column = 0;
    while (snapshot_next_field(&walk, &field))
        if (!strcmp(field.table, table))
            show_field(out, &field, &column);
    if (column)
        fputc('\n', out);
}

static void show_x86(FILE *out, const struct snapshot_file *s)
{
    char name[17];
    const uint8_t *bytes;
    size_t at = 0, count;
    int vcpu = 0;
    while (snapshot_next_piece(&s->kvm, &at, name, &bytes, &count)) {
        if (strcmp(name, "regs"))
            continue;
        fprintf(out, "registers of vCPU %d:", vcpu++);
        for (unsigned i = 0; snapshot_x86_register(i) && (i + 1) * 8 <= count; i++)
            fprintf(out, "%s%-7s 0x%016" PRIx64, i % 3 ? "   " : "\n  ", snapshot_x86_register(i),
                    word_at(bytes, i));
        fputc('\n', out);
    }
}

static void show_layers(FILE *out, const struct snapshot_dir *dir, int id)
{
    fprintf(out, "layers, from the top:\n");
    for (const struct snapshot_about *a; (a = snapshot_dir_find(dir, id)); id = a->parent) {
        char overlay[40] = "";
        if (a->overlay)
            snprintf(overlay, sizeof overlay, "disk-%d.qcow2", a->overlay);
        fprintf(out, "  %5d  %8" PRIu64 " pages %8" PRIu64 " blocks %9" PRIu64 " KiB  %-14s %s\n",
                a->id, a->pages, a->blocks, kib_of(a), overlay, a->name);
    }
}

static void show_parts(FILE *out, const struct snapshot_file *own,
                       const struct snapshot_file *whole)
{
    fprintf(out, "parts: pages of its own, of all layers, of the part\n");
    for (unsigned i = 0; i < whole->parts; i++) {
        const struct snapshot_part *part = &whole->part[i];
        const struct snapshot_part *its = snapshot_find_part(own, part->name);
        fprintf(out, "  %-8s %8u %8u %8" PRIu64 "\n", part->name, its ? its->count : 0, part->count,
                (part->size + SNAPSHOT_PAGE - 1) / SNAPSHOT_PAGE);
    }
}

void show_one_snapshot(FILE *out, const struct snapshot_dir *dir, const struct snapshot_file *own,
                       const struct snapshot_file *whole)
{
    static const char *const UNDER[] = {"bare", "hv", "kvm"};
    const struct snapshot_config *c = snapshot_dir_config(dir);
    const struct snapshot_about *a = snapshot_dir_find(dir, own->about.id);
    char text[32];
    fprintf(out, "snapshot %d%s%s, taken %s\n", a->id, *a->name ? " " : "", a->name,
            when(a->time, text));
    fprintf(out, "guest: %s, %s, %" PRIu64 " MiB",
            *c->image.path ? c->image.path : c->firmware.path, UNDER[c->under < 3 ? c->under : 0],
            c->memory >> 20);
    if (*c->disk.path)
        fprintf(out, ", disk %s", c->disk.path);
    fprintf(out, "\nafter %" PRIu64 " instructions and %" PRIu64 " exits\n", a->instructions,
            a->exits);
    show_layers(out, dir, a->id);
    show_parts(out, own, whole);
    if (whole->kvm.count)
        show_x86(out, whole);
    else {
        fprintf(out, "hart:\n");
        show_table_fields(out, whole, "hart");
    }
}

/* ---- two of them ---------------------------------------------------------------------------- */

struct differences {
    FILE *out;
    int lines;
};

static void differ(void *context, const struct view_difference *difference)
{
    struct differences *d = context;
    show_difference(d->out, difference);
    d->lines++;
}

int show_snapshot_diff(FILE *out, const struct snapshot_file *a, const struct snapshot_file *b)
{
    struct differences d = {.out = out};
    snapshot_differences(a, b, differ, &d);
    return d.lines;
}
