/*
 * What a guest's CPUID instruction says.
 *
 * KVM_GET_SUPPORTED_CPUID lists what this host's processor and KVM can give a guest. It is passed
 * on, but for what depends on the vCPU and for what this monitor adds:
 *
 *      leaf 1            EBX: the vCPU's APIC ID and how many there are
 *
 *                        ECX: bit 31, "a hypervisor is below you"; bit 24, the TSC deadline mode
 *                        of the APIC's timer, which KVM's APIC has
 *
 *      leaf 4            EAX: cores in this package: as many as vCPUs
 *
 *      leaf 0xb, 0x1f    EDX: the vCPU's x2APIC ID; the topology is one core each
 *
 * Source: Intel SDM vol. 2A, CPUID; api.rst, KVM_GET_SUPPORTED_CPUID.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/vm.h"

enum { ENTRIES_FIRST = 100, ENTRIES_MAX = 1600 };
enum { BITS_TSC_DEADLINE = 1 << 24 };
#define BITS_HYPERVISOR (1u << 31)

static size_t cpuid_size(unsigned entries)
{
    return sizeof(struct kvm_cpuid2) + entries * sizeof(struct kvm_cpuid_entry2);
}

/* How many entries there are is known only by asking with enough room. */
int kvm_cpuid_init(struct kvm_vm *vm)
{
    for (unsigned entries = ENTRIES_FIRST; entries <= ENTRIES_MAX; entries *= 2) {
        struct kvm_cpuid2 *cpuid = calloc(1, cpuid_size(entries));
        if (!cpuid)
            return -ENOMEM;
        cpuid->nent = entries;
        if (ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0) {
            vm->cpuid = cpuid;
            return 0;
        }
        int error = -errno;
        free(cpuid);
        if (error != -E2BIG)
            return error;
    }
    return -E2BIG;
}

static void change_entry(const struct kvm_vcpu *v, struct kvm_cpuid_entry2 *e)
{
    const struct kvm_vm *vm = v->vm;
    switch (e->function) {
    case 1:
        e->ebx = (e->ebx & 0x0000ffff) | v->index << 24 | vm->config.vcpus << 16;
        e->ecx |= BITS_HYPERVISOR;
        if (ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
            e->ecx |= BITS_TSC_DEADLINE;
        break;
    case 4: e->eax = (e->eax & 0x00003fff) | (vm->config.vcpus - 1) << 26; break;
    case 0xb:
    case 0x1f: e->edx = v->index; break;
    default: break;
    }
}

int kvm_cpuid_set(struct kvm_vcpu *v)
{
    size_t size = cpuid_size(v->vm->cpuid->nent);
    struct kvm_cpuid2 *cpuid = malloc(size);
    if (!cpuid) {
        errno = ENOMEM;
        return -ENOMEM;
    }
    memcpy(cpuid, v->vm->cpuid, size);
    for (unsigned i = 0; i < cpuid->nent; i++)
        change_entry(v, &cpuid->entries[i]);
    int error = ioctl(v->fd, KVM_SET_CPUID2, cpuid) ? -errno : 0;
    free(cpuid);
    return error;
}

unsigned kvm_cpuid_width(const struct kvm_vm *vm)
{
    for (unsigned i = 0; i < vm->cpuid->nent; i++)
        if (vm->cpuid->entries[i].function == 0x80000008)
            return vm->cpuid->entries[i].eax & 0xff;
    return 36; /* the processor is too old to say */
}
