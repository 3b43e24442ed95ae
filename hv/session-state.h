/* What of a session is state, beside the guest's parts: the tables that a test compares with the
 * structs. See session-state.c. */
#ifndef VITRINE_HV_SESSION_STATE_H
#define VITRINE_HV_SESSION_STATE_H

#include "cpu/state.h"

extern const struct state_table session_state;   /* struct session */
extern const struct state_table simulated_state; /* struct simulated */
extern const struct state_table console_state;   /* struct console */
extern const struct state_table between_state;   /* struct between, simulated-file.c */

#endif
