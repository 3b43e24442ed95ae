/*
 * The hart by itself: tables of what the privileged specification (1.12) says of CSRs, translation
 * and PMP, checked on the functions that hold them. Bare and virtual machines share this code, so
 * comparing the two would not find a mistake here.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/isa.h"
#include "cpu/machine.h"
#include "tests/random-program.h"
#include "tests/tap.h"

static struct machine *m;

static void set_up(void)
{
    char why[MACHINE_ERROR];
    struct machine_config config;
    machine_config_init(&config);
    config.memory = 8u << 20;
    m = machine_new(&config, why);
    ck_assert_ptr_nonnull(m);
}

static void tear_down(void)
{
    machine_free(m);
}

/* ---- CSRs --------------------------------------------------------------------------------- */

static const struct {
    uint16_t csr;
    uint32_t write, read; /* what is read after the write, from reset */
} warl[] = {
    {CSR_MSTATUS, 0xffffffff, MSTATUS_WRITABLE},
    {CSR_MSTATUS, 2u << 11, 0}, /* MPP = 2 is no mode: keeps 0 */
    {CSR_MTVEC, 0xffffffff, 0xfffffffd},
    {CSR_STVEC, 0x80000003, 0x80000001},
    {CSR_MEPC, 0xffffffff, 0xfffffffc},
    {CSR_SEPC, 0x80000002, 0x80000000},
    {CSR_MEDELEG, 0xffffffff, 0xb3ff},
    {CSR_MIDELEG, 0xffffffff, MIP_S_ALL},
    {CSR_MIE, 0xffffffff, MIP_ALL},
    {CSR_MIP, 0xffffffff, MIP_S_ALL},
    {CSR_MCOUNTEREN, 0xffffffff, 7},
    {CSR_SCOUNTEREN, 0xffffffff, 7},
    {CSR_MCOUNTINHIBIT, 0xffffffff, 5},
    {CSR_MENVCFGH, 0xffffffff, MENVCFGH_STCE},
    {CSR_MISA, 0, 0x40141101},
    {CSR_MSTATUSH, 0xffffffff, 0},
    {CSR_MSCRATCH, 0x12345678, 0x12345678},
    {CSR_PMPCFG0, 0xffffffff, 0x9f9f9f9f},
    {CSR_PMPCFG0 + 1, 0x02020202, 0}, /* W without R is reserved */
    {CSR_SATP, 0xffffffff, 0xffffffff},
    {CSR_HPMCOUNTER3, 1, 0},
    {CSR_MHPMEVENT3, 1, 0},
};

START_TEST(test_warl)
{
    unsigned effects;
    csr_poke(&m->hart, warl[_i].csr, warl[_i].write, &effects);
    ck_assert_uint_eq(csr_peek(&m->hart, warl[_i].csr), warl[_i].read);
}
END_TEST

static const struct {
    uint8_t mode;
    uint16_t csr;
    bool write;
    uint32_t mstatus, mcounteren, scounteren;
    bool stce, allowed;
} rules[] = {
    {MODE_M, CSR_MSTATUS, true, 0, 0, 0, false, true},
    {MODE_S, CSR_MSTATUS, false, 0, 0, 0, false, false},
    {MODE_S, CSR_SSTATUS, true, 0, 0, 0, false, true},
    {MODE_U, CSR_SSTATUS, false, 0, 0, 0, false, false},
    {MODE_M, CSR_MHARTID, false, 0, 0, 0, false, true},
    {MODE_M, CSR_MHARTID, true, 0, 0, 0, false, false},
    {MODE_S, CSR_SATP, true, 0, 0, 0, false, true},
    {MODE_S, CSR_SATP, false, MSTATUS_TVM, 0, 0, false, false},
    {MODE_M, CSR_SATP, true, MSTATUS_TVM, 0, 0, false, true},
    {MODE_M, CSR_CYCLE, false, 0, 0, 0, false, true},
    {MODE_M, CSR_CYCLE, true, 0, 0, 0, false, false},
    {MODE_S, CSR_CYCLE, false, 0, 0, 0, false, false},
    {MODE_S, CSR_CYCLE, false, 0, 1, 0, false, true},
    {MODE_U, CSR_CYCLE, false, 0, 1, 0, false, false},
    {MODE_U, CSR_CYCLE, false, 0, 1, 1, false, true},
    {MODE_U, CSR_TIME, false, 0, 1, 1, false, false},
    {MODE_U, CSR_INSTRETH, false, 0, 4, 4, false, true},
    {MODE_S, CSR_STIMECMP, true, 0, 2, 0, false, false},
    {MODE_S, CSR_STIMECMP, true, 0, 0, 0, true, false},
    {MODE_S, CSR_STIMECMP, true, 0, 2, 0, true, true},
    {MODE_M, CSR_STIMECMP, true, 0, 0, 0, false, true},
    {MODE_M, 0x8ff, false, 0, 0, 0, false, false},
    {MODE_M, 0x7c0, false, 0, 0, 0, false, false},
};

START_TEST(test_who_may)
{
    struct hart *h = &m->hart;
    h->mode = rules[_i].mode;
    h->mstatus = rules[_i].mstatus;
    h->mcounteren = rules[_i].mcounteren;
    h->scounteren = rules[_i].scounteren;
    h->clock.stimecmp_on = rules[_i].stce;
    ck_assert_int_eq(csr_check(h, rules[_i].csr, rules[_i].write) == CSR_OK, rules[_i].allowed);
}
END_TEST

START_TEST(test_views)
{
    struct hart *h = &m->hart;
    unsigned effects;
    csr_poke(h, CSR_MIDELEG, MIP_SSIP | MIP_STIP, &effects);
    csr_poke(h, CSR_MIE, MIP_ALL, &effects);
    ck_assert_uint_eq(csr_peek(h, CSR_SIE), MIP_SSIP | MIP_STIP);
    csr_poke(h, CSR_SIE, 0, &effects); /* leaves what is not delegated */
    ck_assert_uint_eq(csr_peek(h, CSR_MIE), MIP_ALL & ~(MIP_SSIP | MIP_STIP));
    csr_poke(h, CSR_MIP, MIP_STIP | MIP_SEIP, &effects);
    ck_assert_uint_eq(csr_peek(h, CSR_SIP), MIP_STIP);
    csr_poke(h, CSR_SIP, MIP_SSIP, &effects); /* S writes SSIP alone */
    ck_assert_uint_eq(csr_peek(h, CSR_MIP), MIP_SSIP | MIP_STIP | MIP_SEIP);
    csr_poke(h, CSR_MSTATUS, MSTATUS_WRITABLE, &effects);
    ck_assert_uint_eq(csr_peek(h, CSR_SSTATUS), SSTATUS_MASK);
    csr_poke(h, CSR_SSTATUS, 0, &effects);
    ck_assert_uint_eq(csr_peek(h, CSR_MSTATUS) & SSTATUS_MASK, 0);
    ck_assert_uint_eq(csr_peek(h, CSR_MSTATUS) & MSTATUS_TVM, MSTATUS_TVM);
}
END_TEST

/* SET on mip must not make the wire's level of SEIP permanent (section 3.1.9). */
START_TEST(test_seip)
{
    struct hart *h = &m->hart;
    struct csr_access access;
    struct insn set_ssip = isa_decode(0x34416073); /* csrrsi x0, mip, 2 */
    hart_interrupt_line(h, IRQ_SEI, true);
    ck_assert_int_eq(csr_execute(h, &set_ssip, &access), CSR_OK);
    ck_assert_uint_eq(csr_peek(h, CSR_MIP), MIP_SSIP | MIP_SEIP);
    hart_interrupt_line(h, IRQ_SEI, false);
    ck_assert_uint_eq(csr_peek(h, CSR_MIP), MIP_SSIP);
}
END_TEST

static void run_code(const uint32_t *code, unsigned count)
{
    ram_write(&m->ram, VIRT_RAM, code, 4 * count);
    machine_run(m, count);
}

/* A counter reads, one instruction after the write, what was written. */
START_TEST(test_counters)
{
    const uint32_t code[] = {
        0x06400513, /* li a0,100 */
        0xb0051073, /* csrw mcycle,a0 */
        0xb00025f3, /* csrr a1,mcycle */
        0xb0251073, /* csrw minstret,a0 */
        0x00000013, /* nop */
        0xb0202673, /* csrr a2,minstret */
        0x32025073, /* csrwi mcountinhibit,4 */
        0x00000013, 0x00000013,
        0xb02026f3, /* csrr a3,minstret */
        0x00000013,
        0xb0202773, /* csrr a4,minstret */
    };
    run_code(code, sizeof code / 4);
    ck_assert_uint_eq(m->hart.x[11], 100);
    ck_assert_uint_eq(m->hart.x[12], 101);
    ck_assert_uint_eq(m->hart.x[13], m->hart.x[14]);
}
END_TEST

/* ---- xRET and friends --------------------------------------------------------------------- */

static const struct {
    uint32_t word;
    uint8_t mode;
    uint32_t mstatus;
    bool illegal;
} privileged[] = {
    {0x30200073, MODE_M, 0, false}, /* mret */
    {0x30200073, MODE_S, 0, true},
    {0x10200073, MODE_S, 0, false}, /* sret */
    {0x10200073, MODE_U, 0, true},
    {0x10200073, MODE_S, MSTATUS_TSR, true},
    {0x10200073, MODE_M, MSTATUS_TSR, false},
    {0x10500073, MODE_S, 0, false}, /* wfi */
    {0x10500073, MODE_S, MSTATUS_TW, true},
    {0x10500073, MODE_U, 0, true},
    {0x12000073, MODE_S, 0, false}, /* sfence.vma */
    {0x12000073, MODE_S, MSTATUS_TVM, true},
    {0x12000073, MODE_U, 0, true},
    {0x12000073, MODE_M, MSTATUS_TVM, false},
    {0x00000000, MODE_M, 0, true},
    {0xffffffff, MODE_M, 0, true},
    {0x02001013, MODE_M, 0, true}, /* slli with shamt[5] */
    {0x20002033, MODE_M, 0, true}, /* funct7 that is not used */
    {0x10003023, MODE_M, 0, true}, /* sd */
    {0x1003202f, MODE_M, 0, false}, /* lr.w x0,(x6) : x6 points to RAM */
    {0x1013202f, MODE_M, 0, true}, /* lr.w with rs2 != 0 */
    {0x00003003, MODE_M, 0, true}, /* ld */
};

START_TEST(test_privileged)
{
    struct hart *h = &m->hart;
    ram_write(&m->ram, VIRT_RAM, &privileged[_i].word, 4);
    h->pmp.address[0] = UINT32_MAX;
    h->pmp.config[0] = 0x1f;
    h->mode = privileged[_i].mode;
    h->mstatus = privileged[_i].mstatus;
    h->x[6] = VIRT_RAM + 64;
    mmu_context_changed(m);
    machine_run(m, 1);
    ck_assert_int_eq(h->trapped == 1, privileged[_i].illegal);
    if (privileged[_i].illegal) {
        ck_assert_uint_eq(h->mcause, CAUSE_ILLEGAL);
        ck_assert_uint_eq(h->mtval, privileged[_i].word);
        ck_assert_uint_eq(h->mepc, VIRT_RAM);
    }
}
END_TEST

/* A word that matches no row raises illegal instruction with itself as mtval. */
START_TEST(test_rubbish_is_illegal)
{
    uint64_t lots = 42;
    struct hart *h = &m->hart;
    for (int i = 0; i < 200000; i++) {
        uint32_t word = (uint32_t)random_next(&lots);
        if (isa_decode(word).op != OP_ILLEGAL)
            continue;
        ram_write(&m->ram, VIRT_RAM, &word, 4);
        h->pc = VIRT_RAM;
        machine_run(m, 1);
        ck_assert_uint_eq(h->mcause, CAUSE_ILLEGAL);
        ck_assert_uint_eq(h->mtval, word);
    }
}
END_TEST

/* The first instruction of a page that nothing was fetched from before is as good as any other. */
START_TEST(test_first_of_a_page)
{
    for (uint32_t rd = 1, pc = VIRT_RAM; rd < 32; rd++)
        for (uint32_t i = 0; i < 2048; i++, pc += PAGE_SIZE) {
            if (!ram_has(&m->ram, pc)) { /* pages run out: another machine */
                tear_down();
                set_up();
                pc = VIRT_RAM;
            }
            uint32_t word = i << 20 | rd << 7 | 0x13; /* addi rd, x0, i */
            ram_write(&m->ram, pc, &word, 4);
            m->hart.pc = pc;
            machine_run(m, 1);
            ck_assert_uint_eq(m->hart.trapped, 0);
            ck_assert_uint_eq(m->hart.x[rd], i);
        }
}
END_TEST

/* ---- Sv32 --------------------------------------------------------------------------------- */

#define ROOT (VIRT_RAM + 0x100000u)
#define LEAF (VIRT_RAM + 0x101000u)
#define PAGE (VIRT_RAM + 0x102000u)

#define POINTER(to) ((to) >> 12 << 10 | PTE_V)
#define RWX (PTE_R | PTE_W | PTE_X)

static const struct {
    const char *what;
    uint32_t root, leaf; /* entry 1 of the root, entry 2 of the leaf table: va 0x00402xxx */
    uint8_t mode;
    uint32_t mstatus;
    enum access access;
    enum walk_failure failure;
    uint32_t flags; /* of the leaf afterwards, if it succeeds */
} walks[] = {
    {"plain read", POINTER(LEAF), POINTER(PAGE) | PTE_R, MODE_S, 0, ACCESS_READ, WALK_OK,
     PTE_V | PTE_R | PTE_A},
    {"write sets D", POINTER(LEAF), POINTER(PAGE) | PTE_R | PTE_W, MODE_S, 0, ACCESS_WRITE, WALK_OK,
     PTE_V | PTE_R | PTE_W | PTE_A | PTE_D},
    {"root invalid", 0, 0, MODE_S, 0, ACCESS_READ, WALK_INVALID, 0},
    {"leaf invalid", POINTER(LEAF), 0, MODE_S, 0, ACCESS_READ, WALK_INVALID, 0},
    {"W without R", POINTER(LEAF), POINTER(PAGE) | PTE_W, MODE_S, 0, ACCESS_READ, WALK_RESERVED, 0},
    {"W and X without R", POINTER(LEAF), POINTER(PAGE) | PTE_W | PTE_X, MODE_S, 0, ACCESS_FETCH,
     WALK_RESERVED, 0},
    {"three levels", POINTER(LEAF), POINTER(PAGE), MODE_S, 0, ACCESS_READ, WALK_NOT_LEAF, 0},
    {"pointer with A", POINTER(LEAF) | PTE_A, POINTER(PAGE) | RWX, MODE_S, 0, ACCESS_READ,
     WALK_RESERVED_BITS, 0},
    {"pointer with U", POINTER(LEAF) | PTE_U, POINTER(PAGE) | RWX, MODE_S, 0, ACCESS_READ,
     WALK_RESERVED_BITS, 0},
    {"superpage", POINTER(VIRT_RAM) | RWX, 0, MODE_S, 0, ACCESS_FETCH, WALK_OK, PTE_V | RWX | PTE_A},
    {"crooked superpage", POINTER(PAGE) | RWX, 0, MODE_S, 0, ACCESS_FETCH, WALK_MISALIGNED, 0},
    {"no X", POINTER(LEAF), POINTER(PAGE) | PTE_R, MODE_S, 0, ACCESS_FETCH, WALK_NO_PERMISSION, 0},
    {"X is not R", POINTER(LEAF), POINTER(PAGE) | PTE_X, MODE_S, 0, ACCESS_READ, WALK_NO_PERMISSION,
     0},
    {"but with MXR", POINTER(LEAF), POINTER(PAGE) | PTE_X, MODE_S, MSTATUS_MXR, ACCESS_READ, WALK_OK,
     PTE_V | PTE_X | PTE_A},
    {"U on kernel page", POINTER(LEAF), POINTER(PAGE) | RWX, MODE_U, 0, ACCESS_READ,
     WALK_USER_ONLY_S, 0},
    {"S on user page", POINTER(LEAF), POINTER(PAGE) | RWX | PTE_U, MODE_S, 0, ACCESS_READ,
     WALK_KERNEL_ON_U, 0},
    {"but with SUM", POINTER(LEAF), POINTER(PAGE) | RWX | PTE_U, MODE_S, MSTATUS_SUM, ACCESS_READ,
     WALK_OK, PTE_V | RWX | PTE_U | PTE_A},
    {"never a fetch", POINTER(LEAF), POINTER(PAGE) | RWX | PTE_U, MODE_S, MSTATUS_SUM, ACCESS_FETCH,
     WALK_KERNEL_ON_U, 0},
    {"above 4 GiB", POINTER(LEAF), 0x3fffffu << 10 | PTE_V | RWX, MODE_S, 0, ACCESS_READ,
     WALK_BEYOND, 0},
    {"table nowhere", POINTER(0x40000000u), 0, MODE_S, 0, ACCESS_READ, WALK_NO_TABLE, 0},
    {"MPRV reads as MPP", POINTER(LEAF), POINTER(PAGE) | RWX | PTE_U, MODE_M,
     MSTATUS_MPRV, ACCESS_READ, WALK_OK, PTE_V | RWX | PTE_U | PTE_A},
};

static void set_up_walk(int i)
{
    struct hart *h = &m->hart;
    ram_write(&m->ram, ROOT + 4, &walks[i].root, 4);
    ram_write(&m->ram, LEAF + 8, &walks[i].leaf, 4);
    h->satp = SATP_SV32 | ROOT >> 12;
    h->pmp.address[0] = UINT32_MAX;
    h->pmp.config[0] = 0x1f;
    h->mode = walks[i].mode;
    h->mstatus = walks[i].mstatus;
    mmu_context_changed(m);
}

START_TEST(test_walk)
{
    set_up_walk(_i);
    struct walk w = {.context = mmu_context(m, walks[_i].access), .access = walks[_i].access};
    bool ok = mmu_walk(m, 0x00402123, &w);
    ck_assert_msg(w.failure == walks[_i].failure, "%s: %s", walks[_i].what,
                  mmu_failure_text(w.failure));
    ck_assert_int_eq(ok, walks[_i].failure == WALK_OK);
    if (!ok)
        return;
    ck_assert_uint_eq(w.pte & 0xff, walks[_i].flags);
    bool super = w.level == 1;
    ck_assert_uint_eq(w.pa, super ? VIRT_RAM + 0x2123 : PAGE + 0x123);
    uint32_t stored;
    ram_read(&m->ram, super ? ROOT + 4 : LEAF + 8, &stored, 4);
    ck_assert_uint_eq(stored & 0xff, walks[_i].flags);
}
END_TEST

/* Looking changes nothing; and with --ad-bits trap, a clear A or D is a fault. */
START_TEST(test_walk_without_marks)
{
    uint32_t stored;
    set_up_walk(1);
    struct walk w = {.context = mmu_context(m, ACCESS_WRITE), .access = ACCESS_WRITE,
                     .look_only = true};
    ck_assert(mmu_walk(m, 0x00402123, &w));
    ram_read(&m->ram, LEAF + 8, &stored, 4);
    ck_assert_uint_eq(stored, walks[1].leaf);
    m->config.ad_trap = true;
    w.look_only = false;
    ck_assert(!mmu_walk(m, 0x00402123, &w));
    ck_assert_int_eq(w.failure, WALK_AD_CLEAR);
    ck_assert_uint_eq(w.cause, CAUSE_STORE_PAGE);
}
END_TEST

/* ---- PMP ---------------------------------------------------------------------------------- */

static const struct {
    uint8_t config0, config1;
    uint32_t address0, address1;
    uint8_t mode;
    enum access access;
    uint32_t pa;
    unsigned size;
    bool allowed;
} pmp_cases[] = {
    {0, 0, 0, 0, MODE_M, ACCESS_READ, 0x80000000, 4, true},
    {0, 0, 0, 0, MODE_S, ACCESS_READ, 0x80000000, 4, false},
    /* NA4 */
    {PMP_NA4 | PMP_R, 0, 0x20000000, 0, MODE_U, ACCESS_READ, 0x80000000, 4, true},
    {PMP_NA4 | PMP_R, 0, 0x20000000, 0, MODE_U, ACCESS_READ, 0x80000004, 4, false},
    {PMP_NA4 | PMP_R, 0, 0x20000000, 0, MODE_U, ACCESS_WRITE, 0x80000000, 4, false},
    /* NAPOT: 8 bytes, 4 KiB, everything */
    {PMP_NAPOT | PMP_R, 0, 0x20000000, 0, MODE_U, ACCESS_READ, 0x80000004, 4, true},
    {PMP_NAPOT | PMP_R, 0, 0x20000000, 0, MODE_U, ACCESS_READ, 0x80000008, 4, false},
    {PMP_NAPOT | PMP_R, 0, 0x200001ff, 0, MODE_U, ACCESS_READ, 0x80000ffc, 4, true},
    {PMP_NAPOT | PMP_R, 0, 0x200001ff, 0, MODE_U, ACCESS_READ, 0x80001000, 4, false},
    {PMP_NAPOT | PMP_R, 0, 0xffffffff, 0, MODE_U, ACCESS_READ, 0xfffffffc, 4, true},
    /* TOR: from the entry before, or from 0 */
    {PMP_TOR | PMP_X, 0, 0x20000400, 0, MODE_S, ACCESS_FETCH, 0x80000ffc, 4, true},
    {PMP_TOR | PMP_X, 0, 0x20000400, 0, MODE_S, ACCESS_FETCH, 0x80001000, 4, false},
    {0, PMP_TOR | PMP_W | PMP_R, 0x20000000, 0x20000400, MODE_S, ACCESS_WRITE, 0x80000000, 4, true},
    {0, PMP_TOR | PMP_W | PMP_R, 0x20000000, 0x20000400, MODE_S, ACCESS_WRITE, 0x7ffffffc, 4, false},
    {0, PMP_TOR | PMP_W | PMP_R, 0x20000400, 0x20000000, MODE_S, ACCESS_WRITE, 0x80000000, 4, false},
    /* The lowest entry that matches decides; one that matches in part refuses. */
    {PMP_NA4, PMP_NAPOT | PMP_R, 0x20000000, 0x200001ff, MODE_U, ACCESS_READ, 0x80000000, 4, false},
    {PMP_NA4, PMP_NAPOT | PMP_R, 0x20000000, 0x200001ff, MODE_U, ACCESS_READ, 0x80000004, 4, true},
    {PMP_NA4 | PMP_R, PMP_NAPOT | PMP_R, 0x20000000, 0x200001ff, MODE_U, ACCESS_READ, 0x80000002, 4,
     false},
    /* M is bound only by locked entries */
    {PMP_NAPOT, 0, 0x200001ff, 0, MODE_M, ACCESS_WRITE, 0x80000000, 4, true},
    {PMP_NAPOT | PMP_L, 0, 0x200001ff, 0, MODE_M, ACCESS_WRITE, 0x80000000, 4, false},
    {PMP_NAPOT | PMP_L | PMP_R, 0, 0x200001ff, 0, MODE_M, ACCESS_READ, 0x80000000, 4, true},
};

START_TEST(test_pmp)
{
    struct pmp pmp = {.config = {pmp_cases[_i].config0, pmp_cases[_i].config1},
                      .address = {pmp_cases[_i].address0, pmp_cases[_i].address1}};
    ck_assert_int_eq(pmp_allows(&pmp, pmp_cases[_i].mode, pmp_cases[_i].access, pmp_cases[_i].pa,
                                pmp_cases[_i].size),
                     pmp_cases[_i].allowed);
}
END_TEST

START_TEST(test_pmp_locks)
{
    struct pmp pmp = {0};
    pmp_write_address(&pmp, 0, 100);
    pmp_write_address(&pmp, 1, 200);
    pmp_write_config(&pmp, 0, (uint32_t)(PMP_L | PMP_TOR | PMP_R) << 8);
    pmp_write_address(&pmp, 1, 300); /* locked */
    pmp_write_address(&pmp, 0, 300); /* the base of a locked TOR range */
    ck_assert_uint_eq(pmp.address[0], 100);
    ck_assert_uint_eq(pmp.address[1], 200);
    pmp_write_config(&pmp, 0, 0x00000018);
    ck_assert_uint_eq(pmp.config[1], PMP_L | PMP_TOR | PMP_R);
    ck_assert_uint_eq(pmp.config[0], PMP_NAPOT);
}
END_TEST

/* The walk itself is subject to PMP, as an S-mode access (section 3.7.2). */
START_TEST(test_pmp_guards_page_tables)
{
    set_up_walk(0);
    m->hart.pmp.address[0] = LEAF >> 2 | 0x1ff; /* the leaf table's page: nothing allowed */
    m->hart.pmp.config[0] = PMP_NAPOT;
    m->hart.pmp.address[1] = UINT32_MAX;
    m->hart.pmp.config[1] = 0x1f;
    struct walk w = {.context = mmu_context(m, ACCESS_READ), .access = ACCESS_READ};
    ck_assert(!mmu_walk(m, 0x00402000, &w));
    ck_assert_int_eq(w.failure, WALK_PMP_TABLE);
    ck_assert_uint_eq(w.cause, CAUSE_LOAD_ACCESS);
}
END_TEST

/* ---- the tables themselves ---------------------------------------------------------------- */

START_TEST(test_tables)
{
    const struct csr_row *row;
    for (unsigned i = 0; (row = isa_csr_at(i)); i++) {
        ck_assert_int_eq(isa_csr_by_name(row->name), row->number); /* names are unique */
        if (row->zero)
            ck_assert_uint_eq(csr_peek(&m->hart, row->number), 0);
    }
    for (unsigned op = 0; op < OP_COUNT; op++) {
        ck_assert_uint_eq(isa_rows[op].match & ~isa_rows[op].mask, 0);
        ck_assert_uint_eq(isa_decode(isa_rows[op].match).op, op); /* no row hides another */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu");
    TCase *tc = tcase_create("privileged architecture");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, test_warl, 0, ROWS(warl));
    tcase_add_loop_test(tc, test_who_may, 0, ROWS(rules));
    tcase_add_test(tc, test_views);
    tcase_add_test(tc, test_seip);
    tcase_add_test(tc, test_counters);
    tcase_add_loop_test(tc, test_privileged, 0, ROWS(privileged));
    tcase_add_test(tc, test_rubbish_is_illegal);
    tcase_add_test(tc, test_first_of_a_page);
    tcase_add_loop_test(tc, test_walk, 0, ROWS(walks));
    tcase_add_test(tc, test_walk_without_marks);
    tcase_add_loop_test(tc, test_pmp, 0, ROWS(pmp_cases));
    tcase_add_test(tc, test_pmp_locks);
    tcase_add_test(tc, test_pmp_guards_page_tables);
    tcase_add_test(tc, test_tables);
    suite_add_tcase(suite, tc);
    return tap_run(suite);
}
