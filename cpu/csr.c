/*
 * What the CSRs mean.
 *
 * csr.def says which CSRs exist, who may touch them and which bits can be written. A CSR that is
 * just a word of struct hart needs one row in the table below; one that is a view on something else
 * has a function to read and one to write.
 */
#include <assert.h>
#include <stddef.h>

#include "cpu/hart.h"
#include "cpu/isa.h"

/* ---- views on mstatus, mie and mip -------------------------------------------------------- */

static uint32_t read_sstatus(const struct hart *h, unsigned n)
{
    return h->mstatus & SSTATUS_MASK;
}

static void write_sstatus(struct hart *h, unsigned n, uint32_t value)
{
    h->mstatus = (h->mstatus & ~SSTATUS_MASK) | (value & SSTATUS_MASK);
}

/* MPP is WARL: 2 is no mode, and then keeps what it was. */
static void write_mstatus(struct hart *h, unsigned n, uint32_t value)
{
    if ((value & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT == 2)
        value = (value & ~MSTATUS_MPP) | (h->mstatus & MSTATUS_MPP);
    h->mstatus = value;
}

/* sie and sip show the interrupts that are delegated, section 4.1.3. */
static uint32_t read_sie(const struct hart *h, unsigned n)
{
    return h->mie & h->mideleg;
}

static void write_sie(struct hart *h, unsigned n, uint32_t value)
{
    h->mie = (h->mie & ~h->mideleg) | (value & h->mideleg);
}

static uint32_t read_sip(const struct hart *h, unsigned n)
{
    return h->mip & h->mideleg;
}

static void write_sip(struct hart *h, unsigned n, uint32_t value)
{
    uint32_t writable = MIP_SSIP & h->mideleg;
    h->mip = (h->mip & ~writable) | (value & writable);
}

/* Software writes SSIP, its own share of SEIP, and STIP unless the S timer drives it. */
static void write_mip(struct hart *h, unsigned n, uint32_t value)
{
    uint32_t writable = h->clock.stimecmp_on ? MIP_SSIP : MIP_SSIP | MIP_STIP;
    h->mip = (h->mip & ~writable) | (value & writable);
    h->seip_software = value & MIP_SEIP;
    hart_interrupt_line(h, IRQ_SEI, h->seip_line);
}

/* ---- counters ----------------------------------------------------------------------------- */

/*
 * A counter is what was executed (or retired) plus an offset, or the offset alone while it is
 * inhibited. A write takes effect after the writing instruction: the next one reads what was
 * written, when this one has been counted.
 */
static uint64_t counted(const struct hart *h, unsigned inhibit)
{
    if (h->mcountinhibit & inhibit)
        return 0;
    return inhibit == COUNTER_CY ? h->executed : h->executed - h->trapped;
}

static uint64_t counter(const struct hart *h, unsigned inhibit)
{
    return counted(h, inhibit) + (inhibit == COUNTER_CY ? h->cycle_offset : h->instret_offset);
}

static void set_counter(struct hart *h, unsigned inhibit, uint64_t value)
{
    uint64_t offset = value;
    if (!(h->mcountinhibit & inhibit))
        offset -= counted(h, inhibit) + 1;
    *(inhibit == COUNTER_CY ? &h->cycle_offset : &h->instret_offset) = offset;
}

/* Bit 7 of a counter's number says that it is the high word. */
static uint32_t half(uint64_t value, unsigned n)
{
    return (uint32_t)(n & 0x80 ? value >> 32 : value);
}

static uint64_t with_half(uint64_t old, unsigned high, uint32_t value)
{
    return high ? (old & 0xffffffffu) | (uint64_t)value << 32 : (old & ~0xffffffffull) | value;
}

static uint32_t read_cycle(const struct hart *h, unsigned n)
{
    return half(counter(h, COUNTER_CY), n);
}

static uint32_t read_instret(const struct hart *h, unsigned n)
{
    return half(counter(h, COUNTER_IR), n);
}

static uint32_t read_time(const struct hart *h, unsigned n)
{
    return half(hart_mtime(h), n);
}

static void write_cycle(struct hart *h, unsigned n, uint32_t value)
{
    set_counter(h, COUNTER_CY, with_half(counter(h, COUNTER_CY), n & 0x80, value));
}

static void write_instret(struct hart *h, unsigned n, uint32_t value)
{
    set_counter(h, COUNTER_IR, with_half(counter(h, COUNTER_IR), n & 0x80, value));
}

/* A counter that is stopped keeps its value, and goes on from there when it is started again. */
static void write_mcountinhibit(struct hart *h, unsigned n, uint32_t value)
{
    uint64_t cycle = counter(h, COUNTER_CY) + !(h->mcountinhibit & COUNTER_CY);
    uint64_t instret = counter(h, COUNTER_IR) + !(h->mcountinhibit & COUNTER_IR);
    h->mcountinhibit = value;
    set_counter(h, COUNTER_CY, cycle);
    set_counter(h, COUNTER_IR, instret);
}

/* ---- the supervisor timer (Sstc) ---------------------------------------------------------- */

static uint32_t read_stimecmp(const struct hart *h, unsigned n)
{
    return (uint32_t)(n == CSR_STIMECMPH ? h->clock.stimecmp >> 32 : h->clock.stimecmp);
}

static void write_stimecmp(struct hart *h, unsigned n, uint32_t value)
{
    h->clock.stimecmp = with_half(h->clock.stimecmp, n == CSR_STIMECMPH, value);
}

static void write_menvcfgh(struct hart *h, unsigned n, uint32_t value)
{
    h->menvcfgh = value;
    h->clock.stimecmp_on = value & MENVCFGH_STCE;
}

/* ---- PMP, and constants ------------------------------------------------------------------- */

static uint32_t read_pmpcfg(const struct hart *h, unsigned n)
{
    return pmp_read_config(&h->pmp, n - CSR_PMPCFG0);
}

static void write_pmpcfg(struct hart *h, unsigned n, uint32_t value)
{
    pmp_write_config(&h->pmp, n - CSR_PMPCFG0, value);
}

static uint32_t read_pmpaddr(const struct hart *h, unsigned n)
{
    return h->pmp.address[n - CSR_PMPADDR0];
}

static void write_pmpaddr(struct hart *h, unsigned n, uint32_t value)
{
    pmp_write_address(&h->pmp, n - CSR_PMPADDR0, value);
}

/* MXL = 1 (32 bits) and the letters A I M S U, section 3.1.1. */
static uint32_t read_misa(const struct hart *h, unsigned n)
{
    return 1u << 30 | 1u << ('A' - 'A') | 1u << ('I' - 'A') | 1u << ('M' - 'A') |
           1u << ('S' - 'A') | 1u << ('U' - 'A');
}

/* ---- the table ---------------------------------------------------------------------------- */

struct accessor {
    uint16_t field; /* offset of the word in struct hart, if there is no function */
    bool is_field;
    uint8_t effects; /* enum csr_effect of a write */
    uint32_t (*read)(const struct hart *hart, unsigned number);
    void (*write)(struct hart *hart, unsigned number, uint32_t value);
};

#define WORD(NAME, member, effects) [CSR_##NAME] = {offsetof(struct hart, member), true, effects}
#define VIEW(NAME, read, write, effects) [CSR_##NAME] = {0, false, effects, read, write}
#define VIEWS(NAME, count, read, write, effects)                                                 \
    [CSR_##NAME ... CSR_##NAME + (count) - 1] = {0, false, effects, read, write}

/* A CSR that exists (csr.def) and has no row here is constant zero. */
static const struct accessor accessors[4096] = {
    VIEW(CYCLE, read_cycle, NULL, 0),
    VIEW(CYCLEH, read_cycle, NULL, 0),
    VIEW(TIME, read_time, NULL, 0),
    VIEW(TIMEH, read_time, NULL, 0),
    VIEW(INSTRET, read_instret, NULL, 0),
    VIEW(INSTRETH, read_instret, NULL, 0),

    VIEW(SSTATUS, read_sstatus, write_sstatus, CSR_TRANSLATION | CSR_INTERRUPTS),
    VIEW(SIE, read_sie, write_sie, CSR_INTERRUPTS),
    VIEW(SIP, read_sip, write_sip, CSR_INTERRUPTS),
    WORD(STVEC, stvec, 0),
    WORD(SCOUNTEREN, scounteren, 0),
    WORD(SENVCFG, senvcfg, 0),
    WORD(SSCRATCH, sscratch, 0),
    WORD(SEPC, sepc, 0),
    WORD(SCAUSE, scause, 0),
    WORD(STVAL, stval, 0),
    WORD(SATP, satp, CSR_TRANSLATION),
    VIEW(STIMECMP, read_stimecmp, write_stimecmp, CSR_INTERRUPTS),
    VIEW(STIMECMPH, read_stimecmp, write_stimecmp, CSR_INTERRUPTS),

    WORD(MHARTID, id, 0),
    [CSR_MSTATUS] = {offsetof(struct hart, mstatus), true, CSR_TRANSLATION | CSR_INTERRUPTS, NULL,
                     write_mstatus},
    VIEW(MISA, read_misa, NULL, 0),
    WORD(MEDELEG, medeleg, 0),
    WORD(MIDELEG, mideleg, CSR_INTERRUPTS),
    WORD(MIE, mie, CSR_INTERRUPTS),
    [CSR_MIP] = {offsetof(struct hart, mip), true, CSR_INTERRUPTS, NULL, write_mip},
    WORD(MTVEC, mtvec, 0),
    WORD(MCOUNTEREN, mcounteren, 0),
    WORD(MENVCFG, menvcfg, 0),
    [CSR_MENVCFGH] = {offsetof(struct hart, menvcfgh), true, CSR_INTERRUPTS, NULL, write_menvcfgh},
    [CSR_MCOUNTINHIBIT] = {offsetof(struct hart, mcountinhibit), true, 0, NULL,
                           write_mcountinhibit},
    WORD(MSCRATCH, mscratch, 0),
    WORD(MEPC, mepc, 0),
    WORD(MCAUSE, mcause, 0),
    WORD(MTVAL, mtval, 0),
    VIEW(MCYCLE, read_cycle, write_cycle, 0),
    VIEW(MCYCLEH, read_cycle, write_cycle, 0),
    VIEW(MINSTRET, read_instret, write_instret, 0),
    VIEW(MINSTRETH, read_instret, write_instret, 0),
    VIEWS(PMPCFG0, 4, read_pmpcfg, write_pmpcfg, CSR_PROTECTION),
    VIEWS(PMPADDR0, 16, read_pmpaddr, write_pmpaddr, CSR_PROTECTION),
};

static uint32_t *word_of(const struct hart *h, const struct accessor *a)
{
    return (uint32_t *)((char *)h + a->field);
}

int csr_plain_word(unsigned number)
{
    const struct accessor *a = &accessors[number & 0xfff];
    bool plain = isa_csr(number) && a->is_field && !a->read && !a->write && !a->effects;
    return plain ? a->field : -1;
}

/* ---- who may ------------------------------------------------------------------------------ */

/* The counters: S needs mcounteren's bit, U also scounteren's (section 3.1.11 and 4.1.5). */
static bool counter_enabled(const struct hart *h, unsigned number)
{
    uint32_t bit = 1u << (number & 0x1f);
    if (h->mode < MODE_M && !(h->mcounteren & bit))
        return false;
    return h->mode > MODE_U || h->scounteren & bit;
}

static bool allowed(const struct hart *h, unsigned number)
{
    if (h->mode < csr_privilege(number))
        return false;
    if (csr_privilege(number) == MODE_U)
        return counter_enabled(h, number);
    if (number == CSR_SATP) /* section 3.1.6.5 */
        return !(h->mode == MODE_S && h->mstatus & MSTATUS_TVM);
    if (number == CSR_STIMECMP || number == CSR_STIMECMPH) /* "Sstc", section 2.2 */
        return h->mode == MODE_M || (h->clock.stimecmp_on && h->mcounteren & COUNTER_TM);
    return true;
}

enum csr_result csr_check(const struct hart *h, unsigned number, bool write)
{
    if (!isa_csr(number) || !allowed(h, number) || (write && csr_is_read_only(number)))
        return CSR_ILLEGAL;
    return CSR_OK;
}

/* ---- access ------------------------------------------------------------------------------- */

uint32_t csr_peek(const struct hart *h, unsigned number)
{
    const struct accessor *a = &accessors[number & 0xfff];
    if (a->read)
        return a->read(h, number);
    return a->is_field ? *word_of(h, a) : 0;
}

void csr_poke(struct hart *h, unsigned number, uint32_t value, unsigned *effects)
{
    const struct csr_row *row = isa_csr(number);
    const struct accessor *a = &accessors[number & 0xfff];
    *effects = 0;
    if (!row || row->mask == 0)
        return;
    value = (csr_peek(h, number) & ~row->mask) | (value & row->mask);
    if (number == CSR_SATP && value != h->satp)
        hart_unreserve(h);
    if (a->write)
        a->write(h, number, value);
    else if (a->is_field)
        *word_of(h, a) = value;
    *effects = a->effects;
}

enum csr_result csr_read(const struct hart *h, unsigned number, uint32_t *value)
{
    enum csr_result result = csr_check(h, number, false);
    *value = result == CSR_OK ? csr_peek(h, number) : 0;
    return result;
}

enum csr_result csr_write(struct hart *h, unsigned number, uint32_t value, unsigned *effects)
{
    enum csr_result result = csr_check(h, number, true);
    *effects = 0;
    if (result == CSR_OK)
        csr_poke(h, number, value, effects);
    return result;
}

/* ---- the six instructions ----------------------------------------------------------------- */

/* What SET and CLEAR start from: in mip, SEIP counts only as far as software has set it, else the
 * wire's level would be made permanent (section 3.1.9). */
static uint32_t modify_from(const struct hart *h, unsigned number, uint32_t value)
{
    if (number == CSR_MIP && !h->seip_software)
        return value & ~MIP_SEIP;
    return value;
}

enum csr_result csr_execute(struct hart *h, const struct insn *i, struct csr_access *out)
{
    bool immediate = isa_rows[i->op].format == FORMAT_CSRI;
    bool swaps = i->op == OP_csrrw || i->op == OP_csrrwi;
    uint32_t operand = immediate ? i->rs1 : h->x[i->rs1];
    unsigned number = (unsigned)i->imm;

    *out = (struct csr_access){.number = (uint16_t)number, .writes = swaps || i->rs1 != 0};
    if (csr_check(h, number, out->writes) != CSR_OK)
        return CSR_ILLEGAL;

    out->old = csr_peek(h, number);
    if (out->writes) {
        uint32_t from = modify_from(h, number, out->old);
        bool sets = i->op == OP_csrrs || i->op == OP_csrrsi;
        uint32_t value = swaps ? operand : sets ? from | operand : from & ~operand;
        csr_poke(h, number, value, &out->effects);
    }
    if (i->rd)
        h->x[i->rd] = out->old;
    return CSR_OK;
}
