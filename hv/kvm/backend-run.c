/*
 * The KVM backend: running, stepping, breakpoints.
 *
 * The processor's own means are used: its trap flag for single steps, its four debug registers for
 * breakpoints and watchpoints, and for further breakpoints the instruction int3 in the guest's
 * memory, which is put there before a run and taken away after it, so that nobody sees it.
 * KVM_SET_GUEST_DEBUG turns what comes of them into exits to us instead of exceptions of the guest.
 *
 * Source: Intel SDM vol. 3B, 17.2 (debug registers); api.rst, KVM_SET_GUEST_DEBUG.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/backend_priv.h"

enum { SLICE_MS = 100, STEPS_PER_SLICE = 256, DEBUG_REGISTERS = 4, INT3 = 0xcc };
enum { RFLAGS_IF = 1 << 9 };

/* ---- debug registers and int3 --------------------------------------------------------------- */

/* What stands in memory in the place of an int3. */
struct patch {
    uint64_t pa;
    uint8_t byte;
};

struct debug_plan {
    struct kvm_guest_debug debug;
    int registers; /* debug registers in use */
    struct patch patch[SESSION_BREAKS + 1];
    int patches;
};

/* DR7 for register n: enabled, with a condition (0 execute, 1 write, 3 access) and a length. */
static uint64_t dr7_bits(int n, unsigned condition, unsigned length)
{
    static const uint8_t LENGTHS[9] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
    return 2ull << (2 * n) | (uint64_t)(condition | LENGTHS[length] << 2) << (16 + 4 * n);
}

/* An x86 watchpoint covers 1, 2, 4 or 8 bytes at a multiple of that. */
static bool fits_register(const struct session_break *p)
{
    uint32_t length = p->length ? p->length : 1;
    return p->kind & BREAK_EXECUTE ||
           ((length == 1 || length == 2 || length == 4 || length == 8) && p->address % length == 0);
}

static bool use_register(struct debug_plan *plan, const struct session_break *p)
{
    bool execute = p->kind & BREAK_EXECUTE;
    unsigned condition = execute ? 0 : p->kind & BREAK_READ ? 3 : 1;
    if (plan->registers == DEBUG_REGISTERS)
        return false;
    plan->debug.arch.debugreg[plan->registers] = p->address;
    plan->debug.arch.debugreg[7] |=
        dr7_bits(plan->registers, condition, execute || !p->length ? 1 : p->length);
    plan->debug.control |= KVM_GUESTDBG_USE_HW_BP;
    plan->registers++;
    return true;
}

static void use_int3(struct kvm_backend *b, struct debug_plan *plan, uint64_t va)
{
    static const uint8_t BREAK = INT3;
    struct kvm_look look;
    struct kvm_walk walk = {.access = 0};
    struct patch *patch = &plan->patch[plan->patches];
    if (!kvm_backend_look(b, &look) || !kvm_walk(&look.code.paging, &b->vm.memory, va, &walk) ||
        !kvm_memory_read(&b->vm.memory, walk.pa, &patch->byte, 1) ||
        !kvm_memory_write(&b->vm.memory, walk.pa, &BREAK, 1))
        return; /* nothing is mapped there now */
    patch->pa = walk.pa;
    plan->debug.control |= KVM_GUESTDBG_USE_SW_BP;
    plan->patches++;
}

/* Watchpoints need the registers; breakpoints take what is left of them, then int3. */
static void plan_points(struct kvm_backend *b, struct debug_plan *plan)
{
    const struct session_break temporary = {.kind = BREAK_EXECUTE, .address = b->goal.at};
    for (int i = 0; i < b->points; i++)
        if (!(b->point[i].kind & BREAK_EXECUTE))
            use_register(plan, &b->point[i]);
    if (b->goal.point && !use_register(plan, &temporary))
        use_int3(b, plan, temporary.address);
    for (int i = 0; i < b->points; i++)
        if (b->point[i].kind & BREAK_EXECUTE && !use_register(plan, &b->point[i]))
            use_int3(b, plan, b->point[i].address);
}

static void take_patches_away(struct kvm_backend *b, struct debug_plan *plan)
{
    while (plan->patches--) /* in reverse: two at one place */
        kvm_memory_write(&b->vm.memory, plan->patch[plan->patches].pa,
                         &plan->patch[plan->patches].byte, 1);
}

/* All vCPUs meet the breakpoints; only the current one steps. */
static int apply(struct kvm_backend *b, const struct debug_plan *plan, bool step)
{
    for (unsigned i = 0; i < b->vm.vcpus; i++) {
        struct kvm_guest_debug debug = plan->debug;
        if (step && i == b->vcpu)
            debug.control |= KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ;
        if (debug.control)
            debug.control |= KVM_GUESTDBG_ENABLE;
        if (ioctl(b->vm.vcpu[i].fd, KVM_SET_GUEST_DEBUG, &debug) == 0)
            continue;
        debug.control &= ~(uint32_t)KVM_GUESTDBG_BLOCKIRQ; /* older kernels do not know it */
        if (ioctl(b->vm.vcpu[i].fd, KVM_SET_GUEST_DEBUG, &debug))
            return -errno;
    }
    return 0;
}

/* In real mode KVM's instruction emulator does int3 itself, and we never hear of it. */
static bool has_int3(const struct kvm_backend *b)
{
    struct kvm_sregs sregs;
    return !b->software_kvm ||
           (ioctl(b->vm.vcpu[b->vcpu].fd, KVM_GET_SREGS, &sregs) == 0 && sregs.cr0 & 1);
}

int kvm_backend_points(void *self, const struct session_break *points, int count)
{
    struct kvm_backend *b = self;
    int watch = 0;
    for (int i = 0; i < count; i++) {
        if (points[i].physical)
            return -ENOTSUP; /* the processor compares virtual addresses */
        if (!fits_register(&points[i]))
            return -EINVAL;
        watch += !(points[i].kind & BREAK_EXECUTE);
    }
    if (watch > DEBUG_REGISTERS || (count > DEBUG_REGISTERS && !has_int3(b)))
        return -ENOSPC;
    memcpy(b->point, points, (size_t)count * sizeof *points);
    b->points = count;
    return 0;
}

/* ---- beginning ------------------------------------------------------------------------------ */

static uint64_t linear_rip(const struct kvm_cpu_state *state)
{
    return kvm_code_address(&state->sregs, state->regs.rip);
}

static bool stands_on_point(const struct kvm_backend *b, uint64_t rip)
{
    for (int i = 0; i < b->points; i++)
        if (b->point[i].kind & BREAK_EXECUTE && b->point[i].address == rip)
            return true;
    return false;
}

static bool comes_back(const struct kvm_insn *insn)
{
    static const char *const WORDS[] = {"call", "lcall", "int", "syscall", "rep", "loop"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (!strncmp(insn->text, WORDS[i], strlen(WORDS[i])))
            return true;
    return false;
}

/* Over a call, an interrupt, a repeated string instruction: by a breakpoint behind it. */
static void plan_step_over(struct kvm_backend *b, const struct kvm_cpu_state *state)
{
    struct kvm_insn insn;
    struct kvm_code code;
    uint64_t rip = linear_rip(state);
    kvm_code_of(&code, &b->vm.memory, &state->regs, &state->sregs, b->width);
    if (kvm_disassemble(b->disasm, &code, rip, &insn, 1) == 1 && comes_back(&insn)) {
        b->goal.point = true;
        b->goal.at = rip + insn.length;
        b->goal.same_frame = true;
        b->goal.sp = state->regs.rsp;
        b->goal.cr3 = state->sregs.cr3;
    } else {
        b->goal.command.goal = GOAL_STEP;
        b->goal.steps = 1;
    }
}

/* A guest with KVM's clock is told that time has gone on without it, so that it does not take a
 * pause in the debugger for a processor that hangs (api.rst, KVM_KVMCLOCK_CTRL). One that has not
 * switched that clock on need not know: EINVAL. */
static void tell_of_the_pause(const struct kvm_backend *b)
{
    for (unsigned i = 0; i < b->vm.vcpus; i++)
        ioctl(b->vm.vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
}

int kvm_backend_begin(void *self, const struct backend_command *command)
{
    struct kvm_backend *b = self;
    b->goal = (struct kvm_goal){.command = *command, .steps = command->count};
    b->detail[0] = 0;
    b->has_before = kvm_cpu_state_get(b->vm.vcpu[b->vcpu].fd, &b->before) == 0;
    if (!b->has_before)
        return -EIO;
    tell_of_the_pause(b);
    if (command->goal == GOAL_STEP_OVER)
        plan_step_over(b, &b->before);
    if (command->goal == GOAL_RUN_TO) {
        b->goal.point = true;
        b->goal.at = command->va;
    }
    uint64_t rip = linear_rip(&b->before);
    b->goal.leaving = stands_on_point(b, rip) || (b->goal.point && b->goal.at == rip);
    return 0;
}

/* ---- stopping ------------------------------------------------------------------------------- */

static bool stop_with(struct backend_stop *stop, enum session_state state, enum session_stop why,
                      const char *text)
{
    stop->state = state;
    stop->stop = why;
    snprintf(stop->text, sizeof stop->text, "%.*s", (int)sizeof stop->text - 1, text);
    return true;
}

static bool stop_at_watchpoint(struct kvm_backend *b, struct backend_stop *stop, uint64_t dr6)
{
    int n = __builtin_ctzll(dr6 & 15), watch = 0;
    for (int i = 0; i < b->points; i++) {
        const struct session_break *p = &b->point[i];
        if (p->kind & BREAK_EXECUTE || watch++ != n)
            continue;
        stop->watch_address = p->address;
        stop->watch_access = p->kind & BREAK_READ ? 'r' : 'w';
        stop_with(stop, SESSION_STOPPED, STOPPED_WATCHPOINT, "");
        snprintf(stop->text, sizeof stop->text, "watchpoint: %s of 0x%llx",
                 p->kind & BREAK_READ ? "access" : "write", (unsigned long long)p->address);
        return true;
    }
    return false;
}

static bool goal_reached(const struct kvm_backend *b, const struct kvm_cpu_state *state)
{
    const struct kvm_goal *g = &b->goal;
    if (!g->point || linear_rip(state) != g->at)
        return false;
    return !g->same_frame || (state->regs.rsp >= g->sp && state->sregs.cr3 == g->cr3);
}

/* A debug exit that was no step: which of the points is it? */
static bool at_debug(struct kvm_backend *b, const struct kvm_stop *why, struct backend_stop *stop)
{
    const struct kvm_run *run = b->vm.vcpu[why->vcpu].run;
    struct kvm_cpu_state state;
    b->vcpu = why->vcpu;
    if (kvm_cpu_state_get(b->vm.vcpu[b->vcpu].fd, &state))
        return stop_with(stop, SESSION_ENDED, STOPPED_STUCK, "the vCPU's registers cannot be read");
    if (goal_reached(b, &state))
        return stop_with(stop, SESSION_STOPPED, STOPPED_STEP, "reached");
    if (stands_on_point(b, linear_rip(&state)))
        return stop_with(stop, SESSION_STOPPED, STOPPED_BREAKPOINT, "breakpoint");
    if (run->debug.arch.dr6 & 15 && stop_at_watchpoint(b, stop, run->debug.arch.dr6))
        return true;
    b->goal.leaving = true; /* the temporary one, in another frame: go over it */
    return false;
}

/* KVM has given the vCPU up: explain.c says what that means. */
static bool give_up(struct kvm_backend *b, const struct kvm_stop *why, struct backend_stop *stop,
                    enum session_stop kind)
{
    struct kvm_explanation explanation;
    struct kvm_cpu_state cpu;
    b->vcpu = why->vcpu;
    if (kvm_cpu_state_get(b->vm.vcpu[b->vcpu].fd, &cpu))
        return stop_with(stop, SESSION_ENDED, kind, "KVM has given the vCPU up");
    kvm_explain(b->vm.vcpu[b->vcpu].run, &cpu.regs, &cpu.sregs, &b->vm.memory, b->width, b->disasm,
                &explanation);
    size_t at = 0;
    for (int i = 0; i < explanation.count && at < sizeof b->detail; i++)
        at += (size_t)snprintf(b->detail + at, sizeof b->detail - at, "%s\n", explanation.line[i]);
    return stop_with(stop, SESSION_ENDED, kind, explanation.line[0]);
}

static bool power_off(const struct kvm_stop *why, struct backend_stop *stop)
{
    stop->exit_code = why->code;
    stop_with(stop, SESSION_ENDED, STOPPED_POWEROFF, "");
    snprintf(stop->text, sizeof stop->text, "the guest has switched itself off with exit code %d",
             why->code);
    return true;
}

static bool stop_of_error(const struct kvm_stop *why, struct backend_stop *stop)
{
    stop_with(stop, SESSION_ENDED, STOPPED_STUCK, "");
    snprintf(stop->text, sizeof stop->text, "the host's KVM cannot run the guest: %s",
             strerror(why->code));
    return true;
}

static bool guest_reset(struct kvm_backend *b, struct backend_stop *stop)
{
    char why[SESSION_ERROR];
    struct kvm_goal goal = b->goal;
    if (b->config->no_reboot)
        return stop_with(stop, SESSION_ENDED, STOPPED_POWEROFF,
                         "the guest has reset its machine, which ends the run");
    if (kvm_backend_reset(b, why))
        return stop_with(stop, SESSION_ENDED, STOPPED_STUCK, why);
    b->goal = goal;
    return false;
}

static bool after_run(struct kvm_backend *b, const struct kvm_stop *why, struct backend_stop *stop)
{
    switch (why->kind) {
    case KVM_STOP_NONE: return false;
    case KVM_STOP_POWEROFF: return power_off(why, stop);
    case KVM_STOP_RESET: return guest_reset(b, stop);
    case KVM_STOP_DEBUG: return at_debug(b, why, stop);
    case KVM_STOP_EXIT:
        b->vcpu = why->vcpu;
        return stop_with(stop, SESSION_STOPPED, STOPPED_EXIT, "VM exit handled");
    case KVM_STOP_HALTED:
        return stop_with(stop, SESSION_STOPPED, STOPPED_IDLE,
                         "every vCPU is halted with interrupts off: nothing can wake the guest");
    case KVM_STOP_SHUTDOWN: return give_up(b, why, stop, STOPPED_SHUTDOWN);
    case KVM_STOP_INTERNAL: return give_up(b, why, stop, STOPPED_INTERNAL);
    case KVM_STOP_ENTRY: return give_up(b, why, stop, STOPPED_FAIL_ENTRY);
    case KVM_STOP_ERROR: return stop_of_error(why, stop);
    }
    return false;
}

/* ---- running -------------------------------------------------------------------------------- */

/* Typed bytes go to the console device while it has room for them. A guest that takes them one by
 * one, without interrupts, would wait a slice for each: the run ends as soon as there is room. */
static void deliver_input(struct kvm_backend *b)
{
    uint8_t byte;
    while ((b->vm.typed = session_input_peek(b->session, &byte)) &&
           kvm_board_input(b->board, &byte, 1) == 1)
        session_input_taken(b->session, b->vm.exits->total, 0);
}

/* Halted with interrupts off, or a second processor that nobody has started yet, or that has been
 * sent an INIT and not the SIPI that must follow. */
static bool sleeps_for_ever(const struct kvm_mp_state *mp, const struct kvm_regs *regs)
{
    return mp->mp_state == KVM_MP_STATE_UNINITIALIZED ||
           mp->mp_state == KVM_MP_STATE_INIT_RECEIVED ||
           (mp->mp_state == KVM_MP_STATE_HALTED && !(regs->rflags & RFLAGS_IF));
}

/* No vCPU will ever run again: there is none that could wake another. */
static bool all_halted(struct kvm_backend *b)
{
    for (unsigned i = 0; i < b->vm.vcpus; i++) {
        struct kvm_mp_state mp;
        struct kvm_regs regs;
        if (ioctl(b->vm.vcpu[i].fd, KVM_GET_MP_STATE, &mp) ||
            ioctl(b->vm.vcpu[i].fd, KVM_GET_REGS, &regs))
            return false;
        if (!sleeps_for_ever(&mp, &regs))
            return false;
    }
    return true;
}

static struct kvm_stop run_some(struct kvm_backend *b, bool step, bool with_points)
{
    struct debug_plan plan = {0};
    struct kvm_stop why = {.kind = KVM_STOP_NONE};
    if (with_points)
        plan_points(b, &plan);
    b->vm.int3_stops = plan.patches > 0;
    uint64_t mask = step ? 1ull << b->vcpu : UINT64_MAX;
    int error = apply(b, &plan, step);
    if (error)
        why = (struct kvm_stop){.kind = KVM_STOP_ERROR, .vcpu = b->vcpu, .code = -error};
    else if (!session_wanted(b->session))
        why = kvm_vm_run(&b->vm, mask, SLICE_MS);
    take_patches_away(b, &plan);
    return why;
}

/* One instruction of the current vCPU. Returns true when the run is over; `*done` if it was done.
 * One that reaches a device comes back as an exit and not as a step, and is complete by then
 * (vcpu.c, finish_access), unless it is a string instruction that has more to do. */
static bool step_once(struct kvm_backend *b, struct backend_stop *stop, bool *done)
{
    struct kvm_regs before = {0}, after = {0};
    int fd = b->vm.vcpu[b->vcpu].fd;
    ioctl(fd, KVM_GET_REGS, &before);
    atomic_store(&b->vm.exit_wanted, true);
    struct kvm_stop why = run_some(b, true, false);
    atomic_store(&b->vm.exit_wanted, false);
    ioctl(fd, KVM_GET_REGS, &after);
    if (why.kind == KVM_STOP_NONE && all_halted(b))
        why.kind = KVM_STOP_HALTED;
    *done = why.kind == KVM_STOP_DEBUG || (why.kind == KVM_STOP_EXIT && before.rip != after.rip);
    return *done || why.kind == KVM_STOP_NONE || why.kind == KVM_STOP_EXIT
               ? false
               : after_run(b, &why, stop);
}

/* KVM's software backend delivers the trap of a step in user mode to the guest instead of to us,
 * which its kernel would not survive. */
static bool cannot_step(struct kvm_backend *b)
{
    struct kvm_sregs sregs;
    return b->software_kvm && ioctl(b->vm.vcpu[b->vcpu].fd, KVM_GET_SREGS, &sregs) == 0 &&
           sregs.cs.dpl == 3 && sregs.cs.l;
}

/* The registers of the last exit came with it; CS, which may have a base, did not. */
static bool is_on_point(const struct kvm_backend *b)
{
    const struct kvm_vcpu *v = &b->vm.vcpu[b->vcpu];
    struct kvm_sregs sregs;
    return ioctl(v->fd, KVM_GET_SREGS, &sregs) == 0 &&
           stands_on_point(b, kvm_code_address(&sregs, v->run->s.regs.regs.rip));
}

static bool slice_of_steps(struct kvm_backend *b, struct backend_stop *stop)
{
    if (cannot_step(b))
        return stop_with(
            stop, SESSION_STOPPED, STOPPED_PAUSE,
            "this host's KVM (pvm) cannot step in user mode: run to an exit or a breakpoint");
    for (int i = 0; i < STEPS_PER_SLICE && b->goal.steps; i++) {
        bool done;
        kvm_vm_arm(&b->vm);
        if (step_once(b, stop, &done))
            return true;
        if (!done)
            return false;
        b->goal.steps--;
        if (b->goal.steps && b->points && is_on_point(b))
            return stop_with(stop, SESSION_STOPPED, STOPPED_BREAKPOINT, "breakpoint");
    }
    return b->goal.steps ? false : stop_with(stop, SESSION_STOPPED, STOPPED_STEP, "stepped");
}

static bool slice(struct kvm_backend *b, struct backend_stop *stop)
{
    deliver_input(b);
    if (b->goal.command.goal == GOAL_STEP)
        return slice_of_steps(b, stop);
    kvm_vm_arm(&b->vm);
    if (b->goal.leaving) {
        bool done;
        if (step_once(b, stop, &done))
            return true;
        b->goal.leaving = !done;
        return false;
    }
    uint64_t exits = b->vm.exits->total;
    atomic_store(&b->vm.exit_wanted, b->goal.command.goal == GOAL_STEP_EXIT);
    struct kvm_stop why = run_some(b, false, true);
    atomic_store(&b->vm.exit_wanted, false);
    if (why.kind == KVM_STOP_NONE && exits == b->vm.exits->total && all_halted(b))
        why.kind = KVM_STOP_HALTED;
    return after_run(b, &why, stop);
}

bool kvm_backend_slice(void *self, struct backend_stop *stop)
{
    bool over = slice(self, stop);
    kvm_backend_flush_debug(self, over);
    return over;
}

void kvm_backend_kick(void *self)
{
    struct kvm_backend *b = self;
    kvm_vm_kick(&b->vm);
}
