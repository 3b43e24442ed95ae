/* Calling somebody who listens, with a secret if there is one. See link.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/link.h"

int link_call(const char *address, const char *secret_file, int patience_ms, struct link *link,
              char *why)
{
    struct link_secret secret;
    int error = secret_file ? link_read_secret(secret_file, &secret, why) : 0;
    if (error)
        return error;
    int fd = link_connect(address, patience_ms, why);
    if (fd < 0)
        return fd;
    *link = link_of_socket(fd, patience_ms);
    error = !link->ops ? -ENOMEM : secret_file ? link_prove(link, &secret, true) : 0;
    if (error) {
        snprintf(why, LINK_ERROR, "%.200s: %s", address,
                 error == -EACCES || error == -ECONNRESET ? "the other side has another secret"
                                                          : strerror(-error));
        link_close(link);
    }
    return error;
}
