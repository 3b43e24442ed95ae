/*
 * The terminal while a guest has it: raw, and given back on every way out.
 */
#ifndef VITRINE_HV_CMD_TERMINAL_H
#define VITRINE_HV_CMD_TERMINAL_H

#include <stdbool.h>

/* Makes stdin's terminal raw, until terminal_restore(), exit() or a signal that ends the program.
 * Stopped (SIGTSTP) and continued, it is raw again. Returns 0 or -errno. */
int terminal_raw(void);
void terminal_restore(void);

#endif
