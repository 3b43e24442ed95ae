/*
 * `vitrine walk`: how an address translates, by the guest's table, the monitor's map and the shadow
 * table, level by level, at a point of the run.
 */
#include "config.h"

#include "hv/cmd/cmd.h"
#include "hv/cmd/show.h"

int cmd_walk(const struct options *options, int argc, char **argv)
{
    struct view_translation translation;
    struct view_status now;
    uint64_t va;
    struct session *session = cmd_open(options);
    if (!session)
        return EXIT_USAGE;
    int status = cmd_run_to(session, options);
    if (!status && session_lookup(session, argv[0], &va))
        status = cmd_fail("%s: no such symbol, line or address", argv[0]);
    if (!status) {
        session_translate(session, va, options->access, &translation);
        session_status(session, &now);
        show_translation(stdout, &translation, now.isa);
    }
    session_free(session);
    return status;
}
