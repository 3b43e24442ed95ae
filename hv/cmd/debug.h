/*
 * Between the debugger's loop (debug.c) and its commands (debug-commands.c).
 */
#ifndef VITRINE_HV_CMD_DEBUG_H
#define VITRINE_HV_CMD_DEBUG_H

#include <stdbool.h>

#include "hv/session.h"

enum { DEBUG_LINE = 4096, DEBUG_WORDS = 16 };

struct debug {
    struct session *session;
    int waker;        /* readable when the session stops or Ctrl-C is typed */
    bool interactive; /* stdin is a terminal */
    bool quit;
    unsigned max_seconds; /* after which a running guest is paused; 0: never */
    bool midline;         /* the guest's last output was no newline; the worker's while it runs */
    const char *line;     /* the whole line of the command being run */
};

/* Runs one command; words[0] is its name. 0, or -1 after a message on stderr. */
int debug_command(struct debug *debug, int count, char *words[DEBUG_WORDS]);
/* Waits until the guest has stopped; Ctrl-C pauses it. */
void debug_wait(struct debug *debug);

/* ---- inside ------------------------------------------------------------------------------- */

/* words[0] is the command's name; those that were not given are NULL. 0, or -1 after it has said
 * what is wrong. */
typedef int (*debug_command_fn)(struct debug *debug, char **words);

/* Says what is wrong; -1. */
int debug_fail(const char *what, const char *why);

/* debug-snapshot.c */
int debug_snapshot(struct debug *debug, char **words);
int debug_snapshots(struct debug *debug, char **words);
int debug_tree(struct debug *debug, char **words);
int debug_restore(struct debug *debug, char **words);
int debug_forget(struct debug *debug, char **words);
int debug_diff(struct debug *debug, char **words);
int debug_commit(struct debug *debug, char **words);
int debug_export(struct debug *debug, char **words);
int debug_import(struct debug *debug, char **words);
int debug_check(struct debug *debug, char **words);

#endif
