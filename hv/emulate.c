/*
 * Emulation: what the guest's hardware would do, done to the virtual hart.
 *
 * All guest modes run in the real U mode, so every privileged instruction of the guest traps as an
 * illegal instruction and ends here. Each function below does one of them to the virtual hart, with
 * the checks that the architecture makes in the guest's *virtual* mode; if they fail, the guest gets
 * the illegal-instruction exception that it would have got on its own hardware.
 *
 * The second part is memory: accesses to virtual devices, and the few instructions that the
 * hardware cannot run for the guest at all and that the interpreter does instead.
 *
 * Sections are those of the privileged ISA manual, 20211203; its section 3.1.6.5 has TVM, TW and TSR,
 * by which M mode lets such instructions of S mode trap (a monitor in the guest uses them).
 */
#include <stdio.h>

#include "cpu/absent.h"
#include "cpu/isa.h"
#include "hv/vm.h"

typedef enum emulated (*emulate_fn)(struct vm *vm, const struct insn *insn);

static struct hart *virtual_hart(struct vm *vm)
{
    return &vm->machine->hart;
}

/* The guest has executed an instruction, though not on the hardware. */
static enum emulated retired(struct vm *vm)
{
    struct machine *guest = vm->machine;
    guest->hart.executed++;
    machine_publish(guest, EVENT_INSN, vm->now.insn, guest->hart.pc, 0, 0);
    return EMULATED;
}

/* ---- CSR instructions --------------------------------------------------------------------- */

static enum emulated emulate_csr(struct vm *vm, const struct insn *insn)
{
    struct machine *guest = vm->machine;
    struct csr_access access;
    if (csr_execute(&guest->hart, insn, &access) != CSR_OK)
        return NOT_ALLOWED;

    vm->now.a = access.number;
    vm->now.b = access.old;
    if (access.writes)
        machine_publish(guest, EVENT_CSR, access.number, access.old,
                        csr_peek(&guest->hart, access.number), 0);
    guest->hart.pc += 4;
    machine_csr_effects(guest, access.effects);
    if (access.effects & CSR_PROTECTION)
        shadow_drop_all(&vm->shadow, SHADOW_PMP);
    return retired(vm);
}

/* ---- returning from traps, section 3.3.2 -------------------------------------------------- */

static enum emulated emulate_sret(struct vm *vm, const struct insn *insn)
{
    struct hart *h = virtual_hart(vm);
    if (h->mode < MODE_S || (h->mode == MODE_S && h->mstatus & MSTATUS_TSR))
        return NOT_ALLOWED;
    vm->now.a = h->mode;
    trap_return_s(h);
    vm->now.b = h->mode;
    machine_publish(vm->machine, EVENT_MODE, vm->now.a, vm->now.b, 0, 0);
    machine_mode_changed(vm->machine);
    return retired(vm);
}

static enum emulated emulate_mret(struct vm *vm, const struct insn *insn)
{
    struct hart *h = virtual_hart(vm);
    if (h->mode < MODE_M)
        return NOT_ALLOWED;
    vm->now.a = h->mode;
    trap_return_m(h);
    vm->now.b = h->mode;
    machine_publish(vm->machine, EVENT_MODE, vm->now.a, vm->now.b, 0, 0);
    machine_mode_changed(vm->machine);
    return retired(vm);
}

/* ---- sleeping and fencing, sections 3.3.3 and 4.2.1 --------------------------------------- */

static enum emulated emulate_wfi(struct vm *vm, const struct insn *insn)
{
    struct hart *h = virtual_hart(vm);
    if (h->mode == MODE_U || (h->mode == MODE_S && h->mstatus & MSTATUS_TW))
        return NOT_ALLOWED;
    h->waiting = true; /* machine_poll() sleeps, in virtual time */
    h->attention = true;
    h->pc += 4;
    return retired(vm);
}

/* The guest vouches no longer for what it said about these addresses: so neither may the shadow
 * tables. machine_fence() tells them by the on_fence callback, see vm.c. */
static enum emulated emulate_sfence_vma(struct vm *vm, const struct insn *insn)
{
    struct hart *h = virtual_hart(vm);
    if (h->mode == MODE_U || (h->mode == MODE_S && h->mstatus & MSTATUS_TVM))
        return NOT_ALLOWED;
    uint32_t va = h->x[insn->rs1], asid = h->x[insn->rs2] & 0x1ff;
    vm->now.a = insn->rs1 ? va : UINT32_MAX;
    vm->now.b = insn->rs2 ? asid : UINT32_MAX;
    h->pc += 4;
    machine_fence(vm->machine, insn->rs1 ? &va : NULL, insn->rs2 ? &asid : NULL);
    return retired(vm);
}

/* ---- which function does which instruction ------------------------------------------------ */

static const struct {
    emulate_fn emulate;
    enum exit_reason reason;
} table[OP_COUNT + 1] = {
    [OP_csrrw] = {emulate_csr, EXIT_CSR},
    [OP_csrrs] = {emulate_csr, EXIT_CSR},
    [OP_csrrc] = {emulate_csr, EXIT_CSR},
    [OP_csrrwi] = {emulate_csr, EXIT_CSR},
    [OP_csrrsi] = {emulate_csr, EXIT_CSR},
    [OP_csrrci] = {emulate_csr, EXIT_CSR},
    [OP_sret] = {emulate_sret, EXIT_XRET},
    [OP_mret] = {emulate_mret, EXIT_XRET},
    [OP_wfi] = {emulate_wfi, EXIT_WFI},
    [OP_sfence_vma] = {emulate_sfence_vma, EXIT_FENCE},
};

enum emulated emulate_sensitive(struct vm *vm, uint32_t word, enum exit_reason *reason)
{
    const struct insn *insn = interp_decode(vm->machine, word);
    if (!table[insn->op].emulate)
        return NO_SUCH_INSN;
    *reason = table[insn->op].reason;
    return table[insn->op].emulate(vm, insn);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* What a load or store moves, by the mnemonic. */
struct transfer {
    uint8_t size; /* 0: not a plain load or store */
    bool is_store, is_signed;
};

static const struct transfer transfers[OP_COUNT + 1] = {
    [OP_lb] = {1, false, true}, [OP_lh] = {2, false, true}, [OP_lw] = {4, false, false},
    [OP_lbu] = {1, false, false}, [OP_lhu] = {2, false, false},
    [OP_sb] = {1, true, false}, [OP_sh] = {2, true, false}, [OP_sw] = {4, true, false},
};

static uint32_t extend(uint32_t value, const struct transfer *t)
{
    unsigned unused = 32 - 8 * t->size;
    return t->is_signed ? (uint32_t)((int32_t)(value << unused) >> unused) : value;
}

enum exit_reason emulate_device_access(struct vm *vm, uint32_t word, uint32_t va, uint32_t pa)
{
    struct machine *guest = vm->machine;
    struct hart *h = &guest->hart;
    struct insn insn = isa_decode(word);
    const struct transfer *t = &transfers[insn.op];
    if (!t->size || pa % t->size) { /* fetches, atomics, misaligned: the interpreter knows */
        emulate_by_interpreter(vm);
        return EXIT_INTERPRET;
    }
    enum access access = t->is_store ? ACCESS_WRITE : ACCESS_READ;
    uint32_t value = t->is_store ? h->x[insn.rs2] : 0;
    /* Devices have no shadow entries, so the guest's PMP is asked here, each time. */
    bool answered = pmp_allows(&h->pmp, mmu_context(guest, access).mode, access, pa, t->size) &&
                    (t->is_store ? absent_device_write(guest, pa, t->size, value)
                                 : bus_read(&guest->bus, pa, t->size, &value));
    vm->now.a = pa;
    vm->now.b = value;
    if (!answered) {
        inject_exception(vm, t->is_store ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS, va);
        return EXIT_EXCEPTION;
    }
    machine_publish(guest, t->is_store ? EVENT_DEVICE_WRITE : EVENT_DEVICE_READ, pa, value,
                    t->size, 0);
    if (guest->debug.count)
        machine_watch(guest, va, pa, t->size, access);
    if (!t->is_store && insn.rd)
        h->x[insn.rd] = extend(value, t);
    h->pc += 4;
    retired(vm);
    return EXIT_MMIO;
}

/* The interpreter works on any machine, so on the guest's too: it walks the guest's own tables and
 * takes the guest's own traps. */
void emulate_by_interpreter(struct vm *vm)
{
    struct machine *guest = vm->machine;
    uint64_t trapped = guest->hart.trapped;
    interp_step(guest);
    if (guest->hart.trapped == trapped && !guest->absent)
        machine_publish(guest, EVENT_INSN, guest->insn, guest->hart.pc, 0, 0);
}
