/*
 * `vitrine devices`: the devices of a guest's computer, each register with its value and meaning.
 */
#include "config.h"

#include "hv/cmd/cmd.h"
#include "hv/cmd/show.h"

int cmd_devices(const struct options *options, int argc, char **argv)
{
    struct view_devices devices;
    struct session *session = cmd_open(options);
    if (!session)
        return EXIT_USAGE;
    int status = cmd_run_to(session, options);
    if (!status) {
        session_view_devices(session, &devices);
        show_devices(stdout, &devices);
    }
    session_free(session);
    return status;
}
