/*
 * Can a virtual machine's monitor have come to this state by itself?
 *
 * Where all of the monitor's state was replaced by what a file says, it is checked before anything
 * runs: each frame of the hardware's memory that was ever handed out has one owner (a page of the
 * guest, a shadow table, the list of free frames, a run that is set aside), every shadow entry
 * leads to a page of the guest, and the counts fit. What a guest's own memory and registers hold is
 * the guest's affair and is not looked at.
 */
#include <stdlib.h>

#include "cpu/rv.h"
#include "hv/vm.h"

enum owner { NOBODY, GUEST, TABLE, FREE, SET_ASIDE };

struct check {
    struct vm *vm;
    const struct frames *frames;
    uint8_t *owner; /* by frame from frames->first on: enum owner */
    uint32_t guest, tables, aside;
};

static bool is_frame(const struct check *c, uint32_t pa)
{
    return pa >= c->frames->first && pa < c->frames->next && pa % PAGE_SIZE == 0;
}

static uint8_t *owner_of(const struct check *c, uint32_t pa)
{
    return &c->owner[(pa - c->frames->first) / PAGE_SIZE];
}

/* The frame belongs to `to` from now on, and belonged to `from` so far. */
static bool pass(const struct check *c, uint32_t pa, enum owner from, enum owner to)
{
    if (!is_frame(c, pa) || *owner_of(c, pa) != from)
        return false;
    *owner_of(c, pa) = to;
    return true;
}

static bool check_runs(struct check *c)
{
    const struct gpa *g = &c->vm->gpa;
    for (uint32_t first = 0; first < g->pages; first += GPA_CLUSTER) {
        uint32_t run = g->run[first / GPA_CLUSTER];
        uint32_t count = g->pages - first < GPA_CLUSTER ? g->pages - first : GPA_CLUSTER;
        for (uint32_t i = 0; run > GPA_NO_RUN && i < count; i++, c->aside++)
            if (!pass(c, run + i * PAGE_SIZE, NOBODY, SET_ASIDE))
                return false;
    }
    return true;
}

/* A page has the frame of its place in the cluster's run; without a run, any. */
static bool check_pages(struct check *c)
{
    const struct gpa *g = &c->vm->gpa;
    for (uint32_t i = 0; i < g->pages; i++) {
        uint32_t run = g->run[i / GPA_CLUSTER];
        bool in_run = run > GPA_NO_RUN;
        if (!g->frame[i])
            continue;
        if (in_run && g->frame[i] != run + i % GPA_CLUSTER * PAGE_SIZE)
            return false;
        if (!pass(c, g->frame[i], in_run ? SET_ASIDE : NOBODY, GUEST))
            return false;
        c->guest++;
        c->aside -= in_run;
    }
    return true;
}

static bool check_free(struct check *c)
{
    const struct frames *f = c->frames;
    if (f->free_count > (f->end - f->first) / PAGE_SIZE)
        return false;
    for (uint32_t i = 0; i < f->free_count; i++)
        if (!pass(c, f->free[i], NOBODY, FREE))
            return false;
    return true;
}

static const uint32_t *table_at(const struct check *c, uint32_t pa)
{
    struct hw *hw = &c->vm->vmm->hw;
    return (const uint32_t *)hw->ops->page(hw, pa);
}

static uint32_t frame_of(uint32_t pte)
{
    return PTE_PPN(pte) << PAGE_SHIFT;
}

/* Every valid entry leads to a page of the guest; how many there are. */
static bool check_leaves(const struct check *c, const uint32_t *leaf, uint32_t *entries)
{
    for (unsigned i = 0; i < 1024; i++) {
        if (!(leaf[i] & PTE_V))
            continue;
        uint32_t pa = frame_of(leaf[i]);
        if (!is_frame(c, pa) || *owner_of(c, pa) != GUEST || !(leaf[i] & (PTE_R | PTE_X)))
            return false;
        ++*entries;
    }
    return true;
}

static bool check_set(struct check *c, const struct shadow_set *set)
{
    uint32_t tables = 0, entries = 0;
    if (!set->root)
        return true;
    const uint32_t *root = pass(c, set->root, NOBODY, TABLE) ? table_at(c, set->root) : NULL;
    for (unsigned i = 0; root && i < 1024; i++) {
        bool used = set->pointers[i / 64] >> i % 64 & 1;
        if (used != (root[i] & PTE_V) || (used && root[i] & (PTE_R | PTE_W | PTE_X)))
            return false;
        if (!used)
            continue;
        const uint32_t *leaf =
            pass(c, frame_of(root[i]), NOBODY, TABLE) ? table_at(c, frame_of(root[i])) : NULL;
        if (!leaf || !check_leaves(c, leaf, &entries))
            return false;
        tables++;
    }
    c->tables += 1 + tables;
    return root && tables == set->tables && entries == set->entries;
}

static bool check_sets(struct check *c)
{
    const struct shadow *s = &c->vm->shadow;
    for (unsigned i = 0; i < SHADOW_SETS; i++)
        if (!check_set(c, &s->set[i]))
            return false;
    return s->active <= SHADOW_SETS && (!s->active || s->set[s->active - 1].root) &&
           s->taken == c->tables && s->taken <= s->limit;
}

static bool check_log(const struct vm *vm)
{
    bool ok = true;
    for (unsigned i = 0; i < EXIT_LOG; i++)
        ok &= vm->log[i].reason < EXIT_REASONS;
    return ok;
}

static bool check_all(struct check *c)
{
    const struct frames *f = c->frames;
    const struct gpa *g = &c->vm->gpa;
    if (!check_runs(c) || !check_pages(c) || !check_free(c) || !check_sets(c))
        return false;
    return f->aside == c->aside &&
           (uint64_t)f->promised + c->guest + c->tables == (uint64_t)g->pages + c->vm->shadow.limit;
}

bool vm_check(struct vm *vm)
{
    const struct frames *f = &vm->vmm->frames;
    if (vm->vmm->count != 1 || f->next < f->first || f->next > f->end || f->next % PAGE_SIZE)
        return false;
    struct check c = {.vm = vm, .frames = f};
    c.owner = calloc((f->end - f->first) / PAGE_SIZE, 1);
    bool ok = c.owner && check_log(vm) && check_all(&c);
    free(c.owner);
    return ok;
}
