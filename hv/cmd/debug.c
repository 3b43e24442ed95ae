/*
 * `vitrine debug`: a guest under a line-oriented debugger.
 *
 * Commands come from stdin, one a line. At a terminal there is a prompt, an empty line repeats the
 * last command, and Ctrl-C pauses the guest. From a file or a pipe the first command that fails
 * ends the run with EXIT_SCRIPT, so that a script is also a test. The commands themselves are in
 * debug-commands.c.
 */
#include "config.h"

#include "hv/cmd/debug.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/console.h"
#include "hv/cmd/ending.h"
#include "hv/cmd/show.h"
#include "hv/cmd/waker.h"

/* For the signal handlers, which find it nowhere else. */
static volatile sig_atomic_t interrupted;
static int interrupt_waker = -1;

static void on_interrupt(int number)
{
    interrupted = 1;
    waker_wake(interrupt_waker);
}

/* The guest's output, between ours: on the session's worker. */
static void on_output(void *context, const uint8_t *bytes, size_t count)
{
    struct debug *debug = context;
    fwrite(bytes, 1, count, stdout);
    if (count)
        debug->midline = bytes[count - 1] != '\n';
}

static void on_stopped(void *context)
{
    waker_wake(((struct debug *)context)->waker);
}

void debug_wait(struct debug *debug)
{
    struct view_status status;
    int patience = debug->max_seconds ? (int)debug->max_seconds * 1000 : -1;
    for (;;) {
        session_status(debug->session, &status);
        if (status.state != SESSION_RUNNING)
            break;
        if (interrupted || ending_signal())
            session_pause(debug->session);
        int woken = poll(&(struct pollfd){.fd = debug->waker, .events = POLLIN}, 1, patience);
        interrupted |= woken == 0;
        waker_clear(debug->waker);
    }
    if (debug->midline)
        putchar('\n');
    debug->midline = false;
    fflush(stdout);
}

/* Cuts the line into words; returns how many. */
static int split_line(char *line, char *words[DEBUG_WORDS])
{
    char *rest = NULL;
    int count = 0;
    for (char *word = strtok_r(line, " \t\r\n", &rest); word && count < DEBUG_WORDS;
         word = strtok_r(NULL, " \t\r\n", &rest))
        words[count++] = word;
    return count;
}

static int run_line(struct debug *debug, const char *line)
{
    char copy[DEBUG_LINE], *words[DEBUG_WORDS] = {0};
    snprintf(copy, sizeof copy, "%s", line);
    debug->line = line;
    int count = split_line(copy, words);
    return count ? debug_command(debug, count, words) : 0;
}

/* Reads and runs lines until `quit`, the end of the input, or (in a script) an error. */
static int run_lines(struct debug *debug)
{
    char line[DEBUG_LINE], last[DEBUG_LINE] = "";
    int status = 0;
    while (!debug->quit && !ending_signal()) {
        if (debug->interactive)
            fputs("(vitrine) ", stdout);
        fflush(stdout);
        interrupted = 0; /* not later: the guest runs before anybody waits for it */
        if (!fgets(line, sizeof line, stdin)) {
            if (ferror(stdin) && errno == EINTR && !ending_signal()) { /* Ctrl-C: a new line */
                clearerr(stdin);
                putchar('\n');
                continue;
            }
            break;
        }
        size_t length = strcspn(line, "\n");
        if (!line[length] && !feof(stdin)) {
            cmd_fail("debug: a line is too long");
            return EXIT_SCRIPT;
        }
        line[length] = '\0';
        if (debug->interactive && !line[strspn(line, " \t")])
            memcpy(line, last, sizeof line);
        memcpy(last, line, sizeof last);
        fflush(stdout);
        if (run_line(debug, line)) {
            status = EXIT_SCRIPT;
            if (!debug->interactive)
                break;
        }
    }
    return debug->interactive ? 0 : status;
}

/* Ctrl-C pauses the guest and interrupts reading, but does not end the program; a script it ends.
 */
static void handle_signals(const struct debug *debug)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    interrupt_waker = debug->waker;
    if (debug->interactive)
        sigaction(SIGINT, &action, NULL);
    else
        ending_handle(SIGINT, debug->waker, true);
    ending_handle(SIGTERM, debug->waker, true);
    ending_handle(SIGHUP, debug->waker, true);
}

static struct session *open_session(struct debug *debug, const struct options *options)
{
    struct session_config config = options->config;
    if (!options->history_given)
        config.history = CMD_HISTORY;
    config.output = on_output;
    config.stopped = on_stopped;
    config.context = debug;
    struct session *session = cmd_session_kept(options, &config);
    if (session &&
        !debug->interactive) /* a script does not wait for a guest that waits for input */
        session_input_end(session);
    return session;
}

int cmd_debug(const struct options *options, int argc, char **argv)
{
    struct debug debug = {.interactive = isatty(STDIN_FILENO), .max_seconds = options->max_seconds};
    debug.waker = waker_new();
    if (debug.waker < 0)
        return cmd_fail("eventfd: %s", strerror(-debug.waker));
    int status = EXIT_USAGE;
    debug.session = open_session(&debug, options);
    int failed =
        debug.session && options->input ? console_type_file(debug.session, options->input) : 0;
    if (failed)
        cmd_fail("%s: %s", options->input, strerror(-failed));
    else if (debug.session) {
        handle_signals(&debug);
        show_stop(stdout, debug.session);
        status = cmd_close(debug.session, run_lines(&debug));
    }
    session_free(debug.session);
    ending_finish();
    close(debug.waker);
    return status;
}
