/*
 * Taking traps and returning from them, privileged specification sections 3.1.6 to 3.1.15 and 4.1.
 *
 * Everything here is a function from a hart's state to a hart's state, so the monitor calls the same
 * functions on a virtual hart: injecting a trap into a guest is taking it on its virtual hart.
 */
#include "cpu/hart.h"
#include "cpu/isa.h"

/* ---- taking ------------------------------------------------------------------------------- */

/* Base, or for interrupts in vectored mode base + 4 * number (section 3.1.7). */
static uint32_t vector(uint32_t tvec, uint32_t cause)
{
    uint32_t base = tvec & ~3u;
    if ((tvec & 1) && (cause & CAUSE_INTERRUPT))
        return base + 4 * (cause & ~CAUSE_INTERRUPT);
    return base;
}

/* Delegated traps go to S, unless they come from M: a trap never lowers the mode (3.1.8). */
static bool goes_to_s(const struct hart *h, uint32_t cause)
{
    uint32_t delegated = cause & CAUSE_INTERRUPT ? h->mideleg : h->medeleg;
    return h->mode != MODE_M && (delegated >> (cause & 31) & 1);
}

static void enter_s(struct hart *h, uint32_t cause, uint32_t tval)
{
    h->sepc = h->pc;
    h->scause = cause;
    h->stval = tval;
    uint32_t status = h->mstatus & ~(MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE);
    if (h->mode == MODE_S)
        status |= MSTATUS_SPP;
    if (h->mstatus & MSTATUS_SIE)
        status |= MSTATUS_SPIE;
    h->mstatus = status;
    h->pc = vector(h->stvec, cause);
    h->mode = MODE_S;
}

static void enter_m(struct hart *h, uint32_t cause, uint32_t tval)
{
    h->mepc = h->pc;
    h->mcause = cause;
    h->mtval = tval;
    uint32_t status = h->mstatus & ~(MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE);
    status |= (uint32_t)h->mode << MSTATUS_MPP_SHIFT;
    if (h->mstatus & MSTATUS_MIE)
        status |= MSTATUS_MPIE;
    h->mstatus = status;
    h->pc = vector(h->mtvec, cause);
    h->mode = MODE_M;
}

enum mode trap_take(struct hart *h, uint32_t cause, uint32_t tval)
{
    hart_unreserve(h);
    if (goes_to_s(h, cause))
        enter_s(h, cause, tval);
    else
        enter_m(h, cause, tval);
    return h->mode;
}

/* ---- returning ---------------------------------------------------------------------------- */

void trap_return_s(struct hart *h)
{
    uint32_t status = h->mstatus & ~(MSTATUS_SIE | MSTATUS_SPP | MSTATUS_MPRV);
    if (h->mstatus & MSTATUS_SPIE)
        status |= MSTATUS_SIE;
    h->mode = h->mstatus & MSTATUS_SPP ? MODE_S : MODE_U;
    h->mstatus = status | MSTATUS_SPIE;
    h->pc = h->sepc;
    hart_unreserve(h);
}

void trap_return_m(struct hart *h)
{
    enum mode to = (h->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT;
    uint32_t status = h->mstatus & ~(MSTATUS_MIE | MSTATUS_MPP);
    if (h->mstatus & MSTATUS_MPIE)
        status |= MSTATUS_MIE;
    if (to != MODE_M)
        status &= ~MSTATUS_MPRV;
    h->mode = (uint8_t)to;
    h->mstatus = status | MSTATUS_MPIE;
    h->pc = h->mepc;
    hart_unreserve(h);
}

/* ---- interrupts --------------------------------------------------------------------------- */

uint32_t trap_pending_interrupt(const struct hart *h)
{
    uint32_t pending = h->mip & h->mie;
    if (!pending)
        return 0;
    uint32_t for_m = pending & ~h->mideleg;
    uint32_t for_s = pending & h->mideleg;
    if (h->mode == MODE_M && !(h->mstatus & MSTATUS_MIE))
        for_m = 0;
    if (h->mode == MODE_M || (h->mode == MODE_S && !(h->mstatus & MSTATUS_SIE)))
        for_s = 0;

    static const uint8_t falling_priority[] = {
#define INTERRUPT(NAME, bit, name, meaning) bit,
#include "cpu/cause.def"
    };
    uint32_t wanted = for_m ? for_m : for_s;
    for (unsigned i = 0; i < sizeof falling_priority; i++)
        if (wanted >> falling_priority[i] & 1)
            return CAUSE_INTERRUPT | falling_priority[i];
    return 0;
}

static void set_pending(struct hart *h, unsigned number, bool pending)
{
    uint32_t bit = 1u << number;
    if (!(h->mip & bit) == !pending)
        return;
    h->mip ^= bit;
    h->attention = true;
}

void hart_interrupt_line(struct hart *h, unsigned number, bool level)
{
    if (number == IRQ_SEI) {
        h->seip_line = level;
        level |= h->seip_software;
    }
    set_pending(h, number, level);
}

void hart_update_timers(struct hart *h)
{
    set_pending(h, IRQ_MTI, clock_mtip(&h->clock, h->executed));
    if (h->clock.stimecmp_on)
        set_pending(h, IRQ_STI, clock_stip(&h->clock, h->executed));
    clock_arm(&h->clock, h->executed);
}
