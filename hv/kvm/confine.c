/* The system calls of a vCPU's thread. See confine.h. */
#include "config.h"

#include "hv/kvm/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
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

enum { SOCKET_TYPE = 15 }; /* bits of the type in socket()'s second argument; the rest are flags */

/* Whose calls these are. */
enum { VCPU = 1, NETWORK = 2, BOTH = VCPU | NETWORK };

static const struct {
    int call;
    unsigned who;
    const char *why;
} CALLS[] = {
    {SCMP_SYS(futex), BOTH, "locks and condition variables"},
    {SCMP_SYS(clock_gettime), BOTH, "the clock, where the vDSO does not answer"},
    {SCMP_SYS(clock_nanosleep), VCPU, "waiting"},
    {SCMP_SYS(nanosleep), VCPU, "waiting"},
    {SCMP_SYS(sched_yield), BOTH, "waiting"},
    {SCMP_SYS(read), BOTH, "descriptors that are open already: disks, event counters"},
    {SCMP_SYS(write), BOTH, "the same, and the console"},
    {SCMP_SYS(writev), BOTH, "the same"},
    {SCMP_SYS(pread64), VCPU, "disks"},
    {SCMP_SYS(pwrite64), VCPU, "disks"},
    {SCMP_SYS(preadv), VCPU, "disks"},
    {SCMP_SYS(pwritev), VCPU, "disks"},
    {SCMP_SYS(fdatasync), VCPU, "a disk's flush"},
    {SCMP_SYS(fsync), VCPU, "a disk's flush"},
    {SCMP_SYS(fallocate), VCPU, "a disk's discard"},
    {SCMP_SYS(lseek), VCPU, "disks: where data begins"},
    {SCMP_SYS(fstat), VCPU, "disks: their size"},
    {SCMP_SYS(poll), BOTH, "a console that is not ready"},
    {SCMP_SYS(ppoll), BOTH, "a console that is not ready"},
    {SCMP_SYS(getrandom), BOTH, "the random number device"},
    {SCMP_SYS(munmap), BOTH, "memory of this program, and a thread's stack at its end"},
    {SCMP_SYS(mremap), BOTH, "memory of this program"},
    {SCMP_SYS(brk), BOTH, "memory of this program"},
    {SCMP_SYS(madvise), BOTH, "pages that the balloon gives back"},
    {SCMP_SYS(gettid), BOTH, "kicking another vCPU"},
    {SCMP_SYS(getpid), BOTH, "kicking another vCPU"},
    {SCMP_SYS(tgkill), BOTH, "kicking another vCPU"},
    {SCMP_SYS(rt_sigprocmask), BOTH, "a thread's end"},
    {SCMP_SYS(rt_sigreturn), BOTH, "after the kick"},
    {SCMP_SYS(sigaltstack), BOTH, "a thread's end under a sanitizer"},
    {SCMP_SYS(restart_syscall), BOTH, "what the kick has interrupted"},
    {SCMP_SYS(rseq), BOTH, "a thread's end"},
    {SCMP_SYS(set_robust_list), BOTH, "a thread's end"},
    {SCMP_SYS(exit), BOTH, "a thread's end"},
    {SCMP_SYS(exit_group), BOTH, "the program's end, by an assertion"},
    {SCMP_SYS(connect), NETWORK, "what the guest connects to"},
    {SCMP_SYS(accept), NETWORK, "forwarded ports"},
    {SCMP_SYS(accept4), NETWORK, "forwarded ports"},
    {SCMP_SYS(sendto), NETWORK, "what the guest sends"},
    {SCMP_SYS(sendmsg), NETWORK, "what the guest sends"},
    {SCMP_SYS(recvfrom), NETWORK, "what it gets"},
    {SCMP_SYS(recvmsg), NETWORK, "what it gets: errors of UDP"},
    {SCMP_SYS(getsockname), NETWORK, "sockets of its own"},
    {SCMP_SYS(getpeername), NETWORK, "sockets of its own"},
    {SCMP_SYS(getsockopt), NETWORK, "sockets of its own: has the connection come about?"},
    {SCMP_SYS(setsockopt), NETWORK, "sockets of its own"},
    {SCMP_SYS(shutdown), NETWORK, "a connection that one side has ended"},
    {SCMP_SYS(close), NETWORK, "sockets of its own"},
};

/* Calls that are allowed with some arguments only. */
static const struct {
    int call;
    unsigned who;
    unsigned arguments;
    struct scmp_arg_cmp argument[2];
    const char *why;
} CHOSEN[] = {
    {SCMP_SYS(mmap), BOTH, 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}, "no code"},
    {SCMP_SYS(mprotect), BOTH, 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}, "no code"},
    {SCMP_SYS(ioctl), NETWORK, 1, {{1, SCMP_CMP_EQ, KVM_IRQ_LINE, 0}}, "a frame has come"},
    {SCMP_SYS(ioctl), NETWORK, 1, {{1, SCMP_CMP_EQ, FIONREAD, 0}}, "how long is the datagram?"},
    {SCMP_SYS(fcntl), NETWORK, 1, {{1, SCMP_CMP_EQ, F_GETFL, 0}}, "sockets do not block"},
    {SCMP_SYS(fcntl), NETWORK, 1, {{1, SCMP_CMP_EQ, F_SETFL, 0}}, "sockets do not block"},
    {SCMP_SYS(socket),
     NETWORK,
     2,
     {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_STREAM}},
     "TCP, and no local sockets"},
    {SCMP_SYS(socket),
     NETWORK,
     2,
     {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_DGRAM}},
     "UDP and pings, and no raw packets"},
};

/* KVM's own calls: nothing here makes a new descriptor or changes the guest's memory map. */
static const unsigned long KVM_CALLS[] = {
    KVM_RUN,       KVM_IRQ_LINE,        KVM_GET_REGS,        KVM_SET_REGS,
    KVM_GET_SREGS, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_GET_DEBUGREGS,
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
    return error;
}

static int load_filter(unsigned who)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    int error = add_rules(filter, who);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

int kvm_confine(void *unused)
{
    return load_filter(VCPU);
}

int kvm_confine_network(void)
{
    return load_filter(NETWORK);
}
