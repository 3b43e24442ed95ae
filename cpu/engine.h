/*
 * An engine runs a machine's instructions. All engines have one contract and one result.
 *
 * run(machine, budget) executes exactly `budget` instructions (an instruction that traps counts as
 * one) or fewer if it stops before, and leaves the machine between two instructions in exactly the
 * state that `interp` would leave it in. Interrupts are taken at the instruction at which they
 * become pending. Why it stopped is machine->stop; STOP_NONE means that the budget is used up.
 * Engines may be swapped at any such boundary; what an engine keeps for itself is no state.
 *
 * The monitor's virtual machines are machines with an engine of their own, which runs them by
 * letting the hardware below do it.
 */
#ifndef VITRINE_CPU_ENGINE_H
#define VITRINE_CPU_ENGINE_H

#include <stdint.h>

struct machine;
struct machine_debug;

struct engine {
    const char *name;
    const char *about; /* one line */
    void (*run)(struct machine *machine, uint64_t budget);
    /* Debug or event settings, the memory or the TLB were changed from outside: drop what was
     * derived from them. May be NULL. */
    void (*invalidate)(struct machine *machine);
    /* The guest has executed sfence.vma of one address. May be NULL. */
    void (*fence)(struct machine *machine, uint32_t va);
    /* These pages of the computer's memory (indices, from the start of its mapping) are no longer
     * to be written by fast paths: ram_takes_writes(). May be NULL. */
    void (*cleaned)(struct machine *machine, const uint32_t *page, uint32_t count);
    /* Breakpoints (machine->debug) are others than `old`; watchpoints, too, are looked after. NULL:
     * invalidate() is called. */
    void (*points)(struct machine *machine, const struct machine_debug *old);
    /* Registers and memory are those of another moment, or other addresses are watched: does what
     * mmu_flush() does, and may keep what is true all the same. NULL: mmu_flush(). */
    void (*flush)(struct machine *machine);
    /* Frees what the engine keeps for this machine (engine_data). May be NULL. */
    void (*release)(struct machine *machine);
};

extern const struct engine engine_interp;
extern const struct engine engine_threaded;
#ifdef HAVE_JIT
extern const struct engine engine_jit;
#endif

/* By name, or NULL. "auto" is the fastest that this host can run; NULL asks for the specification,
 * interp. */
const struct engine *engine_find(const char *name);
/* All of them: index 0.., NULL after the last. */
const struct engine *engine_at(unsigned index);

#endif
