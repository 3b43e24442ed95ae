/*
 * Everything that KVM keeps of a VM, as bytes.
 *
 * The state of a vCPU and of the interrupt controllers, timer and clock is read by one system call
 * a piece; state.c has a table of them in the order in which they must be put back. The saved form
 * is a sequence of {name, size, bytes}: it can be kept, compared and written to a file.
 *
 * All vCPUs must be parked (between two runs). Source: api.rst; the order is that of the
 * dependencies told there (the APIC base before the APIC, the APIC before the deadline timer's
 * MSR).
 */
#ifndef VITRINE_KVM_STATE_H
#define VITRINE_KVM_STATE_H

#include "cpu/state.h"
#include "hv/kvm/vm.h"

/* Appends the state of all vCPUs and of the VM. 0 or -errno; the buffer may hold a part then. */
int kvm_state_save(struct kvm_vm *vm, struct state_buffer *buffer);

/* Puts back what kvm_state_save() has appended at bytes[*at..] and moves *at behind it. 0, -EINVAL
 * if it is torn or of another configuration (nothing has been changed then), or -errno of what KVM
 * refuses. */
int kvm_state_load(struct kvm_vm *vm, const uint8_t *bytes, size_t count, size_t *at);

#endif
