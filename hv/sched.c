/*
 * Time-sharing: several virtual machines on one computer, in turn, a slice of instructions each.
 *
 * Switching between them costs nothing here: each entry into a guest loads the hardware's registers
 * and root from that guest's own state, see vm.c.
 */
#include <assert.h>

#include "hv/vm.h"

/* A machine that has ended does not run again; one that sleeps may be woken from outside. */
static bool can_run(const struct machine *m)
{
    return m->stop != STOP_POWEROFF && m->stop != STOP_STUCK && m->stop != STOP_RESET &&
           m->stop != STOP_IDLE;
}

unsigned vmm_run(struct vmm *vmm, uint64_t budget, uint64_t slice)
{
    uint64_t left[VMM_MACHINES];
    assert(slice > 0);
    for (unsigned i = 0; i < vmm->count; i++)
        left[i] = budget;

    unsigned running = vmm->count;
    while (running) {
        running = 0;
        for (unsigned i = 0; i < vmm->count; i++) {
            struct machine *m = vmm->vm[i]->machine;
            if (!left[i] || !can_run(m))
                continue;
            uint64_t before = m->hart.executed;
            machine_run(m, left[i] < slice ? left[i] : slice);
            /* A machine that has stopped before its slice was over (a breakpoint) is done here. */
            left[i] = m->stop == STOP_NONE ? left[i] - (m->hart.executed - before) : 0;
            running++;
        }
    }
    unsigned able = 0;
    for (unsigned i = 0; i < vmm->count; i++)
        able += can_run(vmm->vm[i]->machine);
    return able;
}
