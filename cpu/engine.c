/*
 * What all engines share: the way from one instruction to the next when something happens there.
 *
 * An engine executes instructions; whatever comes between two of them is here, so that it is the
 * same in every engine: exceptions, timers and interrupts, sleeping, breakpoints, and the ways in
 * which a guest can end a run.
 */
#include "cpu/engine.h"

#include <stddef.h>
#include <string.h>

#include "cpu/absent.h"
#include "cpu/isa.h"
#include "cpu/machine.h"
#include "cpu/sbi.h"

/* ---- which engines there are -------------------------------------------------------------- */

/* From the simplest to the fastest. */
static const struct engine *const engines[] = {
    &engine_interp,
    &engine_threaded,
#ifdef HAVE_JIT
    &engine_jit,
#endif
};
enum { ENGINES = sizeof engines / sizeof engines[0] };

const struct engine *engine_at(unsigned index)
{
    return index < ENGINES ? engines[index] : NULL;
}

const struct engine *engine_find(const char *name)
{
    if (!name)
        return &engine_interp;
    if (!strcmp(name, "auto"))
        return engines[ENGINES - 1];
    for (unsigned i = 0; engine_at(i); i++)
        if (!strcmp(engine_at(i)->name, name))
            return engine_at(i);
    return NULL;
}

/* ---- exceptions --------------------------------------------------------------------------- */

bool machine_raise(struct machine *m, uint32_t cause, uint32_t tval)
{
    m->cause = cause;
    m->tval = tval;
    return false;
}

void machine_stop(struct machine *m, enum stop_reason reason)
{
    m->stop = reason;
    m->hart.attention = true;
}

void machine_mode_changed(struct machine *m)
{
    mmu_context_changed(m);
    m->hart.attention = true;
}

/* Enters M or S mode at the trap vector, or stops for the monitor that stands in M mode's place. */
static void take(struct machine *m, uint32_t cause, uint32_t tval)
{
    struct hart *h = &m->hart;
    unsigned from = h->mode;
    if (m->monitored) {
        m->trap.cause = cause;
        m->trap.tval = tval;
        m->trap.pc = h->pc;
        m->trap.insn = m->insn;
        m->trap.reserved = h->reserved;
        machine_stop(m, STOP_TRAP);
    }
    enum mode to = trap_take(h, cause, tval);
    machine_publish(m, EVENT_TRAP, cause, tval, from, to);
    if (m->monitored) /* the monitor changes the mode again before anything runs */
        return;
    machine_mode_changed(m);
    if (m->firmware && to == MODE_M) {
        m->stuck = "a trap to M mode, which the built-in firmware does not handle";
        machine_stop(m, STOP_STUCK);
    }
}

/* What looks like an access fault may be a page that is not here yet: then nothing has happened, and
 * the instruction is executed again. It has changed nothing that matters: A and D bits of its page
 * tables are set once. */
void machine_exception(struct machine *m)
{
    struct hart *h = &m->hart;
    if (m->absent)
        return;
    bool is_firmware_call = m->firmware && m->cause == CAUSE_ECALL_S;
    if (is_firmware_call) {
        machine_publish(m, EVENT_TRAP, m->cause, m->tval, h->mode, MODE_M);
        if (!absent_firmware_call(m))
            return;
        h->pc += 4;
    } else {
        take(m, m->cause, m->tval);
    }
    h->trapped++;
    h->executed++;
}

/* ---- between two instructions ------------------------------------------------------------- */

/* WFI: time jumps to the next timer. If there is none, only input from outside can help. */
static bool sleep_until_interrupt(struct machine *m)
{
    struct hart *h = &m->hart;
    while (!(h->mip & h->mie)) {
        if (!clock_skip_idle(&h->clock, h->executed)) {
            m->stop = STOP_IDLE;
            return false;
        }
        hart_update_timers(h);
    }
    h->waiting = false;
    return true;
}

bool machine_poll(struct machine *m)
{
    struct hart *h = &m->hart;
    if (m->stop != STOP_NONE)
        return false;
    /* Whoever changes a comparator updates the timers; else they change at the deadline only. */
    if (h->executed >= h->clock.deadline || h->clock.host)
        hart_update_timers(h);
    h->attention = false;
    if (h->waiting && !sleep_until_interrupt(m))
        return false;
    m->interrupt = trap_pending_interrupt(h);
    if (m->interrupt) {
        m->insn = 0;
        take(m, m->interrupt, 0);
    }
    return m->stop == STOP_NONE;
}

void machine_fence(struct machine *m, const uint32_t *va, const uint32_t *asid)
{
    tlb_fence(&m->tlb, va, asid);
    mmu_context_changed(m);
    if (va && m->engine->fence)
        m->engine->fence(m, *va);
    hart_unreserve(&m->hart);
    machine_publish(m, EVENT_TLB_FLUSH, va ? *va : UINT32_MAX, asid ? *asid : UINT32_MAX, 0, 0);
    if (m->on_fence)
        m->on_fence(m, va, asid);
}

void machine_csr_effects(struct machine *m, unsigned effects)
{
    if (effects & CSR_PROTECTION)
        mmu_flush(m);
    if (effects & CSR_TRANSLATION)
        mmu_context_changed(m);
    if (effects & CSR_INTERRUPTS) {
        hart_update_timers(&m->hart);
        m->hart.attention = true;
    }
}

void machine_derive(struct machine *m, const uint8_t *host, unsigned size)
{
    if (!ram_derive(&m->ram, host, size))
        return;
    tlb_protect(&m->tlb, host - (uintptr_t)host % PAGE_SIZE);
    m->code_epoch = m->ram.code->epoch;
}

void machine_pages_cleaned(struct machine *m, const uint32_t *page, uint32_t count)
{
    for (int i = 0; i < TLB_ENTRIES; i++) {
        struct tlb_entry *e = &m->tlb.entry[i];
        if (e->tag[ACCESS_WRITE] && !ram_takes_writes(&m->ram, e->host))
            e->tag[ACCESS_WRITE] = 0;
    }
    m->code_epoch = ++m->ram.code->epoch; /* virtual machines on it look for that */
    if (m->engine->cleaned)
        m->engine->cleaned(m, page, count);
}

/* ---- breakpoints and watchpoints ---------------------------------------------------------- */

/* A physical breakpoint concerns the page that pc translates to, looked up without side effects. */
static bool stands_at(struct machine *m, const struct machine_break *b)
{
    uint32_t at = m->hart.pc;
    if (b->physical) {
        struct walk w = {.context = mmu_context(m, ACCESS_FETCH),
                         .access = ACCESS_FETCH,
                         .look_only = true};
        if (!mmu_walk(m, at, &w))
            return false;
        at = w.pa;
    }
    return at - b->address < b->length;
}

static const struct machine_break *point_here(struct machine *m)
{
    for (unsigned i = 0; i < m->debug.count; i++)
        if (m->debug.point[i].execute && stands_at(m, &m->debug.point[i]))
            return &m->debug.point[i];
    return NULL;
}

bool machine_at_point(struct machine *m)
{
    return point_here(m);
}

bool machine_has_point(const struct machine *m, uint32_t va, uint32_t pa)
{
    for (unsigned i = 0; i < m->debug.count; i++) {
        const struct machine_break *b = &m->debug.point[i];
        if (b->execute && (b->physical ? pa : va) - b->address < b->length)
            return true;
    }
    return false;
}

bool machine_inspect(struct machine *m)
{
    const struct machine_break *b = m->hart.executed == m->debug.skip ? NULL : point_here(m);
    if (!b)
        return true;
    m->watch = *b;
    machine_stop(m, STOP_BREAKPOINT);
    return false;
}

void machine_watch(struct machine *m, uint32_t va, uint32_t pa, unsigned size, enum access access)
{
    for (unsigned i = 0; i < m->debug.count; i++) {
        const struct machine_break *b = &m->debug.point[i];
        bool wanted = access == ACCESS_WRITE ? b->write : b->read;
        uint32_t at = b->physical ? pa : va;
        if (!wanted || (at - b->address >= b->length && b->address - at >= size))
            continue;
        m->watch = *b;
        m->watch_device = NULL;
        m->watch.address = va;
        m->watch.length = size;
        m->watch.read = access == ACCESS_READ;
        m->watch.write = access == ACCESS_WRITE;
        machine_stop(m, STOP_WATCHPOINT);
        return;
    }
}

void machine_watch_device(struct machine *m, uint32_t pa, uint32_t size, const char *name)
{
    for (unsigned i = 0; i < m->debug.count; i++) {
        const struct machine_break *b = &m->debug.point[i];
        if (!b->device || (pa - b->address >= b->length && b->address - pa >= size))
            continue;
        m->watch = *b;
        m->watch_device = name;
        machine_stop(m, STOP_WATCHPOINT);
        return;
    }
}

/* Somebody must look before each instruction, or each that the engine does not know better of. */
static void note_inspected(struct machine *m)
{
    m->inspected = m->events.mask & EVENT_BIT(EVENT_INSN);
    for (unsigned i = 0; i < m->debug.count; i++)
        m->inspected |= m->debug.point[i].execute;
}

void machine_debug_changed(struct machine *m)
{
    note_inspected(m);
    mmu_flush(m);
    machine_invalidate(m);
}

bool machine_watches_data(const struct machine_debug *d)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->point[i].read || d->point[i].write)
            return true;
    return false;
}

/* Watched pages are in no TLB, so a watchpoint that comes or goes empties it. */
void machine_set_debug(struct machine *m, const struct machine_debug *new)
{
    struct machine_debug old = m->debug;
    m->debug = *new;
    if (old.count == new->count && !memcmp(old.point, new->point, old.count * sizeof *old.point))
        return;
    note_inspected(m);
    if (machine_watches_data(&old) || machine_watches_data(new))
        machine_flush(m);
    if (m->engine->points)
        m->engine->points(m, &old);
    else
        machine_invalidate(m);
}
