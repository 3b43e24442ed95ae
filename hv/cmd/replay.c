/*
 * `vitrine replay`: a recorded session again, bit for bit. What was typed comes from the record;
 * the guest's output goes to stdout.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"

struct player {
    int broken; /* the errno that stdout has failed with; read when the session has stopped */
};

static void on_output(void *context, const uint8_t *bytes, size_t count)
{
    struct player *player = context;
    while (count && !player->broken) {
        ssize_t wrote = write(STDOUT_FILENO, bytes, count);
        if (wrote > 0) {
            bytes += wrote;
            count -= (size_t)wrote;
        } else if (wrote < 0 && errno != EINTR) {
            player->broken = errno;
        }
    }
}

static int status_of(struct session *session, const char *path)
{
    struct view_status status;
    session_status(session, &status);
    switch (status.stop) {
    case STOPPED_RECORD_END: return 0;
    case STOPPED_POWEROFF:
        return status.exit_code & 0xff || !status.exit_code ? status.exit_code & 0xff : 1;
    default: cmd_fail("%s: %s", path, status.text); return EXIT_DIFFERS;
    }
}

int cmd_replay(const struct options *options, int argc, char **argv)
{
    struct session_config wishes = options->config;
    struct player player = {0};
    char why[SESSION_ERROR];
    wishes.image = argc > 1 ? argv[1] : NULL;
    wishes.under = SESSION_HV;
    wishes.engine = wishes.engine ? wishes.engine : "auto";
    wishes.output = on_output;
    wishes.context = &player;
    struct session *session = session_replay(argv[0], &wishes, why);
    if (!session)
        return cmd_fail("%s", why);
    int failed = session_run(session);
    session_wait(session, -1);
    int status =
        failed ? cmd_fail("%s: %s", argv[0], strerror(-failed)) : status_of(session, argv[0]);
    if (options->digest)
        fprintf(stderr, "digest 0x%016llx\n", (unsigned long long)session_digest(session));
    session_free(session);
    return player.broken ? cmd_fail_output(player.broken) : status;
}

/* `vitrine record FILE GUEST` is `vitrine run GUEST --record FILE`. */
int cmd_record(const struct options *options, int argc, char **argv)
{
    struct options recorded = *options;
    recorded.record = argv[0];
    return cmd_run(&recorded, 0, argv + argc);
}
