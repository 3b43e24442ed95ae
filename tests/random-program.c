/* Random programs: the instructions. See random-program.h. */
#include "tests/random-parts.h"

#include <string.h>

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
                random_leaf(r, AT_DATA + random_below(r, 16) * PAGE_SIZE));
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
    store_entry(w, r, leaf_entry(n, LEAF_CALLED), random_called_leaf(r));
    fence_for(w, r, n, AT_CALLED, AT_CALLED - AT_ENTRY + ALIAS);
    call_function(w, r, function);
}

/* The entry of the superpage: any address in it stands for all of them. */
static void put_superpage(struct writer *w, uint64_t *r)
{
    uint32_t n = random_below(r, ROOTS);
    store_entry(w, r, AT_ROOT + n * PAGE_SIZE + VPN(SUPER, 1) * 4, random_leaf(r, AT_ENTRY));
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

/* ---- functions ---------------------------------------------------------------------------- */

void random_functions(uint32_t *page, uint64_t *r, unsigned options)
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
