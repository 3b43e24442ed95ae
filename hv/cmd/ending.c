/*
 * A signal that ends the program, taken as a wish to end in order, see ending.h.
 */
#include "config.h"

#include "hv/cmd/ending.h"

#include <signal.h>
#include <stdio.h>

#include "hv/cmd/terminal.h"
#include "hv/cmd/waker.h"

/* For the signal handler, which finds it nowhere else. */
static volatile sig_atomic_t ended;
static int ended_waker = -1;

static void on_end(int number)
{
    if (ended) {
        terminal_restore();
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    ended = number;
    waker_wake(ended_waker);
}

void ending_handle(int number, int waker, bool interrupts)
{
    struct sigaction old, action = {.sa_handler = on_end, .sa_flags = interrupts ? 0 : SA_RESTART};
    sigemptyset(&action.sa_mask);
    ended_waker = waker;
    if (!sigaction(number, NULL, &old) && old.sa_handler == SIG_DFL)
        sigaction(number, &action, NULL);
}

int ending_signal(void)
{
    return ended;
}

void ending_finish(void)
{
    if (!ended)
        return;
    fflush(stdout);
    signal(ended, SIG_DFL);
    raise(ended);
}
