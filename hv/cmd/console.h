/*
 * What is typed to a guest: stdin or a file, with the escapes of an interactive terminal.
 */
#ifndef VITRINE_HV_CMD_CONSOLE_H
#define VITRINE_HV_CMD_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

struct console {
    int fd;                /* where input comes from */
    bool escape;           /* Ctrl-A x leaves, Ctrl-A h helps: at a terminal only */
    bool after_escape;     /* the last byte was Ctrl-A */
    bool ended;            /* end of file: the session was told */
    bool leave;            /* Ctrl-A x was typed */
    uint8_t pending[4096]; /* read, and not taken by the session's queue yet */
    size_t start, count;
};

/* Opens `path`, or stdin if NULL. A terminal becomes raw. 0, or -errno. */
int console_open(struct console *console, const char *path);
/* Does it make sense to wait for its descriptor? */
bool console_wants_input(const struct console *console);
/* Gives the session what was read before, then reads (once) and gives it that. */
void console_read(struct console *console, struct session *session);
/* Before the guest runs: all of a regular file, so that a run on the same file is always the same
 * run. Nothing, if it is none. 0, or -errno. */
int console_preload(struct console *console, struct session *session);
/* The same in one call, for commands without a console: the file at `path`. 0, or -errno. */
int console_type_file(struct session *session, const char *path);
void console_close(struct console *console);

#endif
