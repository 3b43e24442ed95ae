/* `vitrine draw --what migration` and `--what protection`: there must be something to draw. */
#ifndef VITRINE_HV_CMD_DRAW_MOVE_H
#define VITRINE_HV_CMD_DRAW_MOVE_H

#include "hv/cmd/cmd.h"

/* Lets the session's guest run on from where it stands, and meanwhile moves it to a second session
 * in this program, or protects it by one for some epochs: its views tell of that then. 0, or
 * EXIT_USAGE after a message. */
int draw_move(const struct options *options, struct session *session);

#endif
