/*
 * What every subcommand that looks at a guest does first: open it, find an address, run to a point.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/console.h"

/* A guest that never comes to the point ends here: some seconds. */
static const uint64_t LIMIT = 1000000000;

static void drop_output(void *context, const uint8_t *bytes, size_t count) {}

struct session *cmd_open(const struct options *options, const char *image)
{
    struct session_config config = options->config;
    char why[SESSION_ERROR];
    config.image = image;
    config.output = drop_output;
    if (!config.max_instructions)
        config.max_instructions = LIMIT;
    struct session *session = session_new(&config, why);
    if (!session) {
        cmd_fail("%s", why);
        return NULL;
    }
    int failed = options->input ? console_type_file(session, options->input) : 0;
    if (failed) {
        cmd_fail("%s: %s", options->input, strerror(-failed));
        session_free(session);
        return NULL;
    }
    session_input_end(session);
    return session;
}

static bool is_count(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0';
}

int cmd_close(struct session *session, int status)
{
    char why[SESSION_ERROR];
    struct view_status now;
    session_status(session, &now);
    if (now.state == SESSION_RUNNING) {
        session_pause(session);
        session_wait(session, -1);
    }
    return session_write_disk(session, why) ? cmd_fail("%s", why) : status;
}

int cmd_run_to(struct session *session, const char *at)
{
    struct view_status status;
    uint64_t count = 0;
    uint64_t address = 0;
    if (!at)
        return 0;
    bool by_count = is_count(at);
    if (by_count ? parse_size(at, &count) : session_lookup(session, at, &address))
        return cmd_fail("--at %s: no such symbol, line or address", at);
    if (by_count && count == 0)
        return 0;
    int failed = by_count ? session_step(session, count) : session_run_to(session, address);
    if (failed)
        return cmd_fail("--at %s: %s", at, strerror(-failed));
    session_wait(session, -1);
    session_status(session, &status);
    if (status.stop == STOPPED_STEP || status.stop == STOPPED_BREAKPOINT)
        return 0;
    cmd_fail("--at %s: not reached, the guest stopped after %llu instructions: %s", at,
             (unsigned long long)status.instructions, status.text);
    return status.stop == STOPPED_LIMIT ? EXIT_LIMIT : EXIT_STUCK;
}

int cmd_check_output(const char *path)
{
    bool existed = access(path, F_OK) == 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (fd < 0)
        return cmd_fail("%s: cannot write: %s", path, strerror(errno));
    close(fd);
    if (!existed)
        unlink(path);
    return 0;
}
