/* Small guests for tests of the monitor on KVM: bytes in memory, a processor mode, a device. */
#ifndef VITRINE_TESTS_KVM_GUEST_H
#define VITRINE_TESTS_KVM_GUEST_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hv/kvm/vm.h"
#include "tests/tap.h"

enum { GUEST_CODE = 0x1000 };

/* If there is no KVM, says so in TAP and returns true. */
static inline bool kvm_is_missing(void)
{
    int fd = open("/dev/kvm", O_RDWR);
    if (fd < 0)
        printf("1..0 # SKIP /dev/kvm cannot be opened\n");
    else
        close(fd);
    return fd < 0;
}

static inline struct kvm_regs guest_regs(struct kvm_vm *vm)
{
    struct kvm_regs regs;
    ck_assert_int_eq(ioctl(vm->vcpu[0].fd, KVM_GET_REGS, &regs), 0);
    return regs;
}

static inline struct kvm_sregs guest_sregs(struct kvm_vm *vm)
{
    struct kvm_sregs sregs;
    ck_assert_int_eq(ioctl(vm->vcpu[0].fd, KVM_GET_SREGS, &sregs), 0);
    return sregs;
}

/* Real mode, segments at 0, at GUEST_CODE. */
static inline void guest_real_mode(struct kvm_vm *vm, const void *code, size_t size)
{
    struct kvm_sregs sregs = guest_sregs(vm);
    struct kvm_regs regs = {.rip = GUEST_CODE, .rflags = 2, .rsp = 0x8000};
    ck_assert(kvm_memory_write(&vm->memory, GUEST_CODE, code, size));
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    ck_assert_int_eq(ioctl(vm->vcpu[0].fd, KVM_SET_SREGS, &sregs), 0);
    ck_assert_int_eq(ioctl(vm->vcpu[0].fd, KVM_SET_REGS, &regs), 0);
}

/* Flat 32-bit protected mode, at GUEST_CODE. */
static inline void guest_protected_mode(struct kvm_vm *vm, const void *code, size_t size)
{
    guest_real_mode(vm, code, size);
    struct kvm_sregs sregs = guest_sregs(vm);
    struct kvm_segment data = {
        .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.cs = data;
    sregs.cs.type = 11;
    sregs.cs.selector = 8;
    sregs.cr0 |= 1;
    ck_assert_int_eq(ioctl(vm->vcpu[0].fd, KVM_SET_SREGS, &sregs), 0);
}

#endif
