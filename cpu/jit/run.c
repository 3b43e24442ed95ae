/*
 * The engine: which translated code runs next.
 *
 * Code that was come to only a few times is interpreted; hot code is translated and entered. What
 * happens between two instructions (timers, interrupts, sleep, stops) is machine_poll()'s, as in
 * every engine. The loop here is left for C at each trap, CSR access with consequences, or jump
 * that is not chained yet.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include "cpu/jit/jit.h"

#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    UNSTABLE = 24,      /* code of a page that was overwritten so often is not translated again */
    SAMPLES = 64,       /* looks at what runs before the mapping of registers is thought over */
};

/* ---- life --------------------------------------------------------------------------------- */

/* The registers that compilers use most in leaf functions come first. */
static const uint8_t first_choice[] = {15, 14, 13, 12, 11, 10, 2, 8, 9, 16};
static const uint8_t host_registers[MAPPED_REGISTERS] = {RBX, RSI, RDI, R8, R9,
                                                         R10, R11, R12, R13, R14};

static void map_registers(struct jit *jit, const uint8_t choice[MAPPED_REGISTERS])
{
    memset(jit->host_of, NO_REGISTER, sizeof jit->host_of);
    for (int i = 0; i < MAPPED_REGISTERS; i++)
        jit->host_of[choice[i]] = host_registers[i];
}

/* Never a page that is both writable and executable: two mappings of the same memory. */
static bool map_code(struct jit *jit)
{
    int fd = memfd_create("translated code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, CODE_SIZE)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    void *write = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *run = mmap(NULL, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    jit->write = write == MAP_FAILED ? NULL : write;
    jit->run = run == MAP_FAILED ? NULL : run;
    return jit->write && jit->run;
}

static void *map_with(size_t size, int flags)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void *map_zeroed(size_t size) { return map_with(size, 0); }
static void *map_low(size_t size) { return map_with(size, MAP_32BIT); }

static void unmap(void *at, size_t size)
{
    if (at)
        munmap(at, size);
}

static void jit_release(struct machine *m)
{
    struct jit *jit = m->engine_data;
    if (!jit)
        return;
    jit_windows_free(jit);
    unmap(jit->write, CODE_SIZE);
    unmap(jit->run, CODE_SIZE);
    unmap(jit->block, BLOCKS * sizeof *jit->block);
    unmap(jit->link, LINKS * sizeof *jit->link);
    unmap(jit->site, SITES * sizeof *jit->site);
    unmap(jit->jumps, (size_t)JUMP_TABLES * JUMP_CACHE * sizeof *jit->jumps);
    unmap(jit->known, (size_t)JUMP_TABLES * JUMP_CACHE * sizeof *jit->known);
    unmap(jit->stack, RETURN_STACK);
    free(jit->hash);
    free(jit->page);
    free(jit->unstable);
    free(jit->heat);
    free(jit);
    m->ram.code->changed = NULL;
    m->engine_data = NULL;
}

static bool allocate(struct jit *jit, uint32_t pages)
{
    jit->block = map_low(BLOCKS * sizeof *jit->block);
    jit->link = map_zeroed(LINKS * sizeof *jit->link);
    jit->site = map_zeroed(SITES * sizeof *jit->site);
    jit->jumps = map_low((size_t)JUMP_TABLES * JUMP_CACHE * sizeof *jit->jumps);
    jit->stack = map_zeroed(RETURN_STACK);
    jit->known = map_zeroed((size_t)JUMP_TABLES * JUMP_CACHE * sizeof *jit->known);
    jit->hash = calloc(BLOCK_HASH, sizeof *jit->hash);
    jit->page = calloc(pages, sizeof *jit->page);
    jit->unstable = calloc(pages, sizeof *jit->unstable);
    jit->heat = calloc(HEAT, sizeof *jit->heat);
    return jit->block && jit->link && jit->site && jit->jumps && jit->known && jit->stack && jit->hash &&
           jit->page && jit->unstable && jit->heat;
}

/* NULL: the host has no memory for it, and the interpreter does everything. */
static struct jit *jit_of(struct machine *m)
{
    if (m->engine_data)
        return m->engine_data;
    struct jit *jit = calloc(1, sizeof *jit);
    if (!jit)
        return NULL;
    jit->machine = m;
    m->engine_data = jit;
    if (!m->ram.mapping || !map_code(jit) || !allocate(jit, m->ram.size / RAM_PAGE)) {
        jit_release(m);
        return NULL;
    }
    map_registers(jit, first_choice);
    m->ram.code->changed = jit_page_changed;
    m->ram.code->context = jit;
    jit_flush(jit);
    return jit;
}

static void jit_invalidate(struct machine *m)
{
    if (m->engine_data)
        jit_flush(m->engine_data);
}

static void points_changed(struct machine *m, const struct machine_debug *old)
{
    if (!m->engine_data)
        return;
    jit_points(m->engine_data, old);
    jit_points(m->engine_data, &m->debug);
}

static void flush_translations(struct machine *m)
{
    if (m->engine_data)
        jit_windows_flush(m->engine_data);
    else
        mmu_flush(m);
}

static void jit_fence(struct machine *m, uint32_t va)
{
    if (m->engine_data)
        jit_window_fence(m->engine_data, va);
}

static void jit_cleaned(struct machine *m, const uint32_t *page, uint32_t count)
{
    if (m->engine_data)
        jit_windows_cleaned(m->engine_data, page, count);
}

/* ---- which guest registers live in the host's --------------------------------------------- */

/* Takes the registers with the greatest weights. If that is worth it, everything is translated anew
 * with them. */
static void remap(struct jit *jit)
{
    uint8_t best[MAPPED_REGISTERS];
    uint64_t now = 0, then = 0;
    bool taken[32] = {true};
    for (int i = 0; i < MAPPED_REGISTERS; i++) {
        int most = 1;
        for (int g = 1; g < 32; g++)
            if (!taken[g] && (taken[most] || jit->weight[g] > jit->weight[most]))
                most = g;
        taken[most] = true;
        best[i] = (uint8_t)most;
        then += jit->weight[most];
    }
    for (int g = 1; g < 32; g++)
        if (jit->host_of[g] != NO_REGISTER)
            now += jit->weight[g];
    if (then > now + now / 16) {
        map_registers(jit, best);
        jit_flush(jit);
    }
    for (int g = 0; g < 32; g++)
        jit->weight[g] /= 2;
    jit->samples = SAMPLES / 2;
}

/* Where the budget ends is a sample of what runs most: its registers weigh. */
static void sample(struct jit *jit, bool fast)
{
    struct machine *m = jit->machine;
    const struct tlb_entry *e = tlb_slot(&m->tlb, m->hart.pc);
    if (e->tag[ACCESS_FETCH] != tlb_tag(m->hart.pc, m->context[ACCESS_FETCH]))
        return;
    uint32_t page = (uint32_t)((size_t)(e->host - m->ram.mapping) / RAM_PAGE);
    const struct block *b = jit_find(jit, m->hart.pc, page, fast);
    for (int g = 1; b && g < 32; g++)
        jit->weight[g] += b->uses[g] * 64u / b->insns;
    if (b && ++jit->samples >= SAMPLES)
        remap(jit);
}

/* ---- finding code ------------------------------------------------------------------------- */

/* Where the instruction at pc is, fetched with all that a fetch does. NULL: it has trapped, or must
 * be executed by the interpreter (which has then been done). */
static const uint8_t *fetch_page(struct machine *m)
{
    const struct tlb_entry *e = tlb_slot(&m->tlb, m->hart.pc);
    uint32_t tag = tlb_tag(m->hart.pc, m->context[ACCESS_FETCH]), word;
    if (e->tag[ACCESS_FETCH] == tag)
        return e->host;
    m->insn = 0;
    if (!mmu_fetch(m, m->hart.pc, &word))
        machine_exception(m);
    else if (e->tag[ACCESS_FETCH] == tag)
        return e->host;
    else
        interp_execute(m, word);
    return NULL;
}

/* Is this the time to translate what begins here? */
static bool is_hot(struct jit *jit, uint32_t pc, uint32_t page)
{
    uint8_t *heat = &jit->heat[(pc >> 2 ^ page << 6) % HEAT];
    if (jit->unstable[page] > UNSTABLE)
        return false;
    if (*heat < HOT)
        (*heat)++;
    return *heat == HOT;
}

/* Interprets up to the next jump, but at most `count` instructions. */
static void interpret_block(struct machine *m, unsigned count, uint64_t limit)
{
    struct hart *h = &m->hart;
    uint32_t next;
    do {
        next = h->pc + 4;
        interp_step(m);
    } while (--count && h->pc == next && h->executed < limit && !h->attention &&
             !(m->inspected && machine_at_point(m)));
}

/* A breakpoint begins no block and is in none, so whoever comes to one comes by here. True: the
 * machine has stopped in front of it, or has left it. */
static bool at_point(struct machine *m)
{
    if (!m->inspected || !machine_at_point(m))
        return false;
    if (machine_inspect(m))
        interp_step(m);
    return true;
}

/* The block at pc, its gate open. NULL: there is none, and something else was executed. */
static struct block *block_at_pc(struct jit *jit, uint64_t limit, bool fast)
{
    struct machine *m = jit->machine;
    const uint8_t *host = at_point(m) ? NULL : fetch_page(m);
    if (!host)
        return NULL;
    uint32_t page = (uint32_t)((size_t)(host - m->ram.mapping) / RAM_PAGE);
    unsigned context = m->fetch_context;
    struct block *b = jit_find(jit, m->hart.pc, page, fast);
    if (!b && is_hot(jit, m->hart.pc, page)) {
        if (jit->full)
            jit_flush(jit);
        b = jit_translate(jit, host, fast);
        jit->full = !b;
    }
    if (b)
        b->generation = m->tlb.generation[context];
    else
        interpret_block(m, BLOCK_INSNS, limit);
    return b;
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void set_gs(const struct space *space)
{
    static _Thread_local uint64_t now; /* nobody else in this program uses it */
    uint64_t base = space ? (uintptr_t)space->base : 0;
    if (base == now || !space)
        return;
    now = base;
    if (getauxval(AT_HWCAP2) & 2) /* the kernel lets programs do it themselves */
        __asm__ volatile("wrgsbase %0" : : "r"(base));
    else
        syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, base);
}

static void remember_jump(struct jit *jit, const struct block *b)
{
    struct jump *jump = &jit_jumps(jit, b)[(b->pc >> 2) % JUMP_CACHE];
    *jump = (struct jump){b->pc, (uintptr_t)jit->run + b->gate};
    jit->known[jump - jit->jumps] = (uint32_t)(b - jit->block);
}

/* Enters at `code` and takes down how it came back. Returns the link to chain, if any. */
static struct link *enter(struct jit *jit, uint32_t code, uint64_t limit, enum exit_kind *kind)
{
    struct hart *h = &jit->machine->hart;
    uint64_t left = limit - h->executed;
    uint32_t budget = left < QUANTUM ? (uint32_t)left : QUANTUM;
    jit->end = h->executed + budget;
    struct jit_exit exit = jit_enter(jit, code, budget);
    *kind = (enum exit_kind)(exit.kind_and_value >> 32);
    uint32_t value = (uint32_t)exit.kind_and_value;
    if (*kind == EXIT_DONE)
        return NULL;
    struct link *link = *kind == EXIT_TO_LINK ? &jit->link[value] : NULL;
    h->executed = jit->end - (uint32_t)exit.remaining;
    h->pc = link ? link->pc : value;
    return link;
}

/* Looks the block at pc up, or has it made, and chains the way that led to it. NULL: something else
 * was executed instead. */
static const struct block *look_up(struct jit *jit, uint64_t limit, bool fast, struct link *from)
{
    struct hart *h = &jit->machine->hart;
    uint32_t blocks = jit->blocks;
    const struct block *b = block_at_pc(jit, limit, fast);
    if (!b)
        return NULL;
    if (from && jit->blocks >= blocks) /* else all was forgotten, the link too */
        jit_connect(jit, from, b);
    remember_jump(jit, b);
    if (b->brief) /* to enter it would cost more than its instructions */
        interpret_block(jit->machine, b->brief, limit);
    else if (b->insns > limit - h->executed)
        interp_step(jit->machine);
    else
        return b;
    return NULL;
}

/* The block at pc, if indirect jumps know it and its gate is open; else NULL. */
static const struct block *known_block(const struct jit *jit, bool fast)
{
    const struct machine *m = jit->machine;
    struct block key = {.context = (uint8_t)m->fetch_context, .fast = fast};
    const struct jump *jump = &jit_jumps(jit, &key)[(m->hart.pc >> 2) % JUMP_CACHE];
    if (jump->pc != m->hart.pc)
        return NULL;
    const struct block *b = &jit->block[jit->known[jump - jit->jumps]];
    return b->generation == m->tlb.generation[m->fetch_context] ? b : NULL;
}

static void run_translated(struct jit *jit, uint64_t limit)
{
    struct hart *h = &jit->machine->hart;
    enum exit_kind kind = EXIT_DONE;
    struct link *from = NULL;
    while (h->executed < limit && !h->attention) {
        struct space *space = jit_window(jit);
        const struct block *b = kind == EXIT_DONE ? known_block(jit, space) : NULL;
        if (!b)
            b = look_up(jit, limit, space, from);
        from = NULL;
        kind = EXIT_DONE;
        if (!b)
            continue;
        set_gs(space);
        from = enter(jit, b->entry, limit, &kind);
        if (kind == EXIT_NO_BUDGET)
            sample(jit, space);
    }
}

/* Listeners to each instruction are the interpreter's, and breakpoints at most of them. */
static bool must_interpret(const struct machine *m)
{
    return m->inspected &&
           (m->events.mask & EVENT_BIT(EVENT_INSN) || jit_points_everywhere(&m->debug));
}

static void jit_run(struct machine *m, uint64_t budget)
{
    struct hart *h = &m->hart;
    struct jit *jit = jit_of(m);
    uint64_t target = budget < UINT64_MAX - h->executed ? h->executed + budget : UINT64_MAX;
    if (!jit || must_interpret(m)) {
        engine_interp.run(m, budget);
        return;
    }
    jit_catch_faults(jit);
    while (h->executed < target && machine_poll(m)) {
        uint64_t limit = target < h->clock.deadline ? target : h->clock.deadline;
        run_translated(jit, limit);
    }
    jit_catch_faults(NULL);
}

const struct engine engine_jit = {
    .name = "jit",
    .about = "a binary translator: hot code becomes x86-64 code",
    .run = jit_run,
    .invalidate = jit_invalidate,
    .fence = jit_fence,
    .cleaned = jit_cleaned,
    .points = points_changed,
    .flush = flush_translations,
    .release = jit_release,
};
