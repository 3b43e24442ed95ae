/*
 * What of a session is state, and what is not.
 *
 * The guest is all state, and its tables are with its parts. Of the session around it there is
 * little: what the guest can still get to see. The rest belongs to the user, to the worker thread
 * or to the host. A moment that is put back (hv/simulated-state.c) leaves these members alone; here
 * stands why that is right, for each of them, and a test (tests/test-state.c) sees to it that none
 * is forgotten.
 */
#include "hv/session-state.h"

#include "hv/session_priv.h"

static const struct state_field session_fields[] = {
    STATE_NOT(struct session, config, "configuration"),
    STATE_NOT(struct session, ops, "what runs the guest"),
    STATE_NOT(struct session, backend, "has tables of its own"),
    STATE_NOT(struct session, worker, "a thread"),
    STATE_NOT(struct session, has_worker, "a thread"),
    STATE_NOT(struct session, lock, "a lock"),
    STATE_NOT(struct session, wake, "a lock"),
    STATE_NOT(struct session, calm, "a lock"),
    STATE_NOT(struct session, wait_lock, "a lock"),
    STATE_NOT(struct session, stopped, "a lock"),
    STATE_NOT(struct session, running, "follows from the present command"),
    STATE_NOT(struct session, waiting, "callers"),
    STATE_NOT(struct session, quit, "callers"),
    STATE_NOT(struct session, pause_wanted, "callers"),
    STATE_NOT(struct session, state, "of the last run: to get there again says it again"),
    STATE_NOT(struct session, stop, "of the last run"),
    STATE_NOT(struct session, text, "of the last run"),
    STATE_NOT(struct session, exit_code, "of the last run"),
    STATE_NOT(struct session, watch_address, "of the last run"),
    STATE_NOT(struct session, watch_access, "of the last run"),
    STATE_NOT(struct session, stops, "counts what the user saw, never backwards"),
    STATE_NOT(struct session, input,
              "typed and not delivered: comes once the present is reached; "
              "dropped by a restore"),
    STATE_NOT(struct session, input_head, "of that"),
    STATE_NOT(struct session, input_count, "of that"),
    STATE_NOT(struct session, input_ended, "the user's"),
    STATE_NOT(struct session, file, "typed and not delivered, as above"),
    STATE_NOT(struct session, typed, "counts what the user did, never backwards"),
    STATE_NOT(struct session, input_log, "the recorded input: checkpoints know their place in it"),
    STATE_NOT(struct session, input_logged, "of that"),
    STATE_NOT(struct session, input_log_size, "of that"),
    STATE_NOT(struct session, points, "the user's breakpoints"),
    STATE_NOT(struct session, point_count, "of that"),
    STATE_NOT(struct session, next_id, "of that"),
    STATE_NOT(struct session, output_lock, "a lock"),
    STATE_NOT(struct session, output, "printed: the world has it already"),
    STATE_NOT(struct session, output_head, "of that"),
    STATE_NOT(struct session, output_count, "of that"),
    STATE_NOT(struct session, held, "printed, and not to be seen yet: no snapshots meanwhile"),
    STATE_NOT(struct session, events_lock, "a lock"),
    STATE_NOT(struct session, events, "observers"),
    STATE_NOT(struct session, events_mask, "observers"),
    STATE_NOT(struct session, events_head, "observers"),
    STATE_NOT(struct session, events_count, "observers"),
    STATE_NOT(struct session, events_dropped, "observers"),
    STATE_NOT(struct session, kept, "kept moments"),
    STATE_NOT(struct session, peer, "kept moments"),
    STATE_NOT(struct session, peers, "kept moments"),
    STATE_NOT(struct session, migration, "of the last migration"),
    STATE_NOT(struct session, protection, "of the last protection"),
    STATE_NOT(struct session, moving, "a migration under way"),
    STATE_NOT(struct session, shown, "counts what the world saw, never backwards"),
    STATE_NOT(struct session, standing, "of that"),
    STATE_NOT(struct session, recovering, "of that"),
    STATE_NOT(struct session, arrival, "of that"),
    STATE_NOT(struct session, moved_token, "of that"),
    STATE_NOT(struct session, throttle, "of that"),
    STATE_NOT(struct session, napped, "the host's time"),
    STATE_NOT(struct session, seconds, "the host's time"),
    STATE_NOT(struct session, rate_from, "the host's time"),
    STATE_NOT(struct session, mips, "the host's time"),
};
const struct state_table session_state = STATE_TABLE("session", struct session, 1, session_fields);
