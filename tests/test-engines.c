/*
 * The engines' contract, beyond what test-equivalence.c tries: the sample guests at many lengths of
 * step, engines swapped in the middle of a run, and a count of what the random programs really do at
 * run time, so that those tests cannot go hollow unnoticed.
 *
 * The samples are in the build tree if there was a RISC-V compiler; else they are left out.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/isa.h"
#include "tests/lockstep.h"
#include "tests/random-program.h"
#include "tests/tap.h"

#ifdef __SANITIZE_ADDRESS__
enum { SWAPPED_PROGRAMS = 60, SAMPLE_INSNS = 300000 };
#else
enum { SWAPPED_PROGRAMS = 600, SAMPLE_INSNS = 2500000 };
#endif
enum { COUNTED_PROGRAMS = 500, STEPS = 4000 };

static struct machine_config config_of(uint32_t megabytes)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = megabytes << 20;
    return config;
}

/* ---- the samples -------------------------------------------------------------------------- */

static const struct sample {
    const char *path, *disk, *typed;
} samples[] = {
    {"samples/hello.elf", NULL, NULL},
    {"samples/primes-short.elf", NULL, NULL},
    {"samples/traps.elf", NULL, NULL},
    {"samples/paging.elf", NULL, NULL},
    {"samples/firmware/firmware.elf", NULL, NULL},
    {"samples/minios/minios.elf", "samples/minios/fs.img", "help\nls\nforktest\ncowtest\npoweroff\n"},
    {"samples/minios/minios.elf", NULL, "demand\ncrash\nprimes\npoweroff\n"},
    {"samples/minios/minios-fw.elf", "samples/minios/fs.img", "cat glass\nps\npoweroff\n"},
    {"samples/wild/jump.elf", NULL, NULL},
    {"samples/wild/trapstorm.elf", NULL, NULL},
    {"samples/wild/flood.elf", NULL, NULL},
    {"samples/wild/tables.elf", NULL, NULL},
    {"samples/wild/wfi.elf", NULL, NULL},
    {"samples/wild/selfmod.elf", NULL, NULL},
    {"samples/wild/finisher.elf", NULL, NULL},
    {"samples/wild/htif.elf", NULL, NULL},
};

/* All stand in WFI and nothing but a key can help: the next ones are pressed. */
static bool type_on(struct lanes *lanes, const char **typed)
{
    size_t left = *typed ? strlen(*typed) : 0, taken = 0;
    for (unsigned i = 0; left && i < lanes->count; i++) {
        size_t here = machine_input(lanes->lane[i].machine, (const uint8_t *)*typed, left);
        ck_assert_msg(!i || here == taken, "%s takes other input", lanes->lane[i].name);
        taken = here;
    }
    if (*typed)
        *typed += taken;
    return taken > 0;
}

static void load_sample(struct lanes *lanes, const char *path)
{
    char why[MACHINE_ERROR];
    for (unsigned i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->lane[i];
        int error = lane->vm ? vm_load(lane->vm, path, why) : machine_load(lane->machine, path, why);
        ck_assert_msg(!error, "%s: %s", path, why);
    }
}

/* Steps of all lengths; the whole machine compared after each. */
static void run_sample(struct lanes *lanes, const struct sample *sample, uint64_t seed)
{
    const char *typed = sample->typed;
    uint64_t done = 0;
    enum stop_reason stop = STOP_NONE;
    while (done < SAMPLE_INSNS && (stop == STOP_NONE || (stop == STOP_IDLE && typed && *typed))) {
        if (stop == STOP_IDLE && !type_on(lanes, &typed))
            break;
        struct machine *reference = lanes->lane[0].machine;
        uint64_t step = random_below(&seed, 4) ? random_below(&seed, 200000) : 1000;
        if (random_below(&seed, 4) == 0)
            step = 1 + random_below(&seed, 100);
        struct schedule schedule = {.total = step, .chunk = step, .seed = seed};
        ck_assert_msg(lanes_run(lanes, &schedule, stdout), "%s parts", sample->path);
        stop = reference->stop;
        done += step;
    }
}

START_TEST(test_sample)
{
    const struct sample *sample = &samples[_i];
    if (access(sample->path, R_OK)) {
        printf("# %s was not built\n", sample->path);
        return;
    }
    struct machine_config config = config_of(16);
    config.disk = sample->disk;
    config.disk_readonly = true;
    struct lanes lanes;
    ck_assert(lanes_new(&lanes, &config));
    for (uint64_t seed = 1; seed <= 2; seed++) {
        load_sample(&lanes, sample->path);
        run_sample(&lanes, sample, seed);
    }
    lanes_free(&lanes);
}
END_TEST

/* ---- swapping ----------------------------------------------------------------------------- */

struct swaps {
    uint64_t lots;
    unsigned count;
};

/* Any lane but the reference goes on with any engine. */
static void swap(void *context, struct lanes *lanes)
{
    struct swaps *swaps = context;
    unsigned engines = 0;
    while (engine_at(engines))
        engines++;
    for (unsigned i = 1; i < lanes->count; i++) {
        if (random_below(&swaps->lots, 3))
            continue;
        lane_set_engine(&lanes->lane[i], engine_at(random_below(&swaps->lots, engines)));
        swaps->count++;
    }
}

START_TEST(test_swapping_engines)
{
    struct machine_config config = config_of(4);
    struct lanes lanes;
    struct swaps swaps = {.lots = 42};
    ck_assert(lanes_new(&lanes, &config));
    for (uint64_t seed = 900000; seed < 900000 + SWAPPED_PROGRAMS; seed++) {
        struct random_program program;
        random_program_make(&program, seed);
        lanes_clear(&lanes);
        for (unsigned i = 0; i < lanes.count; i++)
            random_program_load(&program, lanes.lane[i].machine);
        struct schedule schedule = {.total = STEPS, .chunk = 50 + seed % 700, .seed = seed,
                                    .between = swap, .context = &swaps};
        ck_assert_msg(lanes_run(&lanes, &schedule, stdout), "program %d parts", (int)seed);
    }
    ck_assert_uint_gt(swaps.count, SWAPPED_PROGRAMS);
    lanes_free(&lanes);
}
END_TEST

/* ---- what the random programs do ---------------------------------------------------------- */

enum happening {
    HOT_LOOP, TIMER_M, TIMER_S, ECALL, ILLEGAL, FETCH_FAULT, LOAD_FAULT, STORE_FAULT,
    MISALIGNED_FETCH, ACCESS_FAULT, ACCESSED_SET, DIRTY_SET, FENCE_ALL, FENCE_ADDRESS, FENCE_ASID,
    FENCE_BOTH, SATP, IN_U, IN_S, IN_M, TRANSLATED, MISALIGNED, PAGE_CROSSED, RESERVED, SC_DONE,
    SC_FAILED, COUNTER, SUM_OR_MXR, MPRV, WFI, OWN_CODE, OWN_CODE_RUN, OTHER_CODE, DEVICE, HAPPENINGS
};
static const char *const happening_name[HAPPENINGS] = {
    "an instruction run 50 times", "machine timer interrupt", "supervisor timer interrupt", "ecall",
    "illegal instruction", "fetch page fault", "load page fault", "store page fault",
    "misaligned jump", "access fault", "A set by hardware", "D set by hardware",
    "sfence.vma of all", "sfence.vma of an address", "sfence.vma of an address space",
    "sfence.vma of an address in a space", "satp written", "U mode", "S mode", "M mode",
    "translated access", "misaligned access", "access across a page's end", "lr.w",
    "sc.w succeeds", "sc.w fails", "counter read", "SUM or MXR with translation",
    "MPRV access", "wfi", "store into code", "instruction run that was stored",
    "other code at one address", "device access"};

struct count {
    struct machine *machine;
    uint32_t programs[HAPPENINGS]; /* in how many programs it happened */
    bool now[HAPPENINGS];
    uint16_t runs[PROGRAM_INSNS];
    bool stored[PROGRAM_INSNS];
    struct event last;     /* access */
    uint32_t called[1024]; /* words last seen in the page of called functions */
};

enum { CALLED_PAGE = 0x80038000, CODE_END = PROGRAM_CODE + 4 * PROGRAM_INSNS };

static void count_trap(struct count *c, uint32_t cause)
{
    static const int8_t of[] = {
        [CAUSE_FETCH_MISALIGNED] = MISALIGNED_FETCH, [CAUSE_FETCH_ACCESS] = ACCESS_FAULT,
        [CAUSE_ILLEGAL] = ILLEGAL, [CAUSE_LOAD_ACCESS] = ACCESS_FAULT,
        [CAUSE_STORE_ACCESS] = ACCESS_FAULT, [CAUSE_ECALL_U] = ECALL, [CAUSE_ECALL_S] = ECALL,
        [CAUSE_ECALL_M] = ECALL, [CAUSE_FETCH_PAGE] = FETCH_FAULT,
        [CAUSE_LOAD_PAGE] = LOAD_FAULT, [CAUSE_STORE_PAGE] = STORE_FAULT};
    if (cause & CAUSE_INTERRUPT) {
        c->now[TIMER_M] |= cause == (CAUSE_INTERRUPT | IRQ_MTI);
        c->now[TIMER_S] |= cause == (CAUSE_INTERRUPT | IRQ_STI);
    } else if (cause == CAUSE_FETCH_MISALIGNED || (cause < sizeof of && of[cause])) {
        c->now[of[cause]] = true;
    }
}

static void count_access(struct count *c, const struct event *e)
{
    const struct hart *h = &c->machine->hart;
    struct tlb_context context = mmu_context(c->machine, ACCESS_READ);
    c->now[TRANSLATED] |= context.satp != 0;
    c->now[SUM_OR_MXR] |= context.satp && (context.sum || context.mxr);
    c->now[MPRV] |= h->mode == MODE_M && h->mstatus & MSTATUS_MPRV && context.mode != MODE_M;
    /* What is misaligned is done in parts, an event each. */
    bool again = c->last.instruction == e->instruction && c->last.type == e->type;
    c->now[MISALIGNED] |= again;
    c->now[PAGE_CROSSED] |= again && (c->last.a ^ e->a) & ~PAGE_MASK;
    c->last = *e;
    if (e->type != EVENT_WRITE || e->b < PROGRAM_CODE || e->b >= CODE_END)
        return;
    c->now[OWN_CODE] = true;
    c->stored[(e->b - PROGRAM_CODE) / 4] = true;
}

static void count_instruction(struct count *c, const struct event *e)
{
    struct insn i = isa_decode(e->a);
    const struct hart *h = &c->machine->hart;
    c->now[h->mode == MODE_U ? IN_U : h->mode == MODE_S ? IN_S : IN_M] = true;
    if (e->pc >= PROGRAM_CODE && e->pc < CODE_END) {
        uint32_t n = (e->pc - PROGRAM_CODE) / 4;
        c->now[HOT_LOOP] |= ++c->runs[n] == 50;
        c->now[OWN_CODE_RUN] |= c->stored[n];
    }
    if ((e->pc & ~PAGE_MASK) == CALLED_PAGE) {
        uint32_t *seen = &c->called[(e->pc & PAGE_MASK) / 4];
        c->now[OTHER_CODE] |= *seen && *seen != e->a;
        *seen = e->a;
    }
    c->now[RESERVED] |= i.op == OP_lr_w;
    c->now[SC_DONE] |= i.op == OP_sc_w && i.rd && !h->x[i.rd];
    c->now[SC_FAILED] |= i.op == OP_sc_w && i.rd && h->x[i.rd];
    c->now[WFI] |= i.op == OP_wfi;
    c->now[COUNTER] |= isa_rows[i.op].format == FORMAT_CSR && (i.imm & 0xf7c) == 0xc00;
}

static void count_fence(struct count *c, const struct event *e)
{
    bool address = e->a != UINT32_MAX, asid = e->b != UINT32_MAX;
    c->now[address && asid ? FENCE_BOTH : address ? FENCE_ADDRESS : asid ? FENCE_ASID : FENCE_ALL] =
        true;
}

static void see(void *context, const struct event *e)
{
    struct count *c = context;
    switch (e->type) {
    case EVENT_INSN: count_instruction(c, e); break;
    case EVENT_TRAP: count_trap(c, e->a); break;
    case EVENT_READ:
    case EVENT_WRITE: count_access(c, e); break;
    case EVENT_TLB_FLUSH: count_fence(c, e); break;
    case EVENT_CSR: c->now[SATP] |= e->a == CSR_SATP && e->b != e->c; break;
    case EVENT_PTE_UPDATE:
        c->now[ACCESSED_SET] |= ~e->b & e->c & PTE_A;
        c->now[DIRTY_SET] |= ~e->b & e->c & PTE_D;
        break;
    case EVENT_DEVICE_READ:
    case EVENT_DEVICE_WRITE: c->now[DEVICE] = true; break;
    default: break;
    }
}

/* Each class of events must happen in at least every twentieth program. */
START_TEST(test_programs_do_what_they_should)
{
    static struct count count;
    char why[MACHINE_ERROR];
    struct machine_config config = config_of(4);
    struct machine *m = machine_new(&config, why);
    ck_assert_msg(m != NULL, "%s", why);
    count.machine = m;
    ck_assert_int_eq(events_observe(&m->events, UINT32_MAX, see, &count), 0);
    machine_debug_changed(m);
    for (uint64_t seed = 1; seed <= COUNTED_PROGRAMS; seed++) {
        struct random_program program;
        random_program_make(&program, seed);
        machine_clear(m);
        random_program_load(&program, m);
        memset(count.now, 0, sizeof count.now);
        memset(count.runs, 0, sizeof count.runs);
        memset(count.stored, 0, sizeof count.stored);
        memset(count.called, 0, sizeof count.called);
        count.last.instruction = UINT64_MAX;
        machine_run(m, STEPS);
        for (unsigned i = 0; i < HAPPENINGS; i++)
            count.programs[i] += count.now[i];
    }
    machine_free(m);
    printf("# of %d random programs, these show:\n", COUNTED_PROGRAMS);
    unsigned rare = 0;
    for (unsigned i = 0; i < HAPPENINGS; i++) {
        printf("# %5u  %s\n", count.programs[i], happening_name[i]);
        rare += count.programs[i] < COUNTED_PROGRAMS / 20;
    }
    fflush(stdout);
    ck_assert_msg(!rare, "%u classes of events happen too rarely", rare);
}
END_TEST

/* ---- jumps to odd places ------------------------------------------------------------------ */

/* Jumps that trap, from code that every engine finds hot: no target may be taken for something that
 * a table of known jumps holds, or for the mark of an empty place there. */
START_TEST(test_jumps_to_odd_places)
{
    static const uint32_t targets[] = {0, 1, 2, 3, 4, 0x80000041, 0x80000052, 0x80000056,
                                       0x7ffffffe, 0x7fffffff, 0xfffffffc, 0xfffffffe, 0xffffffff};
    static const uint32_t jumps[] = {0x00050067, 0x00008067, 0x000500e7}; /* by a0, ra; call by a0 */
    const uint32_t start = VIRT_RAM + 64, handler = start + 16; /* not where a table begins */
    struct machine_config config = config_of(4);
    struct lanes lanes;
    ck_assert(lanes_new(&lanes, &config));
    for (unsigned j = 0; j < ROWS(jumps); j++)
        for (unsigned n = 0; n < ROWS(targets); n++) {
            const uint32_t code[] = {
                0x00060513, /* mv   a0, a2 */
                0x00060093, /* mv   ra, a2 */
                jumps[j],
                0x00158593, /* addi a1, a1, 1: not reached */
                0x00168693, /* addi a3, a3, 1: the handler */
                0xfedff06f, /* j    to the first */
            };
            lanes_clear(&lanes);
            for (unsigned i = 0; i < lanes.count; i++) {
                struct machine *m = lanes.lane[i].machine;
                ram_write(&m->ram, start, code, sizeof code);
                m->hart.pc = start;
                m->hart.mtvec = handler;
                m->hart.x[12] = targets[n];
            }
            struct schedule schedule = {.total = 600, .chunk = 0, .seed = n};
            ck_assert_msg(lanes_run(&lanes, &schedule, stdout), "target %#x, jump %u", targets[n], j);
            ck_assert_uint_eq(lanes.lane[0].machine->hart.executed, 600);
        }
    lanes_free(&lanes);
}
END_TEST

/* ---- modes -------------------------------------------------------------------------------- */

enum { ROOT_S = 0x10000, ROOT_U = 0x11000, SPACES = 40 };

static void put_root(struct machine *m, uint32_t offset, uint32_t flags)
{
    uint32_t entry = VIRT_RAM >> PAGE_SHIFT << 10 | PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D | flags;
    ram_write(&m->ram, VIRT_RAM + offset + 4 * VPN(VIRT_RAM, 1), &entry, sizeof entry);
}

/* The loop in this mode and address space; returns how many instructions have trapped. */
static uint64_t run_loop(struct machine *m, uint32_t asid, enum mode mode)
{
    unsigned effects;
    uint32_t root = (VIRT_RAM + (mode == MODE_S ? ROOT_S : ROOT_U)) >> PAGE_SHIFT;
    csr_poke(&m->hart, CSR_SATP, SATP_SV32 | asid << 22 | root, &effects);
    m->hart.mode = (uint8_t)mode;
    m->hart.pc = m->hart.mtvec = VIRT_RAM;
    machine_mode_changed(m);
    uint64_t trapped = m->hart.trapped;
    machine_run(m, 200);
    return m->hart.trapped - trapped;
}

/* What S mode may do U mode may not, in as many address spaces as there are: nothing that an engine
 * remembers of one must be taken for another's. */
START_TEST(test_modes_are_kept_apart)
{
    static const uint32_t code[] = {0x14002573 /* csrr a0, sscratch */, 0xffdff06f /* j back */};
    char why[MACHINE_ERROR];
    for (unsigned e = 0; engine_at(e); e++) {
        struct machine_config config = config_of(4);
        config.engine = engine_at(e);
        struct machine *m = machine_new(&config, why);
        ck_assert_msg(m != NULL, "%s", why);
        ram_write(&m->ram, VIRT_RAM, code, sizeof code);
        put_root(m, ROOT_S, 0);
        put_root(m, ROOT_U, PTE_U);
        m->hart.pmp.address[0] = UINT32_MAX;
        m->hart.pmp.config[0] = 0x1f;
        for (uint32_t asid = 0; asid < SPACES; asid++) {
            ck_assert_uint_eq(run_loop(m, asid, MODE_S), 0);
            ck_assert_msg(run_loop(m, asid + SPACES, MODE_U) > 0, "%s: U mode has read sscratch",
                          engine_at(e)->name);
        }
        machine_free(m);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engines");
    TCase *tc = tcase_create("all engines");
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, test_programs_do_what_they_should);
    tcase_add_loop_test(tc, test_sample, 0, ROWS(samples));
    tcase_add_test(tc, test_swapping_engines);
    tcase_add_test(tc, test_jumps_to_odd_places);
    tcase_add_test(tc, test_modes_are_kept_apart);
    suite_add_tcase(suite, tc);
    return tap_run(suite);
}
