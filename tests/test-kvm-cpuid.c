/* What a vCPU's CPUID says: made from lists as KVM gives them on several hosts, and as KVM has
 * taken it on this one. */
#include "config.h"

#include "hv/kvm/cpuid.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/kvm-guest.h"

enum { ROOM = 64 };
#define HTT        (1u << 28)
#define HYPERVISOR (1u << 31)
#define VMX        (1u << 5)
#define DEADLINE   (1u << 24)
#define SVM        (1u << 2)
#define CMP_LEGACY (1u << 1)

struct list {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entry[ROOM];
};

static void add(struct list *l, struct kvm_cpuid_entry2 e)
{
    ck_assert_uint_lt(l->head.nent, ROOM - KVM_CPUID_MORE);
    l->entry[l->head.nent++] = e;
}

/* An older KVM on an Intel processor: the host's own topology, two threads a core. */
static void intel(struct list *l)
{
    *l = (struct list){0};
    add(l, (struct kvm_cpuid_entry2){.function = 0, .eax = 0x1f, .ebx = 0x756e6547});
    add(l, (struct kvm_cpuid_entry2){
               .function = 1, .ebx = 0x07100800, .ecx = VMX | 1, .edx = HTT | 0x178bfbff});
    add(l, (struct kvm_cpuid_entry2){.function = 4, .index = 0, .flags = 1, .eax = 0x1c004121});
    add(l, (struct kvm_cpuid_entry2){.function = 4, .index = 1, .flags = 1, .eax = 0});
    for (uint32_t i = 0; i < 3; i++) {
        add(l, (struct kvm_cpuid_entry2){
                   .function = 0xb, .index = i, .flags = 1, .eax = i + 1, .ebx = 2, .edx = 7});
        add(l, (struct kvm_cpuid_entry2){
                   .function = 0x1f, .index = i, .flags = 1, .eax = i + 1, .ebx = 2, .edx = 7});
    }
    add(l, (struct kvm_cpuid_entry2){.function = 0x80000000, .eax = 0x80000008});
    add(l, (struct kvm_cpuid_entry2){.function = 0x80000001, .ecx = 1});
    add(l, (struct kvm_cpuid_entry2){.function = 0x80000008, .eax = 0x3027});
}

/* A newer one on an AMD processor: zeros instead. */
static void amd(struct list *l)
{
    *l = (struct list){0};
    add(l,
        (struct kvm_cpuid_entry2){
            .function = 0, .eax = 0x10, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65});
    add(l, (struct kvm_cpuid_entry2){.function = 1, .ebx = 0x800, .edx = 0x178bfbff});
    add(l, (struct kvm_cpuid_entry2){.function = 0xb, .flags = 1});
    add(l, (struct kvm_cpuid_entry2){.function = 0x80000000, .eax = 0x80000022});
    add(l, (struct kvm_cpuid_entry2){.function = 0x80000001, .ecx = SVM | 1u << 22});
    add(l, (struct kvm_cpuid_entry2){.function = 0x80000008, .eax = 0x3030, .ecx = 0x500f});
    add(l, (struct kvm_cpuid_entry2){.function = 0x8000000a, .eax = 1, .edx = 0xff});
    add(l, (struct kvm_cpuid_entry2){.function = 0x8000001d, .flags = 1, .eax = 0x00004121});
    add(l, (struct kvm_cpuid_entry2){.function = 0x8000001e});
}

/* The entry that the guest would see; all zeros if there is none. */
static struct kvm_cpuid_entry2 ask(const struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t index)
{
    struct kvm_cpuid_entry2 found = {0};
    int count = 0;
    for (unsigned i = 0; i < cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
        if (e->function == leaf && (!(e->flags & 1) || e->index == index)) {
            found = *e;
            count++;
        }
    }
    ck_assert_int_le(count, 1);
    return found;
}

static void change(struct list *l, unsigned index, unsigned vcpus)
{
    struct kvm_cpuid_vcpu v = {.index = index, .vcpus = vcpus, .tsc_deadline = true};
    uint32_t before = l->head.nent;
    kvm_cpuid_change(&l->head, &v);
    ck_assert_uint_le(l->head.nent, before + KVM_CPUID_MORE);
}

/* One package, a core for each vCPU, a thread for each core. `width`: bits that tell cores apart.
 */
static void check_topology(const struct kvm_cpuid2 *c, unsigned index, unsigned vcpus,
                           unsigned width)
{
    struct kvm_cpuid_entry2 one = ask(c, 1, 0);
    ck_assert_uint_eq(one.ebx >> 24, index);
    ck_assert_uint_eq(one.ebx >> 16 & 0xff, vcpus);
    ck_assert_uint_eq(one.edx & HTT, vcpus > 1 ? HTT : 0);
    ck_assert_uint_eq(one.ecx & (HYPERVISOR | DEADLINE | VMX), HYPERVISOR | DEADLINE);

    struct kvm_cpuid_entry2 threads = ask(c, 0xb, 0), cores = ask(c, 0xb, 1), end = ask(c, 0xb, 2);
    ck_assert_uint_eq(threads.eax, 0);
    ck_assert_uint_eq(threads.ebx, 1);
    ck_assert_uint_eq(threads.ecx, 0x100);
    ck_assert_uint_eq(cores.eax, width);
    ck_assert_uint_eq(cores.ebx, vcpus);
    ck_assert_uint_eq(cores.ecx, 0x201);
    ck_assert_uint_eq(end.ebx, 0);
    ck_assert_uint_eq(end.ecx, 2);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(ask(c, 0xb, i).edx, index);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(ask(c, 0x1f, i).ebx, 0);
    ck_assert_uint_eq(ask(c, 0x80000001, 0).ecx & SVM, 0);
    ck_assert_uint_eq(ask(c, 0x8000000a, 0).edx, 0);
}

static const struct {
    unsigned vcpus, width;
} SIZES[] = {{1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {64, 6}};

START_TEST(intel_hosts)
{
    struct list l;
    unsigned vcpus = SIZES[_i].vcpus;
    for (unsigned index = 0; index < vcpus; index++) {
        intel(&l);
        change(&l, index, vcpus);
        check_topology(&l.head, index, vcpus, SIZES[_i].width);
        ck_assert_uint_eq(ask(&l.head, 4, 0).eax, 0x121 | (vcpus - 1) << 26);
        ck_assert_uint_eq(ask(&l.head, 4, 1).eax, 0);
        ck_assert_uint_eq(ask(&l.head, 1, 0).ecx & 1, 1); /* the rest is as it was */
        ck_assert_uint_eq(ask(&l.head, 0x80000008, 0).ecx, 0);
        ck_assert_uint_eq(ask(&l.head, 0x8000001e, 0).eax, 0);
    }
}
END_TEST

START_TEST(amd_hosts)
{
    struct list l;
    unsigned vcpus = SIZES[_i].vcpus;
    for (unsigned index = 0; index < vcpus; index++) {
        amd(&l);
        change(&l, index, vcpus);
        check_topology(&l.head, index, vcpus, SIZES[_i].width);
        ck_assert_uint_eq(ask(&l.head, 0x80000001, 0).ecx & CMP_LEGACY, vcpus > 1 ? CMP_LEGACY : 0);
        ck_assert_uint_eq(ask(&l.head, 0x80000008, 0).eax, 0x3030);
        ck_assert_uint_eq(ask(&l.head, 0x80000008, 0).ecx, SIZES[_i].width << 12 | (vcpus - 1));
        ck_assert_uint_eq(ask(&l.head, 0x8000001d, 0).eax, 0x121);
        struct kvm_cpuid_entry2 own = ask(&l.head, 0x8000001e, 0);
        ck_assert_uint_eq(own.eax, index);
        ck_assert_uint_eq(own.ebx, index);
        ck_assert_uint_eq(own.ecx, 0);
    }
}
END_TEST

/* A list that was made for one vCPU serves for the next: it is the same as one made from the
 * host's. */
START_TEST(one_after_the_other)
{
    struct list again, fresh;
    (_i ? amd : intel)(&again);
    for (unsigned index = 0; index < 3; index++) {
        (_i ? amd : intel)(&fresh);
        change(&fresh, index, 3);
        change(&again, index, 3);
        ck_assert_uint_eq(again.head.nent, fresh.head.nent);
        ck_assert_mem_eq(again.entry, fresh.entry, fresh.head.nent * sizeof *fresh.entry);
    }
}
END_TEST

/* What a processor's leaf 0 does not reach is not added. */
START_TEST(old_processors)
{
    struct list l = {0};
    add(&l, (struct kvm_cpuid_entry2){.function = 0, .eax = 4, .ebx = 0x756e6547});
    add(&l, (struct kvm_cpuid_entry2){.function = 1});
    change(&l, 1, 2);
    ck_assert_uint_eq(l.head.nent, 2);
    ck_assert_uint_eq(ask(&l.head, 1, 0).ebx, 1u << 24 | 2u << 16);
}
END_TEST

/* KVM takes the list, and each vCPU has its own. */
START_TEST(on_this_host)
{
    enum { VCPUS = 3 };
    static struct kvm_vm vm;
    struct kvm_vm_config config = {.kvm_fd = -1, .memory = 2 << 20, .vcpus = VCPUS};
    char why[256] = "";
    ck_assert_msg(kvm_vm_init(&vm, &config, why) == 0, "%s", why);
    for (unsigned i = 0; i < VCPUS; i++) {
        struct kvm_cpuid2 *got = calloc(1, sizeof *got + 256 * sizeof *got->entries);
        got->nent = 256;
        ck_assert_int_eq(ioctl(vm.vcpu[i].fd, KVM_GET_CPUID2, got), 0);
        ck_assert_uint_eq(ask(got, 1, 0).ebx >> 24, i);
        ck_assert_uint_eq(ask(got, 1, 0).edx & HTT, HTT);
        ck_assert_uint_eq(ask(got, 1, 0).ecx & VMX, 0);
        ck_assert_uint_eq(ask(got, 0x80000001, 0).ecx & SVM, 0);
        if (ask(got, 0, 0).eax >= 0xb) {
            ck_assert_uint_eq(ask(got, 0xb, 1).ebx, VCPUS);
            ck_assert_uint_eq(ask(got, 0xb, 1).edx, i);
        }
        free(got);
    }
    kvm_vm_free(&vm);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kvm-cpuid");
    TCase *tests = tcase_create("cpuid");
    tcase_add_loop_test(tests, intel_hosts, 0, sizeof SIZES / sizeof *SIZES);
    tcase_add_loop_test(tests, amd_hosts, 0, sizeof SIZES / sizeof *SIZES);
    tcase_add_loop_test(tests, one_after_the_other, 0, 2);
    tcase_add_test(tests, old_processors);
    int kvm = open("/dev/kvm", O_RDWR);
    if (kvm >= 0)
        tcase_add_test(tests, on_this_host);
    else
        printf("# no vCPU is asked: /dev/kvm cannot be opened\n");
    if (kvm >= 0)
        close(kvm);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
