/*
 * A virtual machine on the host's own processor.
 *
 * KVM gives a program three kinds of descriptor: /dev/kvm, a VM made from it, and vCPUs made from
 * that. A struct kvm_vm holds them together with what KVM does not do itself: the guest's memory,
 * the devices behind its ports and physical addresses, and one thread for each vCPU.
 *
 * Who may touch what:
 *
 *      between two runs       everything here belongs to the caller of kvm_vm_run(): all vCPU
 *                             threads are parked, and their registers may be read and written
 *
 *      during kvm_vm_run()    each vCPU thread owns its struct kvm_vcpu; devices, wires and the
 *                             log of exits belong to whoever holds `io`
 *
 *      at any time            kvm_vm_kick(): makes a run end soon
 *
 * Errors: functions return 0 or -errno of the failing system call. Whatever a guest does is no
 * error: it is an exit, and what KVM cannot go on from is a struct kvm_stop.
 *
 * Source: "The Definitive KVM (Kernel-based Virtual Machine) API Documentation" (Linux,
 * Documentation/virt/kvm/api.rst); sections are named where they matter.
 */
#ifndef VITRINE_KVM_VM_H
#define VITRINE_KVM_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/bus.h"
#include "hv/kvm/memory.h"

enum { KVM_VCPUS_MAX = 64, KVM_EXIT_LOG = 4096, KVM_REASONS = 64, KVM_KEEP_MAX = 288 };

struct kvm_vm;

/* Why a run is over. */
enum kvm_stop_kind {
    KVM_STOP_NONE,     /* it was kicked, or its time is up: nothing has happened */
    KVM_STOP_POWEROFF, /* the guest has switched itself off, with `code` */
    KVM_STOP_RESET,    /* it asks for a reset */
    KVM_STOP_DEBUG,    /* a step is done, or a breakpoint was met: see kvm_run.debug */
    KVM_STOP_EXIT,     /* an exit has been handled, as asked for */
    KVM_STOP_HALTED,   /* every vCPU is halted with interrupts off */
    KVM_STOP_SHUTDOWN, /* a triple fault */
    KVM_STOP_INTERNAL, /* KVM cannot go on: kvm_run.internal */
    KVM_STOP_ENTRY,    /* the processor refuses the vCPU's state: kvm_run.fail_entry */
    KVM_STOP_ERROR,    /* KVM_RUN has failed with errno `code` */
};

struct kvm_stop {
    enum kvm_stop_kind kind;
    unsigned vcpu; /* whose */
    int code;
};

/* One exit, as it is kept for those who look. Times are of the host's monotonic clock. */
struct kvm_exit {
    uint64_t seq;      /* 1 = the first */
    uint64_t rip;      /* of the guest when it left */
    uint64_t address;  /* port or guest-physical address, or the reason's own number */
    uint64_t value;    /* written, or read by the guest */
    uint64_t guest_ns; /* that the vCPU has run before it */
    uint64_t ns;       /* that the monitor took */
    uint32_t reason;   /* KVM_EXIT_* */
    uint32_t count;    /* of a string instruction: elements moved at once; else 1 */
    uint8_t size;      /* of an element, in bytes */
    uint8_t vcpu;
    bool write;
    const struct device *device; /* that answered, or NULL */
};

struct kvm_exits {
    uint64_t total;
    uint64_t count[KVM_REASONS], ns[KVM_REASONS];
    struct kvm_exit ring[KVM_EXIT_LOG]; /* of number n: ring[(n - 1) % KVM_EXIT_LOG] */
};

struct kvm_vcpu {
    struct kvm_vm *vm;
    unsigned index;
    int fd;
    struct kvm_run *run; /* shared with KVM */
    pthread_t thread;
    bool has_thread;
    bool go;             /* it shall run: guarded by kvm_vm.lock */
    bool confined;       /* its thread has given up what it does not need */
    bool unfinished;     /* the last exit is an access that the next KVM_RUN completes */
    uint64_t entered_ns; /* when it last entered the guest */
};

struct kvm_vm_config {
    int kvm_fd;      /* an open /dev/kvm, which stays the caller's; -1: open it */
    uint64_t memory; /* bytes, a multiple of 4 KiB */
    unsigned vcpus;  /* 1 .. KVM_VCPUS_MAX */
    /* Called on each vCPU's thread before it first enters the guest, with the descriptors that it
     * will need; 0, or -errno: it does not enter. May be NULL. This is where a thread gives up
     * everything else: see confine.h. */
    int (*confine)(const int *keep, unsigned count);
};

struct kvm_vm {
    int kvm, fd;
    bool own_kvm; /* we have opened it */
    size_t run_size;
    struct kvm_vm_config config;
    struct kvm_memory memory;
    uint8_t *rom; /* read-only memory below 4 GiB, or NULL */
    size_t rom_size;
    struct kvm_vcpu vcpu[KVM_VCPUS_MAX];
    unsigned vcpus;
    struct kvm_cpuid2 *cpuid; /* as the first vCPU is told */
    int keep[KVM_KEEP_MAX];   /* of kvm_vm_keep() */
    unsigned keeps;

    pthread_mutex_t io; /* guards these, while a run is going on */
    bool open;          /* it is: set and cleared under `io` */
    struct bus ports, mmio;
    struct kvm_exits *exits;
    /* Told of each exit that has been handled, on its vCPU's thread, with `io` held. Set while the
     * VM stands; NULL: nobody wants to know. */
    void (*exited)(void *context, const struct kvm_exit *exit);
    void *exited_context;
    /* Told by kvm_vm_run() that devices may be used from now on, for those whose threads have
     * waited for it. NULL: nobody. */
    void (*begun)(void *context);
    void *begun_context;
    /* A port whose reading makes room for more of what is typed; 0: none. If more is typed than had
     * room (`typed`, written between two runs), the run ends then. */
    uint16_t typed_port;
    bool typed;
    bool int3_stops;     /* software breakpoints are set: int3 ends the run */
    uint32_t slot_flags; /* KVM_MEM_LOG_DIRTY_PAGES while dirty pages are logged */

    pthread_mutex_t lock;  /* guards the following */
    pthread_cond_t begin;  /* to vCPU threads: some `go` */
    pthread_cond_t parked; /* to kvm_vm_run(): `busy` is 0 */
    unsigned busy;         /* vCPUs that run */
    bool quit;
    struct kvm_stop stop;    /* the first reason of this run */
    atomic_bool leave;       /* vCPU threads come back from the guest and park */
    atomic_bool exit_wanted; /* end the run after the next exit */
};

/* Makes a VM with its memory, interrupt controllers, timer and vCPUs, in the state of the
 * processor's reset, and starts the (parked) vCPU threads. 0, or -errno with one line in `why` (256
 * bytes). */
int kvm_vm_init(struct kvm_vm *vm, const struct kvm_vm_config *config, char *why);
/* Ends the threads and gives everything back; also after a failed kvm_vm_init(). */
void kvm_vm_free(struct kvm_vm *vm);

/* vCPU threads will use this descriptor: a disk's, an event counter's, the console's. Beside those
 * that are named so, a thread holds its vCPU, the VM, the guest's memory, standard output and
 * standard error. To be called before the first run; the descriptor stays the caller's, who closes
 * it when he likes. -1 is ignored. 0 or -ENOSPC. */
int kvm_vm_keep(struct kvm_vm *vm, int fd);

/* Puts read-only memory, of which the last byte is at 4 GiB - 1. `bytes` are copied; the size is a
 * multiple of 4 KiB up to 16 MiB. */
int kvm_vm_set_rom(struct kvm_vm *vm, const uint8_t *bytes, size_t size);

/* Lets the vCPUs in `mask` (bit n: vCPU n) run until something happens, somebody kicks, or `ms` are
 * over. All are parked again afterwards. */
struct kvm_stop kvm_vm_run(struct kvm_vm *vm, uint64_t mask, int ms);
/* Forgets kicks of the past. A kick after this ends the next run; so look for reasons to stop after
 * it and before kvm_vm_run(). */
void kvm_vm_arm(struct kvm_vm *vm);
void kvm_vm_kick(struct kvm_vm *vm);

/* For the threads of devices: takes `io` if a run is going on. false: none is, and devices and
 * memory are somebody else's; ask again when `begun` is called. */
bool kvm_vm_enter(struct kvm_vm *vm);
void kvm_vm_leave(struct kvm_vm *vm);

/* Sets the level of an interrupt line: 0..15 of the PICs and I/O APIC, ..23 of the I/O APIC. Suits
 * struct irq_line: `opaque` is the VM. */
void kvm_vm_irq(void *opaque, int line, bool level);

/* Starts or ends the log of dirty pages. */
int kvm_vm_log_dirty(struct kvm_vm *vm, bool on);
/* Calls `page` for each page that was written since the last call (or since the log began), by the
 * vCPUs; clears the log. 0 or -errno. */
int kvm_vm_dirty(struct kvm_vm *vm, void (*page)(void *context, uint64_t offset), void *context);

/* ---- for vCPU threads (vcpu.c, exits.c) ----------------------------------------------------- */

/* vCPU threads are called back from the guest by a signal that does nothing else. */
#define KVM_SIGNAL_KICK (SIGRTMIN + 4)

void *kvm_vcpu_thread(void *vcpu);
/* Ends the run of the whole VM; the first caller's reason counts. */
void kvm_vm_stop(struct kvm_vm *vm, struct kvm_stop stop);
/* Handles what KVM_RUN has come back with. */
void kvm_exit_handle(struct kvm_vcpu *vcpu, struct kvm_exit *exit);
/* Completes an instruction that KVM has given up, if it can: see complete.c. */
bool kvm_complete(struct kvm_vcpu *vcpu);
/* Is what KVM has given up an int3? */
bool kvm_is_int3(const struct kvm_vcpu *vcpu);
/* Keeps what the vCPUs must be told by CPUID, and tells one, see cpuid.h. 0 or -errno. */
int kvm_cpuid_init(struct kvm_vm *vm);
int kvm_cpuid_set(struct kvm_vcpu *vcpu);
/* Bits of a guest-physical address: leaf 0x80000008. */
unsigned kvm_cpuid_width(const struct kvm_vm *vm);

#endif
