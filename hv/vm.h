/*
 * A virtual machine: what one guest believes, and the monitor's means to keep it believing.
 *
 * The guest's computer (`machine`) is a struct machine like the real one: virtual hart, virtual
 * devices, guest-physical memory. Only its engine differs: it lets the hardware run the guest's
 * instructions in U mode and handles the exits. So whatever works on a machine (digest, views,
 * breakpoints, firmware) works on a virtual one, and a virtual machine is hardware enough for
 * another monitor.
 *
 * The way of an exit:
 *
 *     hardware -> exit.c (why?) -> emulate.c | shadow.c | inject.c -> resume
 *
 * `struct vmm` is the monitor itself: the hardware, its frames, and the virtual machines on it.
 */
#ifndef VITRINE_HV_VM_H
#define VITRINE_HV_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/gpa.h"
#include "hv/hw.h"
#include "hv/shadow.h"

enum { VMM_MACHINES = 8, EXIT_LOG = 4096 };

enum exit_reason {
#define EXIT(NAME, name, cost, meaning) EXIT_##NAME,
#include "hv/exit.def"
    EXIT_REASONS
};

const char *exit_reason_name(unsigned reason);
const char *exit_reason_meaning(unsigned reason);
unsigned exit_reason_cost(unsigned reason);

/* One exit, as handled. What `a` and `b` are depends on the reason: exit_describe() tells. */
struct exit_record {
    uint64_t seq, instruction, since;
    uint32_t pc, insn, cause, tval, cost;
    uint32_t a, b;
    uint8_t mode, reason;
    struct shadow_change shadow;
};

/* Writes in one line what the monitor did about an exit. */
void exit_describe(const struct exit_record *record, char *text, unsigned size);

struct vmm;

struct vm {
    struct vmm *vmm;
    struct machine *machine;
    struct gpa gpa;
    struct shadow shadow;
    uint16_t number; /* 1.. */

    uint64_t exits; /* since reset */
    uint64_t count[EXIT_REASONS], cost[EXIT_REASONS];
    uint64_t direct;    /* instructions that ran on the hardware without the monitor */
    uint64_t last_exit; /* guest instruction count at the newest exit */
    struct exit_record now;  /* the exit being handled */
    struct exit_record *log; /* ring of EXIT_LOG */
    bool debug_changed;      /* the hardware's debug registers are out of date */
    uint32_t debug_promised; /* frames still promised when they were loaded: see vm.c */
};

extern const struct state_table vm_state;

struct vmm {
    struct hw hw;
    struct frames frames;
    struct vm *vm[VMM_MACHINES];
    unsigned count;
};

extern const struct state_table vmm_state;

/* A monitor on this machine, which becomes its hardware (see hw.h). 0 or -errno. */
int vmm_init(struct vmm *vmm, struct machine *computer);
void vmm_free(struct vmm *vmm); /* the virtual machines too, but not the computer */

/* How much memory a computer needs for a virtual machine of `memory` bytes: the guest's, the shadow
 * tables', the monitor's. Bytes, a multiple of 4 MiB. */
uint32_t vmm_memory_for(uint32_t memory);

/* A virtual machine as `config` says (config.engine and .allot are set here). NULL and `why` on
 * failure. It is loaded and run as any machine: machine_load(vm->machine), machine_run(). */
struct vm *vm_new(struct vmm *vmm, const struct machine_config *config, char *why);
void vm_free(struct vm *vm);
/* machine_clear() and everything else that a reset means: frames, shadow tables, counts. */
void vm_clear(struct vm *vm);
/* machine_load() and everything else that a reset means. Same errors. */
int vm_load(struct vm *vm, const char *path, char *why);

/* Runs all virtual machines in turn, `slice` (> 0) guest instructions each, until each has executed
 * `budget` more or has stopped. Returns how many can still run. sched.c */
unsigned vmm_run(struct vmm *vmm, uint64_t budget, uint64_t slice);

/* Everything of the monitor and this virtual machine that is state, but for memory, arrays, and the
 * two machines' own objects. At most VM_OBJECTS. */
enum { VM_OBJECTS = SHADOW_SETS + 8 };
unsigned vm_objects(struct vm *vm, struct state_object out[VM_OBJECTS]);
/* The arrays. */
struct vm_array {
    const char *name;
    void *bytes;
    size_t size;
    uint32_t unit; /* bytes of an element */
};
enum { VM_ARRAYS = 4 };
unsigned vm_arrays(struct vm *vm, struct vm_array out[VM_ARRAYS]);
/* After all of it was replaced: what follows from it is found anew. */
void vm_loaded(struct vm *vm);

/* Can the monitor have come to this by itself? Of its own state and tables alone; to be asked before
 * vm_loaded(), where the state comes from outside. The monitor has no other virtual machine. */
bool vm_check(struct vm *vm);

/* Digest of the monitor's own state and the hardware's: for replay, not for guests. */
void vm_digest(struct vm *vm, struct digest *digest);

/* ---- the way of an exit, one function a file ---------------------------------------------- */

/* exit.c: the hardware has trapped while it ran the guest. Decides, has it handled, logs it. */
void exit_dispatch(struct vm *vm, const struct hw_exit *exit);
/* exit.c: logs what happened without a trap of the hardware (an interrupt injected). */
void exit_begin(struct vm *vm, uint32_t cause, uint32_t tval, uint32_t insn);
void exit_end(struct vm *vm, enum exit_reason reason);

enum emulated {
    EMULATED,     /* done: the guest has executed this instruction */
    NOT_ALLOWED,  /* the guest's virtual mode may not do this: illegal instruction */
    NO_SUCH_INSN, /* not an instruction that emulate.c knows */
};

/* emulate.c: one sensitive instruction on the virtual hart. */
enum emulated emulate_sensitive(struct vm *vm, uint32_t word, enum exit_reason *reason);
/* emulate.c: one load or store to a virtual device at guest-physical `pa`. */
enum exit_reason emulate_device_access(struct vm *vm, uint32_t word, uint32_t va, uint32_t pa);
/* emulate.c: one instruction by the interpreter, on the virtual hart. */
void emulate_by_interpreter(struct vm *vm);

/* inject.c: the guest takes this exception, as its hardware would. */
void inject_exception(struct vm *vm, uint32_t cause, uint32_t tval);

#endif
