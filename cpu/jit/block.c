/*
 * Translated blocks: finding them, chaining them, forgetting them.
 *
 * A block is known by the guest address that it begins at, the page of memory that its bytes are in,
 * the mode and the TLB context that it was fetched in and how it accesses memory. Jumps from block to
 * block are patched to lead there directly: within a page to the entry, across pages to the gate, because
 * what the other page is may have changed meanwhile.
 *
 * A block whose bytes were overwritten cannot be removed, since others lead to it. Its entries are
 * overwritten with a jump to the exit that looks its address up anew.
 */
#include "cpu/jit/jit.h"

static uint32_t hash(uint32_t pc, uint32_t page, unsigned context, bool fast)
{
    uint32_t h = (pc >> 2 ^ page << 10) * 0x9e3779b1u ^ (context << 1 | fast) * 0x85ebca6bu;
    return (h >> 16 ^ h) % BLOCK_HASH;
}

/* The mode is the context's, but a context's number may be another's later. */
struct block *jit_find(struct jit *jit, uint32_t pc, uint32_t page, bool fast)
{
    const struct machine *m = jit->machine;
    unsigned context = m->fetch_context, mode = m->hart.mode;
    uint32_t n = jit->hash[hash(pc, page, context, fast)];
    while (n) {
        struct block *b = &jit->block[n - 1];
        if (b->pc == pc && b->page == page && b->context == context && b->mode == mode &&
            b->fast == fast)
            return b;
        n = b->next_in_hash;
    }
    return NULL;
}

void jit_add(struct jit *jit, struct block *b)
{
    uint32_t number = (uint32_t)(b - jit->block) + 1;
    uint32_t *head = &jit->hash[hash(b->pc, b->page, b->context, b->fast)];
    b->next_in_hash = *head;
    *head = number;
    b->next_in_page = jit->page[b->page];
    jit->page[b->page] = number;
}

/* ---- forgetting --------------------------------------------------------------------------- */

static void unhash(struct jit *jit, const struct block *b)
{
    uint32_t number = (uint32_t)(b - jit->block) + 1;
    uint32_t *n = &jit->hash[hash(b->pc, b->page, b->context, b->fast)];
    while (*n && *n != number)
        n = &jit->block[*n - 1].next_in_hash;
    if (*n)
        *n = b->next_in_hash;
}

static void write_jump(struct jit *jit, uint32_t at, uint32_t target)
{
    jit->write[at] = 0xe9;
    emit_patch(jit->write, at + 1, target);
}

static void forget(struct jit *jit, const struct block *b)
{
    unhash(jit, b);
    write_jump(jit, b->gate, b->again);
    write_jump(jit, b->entry, b->again);
}

void jit_page_changed(void *context, uint32_t page)
{
    struct jit *jit = context;
    for (uint32_t n = jit->page[page]; n; n = jit->block[n - 1].next_in_page)
        forget(jit, &jit->block[n - 1]);
    jit->page[page] = 0;
    if (jit->unstable[page] < UINT8_MAX)
        jit->unstable[page]++;
    jit->stale = true;
}

void jit_flush(struct jit *jit)
{
    struct machine *m = jit->machine;
    ram_underive(&m->ram);
    memset(jit->hash, 0, BLOCK_HASH * sizeof *jit->hash);
    memset(jit->page, 0, m->ram.size / PAGE_SIZE * sizeof *jit->page);
    for (size_t n = 0; n < (size_t)JUMP_TABLES * JUMP_CACHE; n++)
        jit->jumps[n].pc = JUMP_EMPTY;
    jit->blocks = jit->links = jit->sites = 0;
    jit->emit = (struct emitter){.bytes = jit->write, .end = CODE_SIZE};
    jit->full = false;
    jit_make_glue(jit);
}

/* Does the breakpoint concern instructions in the block's page? Those of a block are nowhere else.
 */
static bool is_in_page(const struct jit *jit, const struct block *b, const struct machine_break *p)
{
    uint32_t page = p->physical ? jit->machine->ram.base + b->page * PAGE_SIZE : b->pc & ~PAGE_MASK;
    return p->address - page < PAGE_SIZE || page - p->address < p->length;
}

static bool is_everywhere(const struct machine_break *p)
{
    return p->execute && p->length > PAGE_SIZE;
}

bool jit_points_everywhere(const struct machine_debug *debug)
{
    for (unsigned i = 0; i < debug->count; i++)
        if (is_everywhere(&debug->point[i]))
            return true;
    return false;
}

/* While there are some everywhere nothing that was translated runs, so those need no care. */
void jit_points(struct jit *jit, const struct machine_debug *debug)
{
    for (unsigned i = 0; i < debug->count; i++) {
        const struct machine_break *p = &debug->point[i];
        for (uint32_t n = 0; p->execute && !is_everywhere(p) && n < jit->blocks; n++)
            if (is_in_page(jit, &jit->block[n], p))
                forget(jit, &jit->block[n]);
    }
}

/* ---- chaining ----------------------------------------------------------------------------- */

void jit_connect(struct jit *jit, struct link *link, const struct block *to)
{
    const struct block *from = &jit->block[link->from];
    bool same_page = (from->pc ^ to->pc) < PAGE_SIZE && from->page == to->page;
    if (from->context == to->context && from->mode == to->mode && from->fast == to->fast)
        emit_patch(jit->write, link->field, same_page ? to->entry : to->gate);
}
