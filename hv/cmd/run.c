/*
 * `vitrine run`: a guest with its console on stdio.
 *
 * The session's worker runs the guest and writes what it prints; this thread sleeps until something
 * is typed or the session stops. With --trace it runs the guest a batch at a time and prints what
 * happened in between; with --gdb a third thread serves the debugger, which then decides when the
 * guest runs.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/console.h"
#include "hv/cmd/control.h"
#include "hv/cmd/ending.h"
#include "hv/cmd/incoming.h"
#include "hv/cmd/protect.h"
#include "hv/cmd/report.h"
#include "hv/cmd/trace.h"
#include "hv/cmd/waker.h"
#include "hv/gdb.h"

enum { CONSOLE_KEPT = 16 << 20 };

struct run {
    const struct options *options;
    struct session *session;
    int waker;
    struct console console;
    struct trace trace;
    atomic_int output_broken; /* the errno that stdout has failed with; 0: it has not */

    struct keeper keeper;    /* sees to it that a backup follows this run */
    bool over;               /* this was a backup, and has no guest to run */
    struct incoming *rest;   /* of a guest that has come by post-copy; NULL: all of it is here */
    struct control *control; /* others who rule this run; NULL: none */

    bool waits; /* between two batches, for input */
    struct gdb *_Atomic gdb;
    pthread_t gdb_thread;
    atomic_bool gdb_done;
    double deadline; /* of --max-seconds, by now(); 0: none */
    bool timed_out;

    bool keep;     /* console output goes into `kept`, for --json */
    uint8_t *kept; /* the worker's while the guest runs */
    size_t kept_count, kept_size;
    uint64_t kept_lost;
};

/* ---- called on the session's worker ------------------------------------------------------- */

static void keep_output(struct run *run, const uint8_t *bytes, size_t count)
{
    if (run->kept_count + count > run->kept_size) {
        size_t size = run->kept_size ? 2 * run->kept_size : 65536;
        uint8_t *larger = size <= CONSOLE_KEPT && count <= size - run->kept_count
                              ? realloc(run->kept, size)
                              : NULL;
        if (!larger) {
            run->kept_lost += count;
            return;
        }
        run->kept = larger;
        run->kept_size = size;
    }
    memcpy(run->kept + run->kept_count, bytes, count);
    run->kept_count += count;
}

/* Waits for room: the guest is as slow as its terminal. 0, or an errno. */
static int write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count) {
        ssize_t wrote = write(fd, bytes, count);
        if (wrote < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (wrote < 0 && errno != EINTR)
            return errno;
        if (wrote > 0) {
            bytes += wrote;
            count -= (size_t)wrote;
        }
    }
    return 0;
}

static void on_output(void *context, const uint8_t *bytes, size_t count)
{
    struct run *run = context;
    if (run->keep)
        keep_output(run, bytes, count);
    else if (!run->output_broken) {
        run->output_broken = write_all(STDOUT_FILENO, bytes, count);
        if (run->output_broken)
            waker_wake(run->waker);
    }
}

static void on_stopped(void *context)
{
    struct run *run = context;
    struct gdb *gdb = run->gdb;
    waker_wake(run->waker);
    if (gdb)
        gdb_stopped(gdb);
}

/* ---- the loop ----------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool is_kvm(const struct run *run)
{
    return run->options->config.under == SESSION_KVM;
}

/* Instructions of the host's processor are not counted: there, a traced run goes from exit to exit.
 */
static int start_slice(struct run *run)
{
    if (!run->trace.what)
        return session_run(run->session);
    return is_kvm(run) ? session_step_exit(run->session) : session_step(run->session, TRACE_BATCH);
}

/* How long poll() may wait: input that the session did not take is offered again soon. */
static int patience_ms(struct run *run)
{
    int most = run->console.count ? 10 : -1;
    if (!run->deadline)
        return most;
    double left = (run->deadline - now()) * 1000;
    run->timed_out = left <= 0;
    int ms = left <= 0 ? 0 : left < 1e6 ? (int)left + 1 : 1000000;
    return most >= 0 && most < ms ? most : ms;
}

/* Has the run come to its end? If it is only between two batches, goes on. */
static bool run_is_over(struct run *run)
{
    struct view_status status;
    if (run->console.leave || run->output_broken || run->timed_out || ending_signal() ||
        control_quits(run->control))
        return true;
    if (run->gdb)
        return run->gdb_done;
    session_status(run->session, &status);
    if (status.state == SESSION_RUNNING || control_waits(run->control) || incoming_waits(run->rest))
        return false;
    if (!run->trace.what)
        return true;
    trace_drain(&run->trace, run->session);
    if (status.stop == (is_kvm(run) ? STOPPED_EXIT : STOPPED_STEP))
        return start_slice(run) != 0;
    run->waits = status.stop == STOPPED_IDLE && !run->console.ended;
    return !run->waits;
}

static void run_loop(struct run *run)
{
    while (!run_is_over(run)) {
        struct pollfd fds[2] = {
            {.fd = run->waker, .events = POLLIN},
            {.fd = console_wants_input(&run->console) ? run->console.fd : -1, .events = POLLIN},
        };
        poll(fds, 2, patience_ms(run));
        waker_clear(run->waker);
        if (!fds[1].revents && !run->console.count)
            continue;
        console_read(&run->console, run->session);
        if (run->waits)
            start_slice(run);
        run->waits = false;
    }
    session_pause(run->session);
    session_wait(run->session, -1);
}

static void *serve_gdb(void *context)
{
    struct run *run = context;
    gdb_serve(run->gdb);
    run->gdb_done = true;
    waker_wake(run->waker);
    return NULL;
}

/* Waits at the first instruction for a debugger. */
static int start_gdb(struct run *run)
{
    char why[GDB_ERROR];
    struct gdb *gdb = gdb_new(run->session, run->options->gdb, why);
    if (!gdb)
        return cmd_fail("--gdb %s: %s", run->options->gdb, why);
    run->gdb = gdb;
    if (pthread_create(&run->gdb_thread, NULL, serve_gdb, run)) {
        run->gdb = NULL;
        gdb_free(gdb);
        return cmd_fail("--gdb: cannot start a thread");
    }
    fprintf(stderr, "vitrine: waiting for gdb: target remote %s\n", gdb_address(gdb));
    return 0;
}

static void stop_gdb(struct run *run)
{
    struct gdb *gdb = run->gdb;
    if (!gdb)
        return;
    gdb_quit(gdb);
    pthread_join(run->gdb_thread, NULL);
    run->gdb = NULL; /* the session is stopped: on_stopped() is not under way */
    gdb_free(gdb);
}

/* ---- before and after --------------------------------------------------------------------- */

static struct session *open_session(struct run *run)
{
    struct session_config config = run->options->config;
    if (!run->options->history_given && run->options->gdb)
        config.history = CMD_HISTORY;
    if (!config.engine) /* what looks at each step wants the one that takes each step */
        config.engine = run->options->trace || run->options->gdb ? "interp" : "auto";
    config.disk_away = run->options->incoming || run->options->backup;
    config.paced = !run->options->input && isatty(STDIN_FILENO);
    config.output = on_output;
    config.output_fd = run->waker;
    config.stopped = on_stopped;
    config.context = run;
    return cmd_session_kept(run->options, &config);
}

static int check_outputs(struct run *run)
{
    const struct options *options = run->options;
    uint64_t address;
    if (options->json_file && cmd_check_output(options->json_file))
        return EXIT_USAGE;
    if (!options->signature)
        return 0;
    if (session_lookup(run->session, "begin_signature", &address) ||
        session_lookup(run->session, "end_signature", &address))
        return cmd_fail("--signature: the guest has no symbols begin_signature and end_signature");
    return cmd_check_output(options->signature);
}

/* One line; and where KVM has given the guest up, what that means, in a few more. */
static void say_why(const struct view_status *status)
{
    size_t first = strcspn(status->detail, "\n");
    if (status->counted)
        cmd_fail("%s: %s after %llu instructions", status->guest, status->text,
                 (unsigned long long)status->instructions);
    else if (first)
        cmd_fail("%s: after %llu exits: %.*s", status->guest, (unsigned long long)status->exits,
                 (int)first, status->detail);
    else
        cmd_fail("%s: %s after %llu exits", status->guest, status->text,
                 (unsigned long long)status->exits);
    if (status->detail[first])
        fputs(status->detail + first + 1, stderr);
}

/* The exit status, after a line on stderr where it is not the guest's own. */
static int status_of(struct run *run)
{
    struct view_status status;
    session_status(run->session, &status);
    if (run->output_broken)
        return cmd_fail_output(run->output_broken);
    if (status.stop == STOPPED_POWEROFF)
        return status.exit_code & 0xff || !status.exit_code ? status.exit_code & 0xff : 1;
    if (run->console.leave || run->gdb_done || ending_signal() || control_quits(run->control))
        return 0;
    if (status.stop == STOPPED_MOVED) {
        cmd_fail("%s: %s", status.guest, status.text);
        return 0;
    }
    if (run->timed_out)
        snprintf(status.text, sizeof status.text, "the limit of %u seconds is reached",
                 run->options->max_seconds);
    say_why(&status);
    return run->timed_out || status.stop == STOPPED_LIMIT ? EXIT_LIMIT : EXIT_STUCK;
}

static int write_json(struct run *run, int status, double seconds)
{
    struct report report = {
        .status = status,
        .timed_out = run->timed_out,
        .seconds = seconds,
        .console = run->keep ? run->kept ? run->kept : (const uint8_t *)"" : NULL,
        .console_count = run->kept_count,
        .console_lost = run->kept_lost,
    };
    const char *path = run->options->json_file;
    FILE *out = path ? fopen(path, "we") : stdout;
    if (!out)
        return cmd_fail("%s: cannot write: %s", path, strerror(errno));
    report_write(out, run->session, &report);
    bool failed = ferror(out);
    if (path)
        failed |= fclose(out) != 0;
    if (path && failed)
        return cmd_fail("%s: cannot write: %s", path, strerror(errno));
    return status;
}

static int write_results(struct run *run, int status, double seconds)
{
    const struct options *options = run->options;
    if (run->trace.dropped)
        cmd_fail("--trace: %llu events did not fit", (unsigned long long)run->trace.dropped);
    if (options->digest)
        fprintf(stderr, "digest 0x%016llx\n", (unsigned long long)session_digest(run->session));
    if (options->signature) {
        int failed = session_write_signature(run->session, options->signature);
        if (failed)
            status = cmd_fail("%s: cannot write: %s", options->signature, strerror(-failed));
    }
    return options->json ? write_json(run, status, seconds) : status;
}

/* As a backup: waits for as long as the primary lives. */
static int stand_by(struct run *run, bool *runs)
{
    enum backup_end end = keeper_stand_by(&run->keeper, run->options, runs);
    run->over = end == BACKUP_OVER || end == BACKUP_FENCED;
    *runs &= end == BACKUP_TAKEN;
    if (end != BACKUP_TAKEN && (end != BACKUP_UNSURE || !run->control))
        return end == BACKUP_OVER ? 0 : end == BACKUP_FENCED ? EXIT_STAYED : EXIT_USAGE;
    struct view_status status;
    session_status(run->session, &status);
    if (status.state == SESSION_ENDED)
        return 0;
    if (!*runs && run->control)
        control_hold(run->control);
    else /* it stood there, but here is nobody who could let it go on */
        *runs = true;
    return 0;
}

/* Lets the guest come from elsewhere, if it shall, and others rule it. Is it to be run at once? */
static int prepare(struct run *run, bool *runs)
{
    const struct options *options = run->options;
    enum migrate_end came = MIGRATE_MOVED;
    *runs = true;
    if (keeper_init(&run->keeper, run->session, options, run->waker))
        return EXIT_USAGE;
    if (options->control) {
        run->control = control_new(run->session, run->keeper.guard, options->control, run->waker);
        if (!run->control)
            return EXIT_USAGE;
    }
    if (options->backup)
        return stand_by(run, runs);
    if (options->protect)
        return keeper_protect(&run->keeper, options);
    if (options->incoming)
        came = incoming_receive(run->session, options, run->waker, runs, &run->rest);
    bool stands = came == MIGRATE_WHOLE || came == MIGRATE_STANDS;
    if (came == MIGRATE_STAYED || (stands && !run->control))
        return EXIT_USAGE;
    if (stands)
        *runs = false;
    else if (!run->control) /* it stood there, but here is nobody who could let it go on */
        *runs = true;
    if (!*runs)
        control_hold(run->control);
    incoming_runs(run->rest, *runs);
    return 0;
}

/* A record, and with a history what the guest has written to its disk, are in memory only: who ends
 * the program means them to be kept. A guest under protection is another matter: the signal is the
 * loss of its host, and the backup goes on. */
static void handle_signals(const struct run *run)
{
    const struct options *options = run->options;
    if (is_kvm(run) || !(options->record || options->gdb || options->config.history))
        return;
    ending_handle(SIGINT, run->waker, false);
    ending_handle(SIGTERM, run->waker, false);
    ending_handle(SIGHUP, run->waker, false);
}

static int run_guest(struct run *run)
{
    const struct options *options = run->options;
    bool runs;
    int failed = check_outputs(run);
    failed = failed ? failed : prepare(run, &runs);
    if (run->over)
        return options->json ? write_json(run, failed, 0) : failed;
    if (failed)
        return failed;
    handle_signals(run);
    failed = console_open(&run->console, options->input);
    failed = failed ? failed : console_preload(&run->console, run->session);
    if (failed) {
        console_close(&run->console);
        return cmd_fail("%s: %s", options->input ? options->input : "terminal", strerror(-failed));
    }
    if (options->trace)
        trace_start(&run->trace, run->session, options->trace, stderr);
    double started = now();
    if (options->max_seconds)
        run->deadline = started + options->max_seconds;
    failed = options->gdb ? start_gdb(run) : runs ? -start_slice(run) : 0;
    if (!failed)
        run_loop(run);
    double seconds = now() - started;
    stop_gdb(run);
    console_close(&run->console);
    int lost = keeper_end(&run->keeper);
    if (failed)
        return EXIT_USAGE;
    int status = write_results(run, status_of(run), seconds);
    return lost ? lost : status;
}

static int begin_record(struct run *run)
{
    char why[SESSION_ERROR];
    const char *path = run->options->record;
    if (!path)
        return 0;
    if (cmd_check_output(path))
        return EXIT_USAGE;
    return session_record(run->session, path, why) ? cmd_fail("--record: %s", why) : 0;
}

/* Where the guest stands now the record ends. */
static int end_record(struct run *run, int status)
{
    char why[SESSION_ERROR];
    if (!run->options->record)
        return status;
    session_pause(run->session);
    session_wait(run->session, -1);
    return session_record_end(run->session, why) ? cmd_fail("%s", why) : status;
}

int cmd_run(const struct options *options, int argc, char **argv)
{
    struct run run = {.options = options, .keep = options->json && !options->json_file};
    if (options->gdb && options->trace)
        return cmd_fail("--gdb and --trace do not go together");
    if (options->incoming && options->from)
        return cmd_fail("--incoming and --from do not go together: the guest comes from the one or "
                        "from the other");
    if (protect_check(options))
        return EXIT_USAGE;
    if (options->config.under == SESSION_KVM && options->trace & ~(unsigned)TRACE_EXITS)
        return cmd_fail("--trace: only exits can be traced of a guest on the host's processor");
    run.waker = waker_new();
    if (run.waker < 0)
        return cmd_fail("eventfd: %s", strerror(-run.waker));
    int status = EXIT_USAGE;
    run.session = open_session(&run);
    if (run.session && !begin_record(&run))
        status = cmd_close(run.session, end_record(&run, run_guest(&run)));
    control_free(run.control);
    keeper_free(&run.keeper);
    incoming_end(run.rest);
    session_free(run.session);
    ending_finish();
    close(run.waker);
    free(run.kept);
    return status;
}
