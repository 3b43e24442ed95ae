/*
 * A virtual machine: its life, and the engine that lets the hardware run it. See vm.h.
 *
 * vm_run() is the monitor's main loop. Between two entries it does what hardware does between two
 * instructions (machine_poll: virtual timers and interrupts); then it enters the guest for as many
 * instructions as there are until the next virtual timer or the end of the budget, and handles the
 * exit. Guest time counts guest instructions only, so a guest sees the same time, and takes its
 * timer interrupt at the same instruction, as on a bare machine.
 */
#include "hv/vm.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/isa.h"

static const struct state_field vm_fields[] = {
    STATE_NOT(struct vm, vmm, "wiring"),
    STATE_NOT(struct vm, machine, "has tables of its own"),
    STATE_NOT(struct vm, gpa, "has a table of its own"),
    STATE_NOT(struct vm, shadow, "has tables of its own"),
    STATE(struct vm, U16, number),
    STATE(struct vm, U64, exits),
    STATE(struct vm, U64, count),
    STATE(struct vm, U64, cost),
    STATE(struct vm, U64, direct),
    STATE(struct vm, U64, last_exit),
    STATE_NOT(struct vm, now, "within one exit"),
    STATE_NOT(struct vm, log, "an array, kept page by page"),
    STATE_NOT(struct vm, debug_changed, "debugging"),
    STATE_NOT(struct vm, debug_promised, "debugging"),
};
const struct state_table vm_state = STATE_TABLE("vm", struct vm, 1, vm_fields);

static const struct state_field vmm_fields[] = {
    STATE_NOT(struct vmm, hw, "wiring"),
    STATE_NOT(struct vmm, frames, "has a table of its own"),
    STATE_NOT(struct vmm, vm, "each has tables of its own"),
    STATE_NOT(struct vmm, count, "configuration"),
};
const struct state_table vmm_state = STATE_TABLE("vmm", struct vmm, 1, vmm_fields);

/* ---- entering the guest ------------------------------------------------------------------- */

/* Physical points are the guest's, so the hardware must watch the frames that hold them. */
static void load_debug_registers(struct vm *vm, bool skip_first)
{
    struct machine_debug debug = vm->machine->debug;
    for (unsigned i = 0; i < debug.count; i++) {
        struct machine_break *b = &debug.point[i];
        uint32_t hpa = b->physical ? gpa_to_hpa(&vm->gpa, b->address) : 0;
        if (hpa)
            b->address = hpa;
        else if (b->physical) /* not touched yet, so nothing happens there before it has a frame */
            b->execute = b->read = b->write = false;
    }
    struct hw *hw = &vm->vmm->hw;
    hw->ops->set_debug(hw, &debug, skip_first);
    vm->debug_changed = false;
    vm->debug_promised = vm->vmm->frames.promised;
}

/* A physical point on a page that had no frame may be able to come true now. */
static bool debug_is_old(const struct vm *vm)
{
    bool physical = false;
    for (unsigned i = 0; i < vm->machine->debug.count; i++)
        physical |= vm->machine->debug.point[i].physical;
    return vm->debug_changed || (physical && vm->debug_promised != vm->vmm->frames.promised);
}

/* The hardware has stopped for a debugger: so does the virtual machine. */
static void debug_stop(struct vm *vm, enum stop_reason reason)
{
    vm->machine->watch = vm->vmm->hw.machine->watch;
    vm->machine->watch_device = NULL;
    machine_stop(vm->machine, reason);
}

static void enter(struct vm *vm, uint64_t budget)
{
    struct hart *h = &vm->machine->hart;
    struct hw *hw = &vm->vmm->hw;
    struct hw_registers registers;
    struct hw_exit exit;

    shadow_activate(&vm->shadow);
    bool skip_first = vm->machine->debug.skip == h->executed;
    if (debug_is_old(vm) || skip_first)
        load_debug_registers(vm, skip_first);
    memcpy(registers.x, h->x, sizeof registers.x);
    registers.pc = h->pc;
    registers.reserved = h->reserved;
    registers.reservation = h->reservation;

    hw->ops->run(hw, &registers, budget, &exit);

    memcpy(h->x, registers.x, sizeof registers.x);
    h->pc = registers.pc;
    h->reserved = registers.reserved;
    h->reservation = registers.reservation;
    h->executed += exit.completed;
    vm->direct += exit.completed;
    if (exit.stop == STOP_TRAP)
        exit_dispatch(vm, &exit);
    else if (exit.stop != STOP_NONE)
        debug_stop(vm, exit.stop);
}

/* With MPRV, M mode's loads and stores are translated and its fetches are not: no single page table
 * does that. Such code is rare (firmware reading its kernel's memory) and short. */
static bool must_interpret(const struct hart *h)
{
    return h->mode == MODE_M && h->mstatus & MSTATUS_MPRV &&
           (h->mstatus & MSTATUS_MPP) != MSTATUS_MPP;
}

static void interpret_one(struct vm *vm)
{
    if (vm->machine->inspected && !machine_inspect(vm->machine))
        return;
    exit_begin(vm, 0, 0, 0);
    emulate_by_interpreter(vm);
    vm->now.insn = vm->machine->insn;
    exit_end(vm, EXIT_INTERPRET);
}

/* machine_poll() has made the guest take an interrupt: note it. */
static void log_interrupt(struct vm *vm)
{
    exit_begin(vm, vm->machine->interrupt, 0, 0);
    vm->now.pc = vm->machine->hart.mode == MODE_M ? vm->machine->hart.mepc : vm->machine->hart.sepc;
    exit_end(vm, EXIT_INTERRUPT);
}

static void vm_run(struct machine *m, uint64_t budget)
{
    struct vm *vm = m->engine_data;
    struct hart *h = &m->hart;
    uint64_t target = budget < UINT64_MAX - h->executed ? h->executed + budget : UINT64_MAX;
    while (h->executed < target && machine_poll(m)) {
        if (m->interrupt)
            log_interrupt(vm);
        uint64_t limit = target < h->clock.deadline ? target : h->clock.deadline;
        if (must_interpret(h))
            interpret_one(vm);
        else
            enter(vm, limit - h->executed);
    }
}

static void debug_changed(struct machine *m)
{
    struct vm *vm = m->engine_data;
    vm->debug_changed = true;
}

static void points_changed(struct machine *m, const struct machine_debug *old)
{
    debug_changed(m);
}

static const struct engine engine_monitor = {
    .name = "monitor",
    .about = "trap and emulate: the hardware below runs the guest's instructions",
    .run = vm_run,
    .invalidate = debug_changed,
    .points = points_changed,
};

/* The guest, or its firmware on its behalf, has executed sfence.vma. */
static void guest_fence(struct machine *m, const uint32_t *va, const uint32_t *asid)
{
    struct vm *vm = m->on_fence_context;
    shadow_fence(&vm->shadow, va, asid);
}

/* ---- life --------------------------------------------------------------------------------- */

enum {
    MONITOR_RESERVE = 1u << 20, /* of the hardware's memory: where a monitor would have its code */
    SHADOW_POOL = 768,          /* frames for shadow tables of one virtual machine */
};

uint32_t vmm_memory_for(uint32_t memory)
{
    uint32_t needed = memory + MONITOR_RESERVE + SHADOW_POOL * PAGE_SIZE;
    return (needed + SUPERPAGE_SIZE - 1) & ~(SUPERPAGE_SIZE - 1);
}

int vmm_init(struct vmm *vmm, struct machine *computer)
{
    *vmm = (struct vmm){0};
    hw_of_machine(&vmm->hw, computer);
    return frames_init(&vmm->frames, &vmm->hw, MONITOR_RESERVE);
}

void vmm_free(struct vmm *vmm)
{
    while (vmm->count)
        vm_free(vmm->vm[vmm->count - 1]);
    frames_free(&vmm->frames);
}

static struct machine *new_guest_machine(struct vm *vm, const struct machine_config *wanted,
                                         char *why)
{
    struct machine_config config = *wanted;
    config.engine = &engine_monitor;
    config.allot = gpa_allot;
    config.allot_context = &vm->gpa;
    struct machine *m = machine_new(&config, why);
    if (!m)
        return NULL;
    m->engine_data = vm;
    m->ram.code = vm->vmm->hw.machine->ram.code;
    m->on_fence = guest_fence;
    m->on_fence_context = vm;
    m->events.source = vm->number;
    return m;
}

struct vm *vm_new(struct vmm *vmm, const struct machine_config *config, char *why)
{
    if (vmm->count == VMM_MACHINES) {
        snprintf(why, MACHINE_ERROR, "the monitor has %d virtual machines already", VMM_MACHINES);
        return NULL;
    }
    struct vm *vm = calloc(1, sizeof *vm);
    struct exit_record *log = calloc(EXIT_LOG, sizeof *log);
    if (!vm || !log) {
        free(vm);
        free(log);
        snprintf(why, MACHINE_ERROR, "the host has no memory left");
        return NULL;
    }
    vm->vmm = vmm;
    vm->log = log;
    vm->number = (uint16_t)(vmm->count + 1);
    vmm->vm[vmm->count++] = vm;
    if (gpa_init(&vm->gpa, &vmm->frames, VIRT_RAM, config->memory)) {
        snprintf(why, MACHINE_ERROR, "the computer has no %u MiB left for a virtual machine",
                 config->memory >> 20);
        goto fail;
    }
    vm->machine = new_guest_machine(vm, config, why);
    if (!vm->machine)
        goto fail;
    if (shadow_init(&vm->shadow, vm->machine, &vm->gpa, SHADOW_POOL)) {
        snprintf(why, MACHINE_ERROR, "the computer has no memory left for shadow page tables");
        goto fail;
    }
    return vm;
fail:
    vm_free(vm);
    return NULL;
}

static void leave_monitor(struct vm *vm)
{
    struct vmm *vmm = vm->vmm;
    unsigned i = 0;
    while (i < vmm->count && vmm->vm[i] != vm)
        i++;
    assert(i < vmm->count);
    for (vmm->count--; i < vmm->count; i++)
        vmm->vm[i] = vmm->vm[i + 1];
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    shadow_free(&vm->shadow);
    machine_free(vm->machine);
    gpa_free(&vm->gpa);
    leave_monitor(vm);
    free(vm->log);
    free(vm);
}

void vm_clear(struct vm *vm)
{
    shadow_drop_all(&vm->shadow, SHADOW_RESET);
    machine_clear(vm->machine);
    gpa_clear(&vm->gpa);
    vm->exits = vm->direct = vm->last_exit = 0;
    memset(vm->count, 0, sizeof vm->count);
    memset(vm->cost, 0, sizeof vm->cost);
    memset(vm->log, 0, EXIT_LOG * sizeof *vm->log);
    vm->debug_changed = true;
}

int vm_load(struct vm *vm, const char *path, char *why)
{
    vm_clear(vm);
    return machine_load(vm->machine, path, why);
}

unsigned vm_objects(struct vm *vm, struct state_object out[VM_OBJECTS])
{
    unsigned n = 0;
    out[n++] = (struct state_object){&vmm_state, vm->vmm};
    out[n++] = (struct state_object){&frames_state, &vm->vmm->frames};
    out[n++] = (struct state_object){&vm_state, vm};
    out[n++] = (struct state_object){&gpa_state, &vm->gpa};
    out[n++] = (struct state_object){&shadow_state, &vm->shadow};
    for (unsigned i = 0; i < SHADOW_SETS; i++)
        out[n++] = (struct state_object){&shadow_set_state, &vm->shadow.set[i]};
    return n;
}

unsigned vm_arrays(struct vm *vm, struct vm_array out[VM_ARRAYS])
{
    const struct frames *f = &vm->vmm->frames;
    const struct gpa *g = &vm->gpa;
    unsigned n = 0, clusters = (g->pages + GPA_CLUSTER - 1) / GPA_CLUSTER;
    out[n++] = (struct vm_array){"map", g->frame, g->pages * sizeof *g->frame, sizeof *g->frame};
    out[n++] = (struct vm_array){"runs", g->run, clusters * sizeof *g->run, sizeof *g->run};
    out[n++] = (struct vm_array){"free", f->free, (f->end - f->first) / PAGE_SIZE * sizeof *f->free,
                                 sizeof *f->free};
    out[n++] = (struct vm_array){"log", vm->log, EXIT_LOG * sizeof *vm->log, sizeof *vm->log};
    return n;
}

/* The guest's memory are the frames that the map names now. */
static void find_frames(struct vm *vm)
{
    struct ram *ram = &vm->machine->ram, *below = &vm->vmm->hw.machine->ram;
    for (uint32_t i = 0; i < vm->gpa.pages; i++)
        ram->page[i] = vm->gpa.frame[i] ? ram_page(below, vm->gpa.frame[i]) : NULL;
}

void vm_loaded(struct vm *vm)
{
    find_frames(vm);
    machine_loaded(vm->vmm->hw.machine);
    machine_loaded(vm->machine);
    vm->now = vm->log[vm->exits % EXIT_LOG];
    vm->shadow.change = vm->now.shadow;
    vm->debug_changed = true;
}

void vm_digest(struct vm *vm, struct digest *digest)
{
    struct state_object object[VM_OBJECTS];
    unsigned count = vm_objects(vm, object);
    for (unsigned i = 0; i < count; i++)
        state_digest(object[i], digest);
    for (uint32_t i = 0; i < vm->gpa.pages; i++)
        digest_u64(digest, vm->gpa.frame[i]);
    digest_u64(digest, machine_digest(vm->vmm->hw.machine));
}
