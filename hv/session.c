/*
 * A session: its worker thread, and the commands that it obeys. See session.h.
 *
 * There is one lock. The worker holds it while it runs a slice of instructions; between two slices
 * it lets in everybody who waits (session_enter), so that each question is answered within a slice,
 * and the machine stands still while it is asked. What ends a run is decided in one place,
 * after_slice().
 */
#include "hv/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/isa.h"
#include "hv/session_priv.h"

enum {
    SLICE = 100000,       /* instructions: about half a millisecond of the interpreter */
    SLICE_FAST = 1000000, /* the same of the other engines */
    SLICE_WATCHED = 8192, /* while every instruction is an event: fits the ring */
    SLICE_IDLE = 2000,    /* while a paced guest sleeps most of the time */
    PACE_MAX_MS = 50,     /* longest nap of a paced session: input and pause wake it anyway */
};

/* ---- the lock ----------------------------------------------------------------------------- */

void session_enter(struct session *s)
{
    atomic_fetch_add(&s->waiting, 1);
    pthread_mutex_lock(&s->lock);
}

void session_leave(struct session *s)
{
    if (atomic_fetch_sub(&s->waiting, 1) == 1)
        pthread_cond_signal(&s->calm);
    pthread_mutex_unlock(&s->lock);
}

static void let_callers_in(struct session *s)
{
    while (atomic_load(&s->waiting) > 0)
        pthread_cond_wait(&s->calm, &s->lock);
}

static void sleep_until_woken(struct session *s, uint64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec += (long)(ns % 1000000000u);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

/* Those who wait for a stop have a lock of their own: the worker may keep the other one for long,
 * when nobody has a question. */
static void set_running(struct session *s, bool running)
{
    pthread_mutex_lock(&s->wait_lock);
    s->running = running;
    pthread_cond_broadcast(&s->stopped);
    pthread_mutex_unlock(&s->wait_lock);
}

/* ---- stopping ----------------------------------------------------------------------------- */

static void stop(struct session *s, enum session_state state, enum session_stop why,
                 const char *text)
{
    s->state = state;
    s->stop = why;
    snprintf(s->text, sizeof s->text, "%s", text);
    s->stops++;
    s->pause_wanted = false;
    set_running(s, false);
    if (s->config.stopped)
        s->config.stopped(s->config.context);
}

static void stop_at_watchpoint(struct session *s)
{
    char text[VIEW_TEXT];
    s->watch = s->guest->watch;
    snprintf(text, sizeof text, "watchpoint: %s of 0x%08x", s->watch.write ? "write" : "read",
             s->watch.address);
    stop(s, SESSION_STOPPED, STOPPED_WATCHPOINT, text);
}

static void stop_powered_off(struct session *s)
{
    char text[VIEW_TEXT];
    s->exit_code = s->guest->exit_code;
    snprintf(text, sizeof text, "the guest has switched itself off with exit code %d",
             s->exit_code);
    stop(s, SESSION_ENDED, STOPPED_POWEROFF, text);
}

/* ---- breakpoints into the machine --------------------------------------------------------- */

void session_load_points(struct session *s)
{
    struct machine_debug *d = &s->guest->debug;
    d->count = 0;
    for (int i = 0; i < s->point_count; i++) {
        const struct session_break *p = &s->points[i];
        d->point[d->count++] = (struct machine_break){
            .address = p->address,
            .length = p->length ? p->length : 1,
            .execute = p->kind & BREAK_EXECUTE,
            .read = p->kind & BREAK_READ,
            .write = p->kind & BREAK_WRITE,
            .physical = p->physical,
        };
    }
    if (s->goal.point)
        d->point[d->count++] =
            (struct machine_break){.address = s->goal.at, .length = 1, .execute = true};
    assert(d->count <= MACHINE_BREAKS);
    machine_debug_changed(s->guest);
}

/* Is the breakpoint that was hit the temporary one, and does it count here? */
static bool goal_reached(const struct session *s)
{
    const struct goal *g = &s->goal;
    const struct hart *h = &s->guest->hart;
    if (!g->point || h->pc != g->at)
        return false;
    return !g->same_frame || (h->mode == g->mode && h->satp == g->satp && h->x[2] >= g->sp);
}

static bool is_user_point(const struct session *s)
{
    uint32_t pc = s->guest->hart.pc;
    for (int i = 0; i < s->point_count; i++) {
        const struct session_break *p = &s->points[i];
        uint32_t length = p->length ? p->length : 1;
        if (p->kind & BREAK_EXECUTE && (p->physical || pc - p->address < length))
            return true;
    }
    return false;
}

static void at_breakpoint(struct session *s)
{
    if (goal_reached(s))
        stop(s, SESSION_STOPPED, STOPPED_STEP, "reached");
    else if (is_user_point(s))
        stop(s, SESSION_STOPPED, STOPPED_BREAKPOINT, "breakpoint");
    else /* the temporary one, in another frame */
        s->guest->debug.skip = s->guest->hart.executed;
}

/* ---- one slice ---------------------------------------------------------------------------- */

static void log_input(struct session *s, uint8_t byte)
{
    if (s->input_logged == s->input_log_size) {
        size_t size = s->input_log_size * 2 + 256;
        struct input_record *grown = realloc(s->input_log, size * sizeof *grown);
        if (!grown)
            return;
        s->input_log = grown;
        s->input_log_size = size;
    }
    s->input_log[s->input_logged++] = (struct input_record){s->guest->hart.executed, byte};
}

static void deliver_input(struct session *s)
{
    while (s->input_count) {
        uint8_t byte = s->input[s->input_head];
        if (!machine_input(s->guest, &byte, 1))
            return;
        log_input(s, byte);
        s->input_head = (s->input_head + 1) % INPUT_QUEUE;
        s->input_count--;
    }
}

static uint64_t slice_budget(const struct session *s, bool sleepy)
{
    uint64_t executed = s->guest->hart.executed;
    uint64_t budget = s->goal.target - executed;
    if (s->config.max_instructions && s->config.max_instructions - executed < budget)
        budget = s->config.max_instructions - executed;
    bool fast = (s->computer ? s->computer : s->guest)->engine != &engine_interp;
    uint64_t slice = fast ? SLICE_FAST : SLICE;
    if (s->events_mask & EVENTS_OF_EVERY_INSN)
        slice = SLICE_WATCHED;
    if (sleepy)
        slice = SLICE_IDLE;
    return budget < slice ? budget : slice;
}

static double host_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void measure(struct session *s, double seconds)
{
    s->seconds += seconds;
    if (s->seconds < 0.25)
        return;
    s->mips = (double)(s->guest->hart.executed - s->rate_from) / s->seconds / 1e6;
    s->seconds = 0;
    s->rate_from = s->guest->hart.executed;
}

/* The guest sleeps and no timer will wake it: wait for input, or stop if there can be none. */
static void at_idle(struct session *s)
{
    const struct hart *h = &s->guest->hart;
    uint64_t wait = clock_host_wait_ns(&h->clock);
    bool stepping = s->goal.target != UINT64_MAX;
    deliver_input(s);
    if (h->mip & h->mie)
        return;
    if (wait == UINT64_MAX && (s->input_ended || stepping)) {
        stop(s, SESSION_STOPPED, STOPPED_IDLE,
             s->input_ended ? "the guest sleeps, and nothing can wake it"
                            : "the guest sleeps until input comes");
        return;
    }
    size_t undeliverable = s->input_count;
    let_callers_in(s);
    if (!s->pause_wanted && !s->quit && s->input_count == undeliverable)
        sleep_until_woken(s, wait < 100000000u ? wait : 100000000u);
}

static int load_guest(struct session *s, char *why);

static void guest_reset(struct session *s)
{
    char why[MACHINE_ERROR];
    uint64_t target = s->goal.target;
    if (load_guest(s, why)) {
        stop(s, SESSION_ENDED, STOPPED_STUCK, "the image cannot be loaded again");
        return;
    }
    s->goal.target = target;
}

static void at_limit(struct session *s)
{
    uint64_t executed = s->guest->hart.executed;
    if (executed >= s->goal.target)
        stop(s, SESSION_STOPPED, STOPPED_STEP, "stepped");
    else if (s->config.max_instructions && executed >= s->config.max_instructions)
        stop(s, SESSION_STOPPED, STOPPED_LIMIT, "the instruction limit is reached");
}

/* What ended the slice, and does it end the run? */
static void after_slice(struct session *s, enum stop_reason reason)
{
    switch (reason) {
    case STOP_BREAKPOINT: at_breakpoint(s); break;
    case STOP_WATCHPOINT: stop_at_watchpoint(s); break;
    case STOP_IDLE: at_idle(s); break;
    case STOP_POWEROFF: stop_powered_off(s); break;
    case STOP_RESET: guest_reset(s); break;
    case STOP_STUCK: stop(s, SESSION_ENDED, STOPPED_STUCK, s->guest->stuck); break;
    case STOP_TRAP:
        stop(s, SESSION_ENDED, STOPPED_STUCK, "a trap that no monitor has taken");
        break;
    case STOP_REQUEST:
    case STOP_NONE: break;
    }
    if (s->state != SESSION_RUNNING)
        return;
    if (s->goal.exit && s->goal.exit_seen)
        stop(s, SESSION_STOPPED, STOPPED_EXIT, s->vm ? "VM exit handled" : "trap taken");
    else
        at_limit(s);
    if (s->state == SESSION_RUNNING && s->pause_wanted)
        stop(s, SESSION_STOPPED, STOPPED_PAUSE, "paused");
}

/* Idle time of a paced guest passes on the host, too. */
static bool pace(struct session *s, uint64_t idle_before)
{
    uint64_t idle = s->guest->hart.clock.idle - idle_before;
    if (!s->config.paced || !idle || s->state != SESSION_RUNNING)
        return false;
    uint64_t ns = idle / CLOCK_INSNS_PER_TICK * (1000000000u / TIMEBASE_HZ);
    let_callers_in(s);
    if (!s->pause_wanted && !s->quit && !s->input_count)
        sleep_until_woken(s, ns < PACE_MAX_MS * 1000000u ? ns : PACE_MAX_MS * 1000000u);
    return true;
}

static void run_slice(struct session *s, bool *sleepy)
{
    deliver_input(s);
    uint64_t idle = s->guest->hart.clock.idle;
    double from = host_seconds();
    enum stop_reason reason = machine_run(s->guest, slice_budget(s, *sleepy));
    measure(s, host_seconds() - from);
    after_slice(s, reason);
    *sleepy = pace(s, idle);
}

static void *work(void *argument)
{
    struct session *s = argument;
    bool sleepy = false;
    pthread_mutex_lock(&s->lock);
    while (!s->quit) {
        if (s->state == SESSION_RUNNING)
            run_slice(s, &sleepy);
        else
            pthread_cond_wait(&s->wake, &s->lock);
        let_callers_in(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- what happens while it runs ----------------------------------------------------------- */

static void console_out(void *context, const uint8_t *bytes, size_t count)
{
    struct session *s = context;
    if (s->config.output) {
        s->config.output(s->config.context, bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        s->output[(s->output_head + s->output_count) % OUTPUT_RING] = bytes[i];
        if (s->output_count < OUTPUT_RING)
            s->output_count++;
        else
            s->output_head = (s->output_head + 1) % OUTPUT_RING;
    }
}

/* A bare session's "exits" are the traps that its hart takes. */
static void log_trap(struct session *s, const struct event *e)
{
    const struct hart *h = &s->guest->hart;
    bool called_firmware = s->guest->firmware && e->a == CAUSE_ECALL_S;
    uint32_t pc = called_firmware ? h->pc : e->d == MODE_M ? h->mepc : h->sepc;
    struct view_exit *v = &s->traps[s->trap_count % TRAP_LOG];
    *v = (struct view_exit){
        .seq = ++s->trap_count,
        .instruction = h->executed,
        .since = h->executed - s->trap_last,
        .pc = pc,
        .insn = s->guest->insn,
        .mode = (uint8_t)e->c,
        .reason = (uint8_t)(e->a & 31),
        .cause = e->a,
        .tval = e->b,
    };
    s->trap_last = h->executed;
    s->trap_kind[e->a >> 31][e->a & (CAUSE_COUNT - 1)]++;
}

static void see_exit(void *context, const struct event *e)
{
    struct session *s = context;
    if (e->type == EVENT_TRAP)
        log_trap(s, e);
    s->goal.exit_seen = true;
    if (s->goal.exit)
        machine_stop(s->guest, STOP_REQUEST);
}

static void see_event(void *context, const struct event *e)
{
    struct session *s = context;
    if (s->events_count == EVENT_RING) {
        s->events_dropped++;
        return;
    }
    s->events[(s->events_head + s->events_count++) % EVENT_RING] = *e;
}

int session_set_engine(struct session *s, const char *name)
{
    const struct engine *engine = engine_find(name);
    if (!engine)
        return -ENOENT;
    session_enter(s); /* between two slices: at an instruction's boundary */
    machine_set_engine(s->computer ? s->computer : s->guest, engine);
    session_leave(s);
    return 0;
}

void session_events_mask(struct session *s, uint32_t mask)
{
    session_enter(s);
    if (!s->events)
        s->events = calloc(EVENT_RING, sizeof *s->events);
    if (s->events) {
        s->events_mask = mask;
        events_observe(&s->guest->events, mask, see_event, s);
        machine_debug_changed(s->guest);
        if (s->computer) {
            events_observe(&s->computer->events, mask, see_event, s);
            machine_debug_changed(s->computer);
        }
    }
    session_leave(s);
}

int session_events(struct session *s, struct event *out, int max, uint64_t *dropped)
{
    session_enter(s);
    int count = 0;
    while (count < max && s->events_count) {
        out[count++] = s->events[s->events_head];
        s->events_head = (s->events_head + 1) % EVENT_RING;
        s->events_count--;
    }
    *dropped = s->events_dropped;
    session_leave(s);
    return count;
}

/* ---- creating ----------------------------------------------------------------------------- */

void session_config_init(struct session_config *config)
{
    *config = (struct session_config){.under = SESSION_HV, .memory = 64u << 20};
}

static bool copy_string(const char **string)
{
    if (*string)
        *string = strdup(*string);
    return true;
}

static int check_config(const struct session_config *c, char *why)
{
    if (!c->image || !*c->image)
        snprintf(why, SESSION_ERROR, "no guest is named");
    else if (c->memory < SUPERPAGE_SIZE || c->memory > 1u << 30 || c->memory % SUPERPAGE_SIZE)
        snprintf(why, SESSION_ERROR,
                 "memory of %u bytes: it must be a multiple of 4 MiB from 4 MiB to 1 GiB",
                 c->memory);
    else if (!engine_find(c->engine))
        snprintf(why, SESSION_ERROR, "there is no engine '%s'", c->engine);
    else
        return 0;
    return -EINVAL;
}

static struct machine_config guest_config(struct session *s)
{
    const struct session_config *c = &s->config;
    struct machine_config config;
    machine_config_init(&config);
    config.memory = c->memory;
    config.misaligned_trap = c->misaligned_trap;
    config.ad_trap = c->ad_trap;
    config.host_clock = c->host_clock;
    config.engine = engine_find(c->engine);
    config.disk = c->disk;
    config.disk_readonly = c->disk_readonly;
    config.kernel_args = c->kernel_args;
    config.console = console_out;
    config.console_context = s;
    return config;
}

/* The computer below the monitor: no devices of its own, memory for the guest and the monitor. */
static struct machine *new_computer(struct session *s, char *why)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = vmm_memory_for(s->config.memory);
    config.misaligned_trap = s->config.misaligned_trap;
    config.engine = engine_find(s->config.engine);
    config.no_devices = true;
    return machine_new(&config, why);
}

static int build(struct session *s, char *why)
{
    struct machine_config config = guest_config(s);
    if (s->config.under == SESSION_BARE) {
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

static int load_guest(struct session *s, char *why)
{
    int error = s->vm ? vm_load(s->vm, s->config.image, why)
                      : machine_load(s->guest, s->config.image, why);
    s->trap_count = s->trap_last = 0;
    memset(s->trap_kind, 0, sizeof s->trap_kind);
    s->rate_from = 0;
    s->goal = (struct goal){.target = UINT64_MAX};
    s->before_virtual = s->guest->hart;
    if (s->computer)
        s->before_real = s->computer->hart;
    return error;
}

static void init_locks(struct session *s)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->wait_lock, NULL);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_cond_init(&s->stopped, &monotonic);
    pthread_cond_init(&s->calm, NULL);
    pthread_condattr_destroy(&monotonic);
}

static void destroy_locks(struct session *s)
{
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->wait_lock);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->stopped);
    pthread_cond_destroy(&s->calm);
}

static bool allocate(struct session *s)
{
    s->input = malloc(INPUT_QUEUE);
    s->output = s->config.output ? NULL : malloc(OUTPUT_RING);
    s->traps = s->config.under == SESSION_BARE ? calloc(TRAP_LOG, sizeof *s->traps) : NULL;
    return s->input && (s->output || s->config.output) &&
           (s->traps || s->config.under != SESSION_BARE);
}

struct session *session_new(const struct session_config *config, char *why)
{
    struct session *s = NULL;
    if (check_config(config, why))
        return NULL;
    s = calloc(1, sizeof *s);
    if (!s) {
        snprintf(why, SESSION_ERROR, "the host has no memory left");
        return NULL;
    }
    s->config = *config;
    copy_string(&s->config.image);
    copy_string(&s->config.disk);
    copy_string(&s->config.kernel_args);
    copy_string(&s->config.engine);
    s->next_id = 1;
    init_locks(s);
    snprintf(why, SESSION_ERROR, "the host has no memory left");
    if (!allocate(s) || build(s, why) || load_guest(s, why))
        goto fail;
    uint32_t seen = s->vm ? EVENT_BIT(EVENT_EXIT) : EVENT_BIT(EVENT_TRAP);
    events_observe(&s->guest->events, seen, see_exit, s);
    stop(s, SESSION_STOPPED, STOPPED_RESET, "ready");
    s->has_worker = pthread_create(&s->worker, NULL, work, s) == 0;
    if (!s->has_worker) {
        snprintf(why, SESSION_ERROR, "the host gives no thread");
        goto fail;
    }
    return s;
fail:
    session_free(s);
    return NULL;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    if (s->has_worker) {
        session_enter(s);
        s->quit = true;
        pthread_cond_signal(&s->wake);
        session_leave(s);
        pthread_join(s->worker, NULL);
    }
    if (s->computer)
        vmm_free(&s->vmm);
    machine_free(s->computer ? s->computer : s->guest);
    destroy_locks(s);
    free((char *)s->config.image);
    free((char *)s->config.disk);
    free((char *)s->config.kernel_args);
    free((char *)s->config.engine);
    free(s->input);
    free(s->input_log);
    free(s->output);
    free(s->traps);
    free(s->events);
    free(s);
}

/* ---- control ------------------------------------------------------------------------------ */

/* Starts a run towards `goal`. */
static int begin(struct session *s, struct goal goal)
{
    if (s->state == SESSION_RUNNING)
        return -EBUSY;
    if (s->state == SESSION_ENDED)
        return -ESHUTDOWN;
    bool had_point = s->goal.point;
    s->goal = goal;
    s->before_virtual = s->guest->hart;
    if (s->computer)
        s->before_real = s->computer->hart;
    if (goal.point || had_point)
        session_load_points(s);
    s->guest->debug.skip = s->guest->hart.executed;
    s->rate_from = s->guest->hart.executed;
    s->seconds = 0;
    s->pause_wanted = false;
    s->state = SESSION_RUNNING;
    set_running(s, true);
    pthread_cond_signal(&s->wake);
    return 0;
}

static int begin_locked(struct session *s, struct goal goal)
{
    session_enter(s);
    int error = begin(s, goal);
    session_leave(s);
    return error;
}

static struct goal step_goal(const struct session *s, uint64_t count)
{
    uint64_t executed = s->guest->hart.executed;
    uint64_t target = count < UINT64_MAX - executed ? executed + count : UINT64_MAX - 1;
    return (struct goal){.target = target};
}

int session_step(struct session *s, uint64_t count)
{
    session_enter(s);
    int error = begin(s, step_goal(s, count));
    session_leave(s);
    return error;
}

int session_run(struct session *s)
{
    return begin_locked(s, (struct goal){.target = UINT64_MAX});
}

int session_step_exit(struct session *s)
{
    return begin_locked(s, (struct goal){.target = UINT64_MAX, .exit = true});
}

int session_run_to(struct session *s, uint32_t va)
{
    return begin_locked(s, (struct goal){.target = UINT64_MAX, .point = true, .at = va});
}

/* The word at pc, or 0. */
static uint32_t current_word(struct session *s)
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

int session_step_over(struct session *s)
{
    session_enter(s);
    const struct hart *h = &s->guest->hart;
    struct goal goal = step_goal(s, 1);
    if (comes_back(current_word(s)))
        goal = (struct goal){.target = UINT64_MAX, .point = true, .same_frame = true,
                             .at = h->pc + 4, .satp = h->satp, .sp = h->x[2], .mode = h->mode};
    int error = begin(s, goal);
    session_leave(s);
    return error;
}

int session_pause(struct session *s)
{
    session_enter(s);
    if (s->state == SESSION_RUNNING) {
        s->pause_wanted = true;
        pthread_cond_signal(&s->wake);
    }
    session_leave(s);
    return 0;
}

int session_reset(struct session *s)
{
    char why[MACHINE_ERROR];
    session_enter(s);
    int error = s->state == SESSION_RUNNING ? -EBUSY : 0;
    if (!error) {
        error = load_guest(s, why);
        s->output_count = s->input_count = s->input_logged = 0;
        session_load_points(s);
        stop(s, error ? SESSION_ENDED : SESSION_STOPPED, error ? STOPPED_STUCK : STOPPED_RESET,
             error ? "the image cannot be loaded again" : "ready");
    }
    session_leave(s);
    return error;
}

int session_wait(struct session *s, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&s->wait_lock);
    int error = 0;
    while (s->running && !error)
        error = timeout_ms < 0 ? pthread_cond_wait(&s->stopped, &s->wait_lock)
                               : pthread_cond_timedwait(&s->stopped, &s->wait_lock, &until);
    bool running = s->running;
    pthread_mutex_unlock(&s->wait_lock);
    return running ? -ETIMEDOUT : 0;
}
