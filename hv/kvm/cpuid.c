/*
 * What a guest's CPUID instruction says. See cpuid.h.
 *
 * KVM_GET_SUPPORTED_CPUID lists what this host's processor and KVM can give a guest. It is passed
 * on, but for these:
 *
 *      leaf 1            EBX: the vCPU's APIC ID and how many there are; EDX: bit 28 (HTT), that
 *                        this number counts
 *
 *                        ECX: bit 31, "a hypervisor is below you"; bit 24, the TSC deadline mode
 *                        of the APIC's timer, which KVM's APIC has; not bit 5 (VMX), see below
 *
 *      leaf 4            EAX: cores in this package: as many as vCPUs, none shares a cache
 *
 *      leaf 0xb          the x2APIC ID and how it is cut: no bits for threads, the rest for cores
 *
 *      leaf 0x1f         the same with more levels: not there, so that software asks leaf 0xb
 *
 *      0x80000001        ECX: bit 1, "HTT counts cores" (AMD); not bit 2 (SVM), see below
 *
 *      0x80000008        ECX: cores in this package, and how many bits of the APIC ID tell them
 * apart (AMD)
 *
 *      0x8000000a        what SVM has: nothing
 *
 *      0x8000001d        caches, as leaf 4 (AMD); 0x80000026, as leaf 0x1f
 *
 *      0x8000001e        the APIC ID, core and node (AMD). Linux believes this one more than all
 *                        others, so that with a wrong one every vCPU is the same
 *
 * A guest is not offered VMX or SVM, even if this host's KVM could nest: the state of a guest of
 * the guest would have to be in snapshots (KVM_GET_NESTED_STATE), and is not.
 */
#include "config.h"

#include "hv/kvm/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/vm.h"

enum { ENTRIES_FIRST = 100, ENTRIES_MAX = 1600 };
enum { LEAF_1_VMX = 1 << 5, LEAF_1_TSC_DEADLINE = 1 << 24, LEAF_1_HTT = 1 << 28 };
#define LEAF_1_HYPERVISOR (1u << 31)
enum { AMD_COUNTS_CORES = 1 << 1, AMD_SVM = 1 << 2 };
enum { LEVEL_THREADS = 1, LEVEL_CORES = 2 }; /* of leaf 0xb, ECX bits 15:8 */

#define LEAF_TOPOLOGY       0xbu
#define LEAF_TOPOLOGY_2     0x1fu
#define LEAF_AMD_1          0x80000001u
#define LEAF_AMD_SIZES      0x80000008u
#define LEAF_AMD_SVM        0x8000000au
#define LEAF_AMD_CACHES     0x8000001du
#define LEAF_AMD_TOPOLOGY   0x8000001eu
#define LEAF_AMD_TOPOLOGY_2 0x80000026u

static size_t cpuid_size(unsigned entries)
{
    return sizeof(struct kvm_cpuid2) + entries * sizeof(struct kvm_cpuid_entry2);
}

/* ---- one list ------------------------------------------------------------------------------- */

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
    for (unsigned i = 0; i < cpuid->nent; i++)
        if (cpuid->entries[i].function == leaf)
            return &cpuid->entries[i];
    return NULL;
}

static void remove_leaf(struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < cpuid->nent; i++)
        if (cpuid->entries[i].function != leaf)
            cpuid->entries[kept++] = cpuid->entries[i];
    cpuid->nent = kept;
}

/* Does the processor know the leaf? Leaf 0 and 0x80000000 say which is the last. */
static bool reaches(struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
    const struct kvm_cpuid_entry2 *first = find_leaf(cpuid, leaf & 0x80000000);
    return first && first->eax >= leaf;
}

/* AMD's own leaves count on its processors, and on Hygon's, which are the same. */
static bool is_amd(struct kvm_cpuid2 *cpuid)
{
    const struct kvm_cpuid_entry2 *first = find_leaf(cpuid, 0);
    return first && (!memcmp(&first->ebx, "Auth", 4) || !memcmp(&first->ebx, "Hygo", 4));
}

/* Bits that tell so many things apart. */
static unsigned bits_for(unsigned count)
{
    unsigned bits = 0;
    while (1u << bits < count)
        bits++;
    return bits;
}

/* ---- changes -------------------------------------------------------------------------------- */

static void change_leaf_1(struct kvm_cpuid_entry2 *e, const struct kvm_cpuid_vcpu *v)
{
    e->ebx = (e->ebx & 0x0000ffff) | v->index << 24 | v->vcpus << 16;
    e->ecx = (e->ecx & ~(uint32_t)LEAF_1_VMX) | LEAF_1_HYPERVISOR;
    if (v->tsc_deadline)
        e->ecx |= LEAF_1_TSC_DEADLINE;
    e->edx &= ~(uint32_t)LEAF_1_HTT;
    if (v->vcpus > 1)
        e->edx |= LEAF_1_HTT;
}

/* An entry for each cache; type 0 ends them. */
static void change_leaf_4(struct kvm_cpuid_entry2 *e, const struct kvm_cpuid_vcpu *v)
{
    uint32_t cores = v->vcpus <= 64 ? v->vcpus - 1 : 63; /* 6 bits */
    if (e->eax & 0x1f)
        e->eax = (e->eax & 0x00003fff) | cores << 26;
}

static void change_amd_caches(struct kvm_cpuid_entry2 *e)
{
    if (e->eax & 0x1f)
        e->eax &= 0x00003fff;
}

static void change_amd_1(struct kvm_cpuid_entry2 *e, const struct kvm_cpuid_vcpu *v, bool amd)
{
    e->ecx &= ~(uint32_t)AMD_SVM;
    if (amd)
        e->ecx = (e->ecx & ~(uint32_t)AMD_COUNTS_CORES) | (v->vcpus > 1 ? AMD_COUNTS_CORES : 0);
}

static void change_entry(struct kvm_cpuid_entry2 *e, const struct kvm_cpuid_vcpu *v, bool amd)
{
    switch (e->function) {
    case 1: change_leaf_1(e, v); break;
    case 4: change_leaf_4(e, v); break;
    case LEAF_AMD_1: change_amd_1(e, v, amd); break;
    case LEAF_AMD_SIZES:
        if (amd)
            e->ecx = (e->ecx & ~0xf0ffu) | bits_for(v->vcpus) << 12 | (v->vcpus - 1);
        break;
    case LEAF_AMD_CACHES: change_amd_caches(e); break;
    default: break;
    }
}

static void add_entry(struct kvm_cpuid2 *cpuid, struct kvm_cpuid_entry2 entry)
{
    cpuid->entries[cpuid->nent++] = entry;
}

/* From the smallest part to the package; EAX: how far to shift an ID for the number of the next
 * larger part; EBX: logical processors in this one. A level of type 0 ends the list. */
static void add_topology(struct kvm_cpuid2 *cpuid, const struct kvm_cpuid_vcpu *v)
{
    const struct {
        uint32_t shift, count, type;
    } LEVELS[] = {{0, 1, LEVEL_THREADS}, {bits_for(v->vcpus), v->vcpus, LEVEL_CORES}, {0, 0, 0}};
    for (uint32_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++)
        add_entry(cpuid, (struct kvm_cpuid_entry2){.function = LEAF_TOPOLOGY,
                                                   .index = i,
                                                   .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                                                   .eax = LEVELS[i].shift,
                                                   .ebx = LEVELS[i].count,
                                                   .ecx = i | LEVELS[i].type << 8,
                                                   .edx = v->index});
}

/* EAX: APIC ID; EBX: core, threads in it - 1; ECX: node, nodes - 1. */
static void add_amd_topology(struct kvm_cpuid2 *cpuid, const struct kvm_cpuid_vcpu *v)
{
    add_entry(cpuid, (struct kvm_cpuid_entry2){
                         .function = LEAF_AMD_TOPOLOGY, .eax = v->index, .ebx = v->index});
}

void kvm_cpuid_change(struct kvm_cpuid2 *cpuid, const struct kvm_cpuid_vcpu *v)
{
    static const uint32_t ANEW[] = {LEAF_TOPOLOGY, LEAF_TOPOLOGY_2, LEAF_AMD_SVM, LEAF_AMD_TOPOLOGY,
                                    LEAF_AMD_TOPOLOGY_2};
    bool amd = is_amd(cpuid);
    for (size_t i = 0; i < sizeof ANEW / sizeof *ANEW; i++)
        remove_leaf(cpuid, ANEW[i]);
    for (unsigned i = 0; i < cpuid->nent; i++)
        change_entry(&cpuid->entries[i], v, amd);
    if (reaches(cpuid, LEAF_TOPOLOGY))
        add_topology(cpuid, v);
    if (amd && reaches(cpuid, LEAF_AMD_TOPOLOGY))
        add_amd_topology(cpuid, v);
}

/* ---- to KVM --------------------------------------------------------------------------------- */

static void change_for(struct kvm_cpuid2 *cpuid, const struct kvm_vm *vm, unsigned index)
{
    const struct kvm_cpuid_vcpu vcpu = {
        .index = index,
        .vcpus = vm->config.vcpus,
        .tsc_deadline = ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
    };
    kvm_cpuid_change(cpuid, &vcpu);
}

/* How many entries there are is known only by asking with enough room. */
int kvm_cpuid_init(struct kvm_vm *vm)
{
    for (unsigned entries = ENTRIES_FIRST; entries <= ENTRIES_MAX; entries *= 2) {
        struct kvm_cpuid2 *cpuid = calloc(1, cpuid_size(entries + KVM_CPUID_MORE));
        if (!cpuid)
            return -ENOMEM;
        cpuid->nent = entries;
        if (ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0) {
            change_for(cpuid, vm, 0);
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

int kvm_cpuid_set(struct kvm_vcpu *v)
{
    const struct kvm_vm *vm = v->vm;
    struct kvm_cpuid2 *cpuid = malloc(cpuid_size(vm->cpuid->nent + KVM_CPUID_MORE));
    if (!cpuid)
        return -ENOMEM;
    memcpy(cpuid, vm->cpuid, cpuid_size(vm->cpuid->nent));
    change_for(cpuid, vm, v->index);
    int error = ioctl(v->fd, KVM_SET_CPUID2, cpuid) ? -errno : 0;
    free(cpuid);
    return error;
}

unsigned kvm_cpuid_width(const struct kvm_vm *vm)
{
    const struct kvm_cpuid_entry2 *sizes = find_leaf(vm->cpuid, LEAF_AMD_SIZES);
    return sizes ? sizes->eax & 0xff : 36; /* without it the processor is too old to say */
}
