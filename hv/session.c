/*
 * A session: its worker thread, and the commands that it obeys. See session.h.
 *
 * There is one lock. The worker holds it while the backend runs a slice of the guest; between two
 * slices it lets in everybody who waits (session_enter), so that each question is answered within a
 * slice, and the machine stands still while it is asked. What ends a run the backend decides; a
 * stop becomes known in one place, stop().
 */
#include "config.h"

#include "hv/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hv/deadline.h"
#include "hv/disk-format.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"
#include "hv/snapshot.h"

/* What runs the guest. NULL: not in this build. */
static const struct backend_ops *const BACKENDS[] = {
    [SESSION_BARE] = &backend_simulated,
    [SESSION_HV] = &backend_simulated,
#ifdef HAVE_KVM
    [SESSION_KVM] = &backend_kvm,
#else
    [SESSION_KVM] = NULL,
#endif
};

/* ---- the lock ----------------------------------------------------------------------------- */

void session_enter(struct session *s)
{
    atomic_fetch_add(&s->waiting, 1);
    if (s->ops->kick)
        s->ops->kick(s->backend);
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
    struct timespec until = deadline_after(ns);
    pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static double host_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void session_nap(struct session *s, uint64_t ns)
{
    double from = host_seconds();
    size_t typed = s->input_count;
    let_callers_in(s);
    if (!s->pause_wanted && !s->quit && s->input_count == typed)
        sleep_until_woken(s, ns);
    s->napped += host_seconds() - from;
}

bool session_wanted(struct session *s)
{
    return atomic_load(&s->waiting) > 0 || s->pause_wanted || s->quit;
}

/* ---- stopping ----------------------------------------------------------------------------- */

/* Those who wait for a stop have a lock of their own: the worker may keep the other one for long,
 * when nobody has a question. */
static void set_running(struct session *s, bool running)
{
    pthread_mutex_lock(&s->wait_lock);
    s->running = running;
    pthread_cond_broadcast(&s->stopped);
    pthread_mutex_unlock(&s->wait_lock);
}

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

static void stop_as_told(struct session *s, const struct backend_stop *told)
{
    if (told->stop == STOPPED_POWEROFF)
        s->exit_code = told->exit_code;
    if (told->stop == STOPPED_WATCHPOINT) {
        s->watch_address = told->watch_address;
        s->watch_access = told->watch_access;
    }
    stop(s, told->state, told->stop, told->text);
}

enum session_stop session_last_stop(struct session *s)
{
    return s->stop;
}

/* ---- one slice ---------------------------------------------------------------------------- */

static uint64_t instructions(struct session *s)
{
    return s->ops->instructions ? s->ops->instructions(s->backend) : 0;
}

static void measure(struct session *s, double seconds)
{
    s->seconds += seconds;
    if (s->seconds < 0.25)
        return;
    uint64_t now = instructions(s);
    if (now < s->rate_from) /* the guest has reset itself meanwhile, or gone back */
        s->rate_from = now;
    s->mips = (double)(now - s->rate_from) / s->seconds / 1e6;
    s->seconds = 0;
    s->rate_from = now;
}

/* A guest that writes faster than its pages can be sent to another host has to wait after each
 * slice. */
static void slow_down(struct session *s, double seconds)
{
    unsigned throttle = s->throttle;
    if (throttle)
        session_nap(s, (uint64_t)(seconds * 1e9 * throttle / (100 - throttle)));
}

static void run_slice(struct session *s)
{
    struct backend_stop told = {0};
    double from = host_seconds();
    s->napped = 0;
    bool over = s->ops->slice(s->backend, &told);
    double took = host_seconds() - from - s->napped;
    measure(s, took);
    if (over)
        stop_as_told(s, &told);
    else if (s->pause_wanted)
        stop(s, SESSION_STOPPED, STOPPED_PAUSE, "paused");
    else
        slow_down(s, took);
}

static void *work(void *argument)
{
    struct session *s = argument;
    pthread_mutex_lock(&s->lock);
    while (!s->quit) {
        if (s->state == SESSION_RUNNING && !s->standing)
            run_slice(s);
        else
            pthread_cond_wait(&s->wake, &s->lock);
        let_callers_in(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- creating ----------------------------------------------------------------------------- */

void session_config_init(struct session_config *config)
{
    *config = (struct session_config){
        .under = SESSION_HV, .memory = 64u << 20, .cpus = 1, .kvm_fd = -1, .output_fd = -1};
}

const char *session_guest_name(const struct session_config *c)
{
    return c->image ? c->image : c->firmware ? c->firmware : c->disk;
}

enum { BALLOON_PAGE = 4096 };

static int check_config(const struct session_config *c, char *why)
{
    bool named = (c->image && *c->image) || (c->under == SESSION_KVM && (c->firmware || c->disk));
    if (!named)
        snprintf(why, SESSION_ERROR, "no guest is named");
    else if (c->under >= sizeof BACKENDS / sizeof *BACKENDS || !BACKENDS[c->under])
        snprintf(why, SESSION_ERROR, "%s: this build has no KVM, which x86 guests need",
                 session_guest_name(c));
    else if (c->balloon_pages > c->memory / BALLOON_PAGE)
        snprintf(why, SESSION_ERROR, "a balloon of %u pages: the guest has only %llu",
                 c->balloon_pages, (unsigned long long)(c->memory / BALLOON_PAGE));
    else
        return 0;
    return -EINVAL;
}

/* The strings of a configuration: a session has its own. */
static const char **strings_of(struct session_config *c, unsigned i)
{
    const char **const strings[] = {&c->image,  &c->disk,     &c->kernel_args, &c->engine,
                                    &c->initrd, &c->firmware, &c->boot_format, &c->net};
    return i < sizeof strings / sizeof *strings ? strings[i] : NULL;
}

static bool copy_strings(struct session_config *c)
{
    bool ok = true;
    const char **string;
    for (unsigned i = 0; (string = strings_of(c, i)); i++)
        if (*string && !(*string = strdup(*string)))
            ok = false;
    return ok;
}

static void init_locks(struct session *s)
{
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->wait_lock, NULL);
    pthread_mutex_init(&s->output_lock, NULL);
    pthread_mutex_init(&s->events_lock, NULL);
    deadline_init_cond(&s->wake);
    deadline_init_cond(&s->stopped);
    pthread_cond_init(&s->calm, NULL);
}

static void destroy_locks(struct session *s)
{
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->wait_lock);
    pthread_mutex_destroy(&s->output_lock);
    pthread_mutex_destroy(&s->events_lock);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->stopped);
    pthread_cond_destroy(&s->calm);
}

static bool allocate(struct session *s)
{
    s->input = malloc(INPUT_QUEUE);
    s->output = s->config.output ? NULL : malloc(OUTPUT_RING);
    return s->input && (s->output || s->config.output);
}

struct session *session_new(const struct session_config *config, char *why)
{
    struct session *s = NULL;
    if (check_config(config, why))
        return NULL;
    s = calloc(1, sizeof *s);
    snprintf(why, SESSION_ERROR, "the host has no memory left");
    if (!s)
        return NULL;
    s->config = *config;
    s->ops = BACKENDS[config->under];
    s->next_id = 1;
    s->file.fd = -1;
    s->watch_access = 'x';
    init_locks(s);
    if (!copy_strings(&s->config) || !allocate(s))
        goto fail;
    s->backend = s->ops->create(&s->config, s, why);
    if (!s->backend)
        goto fail;
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
    const char **string;
    if (!s)
        return;
    if (s->has_worker) {
        session_enter(s);
        s->quit = true;
        pthread_cond_signal(&s->wake);
        session_leave(s);
        pthread_join(s->worker, NULL);
    }
    if (s->backend)
        s->ops->destroy(s->backend);
    migrate_arrival_free(s->arrival);
    snapshot_dir_close(s->kept);
    free(s->peer);
    destroy_locks(s);
    for (unsigned i = 0; (string = strings_of(&s->config, i)); i++)
        free((char *)*string);
    session_drop_file(s);
    free(s->input);
    free(s->input_log);
    free(s->output);
    free(s->held.bytes);
    free(s->events);
    free(s);
}

/* ---- control ------------------------------------------------------------------------------ */

/* The guest may run on another host, so it must not here, not even from its start: the disk is
 * there. */
bool session_is_away(const struct session *s)
{
    return s->stop == STOPPED_MOVED && s->state == SESSION_ENDED;
}

disk_open_fn session_disk_open(const struct session_config *c)
{
    if (c->disk_discard && c->under != SESSION_KVM)
        return disk_format_open_discard;
    return c->disk_away ? disk_format_open_away : disk_format_open;
}

/* A disk that was another's is ours from now on, or the guest does not run. */
static int take_disk(struct session *s)
{
    const struct backend_move *move = s->ops->move;
    char why[SESSION_ERROR];
    int error = move && move->hand ? move->hand(s->backend, MOVE_HAND_TAKE, why) : 0;
    if (error)
        snprintf(s->text, sizeof s->text, "%.*s", (int)sizeof s->text - 1, why);
    return error ? -ENOLCK : 0;
}

/* Starts a run as the command says. */
static int begin(struct session *s, const struct backend_command *command)
{
    bool back = command->goal >= GOAL_STEP_BACK;
    if (s->state == SESSION_RUNNING || session_changeable(s))
        return -EBUSY;
    if (session_is_away(s) || (s->state == SESSION_ENDED && !back))
        return -ESHUTDOWN;
    if (back && !s->ops->view_history)
        return -ENOTSUP;
    int error = take_disk(s);
    error = error ? error : s->ops->begin(s->backend, command);
    if (error)
        return error;
    s->rate_from = instructions(s);
    s->seconds = 0;
    s->pause_wanted = false;
    s->state = SESSION_RUNNING;
    set_running(s, true);
    pthread_cond_signal(&s->wake);
    return 0;
}

static int begin_locked(struct session *s, struct backend_command command)
{
    session_enter(s);
    int error = begin(s, &command);
    session_leave(s);
    return error;
}

int session_step(struct session *s, uint64_t count)
{
    return begin_locked(s, (struct backend_command){.goal = GOAL_STEP, .count = count});
}

int session_step_over(struct session *s)
{
    return begin_locked(s, (struct backend_command){.goal = GOAL_STEP_OVER});
}

int session_step_exit(struct session *s)
{
    return begin_locked(s, (struct backend_command){.goal = GOAL_STEP_EXIT});
}

int session_run(struct session *s)
{
    return begin_locked(s, (struct backend_command){.goal = GOAL_RUN});
}

int session_run_to(struct session *s, uint64_t va)
{
    if (s->ops->address_max && va > s->ops->address_max)
        return -EINVAL;
    return begin_locked(s, (struct backend_command){.goal = GOAL_RUN_TO, .va = va});
}

int session_step_back(struct session *s, uint64_t count)
{
    return begin_locked(s, (struct backend_command){.goal = GOAL_STEP_BACK, .count = count});
}

int session_goto(struct session *s, uint64_t instruction)
{
    return begin_locked(s, (struct backend_command){.goal = GOAL_GOTO, .count = instruction});
}

int session_run_back(struct session *s, enum session_back kind, bool physical, uint64_t address,
                     uint32_t length)
{
    uint64_t max = s->ops->address_max ? s->ops->address_max : UINT64_MAX;
    if (kind == BACK_WRITE && (!length || address > max || length - 1 > max - address))
        return -EINVAL;
    return begin_locked(s, (struct backend_command){.goal = GOAL_RUN_BACK,
                                                    .count = length,
                                                    .va = address,
                                                    .back = kind,
                                                    .physical = physical});
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

/* The machine is another one than before: what belonged to the old one goes. */
void session_start_anew(struct session *s, const char *text)
{
    session_clear_console(s);
    s->rate_from = instructions(s);
    stop(s, SESSION_STOPPED, STOPPED_RESET, text);
}

int session_reset(struct session *s)
{
    char why[SESSION_ERROR];
    session_enter(s);
    int error = s->state == SESSION_RUNNING ? -EBUSY : session_is_away(s) ? -ESHUTDOWN : 0;
    if (s->standing || s->arrival)
        error = -EBUSY;
    if (!error) {
        error = s->ops->reset(s->backend, why);
        if (error) {
            session_clear_console(s);
            stop(s, SESSION_ENDED, STOPPED_STUCK, "the image cannot be loaded again");
        } else {
            session_start_anew(s, "ready");
        }
    }
    session_leave(s);
    return error;
}

int session_set_vcpu(struct session *s, unsigned index)
{
    session_enter(s);
    int error = s->ops->set_vcpu ? s->ops->set_vcpu(s->backend, index) : index ? -EINVAL : 0;
    session_leave(s);
    return error;
}

int session_set_balloon(struct session *s, uint64_t pages)
{
    int error = -EINVAL;
    session_enter(s);
    if (!s->ops->set_balloon)
        error = -ENOTSUP;
    else if (session_changeable(s))
        error = -EBUSY;
    else if (pages <= s->config.memory / BALLOON_PAGE && pages <= UINT32_MAX)
        error = s->ops->set_balloon(s->backend, (uint32_t)pages);
    session_leave(s);
    return error;
}

int session_wait(struct session *s, int timeout_ms)
{
    struct timespec until = deadline_after_ms(timeout_ms < 0 ? 0 : (uint64_t)timeout_ms);
    pthread_mutex_lock(&s->wait_lock);
    int error = 0;
    while (s->running && !error)
        error = timeout_ms < 0 ? pthread_cond_wait(&s->stopped, &s->wait_lock)
                               : pthread_cond_timedwait(&s->stopped, &s->wait_lock, &until);
    bool running = s->running;
    pthread_mutex_unlock(&s->wait_lock);
    return running ? -ETIMEDOUT : 0;
}

/* ---- moving to another host ----------------------------------------------------------------- */

void session_moved(struct session *s, const char *text)
{
    stop(s, SESSION_ENDED, STOPPED_MOVED, text);
}

void session_ended_there(struct session *s, enum session_stop why, int exit_code, const char *text)
{
    s->exit_code = exit_code;
    stop(s, SESSION_ENDED, why, text);
}

int session_take_back(struct session *s)
{
    session_enter(s);
    const struct backend_move *move = s->ops->move;
    char why[SESSION_ERROR];
    int error = s->stop == STOPPED_MOVED && s->migration.phase == MIGRATION_DOUBT ? 0 : -EINVAL;
    if (!error && s->recovering)
        error = -EALREADY;
    if (!error && move->hand)
        error = move->hand(s->backend, MOVE_HAND_TAKE, why);
    if (!error && move->disk)
        error = move->disk(s->backend, MOVE_DISK_RELEASE);
    if (!error) {
        s->migration.phase = MIGRATION_STAYED;
        if (s->protection.phase == PROTECTION_DOUBT)
            s->protection.phase = PROTECTION_ALONE;
        session_unhold_output(s);
        stop(s, SESSION_STOPPED, STOPPED_PAUSE, "taken back");
    }
    session_leave(s);
    return error;
}

void session_view_protection(struct session *s, struct view_protection *out)
{
    session_enter(s);
    *out = s->protection;
    pthread_mutex_lock(&s->output_lock);
    out->held += s->held.count;
    pthread_mutex_unlock(&s->output_lock);
    session_leave(s);
}

void session_view_migration(struct session *s, struct view_migration *out)
{
    session_enter(s);
    *out = s->migration;
    if (s->arrival)
        migrate_arrival_view(s->arrival, out);
    session_leave(s);
}
