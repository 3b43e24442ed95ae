/*
 * Virtual machines beside and inside each other.
 *
 * Beside: guests that share one computer by time-sharing end as each does alone, whatever the
 * slice, and no shadow table leads out of its own guest's frames. Inside: a virtual machine is
 * hardware for a second and a third monitor, and the innermost guest cannot tell.
 *
 * The guests are the random programs of the equivalence test, which do everything that a wild guest
 * does: page tables overwritten, endless traps, rubbish. A guest made by hand then has more address
 * spaces than the shadow tables have room for. Leaves out sessions and the exit log's text.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/isa.h"
#include "cpu/rv.h"
#include "tests/lockstep.h"
#include "tests/random-program.h"
#include "tests/tap.h"

enum { GUESTS = 3, STEPS = 2500, DEPTH = 3, MEMORY = 4 << 20 };

static char why[MACHINE_ERROR];

static struct machine *new_machine(uint32_t memory, bool no_devices)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = memory;
    config.no_devices = no_devices;
    struct machine *m = machine_new(&config, why);
    ck_assert_msg(m != NULL, "%s", why);
    return m;
}

static struct vm *new_vm(struct vmm *vmm, uint32_t memory, bool no_devices)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = memory;
    config.no_devices = no_devices;
    struct vm *vm = vm_new(vmm, &config, why);
    ck_assert_msg(vm != NULL, "%s", why);
    return vm;
}

static void load(struct machine *m, uint64_t seed)
{
    struct random_program program;
    random_program_make(&program, seed);
    random_program_load(&program, m);
}

/* ---- beside each other -------------------------------------------------------------------- */

static bool owns(const struct vm *vm, uint32_t frame)
{
    for (uint32_t i = 0; i < vm->gpa.pages; i++)
        if (vm->gpa.frame[i] == frame)
            return true;
    return false;
}

static uint32_t table_entry(struct vmm *vmm, uint32_t table, unsigned index)
{
    const uint8_t *page = vmm->hw.ops->page(&vmm->hw, table);
    ck_assert_ptr_nonnull(page);
    uint32_t pte;
    memcpy(&pte, page + 4 * index, sizeof pte);
    return pte;
}

/* Returns how many leaves the table has; each must be a user page of the guest's own. */
static unsigned check_leaves(struct vm *vm, uint32_t table)
{
    unsigned leaves = 0;
    for (unsigned i = 0; i < 1024; i++) {
        uint32_t pte = table_entry(vm->vmm, table, i);
        if (!(pte & PTE_V))
            continue;
        ck_assert_msg(pte & PTE_U, "shadow entry %#x is not for U mode", pte);
        ck_assert_msg(pte & (PTE_R | PTE_X), "shadow entry %#x: no leaf at level 0", pte);
        ck_assert_msg(owns(vm, pte >> 10 << 12), "shadow entry %#x leaves its guest", pte);
        leaves++;
    }
    return leaves;
}

static unsigned check_shadow(struct vm *vm)
{
    unsigned leaves = 0;
    for (unsigned s = 0; s < SHADOW_SETS; s++) {
        const struct shadow_set *set = &vm->shadow.set[s];
        if (!set->root)
            continue;
        ck_assert(!owns(vm, set->root));
        unsigned here = 0;
        for (unsigned i = 0; i < 1024; i++) {
            uint32_t pte = table_entry(vm->vmm, set->root, i);
            if (!(pte & PTE_V))
                continue;
            ck_assert_msg(!(pte & (PTE_R | PTE_W | PTE_X)), "shadow superpage %#x", pte);
            ck_assert_msg(!owns(vm, pte >> 10 << 12), "the guest owns a shadow table");
            here += check_leaves(vm, pte >> 10 << 12);
        }
        ck_assert_uint_eq(here, set->entries);
        leaves += here;
    }
    return leaves;
}

static void check_frames_apart(const struct vmm *vmm)
{
    for (unsigned a = 0; a < vmm->count; a++)
        for (uint32_t i = 0; i < vmm->vm[a]->gpa.pages; i++)
            for (unsigned b = 0; b < vmm->count && vmm->vm[a]->gpa.frame[i]; b++)
                ck_assert(a == b || !owns(vmm->vm[b], vmm->vm[a]->gpa.frame[i]));
}

START_TEST(test_guests_do_not_notice_each_other)
{
    static const uint64_t slices[] = {1, 7, 100, 2499, 100000};
    struct machine *computer = new_machine(GUESTS * vmm_memory_for(MEMORY), true);
    struct machine *bare = new_machine(MEMORY, false);
    struct vmm vmm;
    unsigned leaves = 0;
    ck_assert_int_eq(vmm_init(&vmm, computer), 0);
    for (int g = 0; g < GUESTS; g++)
        new_vm(&vmm, MEMORY, false);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        for (unsigned g = 0; g < GUESTS; g++) {
            vm_clear(vmm.vm[g]);
            load(vmm.vm[g]->machine, 9000 * (g + 1) + seed);
        }
        vmm_run(&vmm, STEPS, slices[seed % 5]);
        for (unsigned g = 0; g < GUESTS; g++) {
            machine_clear(bare);
            load(bare, 9000 * (g + 1) + seed);
            machine_run(bare, STEPS);
            ck_assert_msg(machines_equal(bare, vmm.vm[g]->machine, stdout), "guest %u, seed %d", g,
                          (int)seed);
            leaves += check_shadow(vmm.vm[g]);
        }
        check_frames_apart(&vmm);
    }
    ck_assert_uint_gt(leaves, 0);
    vmm_free(&vmm);
    machine_free(bare);
    machine_free(computer);
}
END_TEST

/* ---- inside each other -------------------------------------------------------------------- */

/* A tower: level 0 is the monitor on the computer, the last level's guest is the one looked at. */
START_TEST(test_nested)
{
    int depth = _i;
    uint32_t memory[DEPTH + 1];
    struct vmm vmm[DEPTH];
    struct vm *vm[DEPTH];
    memory[depth] = MEMORY;
    for (int i = depth; i > 0; i--)
        memory[i - 1] = vmm_memory_for(memory[i]);
    struct machine *computer = new_machine(memory[0], true), *bare = new_machine(MEMORY, false);
    for (int i = 0; i < depth; i++) {
        ck_assert_int_eq(vmm_init(&vmm[i], i ? vm[i - 1]->machine : computer), 0);
        vm[i] = new_vm(&vmm[i], memory[i + 1], i + 1 < depth);
    }
    struct vm *inner = vm[depth - 1];
    for (uint64_t seed = 1; seed <= (depth == DEPTH ? 12 : 60); seed++) {
        machine_clear(bare);
        vm_clear(inner);
        load(bare, 70000 + seed);
        load(inner->machine, 70000 + seed);
        ck_assert_msg(lockstep(bare, inner->machine, STEPS, 1 + seed % 97, stdout),
                      "depth %d, seed %d", depth, (int)seed);
        check_shadow(inner);
    }
    ck_assert_uint_gt(inner->direct, 0);
    for (int i = depth - 1; i >= 0; i--)
        vmm_free(&vmm[i]);
    machine_free(bare);
    machine_free(computer);
}
END_TEST

/* ---- shadow tables ------------------------------------------------------------------------ */

/*
 * A guest in S mode with SPACES address spaces, each with its own page at FIRST_VA, and again at
 * each 4 MiB after that; its code, a single load, lies in a 4 MiB page that all have.
 */
enum { SPACES = 80, REPEATS = 20, LW_A0_A1 = 0x0005a503 };
enum { AT_ROOTS = 0x100000, AT_LEAVES = 0x180000, AT_PAGES = 0x200000 };
#define FIRST_VA 0x40000000u

struct guest {
    struct machine *computer;
    struct vmm vmm;
    struct vm *vm;
};

static void put_word(struct machine *m, uint32_t offset, uint32_t word)
{
    ck_assert(ram_write(&m->ram, VIRT_RAM + offset, &word, sizeof word));
}

static uint32_t pte_for(uint32_t offset, uint32_t flags)
{
    return (VIRT_RAM + offset) >> PAGE_SHIFT << 10 | flags;
}

static void new_guest(struct guest *g, const struct engine *engine)
{
    enum { LEAF = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D };
    struct machine_config config;
    machine_config_init(&config);
    config.memory = vmm_memory_for(MEMORY);
    config.no_devices = true;
    config.engine = engine;
    g->computer = machine_new(&config, why);
    ck_assert_msg(g->computer != NULL, "%s", why);
    ck_assert_int_eq(vmm_init(&g->vmm, g->computer), 0);
    g->vm = new_vm(&g->vmm, MEMORY, false);
    struct machine *m = g->vm->machine;
    put_word(m, 0, LW_A0_A1);
    for (uint32_t n = 0; n < SPACES; n++) {
        uint32_t root = AT_ROOTS + n * PAGE_SIZE, leaf = AT_LEAVES + n * PAGE_SIZE;
        put_word(m, root + 4 * VPN(VIRT_RAM, 1), pte_for(0, LEAF));
        for (uint32_t i = 0; i < REPEATS; i++)
            put_word(m, root + 4 * (VPN(FIRST_VA, 1) + i), pte_for(leaf, PTE_V));
        put_word(m, leaf, pte_for(AT_PAGES + n * PAGE_SIZE, LEAF));
        put_word(m, AT_PAGES + n * PAGE_SIZE, 0x1000 + n);
    }
    unsigned effects;
    csr_poke(&m->hart, CSR_PMPADDR0, UINT32_MAX, &effects);
    csr_poke(&m->hart, CSR_PMPCFG0, 0x1f, &effects);
    m->hart.mode = MODE_S;
    machine_csr_effects(m, CSR_PROTECTION | CSR_TRANSLATION);
}

static void free_guest(struct guest *g)
{
    vmm_free(&g->vmm);
    machine_free(g->computer);
}

/* What the guest reads at va in address space n; UINT32_MAX: it traps. */
static uint32_t guest_reads(struct guest *g, uint32_t n, uint32_t va)
{
    struct machine *m = g->vm->machine;
    uint64_t trapped = m->hart.trapped;
    uint32_t root = (VIRT_RAM + AT_ROOTS + n * PAGE_SIZE) >> PAGE_SHIFT;
    unsigned effects;
    csr_poke(&m->hart, CSR_SATP, SATP_SV32 | n << 22 | root, &effects);
    m->hart.mode = MODE_S;
    m->hart.pc = VIRT_RAM;
    m->hart.x[11] = va;
    machine_mode_changed(m);
    machine_run(m, 1);
    return m->hart.trapped == trapped ? m->hart.x[10] : UINT32_MAX;
}

/* More address spaces than there are sets, in every engine below. */
START_TEST(test_sets_are_evicted_and_kept)
{
    struct guest g;
    for (unsigned e = 0; engine_at(e); e++) {
        new_guest(&g, engine_at(e));
        for (int round = 0; round < 3; round++)
            for (uint32_t n = 0; n < SPACES; n++)
                ck_assert_uint_eq(guest_reads(&g, n, FIRST_VA), 0x1000 + n);
        check_shadow(g.vm);
        /* The newest are still there: going back to them costs no shadow fault. */
        uint64_t fills = g.vm->count[EXIT_SHADOW_FILL];
        ck_assert_uint_ge(fills, SPACES);
        for (uint32_t n = SPACES - SHADOW_SETS; n < SPACES; n++)
            ck_assert_uint_eq(guest_reads(&g, n, FIRST_VA), 0x1000 + n);
        ck_assert_uint_eq(g.vm->count[EXIT_SHADOW_FILL], fills);
        /* The oldest is not. */
        ck_assert_uint_eq(guest_reads(&g, 0, FIRST_VA), 0x1000);
        ck_assert_uint_gt(g.vm->count[EXIT_SHADOW_FILL], fills);
        free_guest(&g);
    }
}
END_TEST

/* The tables of all sets together need more frames than there are; or there are hardly any. */
START_TEST(test_pool_runs_out)
{
    static const uint32_t limits[] = {4, 5, 9, UINT32_MAX};
    for (unsigned i = 0; i < 4; i++) {
        struct guest g;
        new_guest(&g, NULL);
        struct shadow *shadow = &g.vm->shadow;
        uint32_t limit = shadow->limit;
        if (limits[i] < limit)
            shadow->limit = limits[i];
        for (uint32_t n = 0; n < SPACES; n++)
            for (uint32_t k = 0; k < REPEATS; k++) {
                ck_assert_uint_eq(guest_reads(&g, n, FIRST_VA + k * SUPERPAGE_SIZE), 0x1000 + n);
                ck_assert_uint_le(shadow->taken, shadow->limit);
            }
        check_shadow(g.vm);
        shadow->limit = limit;
        free_guest(&g);
    }
}
END_TEST

/* sfence.vma of one address in a 4 MiB page of the guest takes effect for all of it. */
START_TEST(test_fence_in_a_superpage)
{
    enum { SUPER_LEAF = PTE_V | PTE_R | PTE_A, A = 0x3000, B = 0x205000 };
    const uint32_t va = 0x60000000, entry = AT_ROOTS + 4 * VPN(va, 1);
    for (unsigned e = 0; engine_at(e); e++) {
        struct guest g;
        new_guest(&g, engine_at(e));
        struct machine *m = g.vm->machine;
        put_word(m, entry, pte_for(0, SUPER_LEAF));
        ck_assert_uint_eq(guest_reads(&g, 0, va + B), 0x1000 + 5);
        ck_assert_uint_eq(guest_reads(&g, 0, va + A), 0);
        put_word(m, entry, 0);
        uint32_t fenced = va + A;
        machine_fence(m, &fenced, NULL);
        ck_assert_uint_eq(guest_reads(&g, 0, va + A), UINT32_MAX);
        ck_assert_msg(guest_reads(&g, 0, va + B) == UINT32_MAX,
                      "%s: the hardware remembers a part of the page", engine_at(e)->name);
        free_guest(&g);
    }
}
END_TEST

/* ---- counts ------------------------------------------------------------------------------- */

/* What is counted by reason is what the log has. */
START_TEST(test_counts_add_up)
{
    struct machine *computer = new_machine(vmm_memory_for(MEMORY), true);
    struct vmm vmm;
    ck_assert_int_eq(vmm_init(&vmm, computer), 0);
    struct vm *vm = new_vm(&vmm, MEMORY, false);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t count[EXIT_REASONS] = {0}, cost[EXIT_REASONS] = {0}, exits = 0;
        vm_clear(vm);
        load(vm->machine, 40000 + seed);
        machine_run(vm->machine, STEPS);
        ck_assert_uint_le(vm->exits, EXIT_LOG);
        for (uint64_t seq = 1; seq <= vm->exits; seq++) {
            const struct exit_record *r = &vm->log[seq % EXIT_LOG];
            ck_assert_uint_eq(r->seq, seq);
            count[r->reason]++;
            cost[r->reason] += r->cost;
        }
        for (unsigned i = 0; i < EXIT_REASONS; i++) {
            ck_assert_uint_eq(vm->count[i], count[i]);
            ck_assert_uint_eq(vm->cost[i], cost[i]);
            exits += count[i];
        }
        ck_assert_uint_eq(vm->exits, exits);
        ck_assert_uint_le(vm->direct, vm->machine->hart.executed);
    }
    vmm_free(&vmm);
    machine_free(computer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vm");
    TCase *tc = tcase_create("beside and inside");
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, test_guests_do_not_notice_each_other);
    tcase_add_loop_test(tc, test_nested, 1, DEPTH + 1);
    tcase_add_test(tc, test_sets_are_evicted_and_kept);
    tcase_add_test(tc, test_pool_runs_out);
    tcase_add_test(tc, test_fence_in_a_superpage);
    tcase_add_test(tc, test_counts_add_up);
    suite_add_tcase(suite, tc);
    return tap_run(suite);
}
