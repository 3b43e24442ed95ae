/* The descriptors and system calls of a vCPU's thread. See confine.h. */
#include "config.h"

#include "hv/kvm/confine.h"

#include <errno.h>
#include <limits.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- descriptors ---------------------------------------------------------------------------- */

/* The lowest of those from `from` on that is kept, or INT_MAX. */
static int next_kept(const int *keep, unsigned count, int from)
{
    int next = INT_MAX;
    for (unsigned i = 0; i < count; i++)
        if (keep[i] >= from && keep[i] < next)
            next = keep[i];
    return next;
}

/* A copy of the program's table, in which all is closed that lies between those that are kept. */
int kvm_confine_descriptors(const int *keep, unsigned count)
{
    if (unshare(CLONE_FILES))
        return -errno;
    for (int from = 0;;) {
        int kept = next_kept(keep, count, from);
        if (kept > from && close_range((unsigned)from, (unsigned)kept - 1, 0))
            return -errno;
        if (kept == INT_MAX)
            return 0;
        from = kept + 1;
    }
}

/* ---- system calls --------------------------------------------------------------------------- */

/* What a run of any guest has been seen to call, and what needs a reason instead. */
static const struct {
    int call;
    const char *why;
} CALLS[] = {
    {SCMP_SYS(futex), "locks and condition variables"},
    {SCMP_SYS(write), "the console, event counters"},
    {SCMP_SYS(poll), "a console that is not ready"},
    {SCMP_SYS(pread64), "a disk's sectors"},
    {SCMP_SYS(pwrite64), "a disk's sectors"},
    {SCMP_SYS(fdatasync), "a disk's flush"},
    {SCMP_SYS(lseek), "holes in the guest's memory, for the balloon"},
    {SCMP_SYS(fallocate), "pages that the balloon gives back"},
    {SCMP_SYS(madvise), "the same, and a thread's stack at its end"},
    {SCMP_SYS(getrandom), "the entropy device"},
    {SCMP_SYS(clock_gettime), "the clock, on a host whose vDSO does not answer"},
    {SCMP_SYS(brk), "malloc()"},
    {SCMP_SYS(mremap), "realloc()"},
    {SCMP_SYS(munmap), "free()"},
    {SCMP_SYS(getpid), "kicking another vCPU"},
    {SCMP_SYS(gettid), "the same"},
    {SCMP_SYS(rt_sigprocmask), "the same, and a thread's end"},
    {SCMP_SYS(rt_sigreturn), "after a kick"},
    {SCMP_SYS(restart_syscall),
     "a wait that a stop of the whole program (SIGSTOP) has interrupted"},
    {SCMP_SYS(exit), "a thread's end"},
    {SCMP_SYS(sigaltstack), "the same under a sanitizer"},
    {SCMP_SYS(exit_group), "the program's end, by an assertion"},
    {SCMP_SYS(writev), "the C library's last words before it"},
};

/* KVM's own calls: nothing here makes a new descriptor or changes the guest's memory map. The
 * registers are for complete.c. */
static const unsigned long KVM_CALLS[] = {
    KVM_RUN, KVM_IRQ_LINE, KVM_GET_REGS, KVM_SET_REGS, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
};

static int add_rules(scmp_filter_ctx filter)
{
    int error = 0;
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALLS[i].call, 0);
    for (size_t i = 0; i < sizeof KVM_CALLS / sizeof *KVM_CALLS && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, KVM_CALLS[i]));
    /* Signals to this program only. */
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    /* Memory, but none that can be executed. */
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return error;
}

static int load_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    int error = add_rules(filter);
    if (!error) /* KVM_RUN is what is called all the time: look for it first */
        error = seccomp_syscall_priority(filter, SCMP_SYS(ioctl), UINT8_MAX);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

int kvm_confine(const int *keep, unsigned count)
{
    int error = kvm_confine_descriptors(keep, count);
    return error ? error : load_filter();
}
