/*
 * Fuzzes the saved state of a virtual machine, as kvm_state_load() takes it.
 *
 * There is no KVM here: the machine's descriptors are -1. So a state that is whole meets -EBADF at
 * the first system call, and every other must be refused before.
 * Parts: cpu/state.c hv/kvm/state.c
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "hv/kvm/state.h"
#include "tests/fuzz/guarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

/* The first byte says how many vCPUs the machine has. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct kvm_vm vm;
    size_t at = 1;
    if (!count)
        return 0;
    vm.fd = vm.kvm = -1;
    vm.vcpus = 1 + bytes[0] % KVM_VCPUS_MAX;
    for (unsigned i = 0; i < vm.vcpus; i++)
        vm.vcpu[i].fd = -1;
    int error = kvm_state_load(&vm, bytes, count, &at);
    require((error == -EINVAL || error == -EBADF) && at == 1);
    return 0;
}

/* ---- a good one to begin with -----------------------------------------------------------------
 */

struct piece {
    const char *name;
    uint32_t size;
};

static size_t put(uint8_t *bytes, size_t at, const char *name, const void *content, uint32_t size)
{
    memset(bytes + at, 0, 20 + size);
    strcpy((char *)bytes + at, name);
    memcpy(bytes + at + 16, &size, sizeof size);
    if (content)
        memcpy(bytes + at + 20, content, size);
    return at + 20 + size;
}

static size_t good_state(uint8_t *bytes)
{
    static const struct piece VCPU[] = {
        {"sregs", sizeof(struct kvm_sregs)},         {"regs", sizeof(struct kvm_regs)},
        {"xcrs", sizeof(struct kvm_xcrs)},           {"xsave", sizeof(struct kvm_xsave)},
        {"debugregs", sizeof(struct kvm_debugregs)}, {"lapic", sizeof(struct kvm_lapic_state)},
        {"events", sizeof(struct kvm_vcpu_events)},  {"mp_state", sizeof(struct kvm_mp_state)},
        {"msrs", 3 * sizeof(struct kvm_msr_entry)},
    };
    const uint32_t vcpus = 1;
    size_t at = put(bytes, 1, "vcpus", &vcpus, sizeof vcpus);
    bytes[0] = 0;
    at = put(bytes, at, "pit", NULL, sizeof(struct kvm_pit_state2));
    at = put(bytes, at, "clock", NULL, sizeof(struct kvm_clock_data));
    for (uint32_t i = 0; i < 3; i++) {
        const struct kvm_irqchip chip = {.chip_id = i};
        at = put(bytes, at, "irqchip", &chip, sizeof chip);
    }
    for (size_t i = 0; i < sizeof VCPU / sizeof *VCPU; i++)
        at = put(bytes, at, VCPU[i].name, NULL, VCPU[i].size);
    return at;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    enum { ROOM = 12000 };
    if ((count < 64 || seed % 64 == 0) && max >= ROOM) {
        count = good_state(bytes);
        require(count <= ROOM && LLVMFuzzerTestOneInput(bytes, count) == 0);
    }
    return LLVMFuzzerMutate(bytes, count, max);
}
