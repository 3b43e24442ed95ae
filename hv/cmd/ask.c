/* Asking a running `vitrine run --control`. See ask.h. */
#include "config.h"

#include "hv/cmd/ask.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"
#include "hv/link.h"

enum { PATIENCE_MS = 10000 };

/* The other program may stand in another folder. */
static bool make_absolute(const char *file, bool must_exist, char out[PATH_MAX])
{
    char folder[PATH_MAX];
    if (realpath(file, out))
        return true;
    if (must_exist || errno != ENOENT)
        return false;
    int count = *file == '/'                    ? snprintf(out, PATH_MAX, "%s", file)
                : getcwd(folder, sizeof folder) ? snprintf(out, PATH_MAX, "%s/%s", folder, file)
                                                : -1;
    errno = ENAMETOOLONG;
    return count >= 0 && count < PATH_MAX;
}

bool ask_add_file(char *line, size_t size, const char *name, const char *file, bool must_exist)
{
    char absolute[PATH_MAX];
    if (!make_absolute(file, must_exist, absolute)) {
        cmd_fail("--%s %s: %s", name, file, strerror(errno));
        return false;
    }
    if (strpbrk(absolute, " \n")) {
        cmd_fail("%s: a space in a name cannot be passed on", absolute);
        return false;
    }
    size_t count = strlen(line);
    snprintf(line + count, size - count, " %s=%s", name, absolute);
    return true;
}

FILE *ask(const char *path, const char *line)
{
    char address[PATH_MAX], why[LINK_ERROR];
    snprintf(address, sizeof address, "unix:%s", path);
    int fd = link_connect(address, PATIENCE_MS, why);
    if (fd < 0) {
        cmd_fail("%s", why + (strncmp(why, "unix:", 5) ? 0 : 5));
        return NULL;
    }
    FILE *answer = fdopen(fd, "r");
    if (answer && dprintf(fd, "%s\n", line) == (int)strlen(line) + 1)
        return answer;
    cmd_fail("%s: %s", path, strerror(errno));
    if (answer)
        fclose(answer);
    else
        close(fd);
    return NULL;
}
