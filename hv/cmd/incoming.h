/* `vitrine run --incoming ADDRESS`: the guest comes from another host. */
#ifndef VITRINE_HV_CMD_INCOMING_H
#define VITRINE_HV_CMD_INCOMING_H

#include "hv/cmd/cmd.h"
#include "hv/migrate.h"

/* Waits for the guest. After MIGRATE_MOVED and MIGRATE_WHOLE it is in the session; else (and after
 * a message) there is none. */
enum migrate_end incoming_receive(struct session *session, const struct options *options,
                                  bool *runs);

/* Waits at an address for a caller who knows the secret, if there is one. `what` is the option or
 * subcommand that wants it, for messages. ops NULL: after a message. */
struct link incoming_caller(const struct options *options, const char *what, const char *address,
                            int patience_ms);

#endif
