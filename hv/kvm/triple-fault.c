/*
 * Why a guest ended in a triple fault: a guess at the chain of exceptions.
 *
 * An exception goes through a gate of the IDT, to a code segment of the GDT, onto a stack. Where
 * any of these is missing, delivering raises another exception; if that is of the serious kind it
 * becomes a double fault (vector 8), and if that cannot be delivered either the processor shuts
 * down. Nothing of this is recorded: what can be done is to look at what stands at RIP and in CR2,
 * and to walk the way of delivery again.
 *
 * Source: Intel SDM vol. 3A, sections 6.10 to 6.15; figures 6-2 (gates), 6-8 (64-bit gates), 7-11
 * (64-bit TSS).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hv/kvm/explain_priv.h"
#include "hv/kvm/registers.h"

enum { DIVIDE = 0, INVALID_OPCODE = 6, DOUBLE_FAULT = 8, UNKNOWN = -1, WHY = 112 };
enum { CR0_PE = 1, EFER_LMA = 1 << 10 };

/* ---- the way of delivery -------------------------------------------------------------------- */

struct gate {
    uint16_t selector;
    uint8_t type; /* 14 interrupt gate, 15 trap gate, 5 task gate ... */
    uint8_t ist;  /* 64-bit: which of the TSS's spare stacks, 0: none */
    bool present;
    uint64_t offset;
};

static bool is_long(const struct given_up *v)
{
    return v->sregs->efer & EFER_LMA;
}

static bool read_at(const struct given_up *v, uint64_t va, void *bytes, size_t count)
{
    return kvm_walk_read(&v->code.paging, v->code.memory, va, bytes, count) == count;
}

static bool read_gate(const struct given_up *v, unsigned vector, struct gate *gate, char *why)
{
    unsigned size = is_long(v) ? 16 : 8;
    uint64_t at = v->sregs->idt.base + (uint64_t)vector * size;
    uint64_t half[2] = {0};
    if (vector * size + size - 1 > v->sregs->idt.limit) {
        snprintf(why, WHY, "the IDT ends before it (limit 0x%x)", v->sregs->idt.limit);
        return false;
    }
    if (!read_at(v, at, half, size)) {
        snprintf(why, WHY, "its IDT entry at 0x%" PRIx64 " is not in memory", at);
        return false;
    }
    gate->offset = (half[0] & 0xffff) | (half[0] >> 32 & 0xffff0000) | half[1] << 32;
    gate->selector = (uint16_t)(half[0] >> 16);
    gate->ist = is_long(v) ? half[0] >> 32 & 7 : 0;
    gate->type = half[0] >> 40 & 15;
    gate->present = half[0] >> 47 & 1;
    return true;
}

/* The handler's segment must be present code; *base is where it begins. */
static bool check_segment(const struct given_up *v, uint16_t selector, uint64_t *base, char *why)
{
    const struct kvm_dtable *gdt = &v->sregs->gdt;
    uint64_t descriptor;
    *base = 0;
    if (selector & 4) /* from the LDT, which is rare enough to be believed */
        return true;
    if (!(selector & ~7u))
        snprintf(why, WHY, "its gate has a null selector");
    else if ((selector | 7u) > gdt->limit)
        snprintf(why, WHY, "its selector 0x%x lies beyond the GDT (limit 0x%x)", selector,
                 gdt->limit);
    else if (!read_at(v, gdt->base + (selector & ~7u), &descriptor, sizeof descriptor))
        snprintf(why, WHY, "the GDT at 0x%llx is not in memory", gdt->base);
    else if ((descriptor >> 40 & 0x98) != 0x98) /* present, not a system segment, code */
        snprintf(why, WHY, "its selector 0x%x is not a present code segment", selector);
    else if (is_long(v) && (descriptor >> 53 & 3) != 1) /* D, L */
        snprintf(why, WHY, "its selector 0x%x is not a 64-bit code segment", selector);
    else {
        if (!is_long(v))
            *base = (descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000);
        return true;
    }
    return false;
}

/* Where the exception's frame would be pushed: the stack of IST or CPL 0 from the TSS, or the
 * current one. */
static bool find_stack(const struct given_up *v, const struct gate *gate, uint64_t *stack,
                       char *why)
{
    uint64_t tss = v->sregs->tr.base;
    uint64_t value = 0;
    bool has_new = gate->ist || kvm_cpl(v->sregs);
    unsigned offset = gate->ist ? 0x1cu + 8u * gate->ist : 4;
    *stack = v->regs->rsp + (is_long(v) ? 0 : v->sregs->ss.base);
    if (!has_new)
        return true;
    if (!read_at(v, tss + offset, &value, is_long(v) ? 8 : 4)) {
        snprintf(why, WHY, "the TSS at 0x%" PRIx64 ", which names its stack, is not in memory",
                 tss);
        return false;
    }
    *stack = value;
    return true;
}

/* Would the exception reach its handler? If not, `why` says what is in the way. */
static bool is_deliverable(const struct given_up *v, unsigned vector, char *why)
{
    struct gate gate;
    uint64_t base, stack;
    if (!read_gate(v, vector, &gate, why))
        return false;
    if (!gate.present || (gate.type != 14 && gate.type != 15 && (is_long(v) || gate.type < 5))) {
        snprintf(why, WHY,
                 gate.present ? "its IDT entry is not a gate (type %u)"
                              : "its IDT entry is not present",
                 gate.type);
        return false;
    }
    if (gate.type == 5) /* a task gate: another TSS, which is not looked into */
        return true;
    if (!check_segment(v, gate.selector, &base, why) || !find_stack(v, &gate, &stack, why))
        return false;

    struct kvm_walk push = {.access = 'w'}, fetch = {.access = 'x'};
    uint64_t top = is_long(v) ? stack - 8 : (stack - 4) & UINT32_MAX;
    uint64_t handler = is_long(v) ? gate.offset : (base + gate.offset) & UINT32_MAX;
    if (!kvm_walk(&v->code.paging, v->code.memory, top, &push)) {
        snprintf(why, WHY, "its stack at 0x%" PRIx64 ": %.70s", stack, push.why);
        return false;
    }
    if (!kvm_walk(&v->code.paging, v->code.memory, handler, &fetch)) {
        snprintf(why, WHY, "its handler at 0x%" PRIx64 ": %.70s", handler, fetch.why);
        return false;
    }
    return true;
}

/* ---- what began it -------------------------------------------------------------------------- */

static bool is_forbidden_here(const struct given_up *v)
{
    unsigned cpl = kvm_cpl(v->sregs);
    if (v->insn.sensitivity == KVM_INSN_PRIVILEGED)
        return cpl > 0;
    return v->insn.sensitivity == KVM_INSN_IOPL && cpl > (v->regs->rflags >> 12 & 3);
}

/* Some privileged instructions are none at all outside CPL 0, SDM vol. 2. */
static bool hides_itself(const char *text)
{
    static const char *const NAME[] = {"clac", "stac", "monitor", "mwait"};
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++)
        if (!strncmp(text, NAME[i], strlen(NAME[i])))
            return true;
    return false;
}

/* The instruction at RIP raises this exception, as far as one can see; UNKNOWN: one cannot. */
static int exception_of(const struct given_up *v, char *why)
{
    struct kvm_walk w = {.access = 'x', .user = kvm_cpl(v->sregs) == 3};
    if (!kvm_walk(&v->code.paging, v->code.memory, v->code.pc, &w)) {
        snprintf(why, WHY, "the instruction cannot be fetched: %.70s", w.why);
        return w.vector < 0 ? X86_PF : w.vector;
    }
    if (!v->insn.readable)
        return UNKNOWN;
    if (!v->insn.valid || !strcmp(v->insn.text, "ud2")) {
        snprintf(why, WHY, "%s", v->insn.valid ? "ud2 is there to raise it" : "no instruction");
        return INVALID_OPCODE;
    }
    if (v->insn.bytes[0] == 0xcd && v->insn.length == 2) {
        snprintf(why, WHY, "%.30s asks for it", v->insn.text);
        return v->insn.bytes[1];
    }
    if (is_forbidden_here(v)) {
        snprintf(why, WHY, "%.40s is not allowed at CPL %u", v->insn.text, kvm_cpl(v->sregs));
        return hides_itself(v->insn.text) ? INVALID_OPCODE : X86_GP;
    }
    if (!strncmp(v->insn.text, "div ", 4) || !strncmp(v->insn.text, "idiv ", 5)) {
        snprintf(why, WHY, "if the divisor is 0 or the quotient too large");
        return DIVIDE;
    }
    return UNKNOWN;
}

/* CR2 keeps the address of the last page fault, also of one while delivering. */
static int exception_of_cr2(const struct given_up *v, char *why)
{
    struct kvm_walk w = {.access = 'r', .user = kvm_cpl(v->sregs) == 3};
    uint64_t address = v->sregs->cr2;
    if (!address)
        return UNKNOWN;
    if (kvm_walk(&v->code.paging, v->code.memory, address, &w))
        snprintf(why, WHY, "CR2 is 0x%" PRIx64 ", the last page fault", address);
    else
        snprintf(why, WHY, "CR2 is 0x%" PRIx64 ": %.70s", address, w.why);
    return X86_PF;
}

/* ---- the lines ------------------------------------------------------------------------------ */

static void explain_delivery(struct given_up *v, unsigned vector)
{
    char why[WHY] = "";
    if (!is_deliverable(v, vector, why))
        explain_line(v, "%s (vector %u) cannot be delivered: %s", kvm_exception_name(vector),
                     vector, why);
    else
        explain_line(v, "%s (vector %u) has a present handler and a stack",
                     kvm_exception_name(vector), vector);
}

/* AMD's processors leave no state behind, so KVM resets the vCPU before it tells of the shutdown.
 */
static bool was_reset(const struct given_up *v)
{
    return !(v->sregs->cr0 & CR0_PE) && v->regs->rip == 0xfff0 && v->sregs->cs.selector == 0xf000;
}

void explain_shutdown(struct given_up *v)
{
    char why[WHY] = "";
    explain_line(v,
                 "triple fault: an exception came while a double fault was being delivered, so the "
                 "processor shut down (a PC resets then)");
    if (was_reset(v)) {
        explain_line(v, "the registers are those after a reset: AMD-V keeps none over a shutdown");
        return;
    }
    explain_where(v);
    if (!(v->sregs->cr0 & CR0_PE)) {
        explain_line(v,
                     "in real mode: the interrupt table at 0x%llx has limit 0x%x; handlers need "
                     "4 bytes each, 0x3ff in all",
                     v->sregs->idt.base, v->sregs->idt.limit);
        return;
    }
    if (!v->sregs->idt.limit)
        explain_line(v,
                     "an IDT with limit 0 is one of the ways in which kernels reset a PC: perhaps "
                     "it was meant (Linux does it if told to, by reboot=t)");
    int first = exception_of(v, why);
    if (first == UNKNOWN)
        first = exception_of_cr2(v, why);
    if (first == UNKNOWN) {
        explain_line(v, "which exception began it cannot be seen from the instruction and CR2");
        first = X86_GP;
    } else {
        explain_line(v, "it probably began with %s: %s", kvm_exception_name((unsigned)first), why);
    }
    explain_delivery(v, (unsigned)first);
    explain_delivery(v, DOUBLE_FAULT);
    if (is_deliverable(v, (unsigned)first, why) && is_deliverable(v, DOUBLE_FAULT, why))
        explain_line(v, "that looks right: a KVM without VT-x or AMD-V may shut down where the "
                        "processor itself would go on");
}
