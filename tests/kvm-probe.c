/* A bare virtual machine for tests. See kvm-probe.h. */
#include "tests/kvm-probe.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ENTRIES = 256, RUN_SIZE = 3 * 4096 };

bool kvm_probe_can(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        printf("# left out: what needs a virtual machine, because of /dev/kvm: %s\n",
               strerror(errno));
    else
        close(kvm);
    return kvm >= 0;
}

static struct kvm_cpuid2 *supported_cpuid(int kvm)
{
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + ENTRIES * sizeof *cpuid->entries);
    ck_assert_ptr_nonnull(cpuid);
    cpuid->nent = ENTRIES;
    ck_assert_int_eq(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), 0);
    return cpuid;
}

static void set_cpuid(int kvm, int vcpu, unsigned width)
{
    struct kvm_cpuid2 *cpuid = supported_cpuid(kvm);
    for (unsigned i = 0; i < cpuid->nent && width; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
        if (e->function == 0) { /* "GenuineIntel" */
            e->ebx = 0x756e6547;
            e->edx = 0x49656e69;
            e->ecx = 0x6c65746e;
        }
        if (e->function == 0x80000008)
            e->eax = (e->eax & ~0xffu) | width;
    }
    ck_assert_int_eq(ioctl(vcpu, KVM_SET_CPUID2, cpuid), 0);
    free(cpuid);
}

struct kvm_probe kvm_probe_new(uint64_t size, unsigned width)
{
    struct kvm_probe p;
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(kvm, 0);
    p.vm = ioctl(kvm, KVM_CREATE_VM, 0);
    ck_assert_int_ge(p.vm, 0);
    ck_assert_int_eq(kvm_memory_init(&p.memory, size), 0);
    struct kvm_userspace_memory_region slot = {.memory_size = size,
                                               .userspace_addr = (uintptr_t)p.memory.host};
    ck_assert_int_eq(ioctl(p.vm, KVM_SET_USER_MEMORY_REGION, &slot), 0);
    p.vcpu = ioctl(p.vm, KVM_CREATE_VCPU, 0);
    ck_assert_int_ge(p.vcpu, 0);
    set_cpuid(kvm, p.vcpu, width);
    p.run = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p.vcpu, 0);
    ck_assert_ptr_ne(p.run, MAP_FAILED);
    close(kvm);
    return p;
}

void kvm_probe_free(struct kvm_probe *p)
{
    munmap(p->run, RUN_SIZE);
    close(p->vcpu);
    close(p->vm);
    kvm_memory_free(&p->memory);
}

bool kvm_probe_offers(unsigned leaf, char reg, unsigned bit)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    struct kvm_cpuid2 *cpuid = supported_cpuid(kvm);
    bool offered = false;
    for (unsigned i = 0; i < cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
        const uint32_t value[] = {e->eax, e->ebx, e->ecx, e->edx};
        if (e->function == leaf && e->index == 0)
            offered = value[reg - 'a'] >> bit & 1;
    }
    free(cpuid);
    close(kvm);
    return offered;
}

unsigned kvm_probe_run(struct kvm_probe *p)
{
    while (ioctl(p->vcpu, KVM_RUN, 0))
        ck_assert_int_eq(errno, EINTR);
    return p->run->exit_reason;
}

static void put(struct kvm_memory *m, uint64_t at, uint64_t value)
{
    ck_assert(kvm_memory_write(m, at, &value, 8));
}

void kvm_probe_long_mode(struct kvm_memory *m, struct kvm_regs *regs, struct kvm_sregs *s)
{
    put(m, KVM_PROBE_PML4, 0x2007);
    put(m, 0x2000, 0x3007);
    put(m, 0x3000, 0x87);
    put(m, KVM_PROBE_GDT + 8, 0x00209b0000000000);
    put(m, KVM_PROBE_GDT + 16, 0x00009300000000);
    for (unsigned i = 0; i < 32; i++) {
        put(m, KVM_PROBE_IDT + 16 * i, (uint64_t)KVM_PROBE_HANDLER | 0x8e0000080000);
        put(m, KVM_PROBE_IDT + 16 * i + 8, 0);
    }
    put(m, KVM_PROBE_TSS + 4, KVM_PROBE_STACK);
    *regs = (struct kvm_regs){.rip = KVM_PROBE_CODE, .rsp = KVM_PROBE_STACK, .rflags = 2};
    s->cr0 = 0x80010011;
    s->cr3 = KVM_PROBE_PML4;
    s->cr4 = 0x20;
    s->efer = 0xd00;
    s->cs = (struct kvm_segment){
        .selector = 8, .limit = ~0u, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    s->ss = (struct kvm_segment){
        .selector = 16, .limit = ~0u, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    s->ds = s->es = s->fs = s->gs = s->ss;
    s->tr = (struct kvm_segment){
        .selector = 24, .base = KVM_PROBE_TSS, .limit = 0x67, .type = 11, .present = 1};
    s->gdt = (struct kvm_dtable){.base = KVM_PROBE_GDT, .limit = 23};
    s->idt = (struct kvm_dtable){.base = KVM_PROBE_IDT, .limit = 511};
}
