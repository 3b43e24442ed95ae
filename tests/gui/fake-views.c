/* Canned views. See fake-views.h. */
#include "tests/gui/fake-views.h"

#include <stdio.h>
#include <string.h>

static struct view_walk two_levels(uint32_t va, uint32_t root, uint32_t leaf, uint32_t pa,
                                   uint32_t bits)
{
    uint32_t pointer = leaf >> 2 | 1, entry = (pa & ~0xfffu) >> 2 | bits;
    return (struct view_walk){
        .present = true,
        .ok = true,
        .va = va,
        .pa = pa,
        .root_pa = root,
        .mode = 1,
        .access = 'w',
        .step_count = 2,
        .step = {{1, root, va >> 22, root + (va >> 22) * 4, pointer, pointer, false, false, 4, leaf,
                  pointer & 0xff},
                 {0, leaf, va >> 12 & 0x3ff, leaf + (va >> 12 & 0x3ff) * 4, entry, entry, true,
                  false, 4, pa & ~0xfffu, entry & 0xff}},
        .page_size = 4096,
        .permissions = bits,
    };
}

static void refuse(struct view_walk *walk, int steps, const char *fault, const char *why)
{
    walk->ok = false;
    walk->step_count = (uint8_t)steps;
    walk->page_size = 0;
    if (steps)
        walk->step[steps - 1].pte = walk->step[steps - 1].pte_new = 0;
    snprintf(walk->fault, sizeof walk->fault, "%s", fault);
    snprintf(walk->why, sizeof walk->why, "%s", why);
}

struct view_translation fake_translation(void)
{
    struct view_translation v = {.va = 0x80401234, .access = 'w', .shadow_sets = 3};
    v.guest = two_levels(v.va, 0x80410000, 0x80413000, 0x80455234, 0x57);
    v.guest.step[1].pte_new |= 0x80;
    v.guest.step[1].updated = true;
    v.map = (struct view_walk){.present = true,
                               .ok = true,
                               .va = 0x80455234,
                               .pa = 0x80c07234,
                               .access = 'w',
                               .page_size = 4096};
    v.shadow = two_levels(v.va, 0x80900000, 0x80913000, 0x80c07234, 0xd7);
    snprintf(v.shadow_class, sizeof v.shadow_class, "S+SUM");
    v.change = (struct view_shadow_change){
        .kind = SHADOW_UPGRADED, .va = 0x80401000, .count = 1, .exit_seq = 1234567};
    snprintf(v.change.reason, sizeof v.change.reason,
             "first write to the page: the guest's D bit is now set");
    return v;
}

struct view_translation fake_guest_fault(void)
{
    struct view_translation v = fake_translation();
    refuse(&v.guest, 2, "store page fault",
           "level 0: a user page (U = 1), accessed from S mode without SUM");
    v.map = (struct view_walk){0};
    refuse(&v.shadow, 1, "store page fault", "level 1: the entry is not valid (V = 0)");
    return v;
}

struct view_translation fake_not_filled(void)
{
    struct view_translation v = fake_translation();
    refuse(&v.shadow, 2, "store page fault", "level 0: the entry is not valid (V = 0)");
    v.change.kind = SHADOW_DROPPED;
    v.change.count = 17;
    snprintf(v.change.reason, sizeof v.change.reason, "sfence.vma of everything");
    return v;
}

struct view_translation fake_device(void)
{
    struct view_translation v = fake_not_filled();
    v.map.ok = false;
    snprintf(v.map.why, sizeof v.map.why, "virtual device: %s", "virtio-mmio 0, a disk");
    return v;
}

struct view_translation fake_superpage(void)
{
    struct view_translation v = fake_translation();
    v.guest.step_count = 1;
    v.guest.step[0].leaf = true;
    v.guest.page_size = 4 << 20;
    return v;
}

struct view_translation fake_off(void)
{
    struct view_translation v = fake_translation();
    v.guest = (struct view_walk){.present = true,
                                 .bare = true,
                                 .ok = true,
                                 .va = v.va,
                                 .pa = v.va,
                                 .mode = 3,
                                 .access = 'w'};
    refuse(&v.shadow, 0, "none", "no shadow table yet for this root and mode");
    v.change = (struct view_shadow_change){0};
    return v;
}

struct view_translation fake_bare_fault(void)
{
    struct view_translation v = fake_translation();
    refuse(&v.guest, 1, "store page fault", "level 1: the entry is not valid (V = 0)");
    v.map = v.shadow = (struct view_walk){0};
    v.shadow_class[0] = 0;
    return v;
}

void fake_table(struct view_table *table, enum view_table_kind kind, unsigned runs)
{
    static const uint32_t bits[] = {0x0f, 0x1b, 0x03, 0x17};
    uint32_t va = 0x10000000;
    table->kind = kind;
    table->present = true;
    table->truncated = runs == VIEW_REGIONS;
    table->root_pa = 0x80410000;
    for (table->count = 0; table->count < runs; table->count++) {
        uint32_t size = 0x1000 * (1 + table->count % 5);
        table->region[table->count] =
            (struct view_region){va, 0x80000000 + va / 2 * 2, size, bits[table->count % 4], 4096};
        va += size + (table->count % 3 ? 0x1000 * (table->count % 7 + 1) : 0);
    }
}

struct view_exit_stats fake_stats(unsigned reasons)
{
    struct view_exit_stats v = {.instructions = 123456789, .count = reasons};
    for (unsigned i = 0; i < reasons; i++) {
        struct view_exit_count *c = &v.by_reason[i];
        snprintf(c->name, sizeof c->name, i % 2 ? "store address misalign %u" : "MMIO %u", i);
        c->count = 1 + (uint64_t)i * i * 4567;
        c->cost = c->count * (100 + i);
        v.total += c->count;
    }
    return v;
}

static void fake_group(struct speed_chart *chart, struct chart_panel *panel, unsigned number)
{
    static const char *const names[] = {"sort",   "sieve", "matmul", "sha256",    "nqueens",
                                        "stride", "copy",  "mixed",  "recursion", "bytecode"};
    struct chart_group *g = &panel->groups[panel->count++];
    double scale = panel->rates ? 3e5 * (1 + number * number) : .03;
    if (panel->rates)
        snprintf(g->name, CHART_NAME, "switch-%u", number);
    else
        snprintf(g->name, CHART_NAME, "%s", names[number % 10]);
    snprintf(g->detail, CHART_NAME, panel->rates ? "" : number % 3 ? "compute" : "memory");
    for (unsigned i = 0; i < chart->series_count; i++) {
        const struct chart_series *s = &chart->series[i];
        if (!panel->rates || s->shade)
            g->value[i] = scale * (1 + s->family * s->family * (3 + number % 5)) /
                          (1 + .15 * s->shade * (1 + panel->rates * number));
    }
}

void fake_chart(struct speed_chart *chart, unsigned engines, unsigned kernels, unsigned traps)
{
    static const char *const names[] = {"interp", "threaded", "jit"};
    static const char *const modes[] = {"bare, no paging", "bare, Sv32", "under the monitor"};
    *chart =
        (struct speed_chart){.title = "Guests\u2019 speed on Vitrine",
                             .note = "CPU time, medians of 5. Logarithmic axes; longer is "
                                     "faster.",
                             .thin_note = "Figures beside thin bars: bare, Sv32.",
                             .ratios = {.title = "Speed as a part of native"},
                             .rates = {.title = "Trapping operations per second", .rates = true}};
    for (unsigned i = 0; i < 3 * engines; i++) {
        struct chart_series *s = &chart->series[chart->series_count++];
        *s = (struct chart_series){.family = i / 3, .shade = i % 3};
        snprintf(s->name, CHART_NAME, "%s, %s", names[i / 3 % 3], modes[i % 3]);
    }
    for (unsigned i = 0; i < kernels; i++)
        fake_group(chart, &chart->ratios, i);
    for (unsigned i = 0; i < traps; i++)
        fake_group(chart, &chart->rates, i);
    if (kernels > 1) {
        fake_group(chart, &chart->ratios, kernels);
        struct chart_group *mean = &chart->ratios.groups[kernels];
        mean->mean = true;
        snprintf(mean->name, CHART_NAME, "all");
        snprintf(mean->detail, CHART_NAME, "geometric mean");
        mean->value[0] = .0004;
        chart->ratios.groups[0].value[chart->series_count - 1] = 1.3;
        chart->ratios.groups[1].value[0] = 0;
    }
}

/* ---- x86 ---------------------------------------------------------------------------------- */

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80 };

struct view_translation fake_x86(unsigned levels, unsigned leaf, uint64_t va)
{
    struct view_translation v = {
        .isa = ISA_X86, .levels = (uint8_t)levels, .va = va, .access = 'w'};
    unsigned index_bits = levels == 2 ? 10 : 9, bytes = levels == 2 ? 4 : 8;
    uint64_t page = UINT64_C(1) << (12 + leaf * index_bits);
    v.guest = (struct view_walk){.present = true,
                                 .ok = true,
                                 .bare = levels == 0,
                                 .va = va,
                                 .pa = levels ? 0x40000000 + (va & (page - 1)) : va & 0xffffffff,
                                 .root_pa = 0x200000,
                                 .access = 'w',
                                 .page_size = levels ? (uint32_t)page : 0,
                                 .permissions = 1 << 1 | 1 << 2 | 1 << 4};
    for (unsigned level = levels; level-- > leaf;) {
        struct view_walk_step *s = &v.guest.step[v.guest.step_count++];
        bool last = level == leaf;
        uint64_t next = last ? 0x40000000 : 0x200000 + 0x1000 * (levels - level);
        uint64_t no_execute = bytes == 8 && last ? UINT64_C(1) << 63 : 0;
        unsigned index = (unsigned)(va >> (12 + level * index_bits)) & ((1u << index_bits) - 1);
        *s = (struct view_walk_step){.level = (uint8_t)level,
                                     .table_pa = 0x200000 + 0x1000 * (levels - 1 - level),
                                     .index = levels == 3 && level == 2 ? index & 3 : index,
                                     .leaf = last,
                                     .entry_bytes = (uint8_t)bytes,
                                     .next_pa = next};
        s->pte_pa = s->table_pa + s->index * bytes;
        s->pte = next | no_execute | P | RW | US | A | (last ? D : 0) | (last && level ? PS : 0);
        s->pte_new = s->pte;
    }
    v.map = (struct view_walk){
        .present = true, .ok = true, .va = v.guest.pa, .pa = 0x7f1150000000 + v.guest.pa};
    return v;
}

struct view_translation fake_x86_fault(unsigned steps)
{
    struct view_translation v = fake_x86(4, 0, 0x00007f8a40001234);
    refuse(&v.guest, (int)steps, "#PF, error code 0x6",
           "level 3 entry (page directory pointer table) is not present");
    v.map = (struct view_walk){0};
    return v;
}

struct view_translation fake_x86_not_canonical(void)
{
    struct view_translation v = fake_x86(4, 0, 0x0123456789abcdef);
    refuse(&v.guest, 0, "#GP", "the address is not canonical");
    v.map = (struct view_walk){0};
    return v;
}

struct view_translation fake_x86_device(void)
{
    struct view_translation v = fake_x86(5, 0, 0xff12345678abc000);
    v.map = (struct view_walk){.present = true, .va = v.guest.pa};
    snprintf(v.map.fault, sizeof v.map.fault, "exit: MMIO");
    snprintf(v.map.why, sizeof v.map.why, "no memory slot: KVM's interrupt controllers, or nobody");
    return v;
}

void fake_x86_table(struct view_table *table, unsigned levels, unsigned low, unsigned high)
{
    uint64_t va = 0x400000;
    *table = (struct view_table){.isa = ISA_X86,
                                 .kind = VIEW_GUEST_TABLE,
                                 .present = true,
                                 .levels = (uint8_t)levels,
                                 .root_pa = 0x1234567000};
    for (unsigned i = 0; i < low + high; i++) {
        uint32_t page = i % 3 == 1 ? 2u << 20 : i % 3 == 2 ? 1u << 30 : 4096;
        uint64_t size = (uint64_t)page * (1 + i % 7);
        if (i == low)
            va = UINT64_MAX << (12 + 9 * levels - 1);
        table->region[table->count++] =
            (struct view_region){va, 0x100000000 + i * size, size, i % 2 ? 0x0e : 0x1a, page};
        va += size + (i % 2 ? page : 0);
    }
}

void fake_x86_map(struct view_table *table)
{
    *table = (struct view_table){.isa = ISA_X86, .kind = VIEW_MAP, .present = true, .count = 2};
    table->region[0] = (struct view_region){0, 0x7f1150000000, 3ull << 30, 0x1e, 4096};
    table->region[1] = (struct view_region){1ull << 32, 0x7f1210000000, 13ull << 30, 0x1e, 4096};
}

struct view_exit_stats fake_timed_stats(unsigned reasons)
{
    struct view_exit_stats v = fake_stats(reasons);
    v.instructions = 0;
    for (unsigned i = 0; i < v.count; i++) {
        struct view_exit_count *c = &v.by_reason[i];
        c->cost = 0;
        c->ns = c->count * (1000 + 100000 / (i + 1)); /* rare ones are dear */
        v.ns += c->ns;
    }
    return v;
}

void fake_dirty(struct view_dirty *view, uint64_t memory)
{
    uint64_t pages = memory / 4096;
    *view = (struct view_dirty){.present = true, .memory = memory, .dirty_total = 12345678};
    view->pages_per_cell = (uint32_t)((pages + VIEW_DIRTY_CELLS - 1) / VIEW_DIRTY_CELLS);
    view->cells = (uint32_t)((pages + view->pages_per_cell - 1) / view->pages_per_cell);
    for (uint32_t i = 0; i < view->cells; i++) {
        view->heat[i] = (uint8_t)(i % 5 ? 0 : 255 >> (i / 5 % 9));
        view->dirty_now += view->heat[i] == 255;
    }
}

/* ---- time --------------------------------------------------------------------------------- */

static void add_snapshot(struct view_timeline *v, uint64_t instruction, const char *name)
{
    struct view_kept *s = &v->snapshot[v->snapshots++];
    s->instruction = instruction;
    s->id = (int)v->snapshots;
    snprintf(s->name, sizeof s->name, "%s", name);
}

void fake_timeline(struct view_timeline *v, uint64_t end, uint64_t here, unsigned checkpoints)
{
    memset(v, 0, sizeof *v);
    v->history = (struct view_history){.present = true,
                                       .in_past = here < end,
                                       .end = end,
                                       .bytes = 41u << 20,
                                       .limit = 256u << 20,
                                       .checkpoints = checkpoints};
    v->here = here;
    for (unsigned i = 0; i < checkpoints && i < VIEW_CHECKPOINTS; i++) {
        double left = 1 - (double)i / checkpoints;
        v->checkpoint[v->checkpoints++] = (uint64_t)((double)end * (1 - left * left));
        v->moment[v->moments++] =
            (struct view_moment){v->checkpoint[i], v->checkpoint[i] / 1000 + i * i * i / 50};
    }
    v->moment[v->moments++] = (struct view_moment){end, 1u << 30};
    for (uint64_t at = end / 3; at < end && v->inputs < 40; at += end / 70 + 1)
        v->input[v->inputs++] = at;
    add_snapshot(v, end / 5, "booted");
    add_snapshot(v, end / 2, "before the shell starts");
    add_snapshot(v, end / 2 + end / 500, "one that stands close to it");
}

static void add_layer(struct view_layers *v, enum view_layer_kind kind, const char *name,
                      int answer)
{
    struct view_layer *l = &v->layer[v->count];
    *l = (struct view_layer){.kind = kind, .layers = 1, .pages = 17u * v->count + 1};
    l->timed = kind != LAYER_TOP && kind != LAYER_BASE && kind != LAYER_FILE;
    l->instruction = 900000000u - 1000u * v->count;
    l->asked = answer >= (int)v->count;
    l->answered = answer == (int)v->count;
    snprintf(l->name, sizeof l->name, "%s", name);
    v->asked += l->asked;
    v->count++;
}

void fake_layers(struct view_layers *v, unsigned snapshots, unsigned checkpoints, int answer)
{
    memset(v, 0, sizeof *v);
    v->present = true;
    v->there = answer >= 0;
    v->address = 0x80403124;
    v->page = 0x80403000;
    strcpy(v->base, "zeros");
    strcpy(v->why, v->there ? "" : "the guest has not touched it yet, so it has no frame");
    add_layer(v, LAYER_TOP, "", answer);
    for (unsigned s = 0; s < snapshots; s++) {
        char name[24];
        snprintf(name, sizeof name, "after exit %u", 9000 - 100 * s);
        add_layer(v, LAYER_SNAPSHOT, name, answer);
        if (s == snapshots - 1)
            strcpy(v->layer[v->count - 1].beside, "another try");
        for (unsigned c = 0; c < checkpoints && v->count < VIEW_LAYERS - 1; c++)
            add_layer(v, LAYER_CHECKPOINT, "", answer);
    }
    add_layer(v, LAYER_BASE, "", answer);
    v->layers = v->count;
}

void fake_protection(struct view_protection *v, enum view_protection_phase phase, unsigned recent,
                     double pause, double delay)
{
    static const double LENGTH = .04;
    *v = (struct view_protection){.phase = phase, .generation = 2, .bytes = 26u << 20};
    strcpy(v->to, "unix:/run/vitrine/backup");
    v->epochs = v->acknowledged = 1500 + recent;
    for (unsigned i = 0; i < recent; i++) {
        struct view_epoch *e = &v->log[v->recent++];
        double began = 60 + i * (LENGTH + pause);
        *e = (struct view_epoch){.number = 1501 + i, .pages = 82, .bytes = 170000 + i};
        e->output = i % 3 ? 0 : 17 + 1000 * i;
        e->began = began;
        e->stood = began + LENGTH;
        e->copied = e->stood + pause;
        e->acknowledged = e->copied + delay;
        e->released = e->acknowledged + delay / 8;
        v->pause += pause;
        v->seconds = e->released;
    }
    v->held = 17;
}

void fake_migration(struct view_migration *v, enum view_migration_phase phase, unsigned rounds)
{
    *v = (struct view_migration){.phase = phase, .pages = 65536, .bytes = 300u << 20, .limit = .01};
    strcpy(v->to, "tcp:there.example:7000");
    v->rate = 520e6;
    v->seconds = .61;
    uint64_t pages = v->pages;
    for (v->round = 1; v->round <= rounds; v->round++) {
        struct view_round r = {.pages = pages, .dirty = pages / 4, .seconds = (double)pages * 8e-6};
        pages /= 4;
        r.expected = (double)(r.dirty + 16) * 8e-6;
        v->dirty = r.dirty;
        if (v->rounds == VIEW_ROUNDS)
            memmove(v->log, v->log + 1, --v->rounds * sizeof *v->log);
        v->log[v->rounds++] = r;
    }
    v->round--;
    if (phase == MIGRATION_MOVED)
        v->downtime = .0031;
    if (phase == MIGRATION_POSTCOPY || phase == MIGRATION_TORN)
        v->missing = 65000;
}

void fake_disk_layers(struct view_layers *v, unsigned snapshots, unsigned files, int answer)
{
    fake_layers(v, snapshots, 0, answer);
    v->disk = true;
    v->address = v->page = 0x6000;
    v->count--; /* the base comes last */
    v->asked -= answer >= (int)v->count;
    for (unsigned f = 0; f < files; f++) {
        char name[24];
        snprintf(name, sizeof name, "layer-%u.qcow2", files - f);
        add_layer(v, LAYER_FILE, name, answer);
    }
    add_layer(v, LAYER_BASE, "", answer);
    v->layers = v->count;
}
