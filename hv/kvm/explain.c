/*
 * KVM's exits in words, and why a vCPU was given up. See explain.h; the triple fault is in
 * triple-fault.c.
 */
#include "hv/kvm/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hv/kvm/explain_priv.h"
#include "hv/kvm/registers.h"

/* ---- names ---------------------------------------------------------------------------------- */

static const struct exit_row {
    uint32_t reason;
    const char *name, *meaning;
} EXITS[] = {
#define EXIT(id, number, name, meaning) {number, name, meaning},
#include "hv/kvm/kvm-exit.def"
};

enum { EXIT_ROWS = sizeof EXITS / sizeof *EXITS };

static const struct exit_row *find_exit(uint32_t reason)
{
    for (int i = 0; i < EXIT_ROWS; i++)
        if (EXITS[i].reason == reason)
            return &EXITS[i];
    return &EXITS[0]; /* UNKNOWN */
}

const char *kvm_exit_name(uint32_t reason)
{
    return find_exit(reason)->name;
}

const char *kvm_exit_meaning(uint32_t reason)
{
    return find_exit(reason)->meaning;
}

int kvm_exit_nth(unsigned n)
{
    return n < EXIT_ROWS ? (int)EXITS[n].reason : -1;
}

/* SDM vol. 3A, table 6-1. */
const char *kvm_exception_name(unsigned vector)
{
    static const char *const NAME[32] = {
        "#DE divide error",
        "#DB debug",
        "NMI",
        "#BP breakpoint",
        "#OF overflow",
        "#BR bound range exceeded",
        "#UD invalid opcode",
        "#NM no FPU",
        "#DF double fault",
        "coprocessor segment overrun",
        "#TS invalid TSS",
        "#NP segment not present",
        "#SS stack fault",
        "#GP general protection",
        "#PF page fault",
        "reserved exception",
        "#MF x87 error",
        "#AC alignment check",
        "#MC machine check",
        "#XM SIMD error",
        "#VE virtualization",
        "#CP control protection",
    };
    if (vector >= 32)
        return "interrupt";
    return NAME[vector] ? NAME[vector] : "reserved exception";
}

/* ---- what an exit did ----------------------------------------------------------------------- */

static uint64_t little_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    memcpy(&value, bytes, count < 8 ? count : 8);
    return value;
}

static void io_text(const struct kvm_run *run, char *out, size_t size)
{
    const uint8_t *data = (const uint8_t *)run + run->io.data_offset;
    unsigned bytes = run->io.size;
    char times[32] = "", value[32] = "";
    if (run->io.count > 1)
        snprintf(times, sizeof times, ", %u times", run->io.count);
    if (run->io.direction == KVM_EXIT_IO_OUT)
        snprintf(value, sizeof value, ": 0x%" PRIx64, little_endian(data, bytes));
    snprintf(out, size, "%s port 0x%x, %u byte%s%s%s",
             run->io.direction == KVM_EXIT_IO_OUT ? "out to" : "in from", run->io.port, bytes,
             bytes == 1 ? "" : "s", times, value);
}

static void mmio_text(const struct kvm_run *run, char *out, size_t size)
{
    unsigned bytes = run->mmio.len;
    uint64_t at = run->mmio.phys_addr;
    if (run->mmio.is_write)
        snprintf(out, size, "write of %u byte%s at 0x%" PRIx64 ": 0x%" PRIx64, bytes,
                 bytes == 1 ? "" : "s", at, little_endian(run->mmio.data, bytes));
    else
        snprintf(out, size, "read of %u byte%s at 0x%" PRIx64, bytes, bytes == 1 ? "" : "s", at);
}

static void system_event_text(const struct kvm_run *run, char *out, size_t size)
{
    static const char *const NAME[] = {"system event",
                                       "power-off",
                                       "reset",
                                       "the guest has crashed",
                                       "wake-up",
                                       "suspend",
                                       "an encrypted guest ended itself"};
    uint32_t type = run->system_event.type;
    snprintf(out, size, "%s", type < sizeof NAME / sizeof *NAME ? NAME[type] : NAME[0]);
}

static const char *suberror_name(uint32_t suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION: return "the instruction emulator failed";
    case KVM_INTERNAL_ERROR_SIMUL_EX: return "two exceptions at once";
    case KVM_INTERNAL_ERROR_DELIVERY_EV: return "an exit while an event was being delivered";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: return "an exit that KVM did not expect";
    default: return "an internal error without a name";
    }
}

void kvm_exit_text(const struct kvm_run *run, char *out, size_t size)
{
    switch (run->exit_reason) {
    case KVM_EXIT_IO: io_text(run, out, size); break;
    case KVM_EXIT_MMIO: mmio_text(run, out, size); break;
    case KVM_EXIT_X86_RDMSR: snprintf(out, size, "rdmsr 0x%x", run->msr.index); break;
    case KVM_EXIT_X86_WRMSR:
        snprintf(out, size, "wrmsr 0x%x: 0x%llx", run->msr.index, run->msr.data);
        break;
    case KVM_EXIT_HYPERCALL: snprintf(out, size, "hypercall %llu", run->hypercall.nr); break;
    case KVM_EXIT_DEBUG:
        snprintf(out, size, "%s at 0x%llx", kvm_exception_name(run->debug.arch.exception),
                 run->debug.arch.pc);
        break;
    case KVM_EXIT_SYSTEM_EVENT: system_event_text(run, out, size); break;
    case KVM_EXIT_IOAPIC_EOI: snprintf(out, size, "vector %u", run->eoi.vector); break;
    case KVM_EXIT_INTERNAL_ERROR:
        snprintf(out, size, "%s (%u)", suberror_name(run->internal.suberror),
                 run->internal.suberror);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        snprintf(out, size, "reason 0x%llx", run->fail_entry.hardware_entry_failure_reason);
        break;
    case KVM_EXIT_UNKNOWN:
        snprintf(out, size, "hardware reason 0x%llx", run->hw.hardware_exit_reason);
        break;
    default:
        if (kvm_exit_name(run->exit_reason) == EXITS[0].name)
            snprintf(out, size, "exit %u", run->exit_reason);
        else
            snprintf(out, size, "%s", kvm_exit_name(run->exit_reason));
    }
}

/* ---- internal errors ------------------------------------------------------------------------ */

void explain_line(struct given_up *v, const char *format, ...)
{
    if (v->out->count == KVM_EXPLAIN_LINES)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(v->out->line[v->out->count++], KVM_EXPLAIN_TEXT, format, arguments);
    va_end(arguments);
}

void explain_where(struct given_up *v)
{
    char mode[64], bytes[3 * KVM_INSN_BYTES + 1] = "";
    kvm_mode_text(v->regs, v->sregs, mode, sizeof mode);
    for (unsigned i = 0; i < v->insn.length && v->insn.readable; i++)
        sprintf(bytes + 3 * i, " %02x", v->insn.bytes[i]);
    explain_line(v, "at 0x%" PRIx64 " in %s: %s%s%s", v->code.pc, mode, v->insn.text,
                 *bytes ? "   bytes" : "", bytes);
}

/* The bytes that KVM's emulator had before it: they may be others than those in memory by now. */
static void take_emulated_bytes(struct given_up *v)
{
    const struct kvm_run *run = v->run;
    bool has_bytes =
        run->emulation_failure.ndata >= 3 &&
        run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
    size_t count = run->emulation_failure.insn_size;
    if (has_bytes && count && count <= sizeof run->emulation_failure.insn_bytes)
        kvm_disassemble_bytes(v->disasm, v->code.bits, v->code.pc,
                              run->emulation_failure.insn_bytes, count, &v->insn);
}

static void explain_emulation(struct given_up *v)
{
    take_emulated_bytes(v);
    explain_line(v, "KVM gave this vCPU up: its instruction emulator cannot go on here");
    explain_where(v);
    const char *missing = kvm_disasm_missing(v->disasm);
    if (missing)
        explain_line(v, "which instruction it is cannot be told: %s", missing);
    else if (!v->insn.readable)
        explain_line(v, "there is no memory to fetch from: the guest has probably jumped to a "
                        "wrong address");
    else if (!v->insn.valid)
        explain_line(v, "these bytes are no instruction: the guest has probably jumped into data");
    else
        explain_line(v,
                     "the emulator does not know the instruction, or not this form of it; it was "
                     "needed because the instruction touches a device or a page table, or "
                     "because this KVM emulates this mode");
    if (v->insn.valid)
        explain_line(v, "where KVM works with VT-x or AMD-V the processor itself runs the "
                        "instruction; a software backend has to emulate it");
}

static void explain_internal(struct given_up *v)
{
    uint32_t suberror = v->run->internal.suberror;
    if (suberror == KVM_INTERNAL_ERROR_EMULATION) {
        explain_emulation(v);
        return;
    }
    explain_line(v, "KVM gave this vCPU up: %s (suberror %u)", suberror_name(suberror), suberror);
    explain_where(v);
    uint32_t count = v->run->internal.ndata < 16 ? v->run->internal.ndata : 16;
    char data[KVM_EXPLAIN_TEXT - 32] = "";
    for (size_t i = 0, used = 0; i < count && used + 20 < sizeof data; i++)
        used += (size_t)sprintf(data + used, " 0x%llx", v->run->internal.data[i]);
    if (count)
        explain_line(v, "KVM's own data:%s", data);
    if (suberror == KVM_INTERNAL_ERROR_DELIVERY_EV)
        explain_line(v,
                     "mostly the IDT, a handler's stack or the TSS lies where there is no memory");
}

/* ---- failed entries ------------------------------------------------------------------------- */

#define CR0_PG 0x80000000u
enum { CR0_PE = 1, CR4_PAE = 1 << 5, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, RFLAGS_VM = 1 << 17 };

/* What the reason means: Intel's has bit 31 set and a basic exit reason (vol. 3C, section 26.8), or
 * is an error number of VMX instructions (section 30.4); AMD's is VMEXIT_INVALID, -1. */
static const char *entry_failure(uint64_t reason)
{
    if (reason >> 31 && (uint32_t)reason == UINT32_MAX)
        return "the guest's state is not valid (AMD-V)";
    if (reason >> 31 & 1) {
        switch (reason & 0xffff) {
        case 33: return "the guest's state is not valid";
        case 34: return "an MSR could not be loaded";
        case 41: return "machine check while entering";
        }
    }
    switch (reason) {
    case 7: return "a control field is not valid";
    case 8: return "the host's state is not valid";
    }
    return "for a reason that only the processor's manual knows";
}

/* Rules for a guest's state that are broken most often: vol. 3C, section 26.3.1. */
static void explain_rules(struct given_up *v)
{
    const struct kvm_sregs *s = v->sregs;
    bool paging = s->cr0 & CR0_PG, is_long = s->efer & EFER_LMA;
    const struct {
        bool broken;
        const char *rule;
    } RULES[] = {
        {paging && !(s->cr0 & CR0_PE), "CR0.PG is 1 while CR0.PE is 0: no paging in real mode"},
        {is_long != (paging && s->efer & EFER_LME),
         "EFER.LMA must be EFER.LME and CR0.PG together"},
        {is_long && !(s->cr4 & CR4_PAE), "long mode needs CR4.PAE"},
        {!(v->regs->rflags & 2), "bit 1 of RFLAGS must be 1"},
        {v->regs->rflags & RFLAGS_VM && is_long, "RFLAGS.VM must be 0 in long mode"},
        {is_long && s->cs.l && s->cs.db, "CS has L and D set together"},
        {!(is_long && s->cs.l) && v->regs->rip >> 32,
         "RIP has more than 32 bits outside 64-bit code"},
        {s->tr.unusable || !s->tr.present, "TR must hold a TSS, even if it is never used"},
        {s->cr0 & CR0_PE && !s->cs.s, "CS must be a code segment"},
    };
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
        if (RULES[i].broken)
            explain_line(v, "%s", RULES[i].rule);
}

static void explain_fail_entry(struct given_up *v)
{
    uint64_t reason = v->run->fail_entry.hardware_entry_failure_reason;
    explain_line(v, "the processor refused to enter the guest: %s (0x%" PRIx64 ")",
                 entry_failure(reason), reason);
    explain_where(v);
    explain_rules(v);
    if (v->out->count == 2)
        explain_line(v, "no rule that is usually broken is broken here: look at the segments");
}

/* ---- the door ------------------------------------------------------------------------------- */

void kvm_explain(const struct kvm_run *run, const struct kvm_regs *regs,
                 const struct kvm_sregs *sregs, const struct kvm_memory *memory, unsigned width,
                 struct kvm_disasm *disasm, struct kvm_explanation *out)
{
    struct given_up v = {.run = run, .regs = regs, .sregs = sregs, .disasm = disasm, .out = out};
    char text[KVM_EXPLAIN_TEXT];
    *out = (struct kvm_explanation){0};
    kvm_code_of(&v.code, memory, regs, sregs, width);
    kvm_disassemble(disasm, &v.code, v.code.pc, &v.insn, 1);
    switch (run->exit_reason) {
    case KVM_EXIT_SHUTDOWN: explain_shutdown(&v); break;
    case KVM_EXIT_INTERNAL_ERROR: explain_internal(&v); break;
    case KVM_EXIT_FAIL_ENTRY: explain_fail_entry(&v); break;
    default:
        kvm_exit_text(run, text, sizeof text);
        explain_line(&v, "%s: %s", kvm_exit_name(run->exit_reason), text);
        explain_where(&v);
        explain_line(&v, "%s", kvm_exit_meaning(run->exit_reason));
    }
}
