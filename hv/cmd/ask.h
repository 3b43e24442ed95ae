/* Asking a running `vitrine run --control`: the other end of control.h. */
#ifndef VITRINE_HV_CMD_ASK_H
#define VITRINE_HV_CMD_ASK_H

#include <stdbool.h>
#include <stdio.h>

/* Appends " name=" and the absolute name of a file to a line. false, after a message: there is no
 * such file where there must be one, or its name has a space. */
bool ask_add_file(char *line, size_t size, const char *name, const char *file, bool must_exist);
/* Sends the line to the socket at `path`. The answer's lines, to be closed; NULL after a message.
 */
FILE *ask(const char *path, const char *line);

#endif
