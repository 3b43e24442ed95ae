/* A machine, real or virtual, as the hardware below a monitor. See hw.h. */
#include "hv/hw.h"

#include <string.h>

#include "cpu/isa.h"

/* What the monitor's own MRET would do: enter U mode at the guest's pc. */
static void enter_user_mode(struct machine *m, const struct hw_registers *r)
{
    struct hart *h = &m->hart;
    memcpy(h->x, r->x, sizeof h->x);
    h->mepc = r->pc;
    h->mstatus &= ~MSTATUS_MPP;
    h->mode = MODE_M;
    trap_return_m(h);
    h->reserved = r->reserved;
    h->reservation = r->reservation;
    machine_mode_changed(m);
}

/*
 * Without a trap at its end a run leaves no mark in the hardware's trap registers: the monitor has
 * taken its MRET back. So the hardware's state, too, is a function of what the guest has done, and
 * not of where the monitor's own time slices ended.
 */
static void run(struct hw *hw, struct hw_registers *r, uint64_t budget, struct hw_exit *exit)
{
    struct machine *m = hw->machine;
    struct hart *h = &m->hart;
    uint32_t mstatus = h->mstatus, mepc = h->mepc;
    enter_user_mode(m, r);
    uint64_t executed = h->executed, trapped = h->trapped;

    exit->stop = machine_run(m, budget);
    exit->cause = m->trap.cause;
    exit->tval = m->trap.tval;
    exit->insn = m->trap.insn;
    exit->completed = h->executed - executed - (h->trapped - trapped);

    memcpy(r->x, h->x, sizeof r->x);
    bool trap = exit->stop == STOP_TRAP;
    r->pc = trap ? m->trap.pc : h->pc;
    if (!trap) {
        h->mstatus = mstatus;
        h->mepc = mepc;
    }
    /* Taking the trap has ended the real hart's reservation, but not the guest's. */
    r->reserved = trap ? m->trap.reserved : h->reserved;
    r->reservation = h->reservation;
}

static void set_root(struct hw *hw, uint32_t satp)
{
    if (hw->machine->hart.satp == satp)
        return;
    hw->machine->hart.satp = satp;
    mmu_context_changed(hw->machine);
}

static void flush(struct hw *hw, const uint32_t *va)
{
    machine_fence(hw->machine, va, NULL);
}

static uint8_t *page(struct hw *hw, uint32_t pa)
{
    uint8_t *bytes = ram_page(&hw->machine->ram, pa);
    if (bytes) /* the monitor may write to it */
        ram_changed(&hw->machine->ram, bytes, PAGE_SIZE);
    return bytes;
}

static void set_debug(struct hw *hw, const struct machine_debug *debug, bool skip_first)
{
    struct machine_debug new = *debug;
    new.skip = skip_first ? hw->machine->hart.executed : UINT64_MAX;
    machine_set_debug(hw->machine, &new);
}

static const struct hw_ops machine_ops = {run, set_root, flush, page, set_debug};

/* PMP entry 0 opens all of memory to U mode, as firmware would (section 3.7.1). */
static void open_memory(struct machine *m)
{
    m->hart.pmp.address[0] = UINT32_MAX;
    m->hart.pmp.config[0] = PMP_NAPOT | PMP_R | PMP_W | PMP_X;
    mmu_flush(m);
}

void hw_of_machine(struct hw *hw, struct machine *machine)
{
    *hw = (struct hw){
        .ops = &machine_ops,
        .machine = machine,
        .memory_base = machine->ram.base,
        .memory_size = machine->ram.size,
    };
    machine->monitored = true;
    /* Nothing is fetched there; but this is where the trap goes, and what a viewer shows. */
    machine->hart.mtvec = machine->ram.base;
    open_memory(machine);
}
