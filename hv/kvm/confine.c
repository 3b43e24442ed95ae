/* The system calls of a vCPU's thread. See confine.h. */
#include "config.h"

#include "hv/kvm/confine.h"

#include <errno.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <sys/mman.h>

static const struct {
    int call;
    const char *why;
} CALLS[] = {
    {SCMP_SYS(futex), "locks and condition variables"},
    {SCMP_SYS(clock_gettime), "the clock, where the vDSO does not answer"},
    {SCMP_SYS(clock_nanosleep), "waiting"},
    {SCMP_SYS(nanosleep), "waiting"},
    {SCMP_SYS(sched_yield), "waiting"},
    {SCMP_SYS(read), "descriptors that are open already: disks, event counters"},
    {SCMP_SYS(write), "the same, and the console"},
    {SCMP_SYS(writev), "the same"},
    {SCMP_SYS(pread64), "disks"},
    {SCMP_SYS(pwrite64), "disks"},
    {SCMP_SYS(preadv), "disks"},
    {SCMP_SYS(pwritev), "disks"},
    {SCMP_SYS(fdatasync), "a disk's flush"},
    {SCMP_SYS(fsync), "a disk's flush"},
    {SCMP_SYS(fallocate), "a disk's discard"},
    {SCMP_SYS(lseek), "disks: where data begins"},
    {SCMP_SYS(fstat), "disks: their size"},
    {SCMP_SYS(poll), "a console that is not ready"},
    {SCMP_SYS(ppoll), "a console that is not ready"},
    {SCMP_SYS(getrandom), "the random number device"},
    {SCMP_SYS(munmap), "memory of this program, and a thread's stack at its end"},
    {SCMP_SYS(mremap), "memory of this program"},
    {SCMP_SYS(brk), "memory of this program"},
    {SCMP_SYS(madvise), "pages that the balloon gives back"},
    {SCMP_SYS(gettid), "kicking another vCPU"},
    {SCMP_SYS(getpid), "kicking another vCPU"},
    {SCMP_SYS(tgkill), "kicking another vCPU"},
    {SCMP_SYS(rt_sigprocmask), "a thread's end"},
    {SCMP_SYS(rt_sigreturn), "after the kick"},
    {SCMP_SYS(sigaltstack), "a thread's end under a sanitizer"},
    {SCMP_SYS(restart_syscall), "what the kick has interrupted"},
    {SCMP_SYS(rseq), "a thread's end"},
    {SCMP_SYS(set_robust_list), "a thread's end"},
    {SCMP_SYS(exit), "a thread's end"},
    {SCMP_SYS(exit_group), "the program's end, by an assertion"},
};

/* KVM's own calls: nothing here makes a new descriptor or changes the guest's memory map. */
static const unsigned long KVM_CALLS[] = {
    KVM_RUN,       KVM_IRQ_LINE,        KVM_GET_REGS,        KVM_SET_REGS,
    KVM_GET_SREGS, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_GET_DEBUGREGS,
    KVM_GET_FPU,
};

static int add_rules(scmp_filter_ctx filter)
{
    int error = 0;
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALLS[i].call, 0);
    for (size_t i = 0; i < sizeof KVM_CALLS / sizeof *KVM_CALLS && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, KVM_CALLS[i]));
    /* Memory, but none that can be executed. */
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return error;
}

int kvm_confine(void *unused)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    int error = add_rules(filter);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}
