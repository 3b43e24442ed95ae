/*
 * The terminal while a guest has it, see terminal.h.
 *
 * Raw means: each key goes to the guest at once, Ctrl-C and Ctrl-Z too; nothing is echoed (the
 * guest does that). Output is still processed, so that a guest's "\n" starts a new line. This is
 * the one file of the command with state of its own: a signal handler finds it nowhere else.
 */
#include "config.h"

#include "hv/cmd/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios before, raw;
static volatile sig_atomic_t is_raw;

void terminal_restore(void)
{
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    is_raw = 0;
}

/* Gives the terminal back and lets the signal do what it does. */
static void on_end(int number)
{
    terminal_restore();
    signal(number, SIG_DFL);
    raise(number);
}

static void on_continue(int number)
{
    int saved = errno;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0)
        is_raw = 1;
    errno = saved;
}

static void on_stop(int number)
{
    int saved = errno;
    bool was_raw = is_raw;
    terminal_restore();
    raise(SIGSTOP);
    if (was_raw)
        on_continue(number);
    errno = saved;
}

/* Leaves handlers alone that somebody else has set (a sanitizer's, or an ignored SIGHUP). */
static void handle(int number, void (*handler)(int))
{
    struct sigaction old, new = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigfillset(&new.sa_mask);
    sigdelset(&new.sa_mask, SIGCONT);
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        sigaction(number, &new, NULL);
}

int terminal_raw(void)
{
    static const int ENDS[] = {SIGINT,  SIGTERM, SIGHUP, SIGQUIT, SIGABRT,
                               SIGSEGV, SIGBUS,  SIGFPE, SIGILL,  SIGALRM};
    if (tcgetattr(STDIN_FILENO, &before))
        return -errno;
    raw = before;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST;
    atexit(terminal_restore);
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        handle(ENDS[i], on_end);
    handle(SIGTSTP, on_stop);
    handle(SIGCONT, on_continue);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
        return -errno;
    is_raw = 1;
    return 0;
}
