/*
 * A descriptor that becomes readable when a session stops or a signal arrives.
 *
 * The commands that run a guest sleep in poll() on it, next to their own input.
 */
#ifndef VITRINE_HV_CMD_WAKER_H
#define VITRINE_HV_CMD_WAKER_H

/* An eventfd, or -errno. */
int waker_new(void);
/* Makes it readable; from any thread or signal handler. */
void waker_wake(int waker);
/* Takes what has been woken so far. */
void waker_clear(int waker);

#endif
