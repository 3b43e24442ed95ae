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

enum { BREAKPOINT = 3, INT3 = 0xcc };

/* int3: the breakpoint exception, with RIP behind the instruction (Intel SDM 3A, 6.15, #BP: a
 * trap). */
static bool complete_int3(struct kvm_vcpu *v)
{
    struct kvm_regs regs;
    struct kvm_vcpu_events events;
    if (ioctl(v->fd, KVM_GET_REGS, &regs) || ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events))
        return false;
    regs.rip++;
    events.exception.injected = 1;
    events.exception.nr = BREAKPOINT;
    events.exception.has_error_code = 0;
    events.flags = 0;
    return ioctl(v->fd, KVM_SET_REGS, &regs) == 0 &&
           ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events) == 0;
}

bool kvm_is_int3(const struct kvm_vcpu *v)
{
    const struct kvm_run *run = v->run;
    bool has_bytes =
        run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
        run->emulation_failure.ndata >= 3 &&
        run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES &&
        run->emulation_failure.insn_size > 0;
    return has_bytes && run->emulation_failure.insn_bytes[0] == INT3;
}

bool kvm_complete(struct kvm_vcpu *v)
{
    return kvm_is_int3(v) && complete_int3(v);
}
