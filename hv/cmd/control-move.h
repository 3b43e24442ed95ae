/*
 * A migration that somebody has asked for on the control socket: it runs on a thread of its own, so
 * that others are answered meanwhile, and who has asked hears how far it is.
 */
#ifndef VITRINE_HV_CMD_CONTROL_MOVE_H
#define VITRINE_HV_CMD_CONTROL_MOVE_H

#include <stdbool.h>

#include "hv/session.h"

struct control_move;

/* `words` is the request behind its first word: see control.h. `recover`: to go on with one that
 * was torn. Takes the connection over, with all that is to be said on it. NULL after an answer. */
struct control_move *control_move_new(struct session *session, int client, char *words,
                                      bool recover);
/* To be called every few milliseconds: tells how far it is. true: it has come to its end, and said
 * so, and is gone. */
bool control_move_tick(struct control_move *move);
/* The guest stays here, unless it is being handed over already. It is over some ticks later. */
void control_move_call_off(struct control_move *move);

#endif
