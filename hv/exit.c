/*
 * VM exits: why did the hardware come back, and who deals with it?
 *
 * This file decides and writes the log; it changes nothing of the guest itself. The cause of the
 * real trap selects a function; each asks one question and hands over:
 *
 *     illegal instruction   sensitive, and allowed in the guest's virtual mode? -> emulate.c
 *                           else the guest gets its illegal-instruction trap    -> inject.c
 *     ecall                 from the guest's kernel to its firmware, or from its user to its
 *                           kernel: either way its cause is that of its virtual mode -> inject.c
 *     page fault            missing in the shadow table only?   -> shadow.c
 *                           missing in the guest's own table?   -> inject.c
 *                           a virtual device?                   -> emulate.c
 *                           a page that must be looked at access by access (PMP splits it, HTIF
 *                           is there)?                          -> emulate.c
 *     anything else         the guest's own doing               -> inject.c
 *
 * Causes are those of the privileged ISA manual, 20211203, table 3.6.
 */
#include <stdio.h>
#include <string.h>

#include "cpu/isa.h"
#include "cpu/sbi.h"
#include "hv/vm.h"

/* ---- one function for each kind of trap --------------------------------------------------- */

static enum exit_reason on_illegal(struct vm *vm, const struct hw_exit *exit)
{
    enum exit_reason reason;
    if (emulate_sensitive(vm, exit->insn, &reason) == EMULATED)
        return reason;
    inject_exception(vm, CAUSE_ILLEGAL, exit->insn);
    return EXIT_ILLEGAL;
}

/* The real cause says "from U", always; the guest's must say where it believes to be. */
static enum exit_reason on_ecall(struct vm *vm, const struct hw_exit *exit)
{
    struct machine *guest = vm->machine;
    bool to_firmware = guest->firmware && guest->hart.mode == MODE_S && !guest->monitored;
    vm->now.a = guest->hart.x[17];
    vm->now.b = guest->hart.x[16];
    inject_exception(vm, CAUSE_ECALL_U + guest->hart.mode, 0);
    return to_firmware ? EXIT_HYPERCALL : EXIT_SYSCALL;
}

static enum exit_reason on_page_fault(struct vm *vm, const struct hw_exit *exit)
{
    static const enum access access_of[] = {[CAUSE_FETCH_PAGE] = ACCESS_FETCH,
                                            [CAUSE_LOAD_PAGE] = ACCESS_READ,
                                            [CAUSE_STORE_PAGE] = ACCESS_WRITE};
    struct walk walk;
    switch (shadow_fault(&vm->shadow, exit->tval, access_of[exit->cause], &walk)) {
    case SHADOW_MAPPED:
        vm->now.a = walk.pa & ~PAGE_MASK;
        vm->now.b = gpa_to_hpa(&vm->gpa, walk.pa & ~PAGE_MASK);
        return EXIT_SHADOW_FILL;
    case SHADOW_GUEST_TRAP:
        vm->now.a = walk.failure;
        vm->now.b = walk.cause;
        inject_exception(vm, walk.cause, exit->tval);
        return EXIT_PAGE_FAULT;
    case SHADOW_DEVICE:
        return emulate_device_access(vm, exit->insn, exit->tval, walk.pa);
    case SHADOW_NOT_PLAIN:
        break;
    }
    emulate_by_interpreter(vm);
    return EXIT_INTERPRET;
}

static enum exit_reason on_guest_exception(struct vm *vm, const struct hw_exit *exit)
{
    inject_exception(vm, exit->cause, exit->tval);
    return EXIT_EXCEPTION;
}

/* Shadow tables point to frames of RAM only, and PMP is open: the hardware has no reason for this.
 * If it happens, a shadow table is wrong, and going on would hide it. */
static enum exit_reason on_hardware_fault(struct vm *vm, const struct hw_exit *exit)
{
    vm->machine->stuck = "the hardware has reported a fault below the guest";
    machine_stop(vm->machine, STOP_STUCK);
    return EXIT_HARDWARE;
}

/* ---- the decision ------------------------------------------------------------------------- */

typedef enum exit_reason (*exit_fn)(struct vm *vm, const struct hw_exit *exit);

static const exit_fn by_cause[CAUSE_COUNT] = {
    [CAUSE_FETCH_MISALIGNED] = on_guest_exception,
    [CAUSE_ILLEGAL] = on_illegal,
    [CAUSE_BREAKPOINT] = on_guest_exception,
    [CAUSE_LOAD_MISALIGNED] = on_guest_exception,
    [CAUSE_STORE_MISALIGNED] = on_guest_exception,
    [CAUSE_ECALL_U] = on_ecall,
    [CAUSE_FETCH_PAGE] = on_page_fault,
    [CAUSE_LOAD_PAGE] = on_page_fault,
    [CAUSE_STORE_PAGE] = on_page_fault,
};

void exit_dispatch(struct vm *vm, const struct hw_exit *exit)
{
    exit_begin(vm, exit->cause, exit->tval, exit->insn);
    exit_fn handle = exit->cause < CAUSE_COUNT ? by_cause[exit->cause] : NULL;
    exit_end(vm, handle ? handle(vm, exit) : on_hardware_fault(vm, exit));
}

/* ---- the log ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *meaning;
    unsigned cost;
} rows[EXIT_REASONS] = {
#define EXIT(NAME, name, cost, meaning) [EXIT_##NAME] = {name, meaning, cost},
#include "hv/exit.def"
};

/* The nominal price of leaving the guest and going back: save and load 31 registers, read cause and
 * address, find the handler. And of looking at one entry of a page table. */
enum { COST_WORLD_SWITCH = 80, COST_TABLE_ENTRY = 8 };

void exit_begin(struct vm *vm, uint32_t cause, uint32_t tval, uint32_t insn)
{
    struct hart *h = &vm->machine->hart;
    vm->now = (struct exit_record){
        .seq = ++vm->exits,
        .instruction = h->executed,
        .since = h->executed - vm->last_exit,
        .pc = h->pc,
        .insn = insn,
        .cause = cause,
        .tval = tval,
        .mode = h->mode,
    };
    vm->shadow.change = (struct shadow_change){0};
    vm->shadow.work = 0;
}

void exit_end(struct vm *vm, enum exit_reason reason)
{
    struct exit_record *now = &vm->now;
    now->reason = (uint8_t)reason;
    now->cost = COST_WORLD_SWITCH + rows[reason].cost + COST_TABLE_ENTRY * vm->shadow.work;
    now->shadow = vm->shadow.change;
    vm->count[reason]++;
    vm->cost[reason] += now->cost;
    vm->last_exit = vm->machine->hart.executed;
    vm->log[now->seq % EXIT_LOG] = *now;
    machine_publish(vm->machine, EVENT_EXIT, reason, now->cause, now->tval, now->cost);
}

const char *exit_reason_name(unsigned reason)
{
    return reason < EXIT_REASONS ? rows[reason].name : "";
}

const char *exit_reason_meaning(unsigned reason)
{
    return reason < EXIT_REASONS ? rows[reason].meaning : "";
}

unsigned exit_reason_cost(unsigned reason)
{
    return reason < EXIT_REASONS ? rows[reason].cost : 0;
}

/* ---- what was done, in words -------------------------------------------------------------- */

static const char *csr_name(uint32_t number)
{
    const struct csr_row *row = isa_csr(number);
    return row ? row->name : "no such CSR";
}

static void describe_csr(const struct exit_record *r, char *text, unsigned size)
{
    struct insn i = isa_decode(r->insn);
    bool swaps = i.op == OP_csrrw || i.op == OP_csrrwi;
    bool writes = swaps || i.rs1;
    snprintf(text, size, "%s virtual %s (it was 0x%08x)",
             !writes ? "read" : i.rd ? "read and wrote" : "wrote", csr_name(r->a), r->b);
}

static void describe_fence(const struct exit_record *r, char *text, unsigned size)
{
    char what[32] = "all addresses", where[32] = "all address spaces";
    if (r->a != UINT32_MAX)
        snprintf(what, sizeof what, "0x%08x", r->a);
    if (r->b != UINT32_MAX)
        snprintf(where, sizeof where, "ASID %u", r->b);
    snprintf(text, size, "dropped %u shadow entries: %s, %s", r->shadow.count, what, where);
}

void exit_describe(const struct exit_record *r, char *text, unsigned size)
{
    static const char *const mode[] = {"U", "S", "?", "M"};
    switch ((enum exit_reason)r->reason) {
    case EXIT_SHADOW_FILL:
        snprintf(text, size, "mapped 0x%08x: gPA 0x%08x is hPA 0x%08x", r->tval & ~PAGE_MASK, r->a,
                 r->b);
        break;
    case EXIT_PAGE_FAULT:
        snprintf(text, size, "injected %s: %s", isa_cause_name(r->b), mmu_failure_text(r->a));
        break;
    case EXIT_MMIO:
        snprintf(text, size, "virtual device at gPA 0x%08x, value 0x%x", r->a, r->b);
        break;
    case EXIT_CSR: describe_csr(r, text, size); break;
    case EXIT_XRET:
        snprintf(text, size, "virtual mode %s -> %s", mode[r->a & 3], mode[r->b & 3]);
        break;
    case EXIT_FENCE: describe_fence(r, text, size); break;
    case EXIT_HYPERCALL:
        snprintf(text, size, "served SBI call: %s", sbi_call_name(r->a, r->b));
        break;
    case EXIT_SYSCALL:
        snprintf(text, size, "injected ecall from %s (a7 = %u)", mode[r->mode & 3], r->a);
        break;
    case EXIT_EXCEPTION:
    case EXIT_INTERRUPT:
        snprintf(text, size, "injected %s", isa_cause_name(r->cause));
        break;
    case EXIT_ILLEGAL:
        snprintf(text, size, "injected illegal instruction: not allowed in virtual %s",
                 mode[r->mode & 3]);
        break;
    default: snprintf(text, size, "%s", rows[r->reason].meaning); break;
    }
}
