/*
 * A migration that somebody has asked for on the control socket: it runs on a thread of its own, so
 * that others are answered meanwhile, and who has asked hears how far it is.
 */
#ifndef VITRINE_HV_CMD_MOVER_H
#define VITRINE_HV_CMD_MOVER_H

#include <stdbool.h>

#include "hv/session.h"

struct mover;

/* `words` is the request behind its first word: see control.h. `recover`: to go on with one that
 * was torn. Takes the connection over, with all that is to be said on it. NULL after an answer. */
struct mover *mover_new(struct session *session, int client, char *words, bool recover);
/* To be called every few milliseconds: tells how far it is. true: it has come to its end, and said
 * so. */
bool mover_tick(struct mover *mover);
/* Waits for its end; NULL is allowed. */
void mover_free(struct mover *mover);

#endif
