/*
 * The simulated backend: a guest on the simulated computer, bare or in a virtual machine. See
 * backend.h for what a backend is.
 *
 * What ends a slice, and whether that ends the run, is decided in one place, after_slice(). Time is
 * the guest's own here. The host's clock decides only how long slices are (judge_slice), and how
 * long a paced guest naps; the guest can notice neither but by when a person's typing arrives.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/dev/disk.h"
#include "hv/simulated_priv.h"

enum {
    SLICE = 100000,       /* instructions: about half a millisecond of the interpreter */
    SLICE_FAST = 1000000, /* the same of the other engines */
    SLICE_WATCHED = 8192, /* while every instruction is an event: fits the ring */
    SLICE_IDLE = 2000,    /* while a paced guest sleeps most of the time */
    SLICE_SLOWEST = 10,   /* halved so many times at most, where the host has been slow */
    SLICE_LONG_NS = 20000000,
    PACE_MAX_NS = 50000000,  /* longest nap of a paced guest: input and pause wake it anyway */
    IDLE_MAX_NS = 100000000, /* and of one that waits for input */
};

/* ---- stopping ----------------------------------------------------------------------------- */

void simulated_say(struct backend_stop *stop, enum session_state state, enum session_stop why,
                   const char *text)
{
    stop->state = state;
    stop->stop = why;
    snprintf(stop->text, sizeof stop->text, "%s", text);
}

void simulated_say_watch(const struct simulated *s, struct backend_stop *stop)
{
    const struct machine_break *watch = &s->guest->watch;
    simulated_say(stop, SESSION_STOPPED, STOPPED_WATCHPOINT, "");
    snprintf(stop->text, sizeof stop->text, "watchpoint: %s of 0x%08x",
             watch->write ? "write" : "read", watch->address);
    stop->watch_address = watch->address;
    stop->watch_access = watch->write ? 'w' : watch->read ? 'r' : 'x';
}

static void stop_powered_off(const struct simulated *s, struct backend_stop *stop)
{
    stop->exit_code = s->guest->exit_code;
    simulated_say(stop, SESSION_ENDED, STOPPED_POWEROFF, "");
    snprintf(stop->text, sizeof stop->text, "the guest has switched itself off with exit code %d",
             stop->exit_code);
}

/* ---- breakpoints into the machine --------------------------------------------------------- */

static void add_point(struct machine_debug *d, const struct session_break *p)
{
    d->point[d->count++] = (struct machine_break){
        .address = (uint32_t)p->address,
        .length = p->length ? p->length : 1,
        .execute = p->kind & BREAK_EXECUTE,
        .read = p->kind & BREAK_READ,
        .write = p->kind & BREAK_WRITE,
        .physical = p->physical,
    };
}

/* Which points hold for the present goal. */
static void choose_points(const struct simulated *s, struct machine_debug *d)
{
    static const struct session_break any = {.kind = BREAK_EXECUTE, .length = UINT32_MAX};
    const struct search *search = &s->history.search;
    if (search->active && search->blind)
        return;
    if (search->active && search->point.length) {
        add_point(d, &search->point);
        for (unsigned i = 0; i < search->pieces; i++)
            d->point[d->count++] = (struct machine_break){
                .address = search->piece[i].pa, .length = search->piece[i].length, .device = true};
        return;
    }
    if (s->goal.points == POINTS_ANY)
        add_point(d, &any);
    for (int i = 0; i < s->point_count && s->goal.points == POINTS_USER; i++)
        add_point(d, &s->points[i]);
}

void simulated_load_points(struct simulated *s)
{
    struct machine_debug new = {.skip = s->guest->debug.skip};
    choose_points(s, &new);
    if (s->goal.point)
        new.point[new.count++] =
            (struct machine_break){.address = s->goal.at, .length = 1, .execute = true};
    assert(new.count <= MACHINE_BREAKS);
    machine_set_debug(s->guest, &new);
}

/* Is the breakpoint that was hit the temporary one, and does it count here? */
static bool goal_reached(const struct simulated *s)
{
    const struct goal *g = &s->goal;
    const struct hart *h = &s->guest->hart;
    if (!g->point || h->pc != g->at)
        return false;
    return !g->same_frame || (h->mode == g->mode && h->satp == g->satp && h->x[2] >= g->sp);
}

bool simulated_at_point(const struct simulated *s)
{
    uint64_t pc = s->guest->hart.pc;
    for (int i = 0; i < s->point_count; i++) {
        const struct session_break *p = &s->points[i];
        uint32_t length = p->length ? p->length : 1;
        if (p->kind & BREAK_EXECUTE && (p->physical || pc - p->address < length))
            return true;
    }
    return false;
}

/* True: the run is over. */
static bool at_breakpoint(struct simulated *s, struct backend_stop *stop)
{
    if (s->goal.points == POINTS_ANY)
        *stop = s->history.told;
    else if (goal_reached(s))
        simulated_say(stop, SESSION_STOPPED, STOPPED_STEP, "reached");
    else if (simulated_at_point(s))
        simulated_say(stop, SESSION_STOPPED, STOPPED_BREAKPOINT, "breakpoint");
    else { /* the temporary one, in another frame */
        s->guest->debug.skip = s->guest->hart.executed;
        return false;
    }
    return true;
}

int simulated_points(void *self, const struct session_break *points, int count)
{
    struct simulated *s = self;
    memcpy(s->points, points, (size_t)count * sizeof *points);
    s->point_count = count;
    simulated_load_points(s);
    return 0;
}

/* ---- one slice ---------------------------------------------------------------------------- */

static uint64_t slice_budget(const struct simulated *s)
{
    uint64_t executed = s->guest->hart.executed;
    uint64_t budget = s->goal.target - executed;
    if (s->config->max_instructions && s->config->max_instructions - executed < budget)
        budget = s->config->max_instructions - executed;
    bool fast = (s->computer ? s->computer : s->guest)->engine != &engine_interp;
    uint64_t slice = fast ? SLICE_FAST : SLICE;
    if (s->events_mask & EVENTS_OF_EVERY_INSN)
        slice = SLICE_WATCHED;
    if (s->sleepy)
        slice = SLICE_IDLE;
    slice >>= s->slow;
    uint64_t bound = replay_bound(s), digest = recorder_bound(s);
    bound = digest < bound ? digest : bound;
    if (simulated_input_waits(s))
        bound = 1;
    budget = bound < budget ? bound : budget;
    uint64_t held = simulated_input_held(s);
    if (held < UINT64_MAX && !(s->events_mask & EVENTS_OF_EVERY_INSN))
        slice = held; /* not by the host's speed: input may arrive at the end of it */
    slice = held < slice ? held : slice;
    return budget < slice ? budget : slice;
}

/* The guest sleeps and no timer will wake it: wait for input, or stop if there can be none. */
static bool at_idle(struct simulated *s, struct backend_stop *stop)
{
    const struct hart *h = &s->guest->hart;
    uint64_t wait = clock_host_wait_ns(&h->clock);
    bool stepping = s->goal.target != UINT64_MAX,
         over = session_input_over(s->session) || recorder_follows(s);
    simulated_deliver(s);
    if (s->guest->absent)
        return simulated_at_absent(s, stop);
    if (h->mip & h->mie)
        return false;
    if (wait == UINT64_MAX && (over || stepping)) {
        simulated_say(stop, SESSION_STOPPED, STOPPED_IDLE,
                      over ? "the guest sleeps, and nothing can wake it"
                           : "the guest sleeps until input comes");
        return true;
    }
    session_nap(s->session, wait < IDLE_MAX_NS ? wait : IDLE_MAX_NS);
    return false;
}

int simulated_reload(struct simulated *s, char *why)
{
    int error = s->vm ? vm_load(s->vm, s->config->image, why)
                      : machine_load(s->guest, s->config->image, why);
    trap_log_clear(&s->traps);
    s->goal = (struct goal){.target = UINT64_MAX};
    s->console = (struct console){0};
    s->between = true;
    s->balloon_asked = false;
    s->before_virtual = s->guest->hart;
    if (s->computer)
        s->before_real = s->computer->hart;
    return error;
}

/* The guest has asked for a reset of its machine. */
static bool guest_reset(struct simulated *s, struct backend_stop *stop)
{
    char why[MACHINE_ERROR];
    uint64_t target = s->goal.target;
    if (simulated_reset_waits(s))
        return false;
    if (s->config->no_reboot) {
        simulated_say(stop, SESSION_ENDED, STOPPED_POWEROFF,
                      "the guest has reset its machine, which ends the run");
        return true;
    }
    if (!recorder_reset(s, stop))
        return true;
    if (simulated_reload(s, why)) {
        simulated_say(stop, SESSION_ENDED, STOPPED_STUCK, "the image cannot be loaded again");
        return true;
    }
    s->goal.target = target;
    simulated_restarted(s);
    if (recorder_restarted(s))
        return false;
    simulated_say(stop, SESSION_ENDED, STOPPED_STUCK, "the host has no memory left");
    return true;
}

static bool at_limit(struct simulated *s, struct backend_stop *stop)
{
    uint64_t executed = s->guest->hart.executed;
    if (executed >= s->goal.target && s->goal.travel)
        return replay_arrived(s, stop);
    if (executed >= s->goal.target)
        simulated_say(stop, SESSION_STOPPED, STOPPED_STEP, "stepped");
    else if (s->config->max_instructions && executed >= s->config->max_instructions)
        simulated_say(stop, SESSION_STOPPED, STOPPED_LIMIT, "the instruction limit is reached");
    else
        return false;
    return true;
}

/* What the machine has stopped for: does it end the run? */
static bool take_reason(struct simulated *s, enum stop_reason reason, struct backend_stop *stop)
{
    switch (reason) {
    case STOP_BREAKPOINT: return at_breakpoint(s, stop);
    case STOP_IDLE: return at_idle(s, stop);
    case STOP_RESET: return guest_reset(s, stop);
    case STOP_ABSENT: return simulated_at_absent(s, stop);
    case STOP_WATCHPOINT: simulated_say_watch(s, stop); return true;
    case STOP_POWEROFF: stop_powered_off(s, stop); return true;
    case STOP_STUCK:
        simulated_say(stop, SESSION_ENDED, STOPPED_STUCK, s->guest->stuck);
        return true;
    case STOP_TRAP:
        simulated_say(stop, SESSION_ENDED, STOPPED_STUCK, "a trap that no monitor has taken");
        return true;
    case STOP_REQUEST:
    case STOP_NONE: break;
    }
    return false;
}

static bool after_slice(struct simulated *s, enum stop_reason reason, struct backend_stop *stop)
{
    if (take_reason(s, reason, stop))
        return true;
    if (s->goal.exit && s->goal.exit_seen && simulated_exits(s) >= s->goal.exits) {
        simulated_say(stop, SESSION_STOPPED, STOPPED_EXIT,
                      s->vm ? "VM exit handled" : "trap taken");
        return true;
    }
    return at_limit(s, stop);
}

/* Idle time of a paced guest passes on the host, too. */
static bool pace(struct simulated *s, uint64_t idle_before)
{
    uint8_t byte;
    uint64_t idle = s->guest->hart.clock.idle - idle_before;
    if (!s->config->paced || !idle || recorder_follows(s) || s->goal.travel || replay_in_past(s))
        return false;
    uint64_t ns = idle / CLOCK_INSNS_PER_TICK * (1000000000u / TIMEBASE_HZ);
    if (!session_input_peek(s->session, &byte))
        session_nap(s->session, ns < PACE_MAX_NS ? ns : PACE_MAX_NS);
    return true;
}

uint64_t simulated_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t host_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Instructions are no measure of the host's time where a guest has its disk flushed again and
 * again: whoever waits for the session must not wait for a million of them. Between the two bounds
 * nothing changes, so that one length does not follow the other in turn. */
static void judge_slice(struct simulated *s, uint64_t ns)
{
    if (ns > SLICE_LONG_NS && s->slow < SLICE_SLOWEST)
        s->slow++;
    else if (ns < SLICE_LONG_NS / 4 && s->slow)
        s->slow--;
}

static enum stop_reason run_machine(struct simulated *s)
{
    uint64_t from = s->guest->hart.executed, began = simulated_cpu_ns(), since = s->host_ns();
    simulated_absent_running(s, true);
    enum stop_reason reason = machine_run(s->guest, slice_budget(s));
    simulated_absent_running(s, false);
    if (reason != STOP_NONE)
        s->between = false;
    else if (s->guest->hart.executed > from)
        s->between = true;
    judge_slice(s, s->host_ns() - since);
    replay_ran(s, from, simulated_cpu_ns() - began);
    return reason;
}

static bool one_slice(struct simulated *s, struct backend_stop *stop)
{
    if (s->history.search.active)
        return replay_search(s, stop);
    if (simulated_resets(s))
        return simulated_await_reset(s, stop) || (!s->absent && guest_reset(s, stop));
    replay_mark(s);
    if (recorder_look(s, stop))
        return true;
    /* What is there already must not get the input that arrives there. */
    if (s->guest->hart.executed >= s->goal.target && at_limit(s, stop))
        return true;
    simulated_deliver(s);
    uint64_t idle = s->guest->hart.clock.idle;
    enum stop_reason reason = run_machine(s);
    bool over = after_slice(s, reason, stop);
    s->sleepy = !over && pace(s, idle);
    return over;
}

bool simulated_slice(void *self, struct backend_stop *stop)
{
    struct simulated *s = self;
    bool over = one_slice(s, stop);
    bool by_itself = stop->stop == STOPPED_POWEROFF || stop->stop == STOPPED_STUCK ||
                     stop->stop == STOPPED_IDLE || stop->stop == STOPPED_LIMIT;
    if (over && by_itself)
        recorder_ended(s, stop);
    if (over)
        s->last_stop = *stop;
    return over;
}

uint64_t simulated_exits(const struct simulated *s)
{
    return s->vm ? s->vm->exits : s->traps.count;
}

const struct exit_record *simulated_exit_record(const struct simulated *s, uint64_t seq)
{
    return s->vm ? &s->vm->log[seq % EXIT_LOG] : &s->traps.record[seq % TRAP_LOG];
}

void simulated_restarted(struct simulated *s)
{
    s->last_stop = (struct backend_stop){0};
    replay_start(s);
}

uint64_t simulated_instructions(void *self)
{
    const struct simulated *s = self;
    return s->guest->hart.executed;
}

/* ---- what happens while it runs ----------------------------------------------------------- */

static void console_out(void *context, const uint8_t *bytes, size_t count)
{
    struct simulated *s = context;
    struct console *c = &s->console;
    uint64_t seen = c->shown > c->printed ? c->shown - c->printed : 0;
    c->printed += count;
    if (seen >= count)
        return;
    session_console(s->session, bytes + seen, count - seen);
    c->shown = c->printed;
}

static void see_exit(void *context, const struct event *e)
{
    struct simulated *s = context;
    if (e->type == EVENT_TRAP)
        trap_log_add(&s->traps, s->guest, e);
    s->goal.exit_seen = true;
    if (s->goal.exit)
        machine_stop(s->guest, STOP_REQUEST);
}

static void see_event(void *context, const struct event *e)
{
    struct simulated *s = context;
    if (!s->goal.travel)
        session_publish(s->session, e);
}

static void observe(struct simulated *s, struct machine *m)
{
    events_observe(&m->events, s->events_mask, see_event, s);
    machine_debug_changed(m);
}

void simulated_events_mask(void *self, uint32_t mask)
{
    struct simulated *s = self;
    s->events_mask = mask;
    observe(s, s->guest);
    if (s->computer)
        observe(s, s->computer);
}

int simulated_set_engine(void *self, const char *name)
{
    struct simulated *s = self;
    const struct engine *engine = engine_find(name);
    if (!engine)
        return -ENOENT;
    machine_set_engine(s->computer ? s->computer : s->guest, engine);
    return 0;
}

/* ---- creating ----------------------------------------------------------------------------- */

static int check_config(const struct session_config *c, char *why)
{
    if (c->memory < SUPERPAGE_SIZE || c->memory > 1u << 30 || c->memory % SUPERPAGE_SIZE)
        snprintf(why, SESSION_ERROR,
                 "memory of %llu bytes: it must be a multiple of 4 MiB from 4 MiB to 1 GiB",
                 (unsigned long long)c->memory);
    else if (!engine_find(c->engine))
        snprintf(why, SESSION_ERROR, "there is no engine '%s'", c->engine);
    else
        return 0;
    return -EINVAL;
}

static struct machine_config guest_config(struct simulated *s)
{
    const struct session_config *c = s->config;
    struct machine_config config;
    machine_config_init(&config);
    config.memory = (uint32_t)c->memory;
    config.misaligned_trap = c->misaligned_trap;
    config.ad_trap = c->ad_trap;
    config.host_clock = c->host_clock;
    config.engine = engine_find(c->engine);
    config.disk = c->disk;
    config.disk_readonly = c->disk_readonly;
    config.disk_open = session_disk_open(c);
    config.kernel_args = c->kernel_args;
    config.rng = c->rng;
    config.rng_seed = c->rng_seed;
    config.virtio_console = c->virtio_console;
    config.balloon = c->balloon;
    config.balloon_pages = c->balloon_pages;
    config.console = console_out;
    config.console_context = s;
    return config;
}

/* The computer below the monitor: no devices of its own, memory for the guest and the monitor. */
static struct machine *new_computer(struct simulated *s, char *why)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = vmm_memory_for((uint32_t)s->config->memory);
    config.misaligned_trap = s->config->misaligned_trap;
    config.engine = engine_find(s->config->engine);
    config.no_devices = true;
    return machine_new(&config, why);
}

static int build(struct simulated *s, char *why)
{
    struct machine_config config = guest_config(s);
    if (s->config->under == SESSION_BARE) {
        s->guest = machine_new(&config, why);
        return s->guest ? 0 : -EINVAL;
    }
    s->computer = new_computer(s, why);
    if (!s->computer)
        return -ENOMEM;
    if (vmm_init(&s->vmm, s->computer)) {
        snprintf(why, SESSION_ERROR, "the host has no memory left");
        return -ENOMEM;
    }
    s->vm = vm_new(&s->vmm, &config, why);
    s->guest = s->vm ? s->vm->machine : NULL;
    return s->vm ? 0 : -EINVAL;
}

static bool allocate(struct simulated *s)
{
    bool bare = s->config->under == SESSION_BARE;
    return !bare || trap_log_init(&s->traps);
}

static bool discard_disk(struct simulated *s, char *why)
{
    bool wanted = s->config->disk_discard && s->guest->disk_image;
    if (!wanted || !disk_keep(s->guest->disk_image))
        return true;
    snprintf(why, SESSION_ERROR, "%.400s: too large to keep what is written to it in memory",
             s->config->disk);
    return false;
}

void *simulated_create(const struct session_config *config, struct session *session, char *why)
{
    if (check_config(config, why))
        return NULL;
    struct simulated *s = calloc(1, sizeof *s);
    snprintf(why, SESSION_ERROR, "the host has no memory left");
    if (!s)
        return NULL;
    s->config = config;
    s->session = session;
    s->host_ns = host_ns;
    if (!allocate(s) || build(s, why) || simulated_reload(s, why) || !discard_disk(s, why)) {
        simulated_destroy(s);
        return NULL;
    }
    uint32_t seen = s->vm ? EVENT_BIT(EVENT_EXIT) : EVENT_BIT(EVENT_TRAP);
    events_observe(&s->guest->events, seen, see_exit, s);
    replay_start(s);
    return s;
}

void simulated_destroy(void *self)
{
    struct simulated *s = self;
    if (s->guest && s->guest->disk_image && !s->config->disk_discard && !s->disk_held)
        disk_write_through(s->guest->disk_image); /* session_write_disk() tells of failures */
    simulated_absent_free(s);
    replay_free(s);
    recorder_free(s);
    simulated_forget_snapshots(s);
    overlay_free(s->overlay);
    if (s->computer)
        vmm_free(&s->vmm);
    machine_free(s->computer ? s->computer : s->guest);
    trap_log_free(&s->traps);
    free(s);
}

int simulated_reset(void *self, char *why)
{
    struct simulated *s = self;
    recorder_spoil(s, "the guest was reset from outside");
    int error = simulated_reload(s, why);
    simulated_load_points(s);
    if (!error)
        simulated_restarted(s);
    return error;
}

/* ---- control ------------------------------------------------------------------------------ */

static struct goal step_goal(const struct simulated *s, uint64_t count)
{
    uint64_t executed = s->guest->hart.executed;
    uint64_t target = count < UINT64_MAX - executed ? executed + count : UINT64_MAX - 1;
    return (struct goal){.target = target};
}

/* The word at pc, or 0. */
static uint32_t current_word(struct simulated *s)
{
    struct machine *m = s->guest;
    struct walk w = {.context = mmu_context(m, ACCESS_FETCH), .look_only = true};
    uint32_t word = 0;
    if (mmu_walk(m, m->hart.pc, &w))
        ram_read(&m->ram, w.pa, &word, sizeof word);
    return word;
}

/* Does this instruction go to the next one in the end, though perhaps by a call or a trap? */
static bool comes_back(uint32_t word)
{
    struct insn i = isa_decode(word);
    switch (isa_rows[i.op].format) {
    case FORMAT_B: return false;
    case FORMAT_J:
    case FORMAT_JR: return i.rd != 0;
    default: return i.op != OP_sret && i.op != OP_mret && i.op != OP_ILLEGAL;
    }
}

static struct goal step_over_goal(struct simulated *s)
{
    const struct hart *h = &s->guest->hart;
    if (!comes_back(current_word(s)))
        return step_goal(s, 1);
    return (struct goal){.target = UINT64_MAX,
                         .point = true,
                         .same_frame = true,
                         .at = h->pc + 4,
                         .satp = h->satp,
                         .sp = h->x[2],
                         .mode = h->mode};
}

static struct goal goal_of(struct simulated *s, const struct backend_command *command)
{
    struct goal goal = {.target = UINT64_MAX};
    switch (command->goal) {
    case GOAL_RUN: break;
    case GOAL_STEP: return step_goal(s, command->count);
    case GOAL_STEP_OVER: return step_over_goal(s);
    case GOAL_STEP_EXIT: goal.exit = true; break;
    case GOAL_RUN_TO:
        goal.point = true;
        goal.at = (uint32_t)command->va;
        break;
    case GOAL_STEP_BACK:
    case GOAL_GOTO:
    case GOAL_RUN_BACK: break; /* replay.c */
    }
    return goal;
}

int simulated_begin(void *self, const struct backend_command *command)
{
    struct simulated *s = self;
    s->before_virtual = s->guest->hart;
    if (s->computer)
        s->before_real = s->computer->hart;
    s->history.ended = s->last_stop.state == SESSION_ENDED;
    s->last_stop = (struct backend_stop){0};
    s->history.search.active = false; /* one that was interrupted */
    if (command->goal >= GOAL_STEP_BACK)
        return replay_begin(s, command);
    s->goal = goal_of(s, command);
    simulated_load_points(s);
    s->guest->debug.skip = s->guest->hart.executed;
    return 0;
}
