/* The descriptors and system calls of a vCPU's thread, and of a network's. See confine.h. */
#include "config.h"

#include "hv/kvm/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

/* Whose calls these are. */
enum { VCPU = 1, NETWORK = 2, BOTH = VCPU | NETWORK };

/* What a run of any guest has been seen to call, and what needs a reason instead. */
static const struct {
    int call;
    unsigned who;
    const char *why;
} CALLS[] = {
    {SCMP_SYS(futex), BOTH, "locks and condition variables"},
    {SCMP_SYS(write), BOTH, "the console, event counters"},
    {SCMP_SYS(poll), BOTH, "a console that is not ready"},
    {SCMP_SYS(pread64), VCPU, "a disk's sectors"},
    {SCMP_SYS(pwrite64), VCPU, "a disk's sectors"},
    {SCMP_SYS(fdatasync), VCPU, "a disk's flush"},
    {SCMP_SYS(lseek), VCPU, "holes in the guest's memory, for the balloon"},
    {SCMP_SYS(fallocate), VCPU, "pages that the balloon gives back"},
    {SCMP_SYS(madvise), BOTH, "the same, and a thread's stack at its end"},
    {SCMP_SYS(getrandom), VCPU, "the entropy device"},
    {SCMP_SYS(clock_gettime), BOTH, "the clock, on a host whose vDSO does not answer"},
    {SCMP_SYS(brk), BOTH, "malloc()"},
    {SCMP_SYS(mremap), BOTH, "realloc()"},
    {SCMP_SYS(munmap), BOTH, "free()"},
    {SCMP_SYS(getpid), BOTH, "kicking another vCPU"},
    {SCMP_SYS(gettid), BOTH, "the same"},
    {SCMP_SYS(rt_sigprocmask), BOTH, "the same, and a thread's end"},
    {SCMP_SYS(rt_sigreturn), BOTH, "after a kick"},
    {SCMP_SYS(restart_syscall), BOTH,
     "a wait that a stop of the whole program (SIGSTOP) has interrupted"},
    {SCMP_SYS(exit), BOTH, "a thread's end"},
    {SCMP_SYS(sigaltstack), BOTH, "the same under a sanitizer"},
    {SCMP_SYS(exit_group), BOTH, "the program's end, by an assertion"},
    {SCMP_SYS(writev), BOTH, "the C library's last words before it"},
    {SCMP_SYS(read), NETWORK, "an event counter"},
    {SCMP_SYS(connect), NETWORK, "what the guest connects to"},
    {SCMP_SYS(accept), NETWORK, "forwarded ports"},
    {SCMP_SYS(sendto), NETWORK, "what the guest sends"},
    {SCMP_SYS(recvfrom), NETWORK, "what it gets"},
    {SCMP_SYS(recvmsg), NETWORK, "the same: errors of UDP"},
    {SCMP_SYS(getsockname), NETWORK, "sockets of its own"},
    {SCMP_SYS(getpeername), NETWORK, "the same"},
    {SCMP_SYS(getsockopt), NETWORK, "the same: has the connection come about?"},
    {SCMP_SYS(setsockopt), NETWORK, "the same"},
    {SCMP_SYS(shutdown), NETWORK, "a connection that one side has ended"},
    {SCMP_SYS(close), NETWORK, "sockets of its own"},
};

enum { SOCKET_TYPE = 15 }; /* the type in socket()'s second argument; the rest are flags */

/* Calls that are allowed with these arguments only: {number, comparison, ...}. */
static const struct {
    int call;
    unsigned who, arguments;
    struct scmp_arg_cmp argument[2];
    const char *why;
} CHOSEN[] = {
    {SCMP_SYS(mmap),
     BOTH,
     1,
     {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
     "memory, but none that can be executed"},
    {SCMP_SYS(mprotect), BOTH, 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}, "the same"},
    {SCMP_SYS(ioctl), NETWORK, 1, {{1, SCMP_CMP_EQ, KVM_IRQ_LINE, 0}}, "a frame has come"},
    {SCMP_SYS(ioctl), NETWORK, 1, {{1, SCMP_CMP_EQ, FIONREAD, 0}}, "how long is the datagram?"},
    {SCMP_SYS(fcntl), NETWORK, 1, {{1, SCMP_CMP_EQ, F_GETFL, 0}}, "sockets that do not block"},
    {SCMP_SYS(fcntl), NETWORK, 1, {{1, SCMP_CMP_EQ, F_SETFL, 0}}, "the same"},
    {SCMP_SYS(socket),
     NETWORK,
     2,
     {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_STREAM}},
     "TCP, but nothing local"},
    {SCMP_SYS(socket),
     NETWORK,
     2,
     {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_DGRAM}},
     "UDP and pings, but no raw packets"},
};

/* KVM's own calls: nothing here makes a new descriptor or changes the guest's memory map. The
 * registers are for complete.c. */
static const unsigned long KVM_CALLS[] = {
    KVM_RUN,       KVM_IRQ_LINE, KVM_GET_REGS,        KVM_SET_REGS,
    KVM_GET_SREGS, KVM_GET_FPU,  KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
};

static int add_rules(scmp_filter_ctx filter, unsigned who)
{
    int error = 0;
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS && !error; i++)
        if (CALLS[i].who & who)
            error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALLS[i].call, 0);
    for (size_t i = 0; i < sizeof CHOSEN / sizeof *CHOSEN && !error; i++)
        if (CHOSEN[i].who & who)
            error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, CHOSEN[i].call,
                                           CHOSEN[i].arguments, CHOSEN[i].argument);
    for (size_t i = 0; i < sizeof KVM_CALLS / sizeof *KVM_CALLS && !error && who == VCPU; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, KVM_CALLS[i]));
    /* Signals to this program only. */
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    return error;
}

static int load_filter(unsigned who)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    int error = add_rules(filter, who);
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
    return error ? error : load_filter(VCPU);
}

int kvm_confine_network(void)
{
    return load_filter(NETWORK);
}
