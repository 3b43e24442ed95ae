/* Machines that must stay equal. See lockstep.h. */
#include "tests/lockstep.h"

#include <string.h>

#include "cpu/isa.h"
#include "tests/random-program.h"

/* ---- lanes -------------------------------------------------------------------------------- */

static bool lane_new(struct lane *lane, const struct machine_config *wanted,
                     const struct engine *engine, bool monitored)
{
    char why[MACHINE_ERROR];
    struct machine_config config = *wanted, below;
    *lane = (struct lane){0};
    snprintf(lane->name, sizeof lane->name, "%s%s", engine->name, monitored ? " below hv" : "");
    config.engine = engine;
    if (!monitored) {
        lane->machine = machine_new(&config, why);
        return lane->machine != NULL;
    }
    machine_config_init(&below);
    below.memory = vmm_memory_for(config.memory);
    below.misaligned_trap = config.misaligned_trap;
    below.no_devices = true;
    below.engine = engine;
    lane->computer = machine_new(&below, why);
    if (!lane->computer || vmm_init(&lane->vmm, lane->computer))
        return false;
    lane->vm = vm_new(&lane->vmm, &config, why);
    lane->machine = lane->vm ? lane->vm->machine : NULL;
    return lane->machine != NULL;
}

static void lane_free(struct lane *lane)
{
    if (lane->computer)
        vmm_free(&lane->vmm);
    else
        machine_free(lane->machine);
    machine_free(lane->computer);
}

/* Lanes in the order: first engine bare, first engine below the monitor, second engine bare ... */
static bool add_lane(struct lanes *lanes, const struct machine_config *config, unsigned index)
{
    const struct engine *engine = engine_at(index / 2);
    return engine && lane_new(&lanes->lane[lanes->count++], config, engine, index % 2);
}

bool lanes_new(struct lanes *lanes, const struct machine_config *config)
{
    lanes->count = 0;
    for (unsigned index = 0; index < LANES && engine_at(index / 2); index++)
        if (!add_lane(lanes, config, index))
            return false;
    return true;
}

bool lanes_new_two(struct lanes *lanes, const struct machine_config *config, unsigned first,
                   unsigned second)
{
    lanes->count = 0;
    return add_lane(lanes, config, first) && add_lane(lanes, config, second);
}

void lanes_free(struct lanes *lanes)
{
    for (unsigned i = 0; i < lanes->count; i++)
        lane_free(&lanes->lane[i]);
}

void lanes_clear(struct lanes *lanes)
{
    for (unsigned i = 0; i < lanes->count; i++) {
        if (lanes->lane[i].vm)
            vm_clear(lanes->lane[i].vm);
        else
            machine_clear(lanes->lane[i].machine);
    }
}

void lane_set_engine(struct lane *lane, const struct engine *engine)
{
    machine_set_engine(lane->computer ? lane->computer : lane->machine, engine);
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
    if (report)
        fflush(report); /* a failing check ends the process */
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

/* A reference and its follower, already run: still the same? */
static bool harts_equal(struct machine *a, struct machine *b, FILE *report)
{
    enum { HART = 1, CLOCK_END = 3 }; /* places of hart and clock among the objects */
    return a->stop == b->stop && objects_equal(a, b, HART, CLOCK_END, report);
}

static bool still_equal(struct machine *a, struct machine *b, bool wholly, FILE *report)
{
    bool equal = harts_equal(a, b, report) && (!wholly || machines_equal(a, b, report));
    if (!equal)
        report_place(a, b, report);
    return equal;
}

bool lockstep(struct machine *a, struct machine *b, uint64_t total, uint64_t chunk, FILE *report)
{
    for (uint64_t done = 0; done < total; done += chunk) {
        uint64_t part = total - done < chunk ? total - done : chunk;
        machine_run(a, part);
        machine_run(b, part);
        bool is_last = part + done == total || !goes_on(a->stop);
        if (!still_equal(a, b, is_last, report))
            return false;
        if (is_last)
            break;
    }
    return true;
}

static uint64_t next_step(const struct schedule *s, uint64_t *lots, uint64_t left)
{
    static const uint32_t length[] = {1, 2, 3, 7, 97, 97, 1000, 1000, 1000, 65536};
    uint64_t step = s->chunk ? s->chunk : length[random_below(lots, 10)];
    return step < left ? step : left;
}

bool lanes_run(struct lanes *lanes, const struct schedule *s, FILE *report)
{
    struct machine *reference = lanes->lane[0].machine;
    uint64_t lots = s->seed, step;
    for (uint64_t done = 0; done < s->total; done += step) {
        step = next_step(s, &lots, s->total - done);
        machine_run(reference, step);
        bool is_last = done + step == s->total || !goes_on(reference->stop);
        for (unsigned i = 1; i < lanes->count; i++) {
            machine_run(lanes->lane[i].machine, step);
            if (still_equal(reference, lanes->lane[i].machine, is_last, report))
                continue;
            if (report)
                fprintf(report, "#   %s parts from %s in the step from %llu to %llu\n",
                        lanes->lane[i].name, lanes->lane[0].name, (unsigned long long)done,
                        (unsigned long long)(done + step));
            return false;
        }
        if (is_last)
            break;
        if (s->between)
            s->between(s->context, lanes);
    }
    return true;
}
