/* Random programs. See random-program.h. */
#include "tests/random-program.h"

#include <string.h>

#include "cpu/isa.h"

/* ---- lots --------------------------------------------------------------------------------- */

uint64_t random_next(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((random_next(state) >> 32) * bound >> 32);
}

/* ---- where things are (physical; the first address space maps most of it one to one) ------- */

#define AT_ENTRY   0x80000000u
#define AT_M_TRAP  0x80000400u
#define AT_S_TRAP  0x80000800u
#define AT_LOTTERY 0x80000c00u /* words that the trap handlers draw from */
#define AT_ATOMICS 0x80000e00u /* on the same page */
#define AT_CODE    0x80010000u
#define AT_DATA    0x80020000u /* 16 pages */
#define AT_FUNC    0x80030000u /* functions: the same places in four pages, other code */
#define AT_CALLED  0x80038000u /* where they are called: one of the four, by address space; bare: a
                                * fifth page of functions */
#define AT_ROOT    0x80080000u /* three root tables */
#define AT_LEAF    0x80083000u /* a leaf table for each */
#define ALIAS      0x18000000u /* data again, at another virtual address; no physical one, nowhere */
#define SUPER      0xc0000000u /* all RAM as one 4 MiB page */
#define NOTHING    0x1c000000u /* neither memory nor a device, here and on other `virt` machines */

enum {
    ROOTS = 3,       /* the ASID of each is its number */
    FUNC_PAGES = 4,
    FUNCS = 16,      /* in a page */
    FUNC_INSNS = 64, /* between two functions */
    LEAF_CALLED = (AT_CALLED >> 12) & 0x3ff, /* entry of the leaf tables */
    LEAF_FUNC = (AT_FUNC >> 12) & 0x3ff,
    LOOP_COUNTER = 27, /* written by loops only */
    REGISTERS = 27,    /* 0.. are anybody's; 28.. are the handlers' and scratch */
};

/* ---- assembling --------------------------------------------------------------------------- */

static uint32_t r_type(uint32_t match, unsigned rd, unsigned rs1, unsigned rs2)
{
    return match | rd << 7 | rs1 << 15 | rs2 << 20;
}

static uint32_t i_type(uint32_t match, unsigned rd, unsigned rs1, int32_t imm)
{
    return match | rd << 7 | rs1 << 15 | (uint32_t)imm << 20;
}

static uint32_t s_type(uint32_t match, unsigned rs1, unsigned rs2, int32_t imm)
{
    uint32_t u = (uint32_t)imm;
    return match | (u & 31) << 7 | rs1 << 15 | rs2 << 20 | (u >> 5 & 127) << 25;
}

static uint32_t b_type(uint32_t match, unsigned rs1, unsigned rs2, int32_t offset)
{
    uint32_t u = (uint32_t)offset;
    return match | (u >> 11 & 1) << 7 | (u >> 1 & 15) << 8 | rs1 << 15 | rs2 << 20 |
           (u >> 5 & 63) << 25 | (u >> 12 & 1) << 31;
}

static uint32_t j_type(unsigned rd, int32_t offset)
{
    uint32_t u = (uint32_t)offset;
    return 0x6f | rd << 7 | (u >> 12 & 255) << 12 | (u >> 11 & 1) << 20 | (u >> 1 & 1023) << 21 |
           (u >> 20 & 1) << 31;
}

static uint32_t row(enum insn_op op)
{
    return isa_rows[op].match;
}

struct writer {
    uint32_t *at, *start;
    uint16_t *soft; /* indices of instructions that other ones may overwrite; or NULL */
    uint16_t *branch; /* indices of branches to anywhere */
    bool *begins;   /* by instruction: nothing before it belongs to it */
    unsigned softs, branches, options;
};

static void emit(struct writer *w, uint32_t word)
{
    *w->at++ = word;
}

static void emit_li(struct writer *w, unsigned rd, uint32_t value)
{
    int32_t low = (int32_t)(value << 20) >> 20;
    emit(w, row(OP_lui) | rd << 7 | ((value - (uint32_t)low) & 0xfffff000));
    emit(w, i_type(row(OP_addi), rd, rd, low));
}

static void emit_csr(struct writer *w, enum insn_op op, unsigned rd, unsigned csr, unsigned rs1)
{
    emit(w, row(op) | rd << 7 | rs1 << 15 | csr << 20);
}

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

static uint32_t leaf_for(uint64_t *r, uint32_t pa)
{
    return pa >> 12 << 10 | random_flags(r);
}

/* What the page of called functions is mapped to. */
static uint32_t called_leaf(uint64_t *r)
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
        t->leaf[n][LEAF_CALLED] = called_leaf(r);
        for (uint32_t page = 0; page < 16; page++)
            t->leaf[n][32 + page] = leaf_for(r, AT_DATA + page * PAGE_SIZE);
    }
}

/* ---- random instructions ------------------------------------------------------------------ */

static unsigned any_register(uint64_t *r)
{
    return random_below(r, REGISTERS);
}

/* One to write to. x8 and x9 are the bases of stores: only put_base() sets them, so that no store
 * can hit a fence or what makes a table entry's address, see fence_for(). */
static unsigned any_target(uint64_t *r)
{
    unsigned rd = any_register(r);
    return rd == 8 || rd == 9 ? rd + 10 : rd;
}

static int32_t small(uint64_t *r)
{
    return (int32_t)random_below(r, 4096) - 2048;
}

static enum insn_op pick(uint64_t *r, enum insn_op first, enum insn_op last)
{
    return first + random_below(r, (uint32_t)(last - first + 1));
}

static void put_compute(struct writer *w, uint64_t *r)
{
    unsigned rd = any_target(r), a = any_register(r), b = any_register(r);
    if (w->soft && w->softs < PROGRAM_INSNS)
        w->soft[w->softs++] = (uint16_t)(w->at - w->start);
    switch (random_below(r, 4)) {
    case 0: emit(w, i_type(row(pick(r, OP_addi, OP_andi)), rd, a, small(r))); break;
    case 1: emit(w, i_type(row(pick(r, OP_slli, OP_srai)), rd, a, (int32_t)random_below(r, 32))); break;
    case 2: emit(w, r_type(row(pick(r, OP_add, OP_and)), rd, a, b)); break;
    default: emit(w, r_type(row(pick(r, OP_mul, OP_remu)), rd, a, b)); break;
    }
}

static void put_upper(struct writer *w, uint64_t *r)
{
    uint32_t imm = (uint32_t)random_next(r) & 0xfffff000;
    emit(w, row(random_below(r, 2) ? OP_lui : OP_auipc) | any_target(r) << 7 | imm);
}

/* The distance is changed at the end: see lead_to_beginnings(). */
static void put_branch(struct writer *w, uint64_t *r)
{
    w->branch[w->branches++] = (uint16_t)(w->at - w->start);
    int32_t offset = ((int32_t)random_below(r, 40) - 12) * 4;
    if (random_below(r, 30) == 0 && !(w->options & PROGRAM_UNTIMED))
        offset += 2; /* misaligned target; QEMU 7.2 leaves another address in xtval */
    if (random_below(r, 4) == 0)
        emit(w, j_type(any_target(r), offset));
    else
        emit(w, b_type(row(pick(r, OP_beq, OP_bgeu)), any_register(r), any_register(r), offset));
}

/* A register that points somewhere interesting: x8 and x9 are made so again and again. */
static void put_base(struct writer *w, uint64_t *r)
{
    static const uint32_t base[] = {AT_DATA, AT_DATA, ALIAS + 0x20000, SUPER + 0x20000,
                                    AT_DATA + 0xff0, NOTHING, AT_CODE, VIRT_UART,
                                    VIRT_CLINT + 0x4000, VIRT_CLINT + 0xbff8, VIRT_PLIC + 0x1000};
    enum { ALL = sizeof base / sizeof base[0], ALIKE = ALL - 5 };
    uint32_t at = base[random_below(r, w->options & PROGRAM_UNTIMED ? ALIKE : ALL)];
    emit_li(w, 8 + random_below(r, 2), at + random_below(r, 16) * PAGE_SIZE * (at == AT_DATA));
}

static int32_t offset_for(struct writer *w, uint64_t *r, unsigned size)
{
    int32_t offset = (int32_t)random_below(r, 512) & -(int32_t)size;
    return random_below(r, 16) || w->options & PROGRAM_UNTIMED ? offset : offset + 1;
}

static void put_memory(struct writer *w, uint64_t *r)
{
    unsigned base = 8 + random_below(r, 2);
    static const uint8_t load_size[] = {1, 2, 4, 1, 2}, store_size[] = {1, 2, 4};
    if (random_below(r, 2)) {
        enum insn_op op = pick(r, OP_lb, OP_lhu);
        bool anywhere = random_below(r, 16) == 0 && !(w->options & PROGRAM_UNTIMED);
        unsigned from = anywhere ? any_register(r) : base;
        emit(w, i_type(row(op), any_target(r), from, offset_for(w, r, load_size[op - OP_lb])));
    } else {
        enum insn_op op = pick(r, OP_sb, OP_sw);
        emit(w, s_type(row(op), base, any_register(r), offset_for(w, r, store_size[op - OP_sb])));
    }
}

static void put_atomic(struct writer *w, uint64_t *r)
{
    if (w->options & PROGRAM_UNTIMED) { /* QEMU marks a page as accessed before it sees that it is
                                         * not writable: where that cannot be */
        emit_li(w, 26, AT_ATOMICS + random_below(r, 64) * 4);
        emit(w, r_type(row(pick(r, OP_amoswap_w, OP_amomaxu_w)), any_target(r), 26, any_register(r)));
        return;
    }
    unsigned base = 8 + random_below(r, 2);
    enum insn_op op = pick(r, OP_lr_w, OP_amomaxu_w);
    emit(w, r_type(row(op), any_target(r), base, op == OP_lr_w ? 0 : any_register(r)));
    if (op == OP_lr_w)
        emit(w, r_type(row(OP_sc_w), any_target(r), base, any_register(r)));
}

static void put_csr(struct writer *w, uint64_t *r)
{
    static const uint16_t number[] = {
        CSR_SIE, CSR_SSCRATCH, CSR_STVAL, CSR_SIP, CSR_MSCRATCH, CSR_MTVAL, CSR_SATP,
        CSR_PMPADDR0, CSR_PMPADDR0 + 1, CSR_PMPADDR0 + 2, 0x8ff,
        /* From here on: time, counts, and fields in which implementations differ. */
        CSR_MIE, CSR_MIDELEG, CSR_MIP, CSR_SEPC, CSR_SSTATUS, CSR_MSTATUS, CSR_MHARTID,
        CSR_SCOUNTEREN, CSR_SCAUSE, CSR_STIMECMP, CSR_STIMECMPH, CSR_MISA, CSR_MEDELEG,
        CSR_MCOUNTEREN, CSR_MENVCFG, CSR_MENVCFGH, CSR_MCAUSE, CSR_MCYCLE, CSR_MINSTRET,
        CSR_MCYCLEH, CSR_MINSTRETH, CSR_MCOUNTINHIBIT, CSR_CYCLE, CSR_TIME, CSR_INSTRET,
        CSR_CYCLEH, CSR_SENVCFG,
    };
    enum { ALL = sizeof number / sizeof number[0], ALIKE = 11 };
    unsigned csr = number[random_below(r, w->options & PROGRAM_UNTIMED ? ALIKE : ALL)];
    enum insn_op op = pick(r, OP_csrrw, OP_csrrci);
    if (csr == CSR_SATP && (op == OP_csrrw || op == OP_csrrwi))
        op = OP_csrrs; /* put_satp() writes sensible ones */
    if (csr == CSR_SATP || random_below(r, 3) == 0)
        emit_csr(w, OP_csrrs, any_target(r), csr, 0);
    else
        emit_csr(w, op, any_target(r), csr, random_below(r, 28));
}

static void put_satp(struct writer *w, uint64_t *r)
{
    uint32_t n = random_below(r, ROOTS), root = AT_ROOT + n * PAGE_SIZE;
    uint32_t satp = random_below(r, 5) ? SATP_SV32 | n << 22 | root >> 12 : 0;
    emit_li(w, 28, satp);
    emit_csr(w, OP_csrrw, any_target(r), CSR_SATP, 28);
}

static void put_fence(struct writer *w, uint64_t *r)
{
    unsigned va = random_below(r, 2) ? 8 + random_below(r, 2) : 0;
    emit(w, r_type(row(OP_sfence_vma), 0, va, random_below(r, 3) ? 0 : any_register(r)));
}

/*
 * The fence that the architecture demands after a change of root n's entries for two addresses: of
 * everything, of the address space, or of both addresses. Nothing may come between a change and its
 * fence, else what a program sees depends on what a TLB happens to keep. If the mode may do the
 * change but not the fence (illegal instruction), or an interrupt comes between, the trap handler
 * fences everything.
 */
static void fence_for(struct writer *w, uint64_t *r, uint32_t n, uint32_t va, uint32_t other_va)
{
    unsigned way = random_below(r, 5), asid = way == 1 || way == 3 ? 29 : 0;
    if (asid)
        emit_li(w, 29, n);
    if (way < 2) {
        emit(w, r_type(row(OP_sfence_vma), 0, 0, asid));
        return;
    }
    emit_li(w, 28, va);
    emit(w, r_type(row(OP_sfence_vma), 0, 28, asid));
    emit_li(w, 28, other_va);
    emit(w, r_type(row(OP_sfence_vma), 0, 28, asid));
}

/* Stores `value` into an entry of the tables, by its physical address or through the superpage. */
static void store_entry(struct writer *w, uint64_t *r, uint32_t pa, uint32_t value)
{
    emit_li(w, 28, random_below(r, 2) ? pa : pa - AT_ENTRY + SUPER);
    emit_li(w, 29, value);
    emit(w, s_type(row(OP_sw), 28, 29, 0));
}

static uint32_t leaf_entry(uint32_t n, uint32_t index)
{
    return AT_LEAF + n * PAGE_SIZE + index * 4;
}

/* The entry of a data page. */
static void put_pte(struct writer *w, uint64_t *r)
{
    uint32_t n = random_below(r, ROOTS), page = random_below(r, 16);
    store_entry(w, r, leaf_entry(n, 32 + page),
                leaf_for(r, AT_DATA + random_below(r, 16) * PAGE_SIZE));
    uint32_t offset = page * PAGE_SIZE + random_below(r, PAGE_SIZE);
    fence_for(w, r, n, AT_DATA + offset, ALIAS + 0x20000 + offset);
}

static void call_function(struct writer *w, uint64_t *r, unsigned function)
{
    uint32_t to = AT_CALLED + function * FUNC_INSNS * 4;
    emit_li(w, 28, random_below(r, 4) ? to : to - AT_ENTRY + ALIAS);
    emit(w, i_type(row(OP_jalr), 1, 28, 0));
}

/* A function where all address spaces have one, each its own. */
static void put_call(struct writer *w, uint64_t *r)
{
    call_function(w, r, random_below(r, FUNCS));
}

/* The entry of the page of called functions: other code at the same address. */
static void put_remap(struct writer *w, uint64_t *r)
{
    uint32_t n = random_below(r, ROOTS), function = random_below(r, FUNCS);
    call_function(w, r, function);
    store_entry(w, r, leaf_entry(n, LEAF_CALLED), called_leaf(r));
    fence_for(w, r, n, AT_CALLED, AT_CALLED - AT_ENTRY + ALIAS);
    call_function(w, r, function);
}

/* The entry of the superpage: any address in it stands for all of them. */
static void put_superpage(struct writer *w, uint64_t *r)
{
    uint32_t n = random_below(r, ROOTS);
    store_entry(w, r, AT_ROOT + n * PAGE_SIZE + VPN(SUPER, 1) * 4, leaf_for(r, AT_ENTRY));
    uint32_t va = SUPER + random_below(r, 1024) * PAGE_SIZE;
    fence_for(w, r, n, va, va);
}

/* A timer interrupt soon: mtimecmp or stimecmp = time + a little. */
static void put_timer(struct writer *w, uint64_t *r)
{
    emit_csr(w, OP_csrrs, 28, CSR_TIME, 0);
    emit(w, i_type(row(OP_addi), 28, 28, (int32_t)random_below(r, 40)));
    if (random_below(r, 2)) {
        emit_li(w, 29, VIRT_CLINT + 0x4000);
        emit(w, s_type(row(OP_sw), 29, 28, 0));
        emit(w, s_type(row(OP_sw), 29, 0, 4));
    } else {
        emit_csr(w, OP_csrrw, 0, CSR_STIMECMP, 28);
        emit_csr(w, OP_csrrw, 0, CSR_STIMECMPH, 0);
    }
}

static void put_counter(struct writer *w, uint64_t *r)
{
    static const uint16_t number[] = {CSR_CYCLE, CSR_TIME, CSR_INSTRET, CSR_MCYCLE, CSR_MINSTRET};
    emit_csr(w, OP_csrrs, any_target(r), number[random_below(r, 5)], 0);
}

/* Across the end of a page, or at any odd address. */
static void put_misaligned(struct writer *w, uint64_t *r)
{
    static const uint32_t base[] = {AT_DATA, ALIAS + 0x20000, SUPER + 0x20000, AT_DATA};
    /* Where there is no memory, which byte the fault names is the machine's affair. */
    unsigned bases = w->options & PROGRAM_UNTIMED ? 1 : 4;
    uint32_t at = base[random_below(r, bases)] + (1 + random_below(r, 15)) * PAGE_SIZE;
    at = random_below(r, 3) ? at - 1 - random_below(r, 3) : at + 1 + random_below(r, 2000) * 2;
    static const uint16_t op[] = {OP_lw, OP_lh, OP_lhu, OP_sw, OP_sh, OP_sw};
    unsigned which = random_below(r, 6);
    emit_li(w, 28, at);
    if (which < 3)
        emit(w, i_type(row(op[which]), any_target(r), 28, 0));
    else
        emit(w, s_type(row(op[which]), 28, any_register(r), 0));
}

/* LR and SC on one word, perhaps with something between them that ends the reservation or not. */
static void put_reservation(struct writer *w, uint64_t *r)
{
    uint32_t at = (random_below(r, 2) ? AT_DATA : ALIAS + 0x20000) + random_below(r, 0x4000) * 4;
    emit_li(w, 26, at);
    emit(w, r_type(row(OP_lr_w), 10 + random_below(r, 8), 26, 0));
    static const uint16_t between[] = {OP_ecall, OP_fence, OP_sfence_vma, OP_addi};
    if (random_below(r, 2))
        emit(w, row(between[random_below(r, 4)]));
    if (random_below(r, 4) == 0)
        emit(w, s_type(row(OP_sw), 26, any_register(r), 0));
    emit(w, r_type(row(OP_sc_w), 10 + random_below(r, 8), 26, any_register(r)));
}

/* M mode accesses memory as another mode would. */
static void put_mprv(struct writer *w, uint64_t *r)
{
    emit_li(w, 28, MSTATUS_MPRV | MSTATUS_MPP);
    emit_csr(w, OP_csrrc, 0, CSR_MSTATUS, 28);
    emit_li(w, 28, MSTATUS_MPRV | random_below(r, 2) << MSTATUS_MPP_SHIFT |
                       (random_below(r, 2) ? MSTATUS_SUM : 0) |
                       (random_below(r, 2) ? MSTATUS_MXR : 0));
    emit_csr(w, OP_csrrs, 0, CSR_MSTATUS, 28);
    put_base(w, r);
    for (unsigned n = 1 + random_below(r, 3); n; n--)
        put_memory(w, r);
    emit_li(w, 28, MSTATUS_MPRV);
    emit_csr(w, OP_csrrc, 0, CSR_MSTATUS, 28);
}

static void put_system(struct writer *w, uint64_t *r)
{
    static const uint16_t op[] = {OP_ecall, OP_ecall, OP_sret, OP_mret, OP_fence, OP_fence_i,
                                  OP_ebreak /* xtval may be 0 or the address */};
    enum { ALL = sizeof op / sizeof op[0] };
    emit(w, row(op[random_below(r, w->options & PROGRAM_UNTIMED ? ALL - 1 : ALL)]));
}

static void put_pmp(struct writer *w, uint64_t *r)
{
    unsigned n = random_below(r, 3);
    emit_li(w, 28, (AT_DATA + random_below(r, 65536)) >> 2);
    emit_csr(w, OP_csrrw, 0, CSR_PMPADDR0 + n, 28);
    emit_li(w, 28, (uint32_t)random_next(r) & 0x1f1f1f);
    emit_csr(w, OP_csrrw, 0, CSR_PMPCFG0, 28);
}

/* With every interrupt that may wake it enabled, else the program would end here. */
static void put_wfi(struct writer *w, uint64_t *r)
{
    put_timer(w, r);
    emit(w, row(OP_wfi));
}

static void put_rubbish(struct writer *w, uint64_t *r)
{
    emit(w, (uint32_t)random_next(r));
}

static void put_jalr(struct writer *w, uint64_t *r)
{
    uint32_t to = AT_CODE + random_below(r, PROGRAM_INSNS) * 4;
    if (random_below(r, 4) == 0)
        to = to - AT_ENTRY + ALIAS; /* the same code at another address */
    bool odd = random_below(r, 64) == 0 && !(w->options & PROGRAM_UNTIMED);
    emit_li(w, 28, to + (odd ? 2 : 0));
    emit(w, i_type(row(OP_jalr), any_target(r), 28, 0));
}

/* ---- self-modifying code ------------------------------------------------------------------ */

/* A word to overwrite an instruction with: always another instruction that does no harm. */
static uint32_t new_word(uint64_t *r)
{
    uint32_t room[4];
    struct writer w = {.at = room};
    switch (random_below(r, 8)) {
    case 0: return row(OP_ecall);
    case 1: return b_type(row(OP_bne), any_register(r), any_register(r), 4);
    case 2: return i_type(row(OP_lw), any_target(r), 8, (int32_t)random_below(r, 100) * 4);
    default: put_compute(&w, r); return room[0];
    }
}

/* Overwrites the instruction at `to`: whole, or one half of its immediate. */
static void put_overwrite(struct writer *w, uint64_t *r, uint32_t to)
{
    static const uint32_t base[] = {AT_ENTRY, AT_ENTRY, ALIAS, SUPER};
    emit_li(w, 28, to - AT_ENTRY + base[random_below(r, 4)]);
    if (random_below(r, 4)) {
        emit_li(w, 29, new_word(r));
        emit(w, s_type(row(OP_sw), 28, 29, 0));
    } else if (random_below(r, 2)) { /* counts its immediate up */
        emit(w, i_type(row(OP_lw), 29, 28, 0));
        emit_li(w, 26, 1 << 20);
        emit(w, r_type(row(OP_add), 29, 29, 26));
        emit(w, s_type(row(OP_sw), 28, 29, 0));
    } else {
        emit(w, s_type(row(OP_sb), 28, any_register(r), 3));
    }
    if (random_below(r, 2) || w->options & PROGRAM_UNTIMED)
        emit(w, row(OP_fence_i));
}

/* The instruction that is overwritten comes soon, was there before, or is in a function. */
static void put_self_modify(struct writer *w, uint64_t *r)
{
    unsigned way = random_below(r, 3);
    if (way == 0 && w->softs) {
        put_overwrite(w, r, AT_CODE + w->soft[random_below(r, w->softs)] * 4u);
    } else if (way == 1) {
        uint32_t page = random_below(r, FUNC_PAGES) * PAGE_SIZE;
        uint32_t insn = random_below(r, FUNCS) * FUNC_INSNS + random_below(r, 4);
        put_overwrite(w, r, AT_FUNC + page + insn * 4);
    } else {
        struct writer before = *w;
        uint64_t lots = *r;
        unsigned gap = random_below(r, 6);
        put_overwrite(w, r, AT_CODE); /* once to see how long it is */
        uint32_t to = AT_CODE + (uint32_t)(w->at - w->start + gap) * 4;
        *w = before;
        random_below(&lots, 6);
        *r = lots;
        put_overwrite(w, r, to);
        for (unsigned i = 0; i <= gap; i++)
            put_compute(w, r);
    }
}

/* ---- which, and how often ----------------------------------------------------------------- */

static void put_loop(struct writer *w, uint64_t *r);

/* TIMED: not in PROGRAM_UNTIMED. Also what others do otherwise: QEMU 7.2 leaves MPRV set by xRET, and
 * its SC looks at the reservation before the address. */
enum { EVERYWHERE, NOT_NESTED, CHANGES_TABLES, TIMED };

static const struct {
    void (*put)(struct writer *w, uint64_t *r);
    uint8_t weight, where;
} kinds[] = {
    {put_compute, 60, EVERYWHERE}, {put_upper, 6, EVERYWHERE}, {put_branch, 20, EVERYWHERE},
    {put_base, 16, EVERYWHERE}, {put_memory, 60, EVERYWHERE}, {put_atomic, 8, EVERYWHERE},
    {put_reservation, 3, TIMED}, {put_misaligned, 6, EVERYWHERE}, {put_csr, 18, EVERYWHERE},
    {put_counter, 6, TIMED}, {put_satp, 7, EVERYWHERE}, {put_fence, 4, EVERYWHERE},
    {put_pte, 5, CHANGES_TABLES}, {put_remap, 8, CHANGES_TABLES},
    {put_superpage, 2, CHANGES_TABLES}, {put_timer, 4, TIMED}, {put_system, 8, EVERYWHERE},
    {put_mprv, 5, TIMED}, {put_pmp, 1, TIMED}, {put_wfi, 1, TIMED},
    {put_rubbish, 2, TIMED}, {put_jalr, 3, NOT_NESTED}, {put_call, 12, EVERYWHERE},
    {put_self_modify, 6, EVERYWHERE}, {put_loop, 8, NOT_NESTED},
};
enum { KINDS = sizeof kinds / sizeof kinds[0], BEHIND_DATA_STORES = 160 };

/* Stores with AT_CODE as base may hit the first instructions: no fence may stand there. */
static bool allowed(const struct writer *w, unsigned kind, bool nested)
{
    switch (kinds[kind].where) {
    case NOT_NESTED: return !nested;
    case CHANGES_TABLES: return w->at - w->start > BEHIND_DATA_STORES;
    case TIMED: return !(w->options & PROGRAM_UNTIMED);
    default: return true;
    }
}

static void put_any(struct writer *w, uint64_t *r, bool nested)
{
    unsigned total = 0, kind = 0;
    for (unsigned i = 0; i < KINDS; i++)
        total += kinds[i].weight;
    do {
        unsigned lot = random_below(r, total);
        for (kind = 0; lot >= kinds[kind].weight; kind++)
            lot -= kinds[kind].weight;
    } while (!allowed(w, kind, nested));
    w->begins[w->at - w->start] = true;
    kinds[kind].put(w, r);
}

/*
 * A branch into the middle of what belongs together would run a part of it: in a loop, the second half
 * of an address's two instructions again and again, until a store behind it comes to the page
 * tables. It leads to the beginning instead.
 */
static void lead_to_beginnings(struct writer *w)
{
    for (unsigned n = 0; n < w->branches; n++) {
        uint32_t *at = w->start + w->branch[n];
        bool jumps = (*at & 0x7f) == 0x6f;
        struct insn i = isa_decode(*at);
        int32_t to = w->branch[n] + (i.imm >> 2), odd = i.imm & 3;
        if (to < 0 || to >= PROGRAM_INSNS)
            continue;
        while (to > 0 && !w->begins[to])
            to--;
        int32_t offset = (to - w->branch[n]) * 4 + odd;
        uint32_t keep = jumps ? 0xfff : 0x01fff07f;
        *at = (*at & keep) | (jumps ? j_type(0, offset) & ~0x7fu : b_type(0, 0, 0, offset));
    }
}

/* A loop that runs often enough for a translator to take it up. In long programs, some run for so
 * long and do so little besides computing and memory that address spaces count as steady. */
static void put_loop(struct writer *w, uint64_t *r)
{
    bool is_long = w->options & PROGRAM_LONG && random_below(r, 2);
    uint32_t rounds = is_long ? 20000 + random_below(r, 100000) : 20 + random_below(r, 80);
    bool quiet = is_long || random_below(r, 2);
    put_base(w, r);
    emit_li(w, LOOP_COUNTER, rounds);
    uint32_t *top = w->at;
    for (unsigned n = 3 + random_below(r, 9); n; n--) {
        static void (*const quietly[])(struct writer *, uint64_t *) = {
            put_compute, put_compute, put_memory, put_memory, put_misaligned, put_call, put_base};
        if (quiet)
            quietly[random_below(r, 7)](w, r);
        else
            put_any(w, r, true);
    }
    emit(w, i_type(row(OP_addi), LOOP_COUNTER, LOOP_COUNTER, -1));
    emit(w, b_type(row(OP_blt), 0, LOOP_COUNTER, (int32_t)(top - w->at) * 4));
}

void random_program_make_as(struct random_program *program, uint64_t seed, unsigned options)
{
    enum { LONGEST = 600 }; /* of what one put_ function writes, loops included */
    uint64_t r = seed;
    uint32_t room[PROGRAM_INSNS + LONGEST];
    uint16_t soft[PROGRAM_INSNS], branch[PROGRAM_INSNS + LONGEST];
    bool begins[PROGRAM_INSNS + LONGEST] = {false};
    struct writer w = {.at = room, .start = room, .soft = soft, .branch = branch,
                       .begins = begins, .options = options};
    while (w.at < room + PROGRAM_INSNS - 1) {
        uint32_t *before = w.at;
        put_any(&w, &r, false);
        if (w.at < room + PROGRAM_INSNS)
            continue;
        for (w.at = before; w.at < room + PROGRAM_INSNS - 1;) { /* not half of it */
            begins[w.at - room] = true;
            emit(&w, row(OP_addi));
        }
        while (w.branches && branch[w.branches - 1] >= before - room)
            w.branches--;
    }
    begins[PROGRAM_INSNS - 1] = true;
    lead_to_beginnings(&w);
    memcpy(program->code, room, sizeof program->code);
    program->code[PROGRAM_INSNS - 1] = j_type(0, -(PROGRAM_INSNS - 1) * 4);
    program->seed = seed;
    program->options = options;
    program->lottery = random_next(&r);
}

void random_program_make(struct random_program *program, uint64_t seed)
{
    random_program_make_as(program, seed, 0);
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

/* One page of functions: each computes, touches memory and returns. */
static void make_functions(uint32_t *page, uint64_t *r, unsigned options)
{
    for (unsigned f = 0; f < FUNCS; f++) {
        struct writer w = {.at = page + f * FUNC_INSNS, .options = options};
        for (unsigned n = 4 + random_below(r, 20); n; n--) {
            unsigned rd = 10 + random_below(r, 16);
            if (random_below(r, 4) == 0)
                emit(&w, i_type(row(OP_lw), rd, 8 + random_below(r, 2), offset_for(&w, r, 4)));
            else
                emit(&w, i_type(row(pick(r, OP_addi, OP_andi)), rd, any_register(r), small(r)));
        }
        emit(&w, i_type(row(OP_jalr), 0, 1, 0));
    }
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
        make_functions(page, &r, program->options);
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
