/*
 * Shadow page tables. See shadow.h for what they are.
 *
 * The way of one entry:
 *
 *   the guest touches gVA       the hardware walks the shadow table, finds nothing, faults
 *   shadow_fault()              1. walk the guest's table:  gVA -> gPA   (mmu_walk, A and D set)
 *                               2. ask the monitor's map:   gPA -> hPA
 *                               3. rights = what the guest's entry grants in this virtual mode
 *                               4. write the shadow entry:  gVA -> hPA, and let the guest retry
 *   the guest changes its table nothing happens: it must say sfence.vma (section 4.2.1 of the
 *                               privileged ISA manual, 20211203)
 *   shadow_fence()              the entries concerned are dropped, to be filled again on demand
 *
 * Two details carry the rest. All guest modes run in the hardware's U mode, so every shadow entry
 * has U = 1, and each virtual mode needs a set of its own. And a page that the guest has not
 * written yet (D = 0 in its entry) is mapped read-only, so that its first write faults and step 1
 * can set the guest's D bit.
 */
#include "hv/shadow.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/view.h"

/* One of the two bits of a PTE that hardware leaves to software (RSW). In a leaf: made from a 4 MiB
 * page of the guest. In a pointer: some leaf below is. */
#define PTE_FROM_SUPERPAGE (1u << 8)

static const struct state_field shadow_fields[] = {
    STATE_NOT(struct shadow, hw, "wiring"),
    STATE_NOT(struct shadow, frames, "wiring"),
    STATE_NOT(struct shadow, guest, "wiring"),
    STATE_NOT(struct shadow, gpa, "wiring"),
    STATE_NOT(struct shadow, set, "each has a table of its own"),
    STATE(struct shadow, U8, active),
    STATE_NOT(struct shadow, limit, "configuration"),
    STATE(struct shadow, U32, taken),
    STATE(struct shadow, U64, turn),
    STATE_NOT(struct shadow, change, "within one exit"),
    STATE_NOT(struct shadow, work, "within one exit"),
};
const struct state_table shadow_state = STATE_TABLE("shadow", struct shadow, 1, shadow_fields);

static const struct state_field set_fields[] = {
    STATE(struct shadow_set, U32, key.satp),
    STATE(struct shadow_set, U8, key.mode),
    STATE(struct shadow_set, BOOL, key.sum),
    STATE(struct shadow_set, BOOL, key.mxr),
    STATE(struct shadow_set, U8, key.zero),
    STATE(struct shadow_set, U32, root),
    STATE(struct shadow_set, U32, tables),
    STATE(struct shadow_set, U32, entries),
    STATE(struct shadow_set, U64, used),
    STATE(struct shadow_set, U64, pointers),
};
const struct state_table shadow_set_state =
    STATE_TABLE("shadow set", struct shadow_set, 1, set_fields);

const char *shadow_reason_text(unsigned reason)
{
    static const char *const TEXT[SHADOW_REASONS] = {
        [SHADOW_NO_REASON] = "",
        [SHADOW_FIRST_ACCESS] = "first access to the page",
        [SHADOW_FIRST_WRITE] = "first write to the page: the guest's D bit is now set",
        [SHADOW_MORE_GRANTED] = "the guest's entry grants more than before",
        [SHADOW_FENCE_PAGE] = "sfence.vma of this page",
        [SHADOW_FENCE_SUPERPAGE] = "sfence.vma of its 4 MiB page",
        [SHADOW_FENCE_SPACE] = "sfence.vma of this address space",
        [SHADOW_FENCE_ALL] = "sfence.vma of everything",
        [SHADOW_PMP] = "the guest has changed its PMP",
        [SHADOW_PMP_DEBUGGER] = "a debugger has changed the PMP",
        [SHADOW_RESET] = "the machine was reset",
        [SHADOW_END] = "the virtual machine has ended",
        [SHADOW_MOVED] = "the guest has come from another host",
    };
    return reason < SHADOW_REASONS ? TEXT[reason] : "";
}

/* ---- tables in the hardware's memory ------------------------------------------------------ */

static uint32_t *table_at(struct shadow *s, uint32_t pa)
{
    return (uint32_t *)s->hw->ops->page(s->hw, pa);
}

static uint32_t table_new(struct shadow *s)
{
    uint32_t pa = s->taken < s->limit ? frame_new(s->frames) : 0;
    s->taken += pa != 0;
    return pa;
}

static void table_release(struct shadow *s, uint32_t pa)
{
    frame_release(s->frames, pa);
    s->taken--;
}

static uint32_t pointer_to(uint32_t table)
{
    return table >> PAGE_SHIFT << 10 | PTE_V;
}

static uint32_t frame_of(uint32_t pte)
{
    return PTE_PPN(pte) << PAGE_SHIFT;
}

/* The leaf table for va in a set, or NULL if there is none yet. */
static uint32_t *leaf_table(struct shadow *s, const struct shadow_set *set, uint32_t va)
{
    uint32_t pointer = table_at(s, set->root)[VPN(va, 1)];
    return pointer & PTE_V ? table_at(s, frame_of(pointer)) : NULL;
}

static void note(struct shadow *s, enum shadow_change_kind kind, enum shadow_reason reason,
                 uint32_t va, uint32_t old, uint32_t new)
{
    s->change = (struct shadow_change){(uint8_t)kind, (uint8_t)reason, va, 1, old, new};
    machine_publish(s->guest, EVENT_SHADOW, va, old, new, kind);
}

/* ---- sets --------------------------------------------------------------------------------- */

/* Empties a set. Its root stays. */
static void set_clear(struct shadow *s, struct shadow_set *set)
{
    uint32_t *root = table_at(s, set->root);
    for (unsigned word = 0; word < 1024 / 64 && set->tables; word++) {
        for (; set->pointers[word]; set->pointers[word] &= set->pointers[word] - 1) {
            unsigned i = 64 * word + (unsigned)__builtin_ctzll(set->pointers[word]);
            table_release(s, frame_of(root[i]));
            root[i] = 0;
            set->tables--;
            s->work++;
        }
    }
    set->entries = 0;
}

static void set_release(struct shadow *s, struct shadow_set *set)
{
    set_clear(s, set);
    table_release(s, set->root);
    *set = (struct shadow_set){0};
    if (shadow_current(s) == set)
        s->active = 0;
}

/* The set that was not entered for the longest time, but never `keep`. NULL: there is no other. */
static struct shadow_set *oldest_set(struct shadow *s, const struct shadow_set *keep)
{
    struct shadow_set *oldest = NULL;
    for (int i = 0; i < SHADOW_SETS; i++) {
        struct shadow_set *set = &s->set[i];
        if (set->root && set != keep && (!oldest || set->used < oldest->used))
            oldest = set;
    }
    return oldest;
}

/* A frame for a table of set `keep`, taken from the oldest other set (or, if that is not enough,
 * from the set itself) when the pool is empty. */
static uint32_t table_make(struct shadow *s, struct shadow_set *keep)
{
    uint32_t pa = table_new(s);
    while (!pa) {
        struct shadow_set *victim = oldest_set(s, keep);
        if (victim)
            set_release(s, victim);
        else
            set_clear(s, keep);
        s->hw->ops->flush(s->hw, NULL);
        pa = table_new(s);
    }
    return pa;
}

static struct shadow_set *find_set(struct shadow *s, const struct tlb_context *key)
{
    for (int i = 0; i < SHADOW_SETS; i++)
        if (s->set[i].root && tlb_context_equal(&s->set[i].key, key))
            return &s->set[i];
    return NULL;
}

static struct shadow_set *make_set(struct shadow *s, const struct tlb_context *key)
{
    struct shadow_set *set = NULL;
    for (int i = 0; i < SHADOW_SETS && !set; i++)
        if (!s->set[i].root)
            set = &s->set[i];
    if (!set) {
        set = oldest_set(s, NULL);
        set_release(s, set);
        s->hw->ops->flush(s->hw, NULL);
    }
    uint32_t root = table_make(s, NULL);
    *set = (struct shadow_set){.key = *key, .root = root};
    return set;
}

void shadow_activate(struct shadow *s)
{
    struct tlb_context key = mmu_context(s->guest, ACCESS_READ);
    struct shadow_set *set = shadow_current(s);
    if (!set || !tlb_context_equal(&set->key, &key)) {
        set = find_set(s, &key);
        if (!set)
            set = make_set(s, &key);
        s->active = (uint8_t)(set - s->set + 1);
        set->used = ++s->turn;
    }
    s->hw->ops->set_root(s->hw, SATP_SV32 | set->root >> PAGE_SHIFT);
}

/* ---- filling ------------------------------------------------------------------------------ */

/* Which of R, W and X the guest has on this page, in the virtual mode of the set. */
static uint32_t rights(const struct shadow *s, const struct walk *walk)
{
    static const uint32_t bit[] = {
        [ACCESS_FETCH] = PTE_X, [ACCESS_READ] = PTE_R, [ACCESS_WRITE] = PTE_W};
    const struct pmp *pmp = &s->guest->hart.pmp;
    uint32_t granted = 0;
    for (enum access a = ACCESS_FETCH; a <= ACCESS_WRITE; a++) {
        struct tlb_context context = s->set[s->active - 1].key;
        if (a == ACCESS_FETCH)
            context.sum = context.mxr = false;
        if (context.satp && mmu_permission(&context, a, walk->pte) != WALK_OK)
            continue;
        if (pmp_allows(pmp, context.mode, a, walk->pa & ~PAGE_MASK, PAGE_SIZE))
            granted |= bit[a];
    }
    if (!(walk->pte & PTE_D)) /* the first write must come to us, to be noted in the guest's D */
        granted &= ~PTE_W;
    return granted;
}

static enum shadow_reason reason_for(uint32_t old, uint32_t new)
{
    if (!(old & PTE_V))
        return SHADOW_FIRST_ACCESS;
    if (~old & new & PTE_W)
        return SHADOW_FIRST_WRITE;
    return SHADOW_MORE_GRANTED;
}

static void fill(struct shadow *s, uint32_t va, uint32_t hpa, uint32_t flags)
{
    struct shadow_set *set = shadow_current(s);
    uint32_t *leaf = leaf_table(s, set, va);
    if (!leaf) {
        uint32_t table = table_make(s, set);
        table_at(s, set->root)[VPN(va, 1)] = pointer_to(table);
        set->pointers[VPN(va, 1) / 64] |= 1ull << VPN(va, 1) % 64;
        set->tables++;
        s->work++;
        leaf = table_at(s, table);
    }
    table_at(s, set->root)[VPN(va, 1)] |= flags & PTE_FROM_SUPERPAGE;
    uint32_t old = leaf[VPN(va, 0)];
    uint32_t new = hpa >> PAGE_SHIFT << 10 | flags | PTE_U | PTE_A | PTE_D | PTE_V;
    leaf[VPN(va, 0)] = new;
    set->entries += !(old & PTE_V);
    s->work++;
    note(s, old & PTE_V ? SHADOW_UPGRADED : SHADOW_FILLED, reason_for(old, new), va & ~PAGE_MASK,
         old, new);
    if (old & PTE_V) /* an entry that was not valid is remembered by no hardware of ours */
        s->hw->ops->flush(s->hw, &va);
}

enum shadow_outcome shadow_fault(struct shadow *s, uint32_t va, enum access access,
                                 struct walk *walk)
{
    struct machine *guest = s->guest;
    *walk = (struct walk){.context = mmu_context(guest, access), .access = access};
    bool ok = mmu_walk(guest, va, walk);
    s->work += walk->steps;
    if (!ok)
        return SHADOW_GUEST_TRAP;
    if (!ram_has(&guest->ram, walk->pa))
        return SHADOW_DEVICE;
    if (mmu_page_is_special(guest, walk->pa))
        return SHADOW_NOT_PLAIN;

    uint32_t granted = rights(s, walk);
    static const uint32_t needed[] = {
        [ACCESS_FETCH] = PTE_X, [ACCESS_READ] = PTE_R, [ACCESS_WRITE] = PTE_W};
    if (!(granted & needed[access])) /* the guest's table allows it, so PMP has refused */
        return SHADOW_NOT_PLAIN;

    if (!ram_page(&guest->ram, walk->pa))
        return SHADOW_NOT_PLAIN;
    if (walk->level > 0)
        granted |= PTE_FROM_SUPERPAGE;
    fill(s, va, gpa_to_hpa(s->gpa, walk->pa), granted);
    return SHADOW_MAPPED;
}

/* ---- forgetting --------------------------------------------------------------------------- */

/* Drops the entry for va in one set; returns whether there was one. */
static bool drop_entry(struct shadow *s, struct shadow_set *set, uint32_t va,
                       enum shadow_reason reason)
{
    uint32_t *leaf = leaf_table(s, set, va);
    if (!leaf || !(leaf[VPN(va, 0)] & PTE_V))
        return false;
    note(s, SHADOW_DROPPED, reason, va & ~PAGE_MASK, leaf[VPN(va, 0)], 0);
    leaf[VPN(va, 0)] = 0;
    set->entries--;
    s->work++;
    return true;
}

/* sfence.vma of one address forgets the 4 MiB page that covered it, too: in the shadow table that
 * is every entry of the leaf table that was made from it. Returns whether there were such. */
static bool fence_address(struct shadow *s, struct shadow_set *set, uint32_t va)
{
    uint32_t dropped = drop_entry(s, set, va, SHADOW_FENCE_PAGE);
    uint32_t *pointer = &table_at(s, set->root)[VPN(va, 1)];
    bool parts = *pointer & PTE_FROM_SUPERPAGE;
    if (parts) {
        uint32_t first = va & ~(SUPERPAGE_SIZE - 1);
        const uint32_t *leaf = leaf_table(s, set, va);
        for (uint32_t i = 0; i < 1024; i++)
            if (leaf[i] & PTE_FROM_SUPERPAGE)
                dropped += drop_entry(s, set, first + i * PAGE_SIZE, SHADOW_FENCE_SUPERPAGE);
        *pointer &= ~PTE_FROM_SUPERPAGE;
    }
    if (dropped)
        s->change.count = dropped;
    return parts;
}

static void drop_set(struct shadow *s, struct shadow_set *set, enum shadow_reason reason)
{
    uint32_t entries = set->entries;
    uint32_t before = s->change.kind == SHADOW_DROPPED ? s->change.count : 0;
    set_clear(s, set);
    if (!entries)
        return;
    note(s, SHADOW_DROPPED, reason, 0, 0, 0);
    s->change.count = before + entries;
}

void shadow_fence(struct shadow *s, const uint32_t *va, const uint32_t *asid)
{
    bool parts = false;
    s->change = (struct shadow_change){0};
    for (int i = 0; i < SHADOW_SETS; i++) {
        struct shadow_set *set = &s->set[i];
        if (!set->root || !set->key.satp || (asid && SATP_ASID(set->key.satp) != *asid))
            continue;
        if (va)
            parts |= fence_address(s, set, *va);
        else
            drop_set(s, set, asid ? SHADOW_FENCE_SPACE : SHADOW_FENCE_ALL);
    }
    if (s->active) /* the hardware does not know which of its pages were one page of the guest */
        s->hw->ops->flush(s->hw, parts ? NULL : va);
}

void shadow_drop_all(struct shadow *s, enum shadow_reason reason)
{
    for (int i = 0; i < SHADOW_SETS; i++)
        if (s->set[i].root)
            set_release(s, &s->set[i]);
    s->active = 0;
    s->change = (struct shadow_change){SHADOW_DROPPED, (uint8_t)reason, 0, 0, 0, 0};
    s->hw->ops->flush(s->hw, NULL);
}

/* ---- life --------------------------------------------------------------------------------- */

int shadow_init(struct shadow *s, struct machine *guest, struct gpa *gpa, uint32_t limit)
{
    *s = (struct shadow){.hw = gpa->frames->hw, .frames = gpa->frames, .guest = guest, .gpa = gpa};
    assert(limit >= 4);
    if (!frames_promise(s->frames, limit))
        return -ENOMEM;
    s->limit = limit;
    return 0;
}

void shadow_free(struct shadow *s)
{
    if (!s->limit)
        return;
    shadow_drop_all(s, SHADOW_END);
    frames_unpromise(s->frames, s->limit);
    s->limit = 0;
}

/* ---- looking ------------------------------------------------------------------------------ */

bool shadow_look(struct shadow *s, uint32_t va, struct walk *walk)
{
    struct tlb_context key = mmu_context(s->guest, ACCESS_READ);
    const struct shadow_set *set = find_set(s, &key);
    if (!set)
        return false;
    walk->context = (struct tlb_context){.satp = SATP_SV32 | set->root >> PAGE_SHIFT,
                                         .mode = MODE_U};
    walk->look_only = true;
    mmu_walk(s->hw->machine, va, walk);
    return true;
}

void shadow_class_name(const struct tlb_context *key, char *text, unsigned size)
{
    static const char *const mode[] = {"U", "S", "?", "M"};
    snprintf(text, size, "%s%s%s%s", mode[key->mode & 3], key->satp ? "" : " bare",
             key->sum ? "+SUM" : "", key->mxr ? "+MXR" : "");
}
