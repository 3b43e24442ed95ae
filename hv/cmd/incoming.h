/* `vitrine run --incoming ADDRESS`: the guest comes from another host. */
#ifndef VITRINE_HV_CMD_INCOMING_H
#define VITRINE_HV_CMD_INCOMING_H

#include "hv/cmd/cmd.h"
#include "hv/migrate.h"

/* Waits for the guest. After MIGRATE_MOVED and MIGRATE_WHOLE it is in the session; else (and after
 * a message) there is none. */
enum migrate_end incoming_receive(struct session *session, const struct options *options,
                                  bool *runs);

#endif
