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
#include "hv/snapshot.h"

/* A guest that never comes to the point ends here: some seconds, where instructions are not
 * counted, by the clock. */
static const uint64_t LIMIT = 1000000000;
enum { PATIENCE = 60 };

static void drop_output(void *context, const uint8_t *bytes, size_t count) {}

struct session *cmd_session(const struct session_config *config)
{
    char why[SESSION_ERROR];
    struct session *session = session_new(config, why);
    if (!session)
        cmd_fail("%s%s", why,
                 strncmp(why, "/dev/kvm", 8) ? "" : " (vitrine kvm-info says what to do)");
    return session;
}

/* The number of snapshot --from; 0 after a message. */
static int find_snapshot(const struct options *options)
{
    char why[SNAPSHOT_ERROR];
    struct snapshot_dir *dir = snapshot_dir_open(options->session, SNAPSHOT_READ, why);
    int id = dir ? snapshot_dir_named(dir, options->from, why) : 0;
    snapshot_dir_close(dir);
    if (!id)
        cmd_fail("%s", why);
    return id;
}

struct session *cmd_session_kept(const struct options *options, const struct session_config *config)
{
    char why[SESSION_ERROR];
    int id = options->from ? find_snapshot(options) : 0;
    if (options->from && !id)
        return NULL;
    struct session *session =
        id ? session_open(options->session, id, config, why) : cmd_session(config);
    if (!session && id)
        cmd_fail("%s", why);
    if (!session || id || !options->session)
        return session;
    if (!session_keep(session, options->session, why))
        return session;
    cmd_fail("%s", why);
    session_free(session);
    return NULL;
}

struct session *cmd_open(const struct options *options)
{
    struct session_config config = options->config;
    config.output = drop_output;
    if (!config.max_instructions)
        config.max_instructions = LIMIT;
    struct session *session = cmd_session_kept(options, &config);
    if (!session)
        return NULL;
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

int cmd_run_to(struct session *session, const struct options *options)
{
    const char *at = options->at;
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
    session_status(session, &status);
    unsigned limit = options->max_seconds ? options->max_seconds : status.counted ? 0 : PATIENCE;
    if (session_wait(session, limit ? (int)limit * 1000 : -1)) {
        session_pause(session);
        cmd_fail("--at %s: not reached in %u seconds", at, limit);
        return EXIT_LIMIT;
    }
    session_status(session, &status);
    if (status.stop == STOPPED_STEP || status.stop == STOPPED_BREAKPOINT)
        return 0;
    cmd_fail("--at %s: not reached, the guest stopped after %llu %s: %s", at,
             (unsigned long long)(status.counted ? status.instructions : status.exits),
             status.counted ? "instructions" : "exits", status.text);
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
