/*
 * Virtual machines beside and inside each other.
 *
 * Beside: guests that share one computer by time-sharing end as each does alone, whatever the slice,
 * and no shadow table leads out of its own guest's frames. Inside: a virtual machine is hardware for
 * a second and a third monitor, and the innermost guest cannot tell.
 *
 * The guests are the random programs of the equivalence test, which do everything that a wild guest
 * does: page tables overwritten, endless traps, rubbish. Leaves out sessions and the exit log's text.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/rv.h"
#include "tests/lockstep.h"
#include "tests/random-program.h"

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
            ck_assert_msg(machines_equal(bare, vmm.vm[g]->machine, stdout), "guest %u, seed %d",
                          g, (int)seed);
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

int main(void)
{
    Suite *suite = suite_create("vm");
    TCase *tc = tcase_create("beside and inside");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_guests_do_not_notice_each_other);
    tcase_add_loop_test(tc, test_nested, 1, DEPTH + 1);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
