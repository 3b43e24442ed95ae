/*
 * What KVM's instruction emulator gives up, and this monitor can complete.
 *
 * KVM runs code on the processor where it can, and by an emulator in the kernel where it cannot:
 * real mode on old processors, accesses to devices, and all of the guest's kernel on a host whose
 * KVM has no hardware assistance. That emulator knows less than a processor. An instruction that it
 * does not know comes here as an internal error; what follows is as the processor would do it.
 */
#include "config.h"

#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/vm.h"

enum { NO_FPU = 7, BREAKPOINT = 3, X87_ERROR = 16 }; /* vectors */
enum { INT3 = 0xcc, FWAIT = 0x9b };
enum { CR0_MP = 1 << 1, CR0_TS = 1 << 3, FSW_ES = 1 << 7 };

/* The guest goes on `skip` bytes behind the instruction's begin; `vector` (0: none) is raised
 * there. */
static bool go_on(struct kvm_vcpu *v, unsigned skip, uint8_t vector)
{
    struct kvm_regs regs;
    struct kvm_vcpu_events events;
    if (ioctl(v->fd, KVM_GET_REGS, &regs) || ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events))
        return false;
    regs.rip += skip;
    events.exception.injected = vector != 0;
    events.exception.nr = vector;
    events.exception.has_error_code = 0;
    events.flags = 0;
    return ioctl(v->fd, KVM_SET_REGS, &regs) == 0 &&
           ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events) == 0;
}

/* int3: the breakpoint exception, with RIP behind the instruction (Intel SDM 3A, 6.15, #BP: a
 * trap). */
static bool complete_int3(struct kvm_vcpu *v)
{
    return go_on(v, 1, BREAKPOINT);
}

/* fwait: an x87 exception that is pending and not masked is raised now; mostly there is none
 * (SDM 2, WAIT/FWAIT). Kernels wait so when a task ends. */
static bool complete_fwait(struct kvm_vcpu *v)
{
    struct kvm_sregs sregs;
    struct kvm_fpu fpu;
    if (ioctl(v->fd, KVM_GET_SREGS, &sregs) || ioctl(v->fd, KVM_GET_FPU, &fpu))
        return false;
    if (sregs.cr0 & CR0_MP && sregs.cr0 & CR0_TS)
        return go_on(v, 0, NO_FPU);
    return fpu.fsw & FSW_ES ? go_on(v, 0, X87_ERROR) : go_on(v, 1, 0);
}

static const struct {
    uint8_t opcode;
    bool (*complete)(struct kvm_vcpu *vcpu);
} COMPLETIONS[] = {{INT3, complete_int3}, {FWAIT, complete_fwait}};

/* The first byte of what the emulator has given up; 0: it has not said. */
static uint8_t opcode_of(const struct kvm_vcpu *v)
{
    const struct kvm_run *run = v->run;
    bool has_bytes =
        run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
        run->emulation_failure.ndata >= 3 &&
        run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES &&
        run->emulation_failure.insn_size > 0;
    return has_bytes ? run->emulation_failure.insn_bytes[0] : 0;
}

bool kvm_is_int3(const struct kvm_vcpu *v)
{
    return opcode_of(v) == INT3;
}

bool kvm_complete(struct kvm_vcpu *v)
{
    uint8_t opcode = opcode_of(v);
    for (size_t i = 0; i < sizeof COMPLETIONS / sizeof *COMPLETIONS; i++)
        if (COMPLETIONS[i].opcode == opcode)
            return COMPLETIONS[i].complete(v);
    return false;
}
