/* `vitrine disasm`: between its two kinds of guests. */
#ifndef VITRINE_HV_CMD_DISASM_H
#define VITRINE_HV_CMD_DISASM_H

/* Of an x86 guest: session_is_x86(). All of it, or one symbol (else NULL). The exit status, after a
 * message if it is not 0. */
int disasm_x86(const char *path, const char *symbol);

#endif
