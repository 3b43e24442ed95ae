/*
 * One run of `vitrine compare`: a program in a process of its own, and what it cost.
 *
 * A guest runs in a session in a child of ours, so that each run starts from the same state and a
 * crash is an outcome, not the end. What is measured is the CPU time from the guest's first
 * instruction to its end, translation of code and system calls included; loading the image is not.
 * A native program is measured whole, by wait4(); short ones are run several times.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hv/cmd/compare.h"

enum {
    OUTPUT = 65536,       /* what is kept of a program's output */
    NATIVE_SECONDS = 600, /* CPU time after which a native program is ended */
    NATIVE_TIMES = 9,     /* a short native program is run so often ... */
};
static const double NATIVE_ENOUGH = .1; /* ... or until this much CPU time was measured */

/* ---- the result line ---------------------------------------------------------------------- */

/* The last line of the form "NAME rounds N checksum XXXXXXXX". */
static void find_line(char *text, struct outcome *out)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        int end = -1;
        uint64_t rounds;
        uint32_t checksum;
        line[strcspn(line, "\r")] = '\0';
        if (sscanf(line, "%*s rounds %" SCNu64 " checksum %8" SCNx32 "%n", &rounds, &checksum,
                   &end) < 2 ||
            end < 0 || line[end])
            continue;
        out->has_line = true;
        out->rounds = rounds;
        out->checksum = checksum;
    }
}

/* ---- guests ------------------------------------------------------------------------------- */

static double cpu_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void judge(const struct view_status *status, struct outcome *out)
{
    if (status->stop != STOPPED_POWEROFF)
        snprintf(out->why, sizeof out->why, "%s after %" PRIu64 " %s", status->text,
                 status->counted ? status->instructions : status->exits,
                 status->counted ? "instructions" : "exits");
    else if (status->exit_code)
        snprintf(out->why, sizeof out->why, "the guest ended with exit code %d", status->exit_code);
}

/* In the child. */
static void run_session(const struct comparison *comparison, const struct row *row,
                        struct outcome *out)
{
    static char text[OUTPUT + 1];
    struct session_config config;
    struct view_status status;
    struct view_exit_stats stats;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = row->path;
    config.engine = row->engine;
    config.memory = comparison->memory;
    config.max_instructions = comparison->max_instructions;
    config.under = row->mode == MODE_KVM  ? SESSION_KVM
                   : row->mode == MODE_HV ? SESSION_HV
                                          : SESSION_BARE;
    struct session *session = session_new(&config, why);
    if (!session) {
        snprintf(out->why, sizeof out->why, "%.*s", COMPARE_WHY - 1, why);
        return;
    }
    session_input_end(session);
    double before = cpu_time();
    session_run(session);
    session_wait(session, -1);
    out->seconds = cpu_time() - before;
    session_status(session, &status);
    session_exit_stats(session, &stats);
    out->instructions = status.instructions;
    out->exits = stats.total;
    out->exit_ns = stats.ns;
    judge(&status, out);
    text[session_output(session, (uint8_t *)text, OUTPUT)] = '\0';
    find_line(text, out);
}

static void say_how_it_died(int status, struct outcome *out)
{
    if (WIFSIGNALED(status))
        snprintf(out->why, sizeof out->why, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out->why, sizeof out->why, "ended with exit status %d", WEXITSTATUS(status));
}

static pid_t wait_for(pid_t child, int *status, struct rusage *usage)
{
    pid_t got;
    while ((got = wait4(child, status, 0, usage)) < 0 && errno == EINTR)
        continue;
    return got;
}

/* A child that dies with us and leaves no core file. */
static pid_t start_child(const int pipe_fds[2])
{
    fflush(NULL);
    pid_t child = fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    close(pipe_fds[0]);
    return 0;
}

static void run_guest(const struct comparison *comparison, const struct row *row,
                      struct outcome *out)
{
    int fds[2], status = 0;
    struct outcome told = {0};
    if (pipe2(fds, O_CLOEXEC)) {
        snprintf(out->why, sizeof out->why, "pipe: %s", strerror(errno));
        return;
    }
    pid_t child = start_child(fds);
    if (child == 0) {
        run_session(comparison, row, &told);
        _exit(write(fds[1], &told, sizeof told) == (ssize_t)sizeof told ? 0 : 1);
    }
    close(fds[1]);
    if (child < 0) {
        snprintf(out->why, sizeof out->why, "fork: %s", strerror(errno));
    } else {
        ssize_t got = read(fds[0], &told, sizeof told); /* less than PIPE_BUF: all or nothing */
        wait_for(child, &status, NULL);
        if (got == (ssize_t)sizeof told && !status)
            *out = told;
        else
            say_how_it_died(status, out);
    }
    close(fds[0]);
}

/* ---- native programs ---------------------------------------------------------------------- */

static void exec_native(const struct row *row, uint64_t rounds, int output)
{
    char argument[24];
    char *const arguments[] = {row->path, rounds ? argument : NULL, NULL};
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    snprintf(argument, sizeof argument, "%" PRIu64, rounds);
    setrlimit(RLIMIT_CPU, &(struct rlimit){NATIVE_SECONDS, NATIVE_SECONDS + 1});
    signal(SIGPIPE, SIG_DFL); /* we ignore it */
    dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    execv(row->path, arguments);
    _exit(127);
}

/* The beginning of what comes, until the other end is closed. */
static void read_all(int fd, char *text, size_t size)
{
    char rest[4096];
    size_t count = 0;
    for (;;) {
        bool room = count < size;
        ssize_t got = read(fd, room ? text + count : rest, room ? size - count : sizeof rest);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            break;
        count += room && got > 0 ? (size_t)got : 0;
    }
    text[count] = '\0';
}

static double seconds_of(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1e-6;
}

static void run_native_once(const struct row *row, uint64_t rounds, struct outcome *out)
{
    static char text[OUTPUT + 1];
    int fds[2], status = 0;
    struct rusage usage = {0};
    if (pipe2(fds, O_CLOEXEC)) {
        snprintf(out->why, sizeof out->why, "pipe: %s", strerror(errno));
        return;
    }
    pid_t child = start_child(fds);
    if (child == 0)
        exec_native(row, rounds, fds[1]);
    close(fds[1]);
    if (child < 0) {
        snprintf(out->why, sizeof out->why, "fork: %s", strerror(errno));
    } else {
        read_all(fds[0], text, OUTPUT);
        wait_for(child, &status, &usage);
        out->seconds = seconds_of(&usage);
        if (status)
            say_how_it_died(status, out);
        find_line(text, out);
    }
    close(fds[0]);
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const struct outcome *)a)->seconds, y = ((const struct outcome *)b)->seconds;
    return (x > y) - (x < y);
}

static void run_native(const struct row *row, uint64_t rounds, struct outcome *out)
{
    struct outcome times[NATIVE_TIMES];
    double sum = 0;
    int count = 0;
    while (count < NATIVE_TIMES && sum < NATIVE_ENOUGH) {
        struct outcome *one = &times[count++];
        *one = (struct outcome){0};
        run_native_once(row, rounds, one);
        sum += one->seconds;
        if (*one->why) {
            *out = *one;
            return;
        }
    }
    qsort(times, (size_t)count, sizeof *times, by_seconds);
    *out = times[count / 2];
}

void compare_run(const struct comparison *comparison, const struct row *row, uint64_t rounds,
                 struct outcome *out)
{
    *out = (struct outcome){0};
    if (row->mode == MODE_NATIVE)
        run_native(row, rounds, out);
    else
        run_guest(comparison, row, out);
}
