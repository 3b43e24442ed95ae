/*
 * What stands around the random instructions: how they are entered, the trap handlers, the page
 * tables, and all of it in a machine's memory. See random-program.h.
 */
#include "tests/random-parts.h"

/* ---- trap handlers ------------------------------------------------------------------------ */

/* A timer interrupt is answered by another one soon: the comparator = time + 8 .. 135 ticks. */
static void make_timer_answer(struct writer *w, bool is_m)
{
    emit(w, i_type(row(OP_andi), 28, 30, 127));
    emit_csr(w, OP_csrrs, 29, CSR_TIME, 0);
    emit(w, r_type(row(OP_add), 28, 28, 29));
    emit(w, i_type(row(OP_addi), 28, 28, 8));
    if (is_m) {
        emit_li(w, 29, VIRT_CLINT + 0x4000);
        emit(w, s_type(row(OP_sw), 29, 28, 0));
        emit(w, s_type(row(OP_sw), 29, 0, 4));
    } else {
        emit_csr(w, OP_csrrw, 0, CSR_STIMECMP, 28);
        emit_csr(w, OP_csrrw, 0, CSR_STIMECMPH, 0);
    }
    emit_csr(w, OP_csrrci, 0, CSR_SIP, MIP_SSIP);
}

/* Bits of a random number go into xstatus, so that xRET ends in a random mode. */
static void make_return(struct writer *w, bool is_m, unsigned options)
{
    unsigned status = is_m ? CSR_MSTATUS : CSR_SSTATUS;
    uint32_t bits = is_m ? MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP |
                               MSTATUS_SPIE
                         : MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SUM | MSTATUS_MXR;
    if (options & PROGRAM_UNTIMED) /* QEMU 7.2 lets S mode run a user page that it has read with SUM */
        bits &= ~MSTATUS_SUM;
    emit_li(w, 28, bits);
    emit_csr(w, OP_csrrc, 0, status, 28);
    emit(w, r_type(row(OP_and), 28, 28, 30));
    emit_csr(w, OP_csrrs, 0, status, 28);
    emit(w, row(OP_lui) | 28 << 7 | NOTHING); /* who was going to use x28 as an address traps */
    emit(w, row(is_m ? OP_mret : OP_sret));
}

static void make_lot(struct writer *w) /* xorshift32, in x30 */
{
    emit_li(w, 31, AT_LOTTERY);
    emit(w, i_type(row(OP_lw), 30, 31, 0));
    emit(w, i_type(row(OP_slli), 29, 30, 13));
    emit(w, r_type(row(OP_xor), 30, 30, 29));
    emit(w, i_type(row(OP_srli), 29, 30, 17));
    emit(w, r_type(row(OP_xor), 30, 30, 29));
    emit(w, i_type(row(OP_slli), 29, 30, 5));
    emit(w, r_type(row(OP_xor), 30, 30, 29));
    emit(w, s_type(row(OP_sw), 31, 30, 0));
}

/* Counts the traps that are left, in the word behind the lottery. M mode ends the program, S mode
 * asks it to: ecall from S is never delegated. */
static void make_countdown(struct writer *w, bool is_m)
{
    emit(w, i_type(row(OP_lw), 29, 31, 4));
    emit(w, i_type(row(OP_addi), 29, 29, -1));
    emit(w, s_type(row(OP_sw), 31, 29, 4));
    emit(w, b_type(row(OP_bge), 29, 0, is_m ? 16 : 8));
    if (is_m) {
        emit_li(w, 28, PROGRAM_END);
        emit(w, i_type(row(OP_jalr), 0, 28, 0));
    } else {
        emit(w, row(OP_ecall));
    }
}

/*
 * x28..x31 belong to the handlers. A trap at a fetch goes on at a random place of the code, any
 * other behind the instruction (interrupts: at it). After an interrupt and an illegal instruction
 * everything is fenced: see fence_for().
 */
static void make_handler(uint32_t *to, bool is_m, unsigned options)
{
    struct writer w = {.at = to};
    unsigned cause = is_m ? CSR_MCAUSE : CSR_SCAUSE, epc = is_m ? CSR_MEPC : CSR_SEPC;

    make_lot(&w);
    if (options & PROGRAM_UNTIMED)
        make_countdown(&w, is_m);
    emit_csr(&w, OP_csrrs, 29, cause, 0);
    emit(&w, i_type(row(OP_slti), 28, 29, 0)); /* interrupt? */
    uint32_t *to_interrupt = w.at++;
    emit(&w, i_type(row(OP_sltiu), 28, 29, 2)); /* causes 0 and 1 */
    uint32_t *to_fetch = w.at++;
    emit(&w, i_type(row(OP_addi), 28, 29, -CAUSE_FETCH_PAGE));
    uint32_t *to_fetch_too = w.at++;
    emit_csr(&w, OP_csrrs, 28, epc, 0);
    emit(&w, i_type(row(OP_addi), 28, 28, 4));
    emit_csr(&w, OP_csrrw, 0, epc, 28);
    emit(&w, i_type(row(OP_addi), 28, 29, -CAUSE_ILLEGAL));
    uint32_t *to_fence = w.at++;
    make_return(&w, is_m, options);

    uint32_t *fetch = w.at;
    emit_li(&w, 28, (PROGRAM_INSNS - 1) * 4);
    emit(&w, r_type(row(OP_and), 28, 28, 30));
    emit_li(&w, 29, AT_CODE);
    emit(&w, r_type(row(OP_add), 28, 28, 29));
    emit_csr(&w, OP_csrrw, 0, epc, 28);
    make_return(&w, is_m, options);

    uint32_t *interrupt = w.at;
    if (!(options & PROGRAM_UNTIMED))
        make_timer_answer(&w, is_m);
    uint32_t *fence = w.at;
    emit(&w, row(OP_sfence_vma));
    make_return(&w, is_m, options);

    *to_interrupt = b_type(row(OP_bne), 28, 0, (int32_t)((interrupt - to_interrupt) * 4));
    *to_fetch = b_type(row(OP_bne), 28, 0, (int32_t)((fetch - to_fetch) * 4));
    *to_fetch_too = b_type(row(OP_beq), 28, 0, (int32_t)((fetch - to_fetch_too) * 4));
    *to_fence = b_type(row(OP_beq), 28, 0, (int32_t)((fence - to_fence) * 4));
}

/* ---- page tables -------------------------------------------------------------------------- */

static uint32_t random_flags(uint64_t *r)
{
    static const uint8_t rights[] = {PTE_R, PTE_R | PTE_W, PTE_X, PTE_R | PTE_X,
                                     PTE_R | PTE_W | PTE_X, PTE_R | PTE_W | PTE_X};
    uint32_t flags = rights[random_below(r, sizeof rights)];
    if (random_below(r, 8))
        flags |= PTE_V;
    if (random_below(r, 2))
        flags |= PTE_U;
    if (random_below(r, 2))
        flags |= PTE_A;
    if (random_below(r, 3) == 0)
        flags |= PTE_D;
    return flags;
}

uint32_t random_leaf(uint64_t *r, uint32_t pa)
{
    return pa >> 12 << 10 | random_flags(r);
}

uint32_t random_called_leaf(uint64_t *r)
{
    uint32_t pa = AT_FUNC + random_below(r, FUNC_PAGES) * PAGE_SIZE;
    uint32_t flags = PTE_R | PTE_X | PTE_V;
    flags |= random_below(r, 2) ? PTE_U : 0;
    flags |= random_below(r, 2) ? PTE_W : 0;
    flags |= random_below(r, 2) ? PTE_A | PTE_D : 0;
    return pa >> 12 << 10 | flags;
}

struct tables {
    uint32_t root[ROOTS][1024], leaf[ROOTS][1024];
};

static void make_tables(struct tables *t, uint64_t *r)
{
    uint32_t all = PTE_R | PTE_W | PTE_X | PTE_V;
    for (unsigned n = 0; n < ROOTS; n++) {
        uint32_t leaf_pa = AT_LEAF + n * PAGE_SIZE;
        t->root[n][VPN(AT_ENTRY, 1)] = leaf_pa >> 12 << 10 | PTE_V;
        t->root[n][VPN(ALIAS, 1)] = leaf_pa >> 12 << 10 | PTE_V;
        t->root[n][VPN(SUPER, 1)] = AT_ENTRY >> 12 << 10 | random_flags(r);
        t->root[n][VPN(VIRT_UART, 1)] = (VIRT_UART & ~(SUPERPAGE_SIZE - 1)) >> 12 << 10 | all |
                                        (random_below(r, 2) ? PTE_U : 0);
        /* The handlers and the lots must stay reachable from S. */
        t->leaf[n][0] = AT_ENTRY >> 12 << 10 | all | PTE_A | PTE_D;
        for (uint32_t page = 0; page < PROGRAM_INSNS * 4 / PAGE_SIZE; page++)
            t->leaf[n][16 + page] = (AT_CODE + page * PAGE_SIZE) >> 12 << 10 | all |
                                    (random_below(r, 2) ? PTE_U : 0);
        for (uint32_t page = 0; page < FUNC_PAGES; page++)
            t->leaf[n][LEAF_FUNC + page] = (AT_FUNC + page * PAGE_SIZE) >> 12 << 10 | all |
                                           (random_below(r, 2) ? PTE_U : 0);
        t->leaf[n][LEAF_CALLED] = random_called_leaf(r);
        for (uint32_t page = 0; page < 16; page++)
            t->leaf[n][32 + page] = random_leaf(r, AT_DATA + page * PAGE_SIZE);
    }
}

/* ---- the whole image ---------------------------------------------------------------------- */

/* M mode sets up what the random code lives on, and jumps into it. */
static void make_entry(uint32_t *to, uint64_t seed, unsigned options)
{
    bool untimed = options & PROGRAM_UNTIMED;
    /* Most programs stay out of M mode, some often come back to it. */
    static const uint16_t delegated[] = {0xb1fd, 0xb1fd, 0xb100, 0};
    struct writer w = {.at = to};
    const struct {
        uint16_t csr;
        uint32_t value;
    } start[] = {
        {CSR_MTVEC, AT_M_TRAP}, {CSR_STVEC, AT_S_TRAP}, {CSR_MEDELEG, delegated[seed % 4]},
        {CSR_MIDELEG, seed % 8 ? MIP_S_ALL : 0}, {CSR_MCOUNTEREN, 7}, {CSR_MENVCFGH, untimed ? 0 : MENVCFGH_STCE},
        {CSR_PMPADDR0 + 15, UINT32_MAX}, {CSR_PMPCFG0 + 3, 0x1f000000},
        {CSR_MIE, MIP_ALL}, {CSR_SATP, SATP_SV32 | AT_ROOT >> 12},
    };
    for (unsigned i = 0; i < sizeof start / sizeof start[0]; i++) {
        emit_li(&w, 28, start[i].value);
        emit_csr(&w, OP_csrrw, 0, start[i].csr, 28);
    }
    emit_li(&w, 8, AT_DATA);
    emit_li(&w, 9, ALIAS + 0x20000);
    emit_li(&w, 28, AT_CODE);
    emit(&w, i_type(row(OP_jalr), 0, 28, 0));
}

void random_program_write(const struct random_program *program, random_write_fn write,
                          void *context)
{
    uint32_t page[PAGE_SIZE / 4] = {0};
    struct tables tables = {0};
    uint64_t r = program->seed ^ 0x5eed;
    make_entry(page, program->seed, program->options);
    make_handler(page + (AT_M_TRAP - AT_ENTRY) / 4, true, program->options);
    make_handler(page + (AT_S_TRAP - AT_ENTRY) / 4, false, program->options);
    page[(AT_LOTTERY - AT_ENTRY) / 4] = (uint32_t)program->lottery | 1;
    page[(AT_LOTTERY - AT_ENTRY) / 4 + 1] = PROGRAM_TRAPS;
    make_tables(&tables, &r);

    write(context, AT_ENTRY, page, sizeof page);
    write(context, AT_CODE, program->code, sizeof program->code);
    write(context, AT_ROOT, tables.root, sizeof tables.root);
    write(context, AT_LEAF, tables.leaf, sizeof tables.leaf);
    for (unsigned n = 0; n <= FUNC_PAGES; n++) {
        random_functions(page, &r, program->options);
        write(context, n < FUNC_PAGES ? AT_FUNC + n * PAGE_SIZE : AT_CALLED, page, sizeof page);
    }
    uint64_t data[0x10000 / 8];
    for (unsigned i = 0; i < sizeof data / sizeof data[0]; i++)
        data[i] = random_next(&r);
    write(context, AT_DATA, data, sizeof data);
}

static void write_to_ram(void *machine, uint32_t pa, const void *bytes, size_t count)
{
    struct machine *m = machine;
    ram_write(&m->ram, pa, bytes, (uint32_t)count);
}

void random_program_load(const struct random_program *program, struct machine *m)
{
    random_program_write(program, write_to_ram, m);
    hart_reset(&m->hart, AT_ENTRY);
    tlb_reset(&m->tlb);
    mmu_context_changed(m);
    m->stop = STOP_NONE;
}
