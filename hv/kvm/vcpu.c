/*
 * A vCPU's thread: park, enter the guest, handle what it came back with, enter again.
 *
 * This is the loop that every monitor on KVM has at its heart. KVM_RUN returns when the guest has
 * done something that the kernel leaves to this program (an exit), when a signal came (EINTR), or
 * when immediate_exit was set before it began.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>

#include "hv/kvm/vm.h"

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- one exit ----------------------------------------------------------------------------- */

/* Before it is handled: what is known of it. exits.c adds the rest. */
static struct kvm_exit *log_begin(struct kvm_vcpu *v, uint64_t left)
{
    struct kvm_exits *exits = v->vm->exits;
    struct kvm_exit *e = &exits->ring[exits->total % KVM_EXIT_LOG];
    *e = (struct kvm_exit){.seq = ++exits->total,
                           .rip = v->run->s.regs.regs.rip,
                           .reason = v->run->exit_reason,
                           .guest_ns = left - v->entered_ns,
                           .count = 1,
                           .vcpu = (uint8_t)v->index};
    return e;
}

static void log_end(struct kvm_vcpu *v, struct kvm_exit *e, uint64_t left)
{
    struct kvm_exits *exits = v->vm->exits;
    unsigned row = e->reason < KVM_REASONS ? e->reason : 0;
    v->entered_ns = now_ns();
    e->ns = v->entered_ns - left;
    exits->count[row]++;
    exits->ns[row] += e->ns;
    if (v->vm->exited)
        v->vm->exited(v->vm->exited_context, e);
}

static void on_exit_from_guest(struct kvm_vcpu *v)
{
    struct kvm_vm *vm = v->vm;
    uint64_t left = now_ns();
    pthread_mutex_lock(&vm->io);
    struct kvm_exit *e = log_begin(v, left);
    kvm_exit_handle(v, e);
    log_end(v, e, left);
    pthread_mutex_unlock(&vm->io);
    if (atomic_load_explicit(&vm->exit_wanted, memory_order_relaxed))
        kvm_vm_stop(vm, (struct kvm_stop){.kind = KVM_STOP_EXIT, .vcpu = v->index});
}

/* ---- the loop ----------------------------------------------------------------------------- */

/* An access that the guest has begun is completed by the next KVM_RUN (api.rst, "KVM_EXIT_IO"):
 * without it the registers would be those of half an instruction. immediate_exit keeps the guest
 * from going on. A string instruction may come with its next element, and there is no end to what a
 * guest can ask for. */
enum { FINISH_MAX = 64 };

static void finish_access(struct kvm_vcpu *v)
{
    v->run->immediate_exit = 1;
    for (int i = 0; v->unfinished && i < FINISH_MAX; i++) {
        if (ioctl(v->fd, KVM_RUN, 0) == 0)
            on_exit_from_guest(v);
        else
            v->unfinished = false;
    }
}

static void run_guest(struct kvm_vcpu *v)
{
    struct kvm_vm *vm = v->vm;
    v->entered_ns = now_ns();
    while (!atomic_load_explicit(&vm->leave, memory_order_relaxed)) {
        if (ioctl(v->fd, KVM_RUN, 0) == 0)
            on_exit_from_guest(v);
        else if (errno != EINTR && errno != EAGAIN)
            kvm_vm_stop(vm, (struct kvm_stop){KVM_STOP_ERROR, v->index, errno});
    }
    finish_access(v);
}

static void park(struct kvm_vcpu *v)
{
    v->go = false;
    if (--v->vm->busy == 0)
        pthread_cond_signal(&v->vm->parked);
}

/* Signals are for the program's other threads; only the kick comes here. */
static void block_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, KVM_SIGNAL_KICK);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

void *kvm_vcpu_thread(void *argument)
{
    struct kvm_vcpu *v = argument;
    struct kvm_vm *vm = v->vm;
    block_signals();
    int error = vm->config.confine ? vm->config.confine(vm->config.context) : 0;
    pthread_mutex_lock(&vm->lock);
    while (!vm->quit) {
        if (!v->go) {
            pthread_cond_wait(&vm->begin, &vm->lock);
            continue;
        }
        pthread_mutex_unlock(&vm->lock);
        if (error)
            kvm_vm_stop(vm, (struct kvm_stop){KVM_STOP_ERROR, v->index, -error});
        else
            run_guest(v);
        pthread_mutex_lock(&vm->lock);
        park(v);
    }
    pthread_mutex_unlock(&vm->lock);
    return NULL;
}
