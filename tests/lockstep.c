/* Two machines that must stay equal. See lockstep.h. */
#include "tests/lockstep.h"

#include <string.h>

#include "cpu/isa.h"

bool pair_new(struct pair *p, const struct machine_config *config)
{
    char why[MACHINE_ERROR];
    struct machine_config below;
    memset(p, 0, sizeof *p);
    machine_config_init(&below);
    below.memory = vmm_memory_for(config->memory);
    below.misaligned_trap = config->misaligned_trap;
    below.no_devices = true;
    p->bare = machine_new(config, why);
    p->computer = machine_new(&below, why);
    if (!p->bare || !p->computer || vmm_init(&p->vmm, p->computer))
        return false;
    p->vm = vm_new(&p->vmm, config, why);
    return p->vm != NULL;
}

void pair_free(struct pair *p)
{
    machine_free(p->bare);
    vmm_free(&p->vmm);
    machine_free(p->computer);
}

void pair_clear(struct pair *p)
{
    machine_clear(p->bare);
    vm_clear(p->vm);
}

/* ---- comparing ---------------------------------------------------------------------------- */

struct differences {
    FILE *report;
    const char *object;
    int count;
};

static void differ(void *context, const struct state_field *field, uint32_t index, uint64_t in_a,
                   uint64_t in_b)
{
    struct differences *d = context;
    if (d->report && d->count < 12)
        fprintf(d->report, "#   %s.%s[%u]: %#llx, %#llx\n", d->object, field->name, index,
                (unsigned long long)in_a, (unsigned long long)in_b);
    d->count++;
}

static bool objects_equal(struct machine *a, struct machine *b, unsigned first, unsigned end,
                          FILE *report)
{
    struct state_object in_a[MACHINE_OBJECTS], in_b[MACHINE_OBJECTS];
    unsigned count = machine_objects(a, in_a);
    machine_objects(b, in_b);
    struct differences d = {.report = report};
    for (unsigned i = first; i < count && i < end; i++) {
        d.object = in_a[i].table->name;
        state_diff(in_a[i].table, in_a[i].object, in_b[i].object, differ, &d);
    }
    return d.count == 0;
}

static bool memory_equal(const struct machine *a, const struct machine *b, FILE *report)
{
    for (uint32_t at = 0; at < a->ram.size; at += 4) {
        uint32_t in_a = 0, in_b = 0;
        if (at % PAGE_SIZE == 0 && !ram_peek(&a->ram, a->ram.base + at) &&
            !ram_peek(&b->ram, b->ram.base + at)) {
            at += PAGE_SIZE - 4;
            continue;
        }
        ram_read(&a->ram, a->ram.base + at, &in_a, 4);
        ram_read(&b->ram, b->ram.base + at, &in_b, 4);
        if (in_a == in_b)
            continue;
        if (report)
            fprintf(report, "#   memory at 0x%08x: 0x%08x, 0x%08x\n", a->ram.base + at, in_a, in_b);
        return false;
    }
    return true;
}

bool machines_equal(struct machine *a, struct machine *b, FILE *report)
{
    if (machine_digest(a) == machine_digest(b))
        return true;
    objects_equal(a, b, 0, MACHINE_OBJECTS, report);
    memory_equal(a, b, report);
    return false;
}

/* ---- running ------------------------------------------------------------------------------ */

static bool goes_on(enum stop_reason stop)
{
    return stop == STOP_NONE;
}

static void report_place(const struct machine *a, const struct machine *b, FILE *report)
{
    char text[64];
    const struct machine *both[] = {a, b};
    for (int i = 0; report && i < 2; i++) {
        const struct machine *m = both[i];
        isa_disassemble(m->hart.pc, m->insn, text, sizeof text);
        fprintf(report, "#   %s: stop %d, %llu instructions, mode %d, pc 0x%08x, last word: %s\n",
                m->engine->name, m->stop, (unsigned long long)m->hart.executed, m->hart.mode,
                m->hart.pc, text);
    }
}

bool lockstep(struct machine *a, struct machine *b, uint64_t total, uint64_t chunk, FILE *report)
{
    enum { HART = 1, CLOCK_END = 3 }; /* places of hart and clock among the objects */
    bool equal = true;
    uint64_t done = 0;
    enum stop_reason in_a = STOP_NONE, in_b = STOP_NONE;
    while (done < total && equal && goes_on(in_a) && goes_on(in_b)) {
        uint64_t part = total - done < chunk ? total - done : chunk;
        in_a = machine_run(a, part);
        in_b = machine_run(b, part);
        done += part;
        equal = in_a == in_b && objects_equal(a, b, HART, CLOCK_END, report);
    }
    equal = equal && in_a == in_b && machines_equal(a, b, report);
    if (!equal)
        report_place(a, b, report);
    return equal;
}
