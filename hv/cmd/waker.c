/*
 * A descriptor that becomes readable when something has happened, see waker.h.
 */
#include "config.h"

#include "hv/cmd/waker.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int waker_new(void)
{
    int waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker < 0 ? -errno : waker;
}

void waker_wake(int waker)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t written = write(waker, &one, sizeof one); /* full: it is readable already */
    (void)written;
    errno = saved;
}

void waker_clear(int waker)
{
    uint64_t count;
    ssize_t got = read(waker, &count, sizeof count); /* empty: nothing to take */
    (void)got;
}
