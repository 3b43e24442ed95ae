/*
 * The simulated backend's answers: views of the machine, copied out while it stands between two
 * slices; and, at the end, the table by which a session finds them.
 *
 * Looking changes nothing: walks are done with `look_only`, memory is peeked at, device registers
 * are read without their side effects. Addresses are cut to the guest's 32 bits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/image.h"
#include "cpu/isa.h"
#include "hv/simulated_priv.h"

/* ---- status and registers ----------------------------------------------------------------- */

static void view_status(void *self, struct view_status *out)
{
    const struct simulated *s = self;
    const struct engine *engine = s->computer ? s->computer->engine : s->guest->engine;
    out->instructions = s->guest->hart.executed;
    out->exits = s->vm ? s->vm->exits : s->traps.count;
    out->under_monitor = s->vm != NULL;
    out->isa = ISA_RV32;
    out->counted = true;
    out->memory = s->config->memory;
    snprintf(out->engine, sizeof out->engine, "%s", engine->name);
}

/* CSRs worth a row: those that exist and are not constant zero. */
static void view_csrs(const struct hart *h, const struct hart *before, struct view_hart *out)
{
    const struct csr_row *row;
    for (unsigned i = 0; (row = isa_csr_at(i)) && out->csr_count < VIEW_CSRS; i++) {
        if (row->zero)
            continue;
        struct view_csr *csr = &out->csr[out->csr_count++];
        csr->number = row->number;
        csr->privilege = (uint8_t)csr_privilege(row->number);
        snprintf(csr->name, sizeof csr->name, "%s", row->name);
        csr->value = csr_peek(h, row->number);
        csr->changed = csr->value != csr_peek(before, row->number);
    }
}

static void view_hart(void *self, enum view_hart_kind kind, struct view_hart *out)
{
    const struct simulated *s = self;
    const struct machine *m = s->guest;
    const struct hart *before = &s->before_virtual;
    if (kind == VIEW_REAL && s->computer) {
        m = s->computer;
        before = &s->before_real;
    }
    out->present = kind == VIEW_REAL || s->vm;
    if (!out->present)
        return;
    const struct hart *h = &m->hart;
    out->pc = h->pc;
    memcpy(out->x, h->x, sizeof out->x);
    for (int i = 0; i < 32; i++)
        out->x_changed |= (uint32_t)(h->x[i] != before->x[i]) << i;
    out->pc_changed = h->pc != before->pc;
    out->mode = h->mode;
    out->mode_changed = h->mode != before->mode;
    out->waiting = h->waiting;
    out->instructions = h->executed;
    out->mtime = hart_mtime(h);
    view_csrs(h, before, out);
}

/* ---- looking at guest memory -------------------------------------------------------------- */

/* Walks the guest's table without touching anything. */
static bool look(struct simulated *s, uint32_t va, enum access access, struct walk *w)
{
    *w = (struct walk){
        .context = mmu_context(s->guest, access), .access = access, .look_only = true};
    return mmu_walk(s->guest, va, w);
}

/* The guest-physical address behind va for a debugger: may it be read, or at least executed? */
static bool debugger_address(struct simulated *s, uint32_t va, uint32_t *pa)
{
    struct walk w;
    if (!look(s, va, ACCESS_READ, &w) && !look(s, va, ACCESS_FETCH, &w))
        return false;
    *pa = w.pa;
    return ram_has(&s->guest->ram, w.pa);
}

static uint8_t peek_byte(struct simulated *s, uint32_t pa)
{
    const uint8_t *page = ram_peek(&s->guest->ram, pa);
    return page ? page[pa & PAGE_MASK] : 0;
}

static void view_memory(void *self, bool physical, struct view_memory *out)
{
    struct simulated *s = self;
    uint32_t address = (uint32_t)out->address;
    out->address = address;
    uint32_t page_pa = 0;
    bool there = false;
    for (uint32_t i = 0; i < out->length; i++) {
        uint32_t at = address + i;
        if (i == 0 || (at & PAGE_MASK) == 0) {
            page_pa = at;
            there = physical ? ram_has(&s->guest->ram, at) : debugger_address(s, at, &page_pa);
            page_pa &= ~PAGE_MASK;
        }
        if (!there)
            continue;
        out->data[i] = peek_byte(s, page_pa | (at & PAGE_MASK));
        out->valid[i / 8] |= (uint8_t)(1u << i % 8);
    }
}

/* The range's physical addresses, page by page, before the first byte is written. */
static bool all_writable(struct simulated *s, bool physical, uint32_t address, uint32_t length)
{
    for (uint64_t at = address; at < (uint64_t)address + length; at = (at | PAGE_MASK) + 1) {
        uint32_t pa = (uint32_t)at;
        if (at >> 32 || !(physical ? ram_has(&s->guest->ram, pa) : debugger_address(s, pa, &pa)))
            return false;
    }
    return true;
}

static int write_memory(void *self, bool physical, uint64_t address, const uint8_t *bytes,
                        uint32_t length)
{
    struct simulated *s = self;
    int error = all_writable(s, physical, (uint32_t)address, length) ? 0 : -EFAULT;
    for (uint32_t i = 0; i < length && !error; i++) {
        uint32_t pa = (uint32_t)address + i;
        if (!physical && !debugger_address(s, pa, &pa))
            error = -EFAULT;
        else if (!ram_write(&s->guest->ram, pa, &bytes[i], 1))
            error = -EFAULT;
    }
    replay_written(s);
    return error;
}

static int write_register(void *self, int number, uint32_t value)
{
    struct simulated *s = self;
    if (number < 0 || number > 32)
        return -ENOENT;
    if (number == 32)
        s->guest->hart.pc = value & ~3u;
    else if (number > 0)
        s->guest->hart.x[number] = value;
    replay_written(s);
    return 0;
}

static int write_csr(void *self, uint16_t number, uint32_t value)
{
    struct simulated *s = self;
    unsigned effects;
    if (!isa_csr(number))
        return -ENOENT;
    csr_poke(&s->guest->hart, number, value, &effects);
    machine_csr_effects(s->guest, effects);
    if (s->vm && effects & CSR_PROTECTION)
        shadow_drop_all(&s->vm->shadow, SHADOW_PMP_DEBUGGER);
    replay_written(s);
    return 0;
}

/* ---- registers as a list ------------------------------------------------------------------ */

static struct view_register *add_register(struct view_registers *out, const char *group,
                                          const char *name, uint32_t value, bool changed)
{
    struct view_register *r = &out->reg[out->count++];
    *r = (struct view_register){.bits = 32, .value = value, .changed = changed};
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->group, sizeof r->group, "%s", group);
    return r;
}

/* Those of the hart that the guest has, or believes to have. */
static void view_registers(void *self, struct view_registers *out)
{
    const struct simulated *s = self;
    const struct hart *h = &s->guest->hart, *before = &s->before_virtual;
    const struct csr_row *row;
    for (unsigned i = 0; i < 32; i++) {
        struct view_register *r =
            add_register(out, "general", isa_register_name(i), h->x[i], h->x[i] != before->x[i]);
        snprintf(r->text, sizeof r->text, "x%u", i);
    }
    struct view_register *pc = add_register(out, "general", "pc", h->pc, h->pc != before->pc);
    symbols_text(s->guest->symbols, h->pc, pc->text, sizeof pc->text);
    for (unsigned i = 0; (row = isa_csr_at(i)) && out->count < VIEW_REGISTERS; i++) {
        uint32_t value = csr_peek(h, row->number);
        if (!row->zero)
            add_register(out, "csr", row->name, value, value != csr_peek(before, row->number));
    }
}

static int register_number(const char *name)
{
    char number[8];
    for (unsigned i = 0; i < 32; i++) {
        snprintf(number, sizeof number, "x%u", i);
        if (!strcmp(name, isa_register_name(i)) || !strcmp(name, number))
            return (int)i;
    }
    return strcmp(name, "pc") ? -1 : 32;
}

static int write_register64(void *self, const char *name, uint64_t value)
{
    const struct csr_row *row;
    int number = register_number(name);
    if (number >= 0)
        return value > UINT32_MAX ? -EINVAL : write_register(self, number, (uint32_t)value);
    for (unsigned i = 0; (row = isa_csr_at(i)); i++)
        if (!strcmp(name, row->name))
            return value > UINT32_MAX ? -EINVAL : write_csr(self, row->number, (uint32_t)value);
    return -ENOENT;
}

/* ---- disassembly -------------------------------------------------------------------------- */

static void view_insn(struct simulated *s, uint32_t va, struct view_insn *out)
{
    struct walk w;
    memset(out, 0, sizeof *out);
    out->va = va;
    out->length = 4;
    bool ok = look(s, va, ACCESS_FETCH, &w);
    out->readable = ok && ram_has(&s->guest->ram, w.pa);
    if (out->readable) {
        for (unsigned i = 0; i < 4; i++) {
            out->bytes[i] = peek_byte(s, w.pa + i);
            out->word |= (uint32_t)out->bytes[i] << 8 * i;
        }
        isa_disassemble(va, out->word, out->text, sizeof out->text);
        snprintf(out->meaning, sizeof out->meaning, "%s",
                 isa_rows[isa_decode(out->word).op].meaning);
        out->sensitive = isa_traps_in_user_mode(out->word);
    } else {
        snprintf(out->text, sizeof out->text, "(%s)",
                 ok ? "no memory there" : mmu_failure_text(w.failure));
    }
    out->symbol_start = symbols_text(s->guest->symbols, va, out->symbol, sizeof out->symbol);
    const char *file;
    if (s->guest->symbols && symbols_line(s->guest->symbols, va, &file, &out->line))
        snprintf(out->file, sizeof out->file, "%.*s", VIEW_FILE - 1, file);
}

static int disassemble(void *self, uint64_t va, struct view_insn *out, int count)
{
    struct simulated *s = self;
    int n = 0;
    for (uint32_t at = (uint32_t)va & ~3u; n < count; n++, at += 4)
        view_insn(s, at, &out[n]);
    return n;
}

static int disassemble_pc(void *self, int before, struct view_insn *out, int count)
{
    struct simulated *s = self;
    uint32_t first = s->guest->hart.pc - 4 * (uint32_t)before;
    for (int n = 0; n < count; n++)
        view_insn(s, first + 4 * (uint32_t)n, &out[n]);
    return count;
}

/* ---- translation -------------------------------------------------------------------------- */

static enum access access_of(char letter)
{
    return letter == 'w' ? ACCESS_WRITE : letter == 'x' ? ACCESS_FETCH : ACCESS_READ;
}

/* Words for a failed walk that also say at which level. */
static void explain(const struct walk *w, struct view_walk *out)
{
    snprintf(out->fault, sizeof out->fault, "%s", isa_cause_name(w->cause));
    if (w->steps && w->failure != WALK_PMP && w->failure != WALK_BEYOND)
        snprintf(out->why, sizeof out->why, "level %u: %s", w->step[w->steps - 1].level,
                 mmu_failure_text(w->failure));
    else
        snprintf(out->why, sizeof out->why, "%s", mmu_failure_text(w->failure));
}

static void view_walk_of(const struct walk *w, uint32_t va, char access, struct view_walk *out)
{
    *out = (struct view_walk){
        .present = true,
        .bare = w->context.satp == 0,
        .ok = w->failure == WALK_OK,
        .va = va,
        .pa = w->pa,
        .root_pa = SATP_PPN(w->context.satp) << PAGE_SHIFT,
        .asid = (uint16_t)SATP_ASID(w->context.satp),
        .mode = w->context.mode,
        .access = access,
        .step_count = w->steps,
    };
    for (int i = 0; i < w->steps; i++) {
        const struct walk_step *step = &w->step[i];
        out->step[i] = (struct view_walk_step){
            .level = step->level,
            .table_pa = step->pte_pa & ~PAGE_MASK,
            .index = (step->pte_pa & PAGE_MASK) / 4,
            .pte_pa = step->pte_pa,
            .pte = step->pte,
            .pte_new = step->pte_new,
            .leaf = step->pte & PTE_V && PTE_IS_LEAF(step->pte),
            .updated = step->pte != step->pte_new,
            .entry_bytes = 4,
            .next_pa = step->pte & PTE_V ? PTE_PPN(step->pte) << PAGE_SHIFT : 0,
            .flags = step->pte & 0xff,
        };
    }
    if (out->ok) {
        out->permissions = w->pte & 0xff;
        out->page_size = w->level ? SUPERPAGE_SIZE : PAGE_SIZE;
    } else {
        explain(w, out);
    }
}

/* gPA -> hPA: no table to walk, one look into the monitor's map. */
static void view_map(struct simulated *s, uint32_t pa, char access, struct view_walk *out)
{
    *out = (struct view_walk){.present = true, .va = pa, .access = access};
    uint32_t hpa = gpa_to_hpa(&s->vm->gpa, pa);
    struct device *device = bus_find(&s->guest->bus, pa);
    out->ok = hpa != 0;
    out->pa = hpa;
    out->page_size = out->ok ? PAGE_SIZE : 0;
    out->permissions = PTE_R | PTE_W | PTE_X;
    if (device)
        snprintf(out->why, sizeof out->why, "virtual device: %s", device->name);
    else if (!hpa && ram_has(&s->guest->ram, pa))
        snprintf(out->why, sizeof out->why, "no frame yet: it is allotted on the first access");
    else if (!hpa)
        snprintf(out->why, sizeof out->why, "the guest has no memory there");
}

static void view_change(const struct shadow_change *c, uint64_t seq, struct view_shadow_change *out)
{
    *out = (struct view_shadow_change){
        .kind = c->kind,
        .va = c->va,
        .count = c->count,
        .pte_old = c->pte_old,
        .pte_new = c->pte_new,
        .exit_seq = seq,
    };
    snprintf(out->reason, sizeof out->reason, "%s", shadow_reason_text(c->reason));
}

/* The newest exit that changed a shadow entry. */
static void newest_change(const struct vm *vm, struct view_shadow_change *out)
{
    for (uint64_t back = 0; back < EXIT_LOG && back < vm->exits; back++) {
        const struct exit_record *r = &vm->log[(vm->exits - back) % EXIT_LOG];
        if (r->shadow.kind == SHADOW_NONE)
            continue;
        view_change(&r->shadow, r->seq, out);
        return;
    }
}

static void view_shadow_side(struct simulated *s, uint32_t va, char access,
                             struct view_translation *out)
{
    struct walk w = {.access = access_of(access)};
    struct tlb_context key = mmu_context(s->guest, ACCESS_READ);
    shadow_class_name(&key, out->shadow_class, sizeof out->shadow_class);
    if (shadow_look(&s->vm->shadow, va, &w)) {
        view_walk_of(&w, va, access, &out->shadow);
    } else {
        out->shadow = (struct view_walk){.present = true, .va = va, .access = access};
        snprintf(out->shadow.why, sizeof out->shadow.why,
                 "no shadow table yet for this root and mode");
        snprintf(out->shadow.fault, sizeof out->shadow.fault, "none");
    }
    for (int i = 0; i < SHADOW_SETS; i++)
        out->shadow_sets += s->vm->shadow.set[i].root != 0;
    newest_change(s->vm, &out->change);
}

static void translate(void *self, uint64_t address, char access, struct view_translation *out)
{
    struct simulated *s = self;
    struct walk w;
    uint32_t va = (uint32_t)address;
    out->va = va;
    look(s, va, access_of(access), &w);
    view_walk_of(&w, va, access, &out->guest);
    out->levels = out->guest.bare ? 0 : 2;
    if (s->vm) {
        if (out->guest.ok)
            view_map(s, w.pa, access, &out->map);
        view_shadow_side(s, va, access, out);
    }
}

static char data_access(const struct simulated *s, struct insn i, uint64_t *va)
{
    *va = (uint32_t)(s->guest->hart.x[i.rs1] + (uint32_t)i.imm);
    switch (isa_rows[i.op].format) {
    case FORMAT_L:
    case FORMAT_LR: return 'r';
    case FORMAT_S:
    case FORMAT_AMO: return 'w';
    default: return 0;
    }
}

/* What the instruction at pc is about to touch: its operand if it is a load, store or atomic, else
 * itself. Directly after an exit for an address, that address. */
static void last_access(void *self, uint64_t *va, char *access)
{
    struct simulated *s = self;
    struct view_insn insn;
    const struct exit_record *r = s->vm ? &s->vm->log[s->vm->exits % EXIT_LOG] : NULL;
    bool just_now = r && s->vm->exits && session_last_stop(s->session) == STOPPED_EXIT;
    if (just_now && (r->reason == EXIT_SHADOW_FILL || r->reason == EXIT_PAGE_FAULT)) {
        *va = r->tval;
        *access = r->cause == CAUSE_STORE_PAGE ? 'w' : r->cause == CAUSE_LOAD_PAGE ? 'r' : 'x';
    } else {
        view_insn(s, s->guest->hart.pc, &insn);
        *access = insn.readable ? data_access(s, isa_decode(insn.word), va) : 0;
        if (!*access) {
            *va = s->guest->hart.pc;
            *access = 'x';
        }
    }
}

/* ---- page tables as regions --------------------------------------------------------------- */

static void add_region(struct view_table *out, uint32_t va, uint32_t pa, uint32_t page_size,
                       uint32_t permissions)
{
    if (out->count) {
        struct view_region *last = &out->region[out->count - 1];
        if (last->va + last->size == va && last->pa + last->size == pa &&
            last->permissions == permissions && last->page_size == page_size) {
            last->size += page_size;
            return;
        }
    }
    if (out->count == VIEW_REGIONS) {
        out->truncated = true;
        return;
    }
    out->region[out->count++] = (struct view_region){va, pa, page_size, permissions, page_size};
}

/* All leaves of an Sv32 table in this machine's memory. Runs wild with no table: it just sees what
 * is there, two levels deep. */
static void add_table(const struct machine *m, uint32_t root, struct view_table *out)
{
    const uint32_t *level1 = (const uint32_t *)ram_peek(&m->ram, root);
    for (uint32_t i = 0; level1 && i < 1024; i++) {
        uint32_t pte = level1[i], va = i << 22;
        if (!(pte & PTE_V))
            continue;
        if (PTE_IS_LEAF(pte)) {
            add_region(out, va, PTE_PPN(pte) << PAGE_SHIFT, SUPERPAGE_SIZE, pte & 0xff);
            continue;
        }
        const uint32_t *level0 = (const uint32_t *)ram_peek(&m->ram, PTE_PPN(pte) << PAGE_SHIFT);
        for (uint32_t j = 0; level0 && j < 1024; j++)
            if (level0[j] & PTE_V && PTE_IS_LEAF(level0[j]))
                add_region(out, va | j << 12, PTE_PPN(level0[j]) << PAGE_SHIFT, PAGE_SIZE,
                           level0[j] & 0xff);
    }
}

static void add_map(const struct gpa *gpa, struct view_table *out)
{
    for (uint32_t i = 0; i < gpa->pages; i++)
        if (gpa->frame[i])
            add_region(out, gpa->base + i * PAGE_SIZE, gpa->frame[i], PAGE_SIZE,
                       PTE_R | PTE_W | PTE_X);
}

static void view_table(void *self, enum view_table_kind kind, struct view_table *out)
{
    struct simulated *s = self;
    if (kind == VIEW_GUEST_TABLE) {
        struct tlb_context context = mmu_context(s->guest, ACCESS_READ);
        out->present = context.satp != 0;
        out->root_pa = SATP_PPN(context.satp) << PAGE_SHIFT;
        out->levels = out->present ? 2 : 0;
        if (out->present)
            add_table(s->guest, (uint32_t)out->root_pa, out);
    } else if (s->vm && kind == VIEW_MAP) {
        out->present = true;
        add_map(&s->vm->gpa, out);
    } else if (s->vm && s->vm->shadow.active) {
        out->present = true;
        out->root_pa = shadow_current(&s->vm->shadow)->root;
        add_table(s->computer, (uint32_t)out->root_pa, out);
    }
}

static void view_tlb(void *self, struct view_tlb *out)
{
    const struct simulated *s = self;
    const struct tlb *tlb = s->computer ? &s->computer->tlb : &s->guest->tlb;
    out->misses = tlb->misses;
    for (int i = 0; i < TLB_ENTRIES; i++) {
        const struct tlb_entry *e = &tlb->entry[i];
        for (int a = 0; a < 3; a++) {
            bool same_as_before = a > 0 && e->tag[a] == e->tag[a - 1];
            if (!e->tag[a] || same_as_before || out->count == VIEW_TLB)
                continue;
            const struct tlb_context *context = tlb_context_of(tlb, e->tag[a]);
            if (!context)
                continue;
            out->entry[out->count++] = (struct view_tlb_entry){
                .va = e->tag[a] & ~PAGE_MASK,
                .pa = e->pa,
                .permissions = e->pte & 0xff,
                .satp = context->satp,
                .mode = context->mode,
            };
        }
    }
}

/* ---- exits -------------------------------------------------------------------------------- */

static void number_exit(const struct exit_record *r, struct view_exit *out)
{
    *out = (struct view_exit){
        .seq = r->seq,
        .instruction = r->instruction,
        .since = r->since,
        .pc = r->pc,
        .insn = r->insn,
        .mode = r->mode,
        .reason = r->reason,
        .cause = r->cause,
        .tval = r->tval,
        .cost = r->cost,
    };
}

static void view_exit_of(const struct exit_record *r, struct view_exit *out)
{
    number_exit(r, out);
    snprintf(out->reason_name, sizeof out->reason_name, "%s", exit_reason_name(r->reason));
    exit_describe(r, out->action, sizeof out->action);
    view_change(&r->shadow, r->seq, &out->shadow);
}

/* Bare: the log has the numbers, the words are made now. */
static void view_trap_of(const struct exit_record *trap, struct view_exit *out)
{
    static const char *const mode[] = {"U", "S", "?", "M"};
    number_exit(trap, out);
    snprintf(out->reason_name, sizeof out->reason_name, "%s",
             trap->cause & CAUSE_INTERRUPT ? "interrupt" : "exception");
    snprintf(out->action, sizeof out->action, "%s, from %s mode", isa_cause_name(trap->cause),
             mode[trap->mode & 3]);
}

static int exits(void *self, uint64_t after, struct view_exit *out, int max)
{
    const struct simulated *s = self;
    uint64_t total = s->vm ? s->vm->exits : s->traps.count;
    uint64_t oldest = total > EXIT_LOG ? total - EXIT_LOG + 1 : 1;
    uint64_t seq = after + 1 > oldest ? after + 1 : oldest;
    int count = 0;
    for (; seq <= total && count < max; seq++, count++) {
        struct view_exit *v = &out[count];
        if (s->vm)
            view_exit_of(&s->vm->log[seq % EXIT_LOG], v);
        else
            view_trap_of(&s->traps.record[seq % TRAP_LOG], v);
        if (v->insn)
            isa_disassemble((uint32_t)v->pc, v->insn, v->text, sizeof v->text);
    }
    return count;
}

static void add_count(struct view_exit_stats *out, const char *name, const char *meaning,
                      uint64_t count, uint64_t cost)
{
    if (!count || out->count == sizeof out->by_reason / sizeof out->by_reason[0])
        return;
    struct view_exit_count *c = &out->by_reason[out->count++];
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->meaning, sizeof c->meaning, "%s", meaning);
    c->count = count;
    c->cost = cost;
}

static void exit_stats(void *self, struct view_exit_stats *out)
{
    const struct simulated *s = self;
    out->total = s->vm ? s->vm->exits : s->traps.count;
    out->instructions = s->guest->hart.executed;
    for (unsigned i = 0; s->vm && i < EXIT_REASONS; i++)
        add_count(out, exit_reason_name(i), exit_reason_meaning(i), s->vm->count[i],
                  s->vm->cost[i]);
    for (uint32_t i = 0; !s->vm && i < 2 * CAUSE_COUNT; i++) {
        uint32_t cause = i % CAUSE_COUNT | (i < CAUSE_COUNT ? 0 : CAUSE_INTERRUPT);
        add_count(out, isa_cause_name(cause), isa_cause_meaning(cause),
                  s->traps.kind[i / CAUSE_COUNT][i % CAUSE_COUNT], 0);
    }
}

/* ---- devices ------------------------------------------------------------------------------ */

static void view_device_of(const struct device *d, struct view_device *out)
{
    snprintf(out->name, sizeof out->name, "%s", d->name);
    snprintf(out->about, sizeof out->about, "%s", d->about);
    out->base = d->base;
    out->size = d->size;
    out->irq = d->irq;
    for (unsigned i = 0; i < d->register_count && out->count < VIEW_DEVICE_REGS; i++) {
        const struct device_register *r = &d->registers[i];
        struct view_device_register *v = &out->reg[out->count++];
        snprintf(v->name, sizeof v->name, "%s", r->name);
        snprintf(v->access, sizeof v->access, "%s", r->access);
        snprintf(v->meaning, sizeof v->meaning, "%s", r->meaning);
        v->offset = r->offset;
        v->size = r->size;
        v->value = strchr(r->access, 'r') ? d->ops->peek(d->self, r->offset, r->size) : 0;
    }
}

static void view_devices(void *self, struct view_devices *out)
{
    const struct simulated *s = self;
    for (unsigned i = 0; i < s->guest->bus.count && out->count < VIEW_DEVICES; i++)
        view_device_of(s->guest->bus.device[i], &out->device[out->count++]);
}

/* ---- digests, symbols, signature ---------------------------------------------------------- */

static uint64_t digest_guest(void *self)
{
    const struct simulated *s = self;
    return machine_digest(s->guest);
}

static uint64_t digest_all(void *self)
{
    const struct simulated *s = self;
    struct digest digest;
    digest_init(&digest);
    digest_u64(&digest, machine_digest(s->guest));
    if (s->vm)
        vm_digest(s->vm, &digest);
    return digest.value;
}

static int lookup(void *self, const char *name, uint64_t *address)
{
    const struct simulated *s = self;
    if (!symbols_lookup(s->guest->symbols, name, address))
        return -ENOENT;
    *address &= UINT32_MAX;
    return 0;
}

static bool symbol(void *self, uint64_t address, char *out, size_t size)
{
    const struct simulated *s = self;
    symbols_text(s->guest->symbols, (uint32_t)address, out, size);
    return out[0] != 0;
}

static int write_words(const struct ram *ram, uint32_t from, uint32_t end, FILE *file)
{
    for (uint32_t at = from; at < end; at += 4) {
        uint32_t word;
        if (!ram_read(ram, at, &word, sizeof word))
            return -EFAULT;
        if (fprintf(file, "%08x\n", word) < 0)
            return -errno;
    }
    return 0;
}

static int write_signature(void *self, const char *path)
{
    const struct simulated *s = self;
    const struct machine *m = s->guest;
    int error = m->signature_begin && m->signature_end > m->signature_begin ? 0 : -ENOENT;
    FILE *file = error ? NULL : fopen(path, "w");
    if (!error && !file)
        error = -errno;
    if (file) {
        error = write_words(&m->ram, m->signature_begin, m->signature_end, file);
        if (fclose(file) && !error)
            error = -errno;
    }
    return error;
}

/* ---- records ------------------------------------------------------------------------------ */

static int record(void *self, const char *path, char *why)
{
    return recorder_start(self, path, why);
}

static int record_end(void *self, char *why)
{
    return recorder_finish(self, why);
}

static int follow(void *self, struct record *record, char *why)
{
    return recorder_follow(self, record, why);
}

/* ---- the table ---------------------------------------------------------------------------- */

const struct backend_ops backend_simulated = {
    .address_max = UINT32_MAX,
    .create = simulated_create,
    .destroy = simulated_destroy,
    .reset = simulated_reset,
    .begin = simulated_begin,
    .slice = simulated_slice,
    .points = simulated_points,
    .instructions = simulated_instructions,
    .events_mask = simulated_events_mask,
    .set_engine = simulated_set_engine,
    .set_balloon = simulated_set_balloon,
    .status = view_status,
    .view_hart = view_hart,
    .view_registers = view_registers,
    .disassemble = disassemble,
    .disassemble_pc = disassemble_pc,
    .translate = translate,
    .last_access = last_access,
    .view_table = view_table,
    .view_tlb = view_tlb,
    .view_memory = view_memory,
    .write_memory = write_memory,
    .write_register = write_register,
    .write_csr = write_csr,
    .write_register64 = write_register64,
    .exits = exits,
    .exit_stats = exit_stats,
    .view_devices = view_devices,
    .digest = digest_guest,
    .digest_all = digest_all,
    .lookup = lookup,
    .symbol = symbol,
    .write_signature = write_signature,
    .snapshot = simulated_snapshot,
    .restore = simulated_restore,
    .snapshots = simulated_snapshots,
    .snapshot_delete = simulated_snapshot_delete,
    .view_history = simulated_view_history,
    .view_timeline = simulated_view_timeline,
    .view_layers = simulated_view_layers,
    .keep_files = simulated_keep_files,
    .save = simulated_save,
    .load = simulated_load,
    .write_disk = simulated_write_disk,
    .forget_past = simulated_forget_past,
    .disk_image = simulated_disk_image,
    .record = record,
    .record_end = record_end,
    .follow = follow,
    .move = &simulated_move,
};
