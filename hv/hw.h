/*
 * What a monitor may ask of hardware.
 *
 * Popek and Goldberg's second theorem as a type: the simulated computer implements this, and so
 * does every virtual machine, since both are a struct machine. A monitor therefore runs on a
 * virtual machine exactly as it runs on the computer, to any depth, with no special case.
 *
 * The hardware runs the monitor's guest in U mode. Every trap comes back to the monitor, which
 * stands in M mode's place; nothing else of the hardware's privileged state is the guest's.
 */
#ifndef VITRINE_HV_HW_H
#define VITRINE_HV_HW_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/machine.h"

/* The part of a hart's state that instructions in U mode use directly. */
struct hw_registers {
    uint32_t x[32];
    uint32_t pc;
    bool reserved; /* LR's reservation: a monitor's own traps must not lose it for the guest */
    uint32_t reservation;
};

/* How a run on the hardware has ended. */
struct hw_exit {
    enum stop_reason stop; /* STOP_TRAP: see below; STOP_NONE: the budget is used up */
    uint32_t cause, tval;  /* the real hart's mcause and mtval */
    uint32_t insn;         /* word that trapped, 0 if it could not be fetched */
    uint64_t completed;    /* instructions that ran directly and did not trap */
};

struct hw;

struct hw_ops {
    /* Runs in U mode from `registers`, at most `budget` instructions; registers are updated. */
    void (*run)(struct hw *hw, struct hw_registers *registers, uint64_t budget,
                struct hw_exit *exit);
    /* Loads satp. The hardware keeps what it has cached of other roots. */
    void (*set_root)(struct hw *hw, uint32_t satp);
    /* sfence.vma for one address, or for all if va is NULL. */
    void (*flush)(struct hw *hw, const uint32_t *va);
    /* Host address of the page of hardware memory at pa; NULL if there is none. */
    uint8_t *(*page)(struct hw *hw, uint32_t pa);
    /* Breakpoints and watchpoints in the hardware's debug registers; `skip_first`: the next
     * instruction may run although there is a breakpoint in front of it. */
    void (*set_debug)(struct hw *hw, const struct machine_debug *debug, bool skip_first);
};

struct hw {
    const struct hw_ops *ops;
    struct machine *machine; /* behind hw_of_machine() */
    uint32_t memory_base, memory_size; /* bytes */
};

/* A machine as hardware for a monitor: from now on every trap of it goes to the monitor. The machine
 * must have been created with `no_devices` or be a virtual machine, and not be loaded with a guest
 * of its own. `hw` belongs to the caller and must live as long as it is used. */
void hw_of_machine(struct hw *hw, struct machine *machine);

#endif
