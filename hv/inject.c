/*
 * Injecting traps: the guest takes an exception or interrupt, as its own hardware would.
 *
 * There is little to do, because a virtual hart is a struct hart: taking the trap on it saves the
 * guest's pc in its own sepc or mepc, as its own delegation registers say, and sets its virtual
 * mode. The real hart does not change; when it resumes the guest, it does so at the guest's
 * handler, and shadow_activate() gives it the page table of the new mode.
 *
 * machine_exception() also does what else may stand above a guest's trap: the built-in firmware,
 * if the guest is a kernel that calls it, or a monitor, if this virtual machine is its hardware.
 *
 * Virtual interrupts take the same way from machine_poll(), which vm.c calls before each entry.
 */
#include "hv/vm.h"

void inject_exception(struct vm *vm, uint32_t cause, uint32_t tval)
{
    struct machine *guest = vm->machine;
    guest->insn = vm->now.insn;
    machine_raise(guest, cause, tval);
    machine_exception(guest);
}
