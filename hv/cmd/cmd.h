/*
 * What the subcommands of `vitrine` share: the options, the errors, the sessions they open.
 *
 * A subcommand is a file with one function, and a row of the table in main.c. Options are rows of
 * one table in options.c; main.c parses them before the subcommand runs, so that --help and what is
 * accepted cannot differ. The rule for what goes wrong: one line on stderr that begins with
 * "vitrine: ", exit status EXIT_USAGE, and nothing has been written.
 */
#ifndef VITRINE_HV_CMD_CMD_H
#define VITRINE_HV_CMD_CMD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "hv/session.h"

enum {
    EXIT_SCRIPT = 1,  /* a command of a `vitrine debug` script failed */
    EXIT_STAYED = 1,  /* `vitrine migrate`: the guest is where it was */
    EXIT_DOUBT = 3,   /* the same: it may have moved, or not */
    EXIT_DIFFERS = 1, /* a run of `vitrine compare` failed, or had another result; a replay differs */
    EXIT_USAGE = 2,   /* bad options, bad input files, outputs that cannot be written */
    EXIT_LIMIT = 124, /* --max-instructions was reached */
    EXIT_STUCK = 125, /* the guest sleeps for ever, or cannot go on */
};

/* One bit a subcommand, for the column "taken by" of the options' table. */
enum {
    CMD_RUN = 1 << 0,
    CMD_DEBUG = 1 << 1,
    CMD_WALK = 1 << 2,
    CMD_DISASM = 1 << 3,
    CMD_DEVICES = 1 << 4,
    CMD_ISA = 1 << 5,
    CMD_DRAW = 1 << 6,
    CMD_COMPARE = 1 << 7,
    CMD_KVM_INFO = 1 << 8,
    CMD_REPLAY = 1 << 9,
    CMD_MIGRATE = 1 << 12,
    CMD_GUEST = CMD_RUN | CMD_DEBUG | CMD_WALK | CMD_DEVICES | CMD_DRAW, /* those that run one */
};

enum { TRACE_EXITS = 1, TRACE_MMU = 2, TRACE_INSNS = 4 };

/* The kinds of drawing that `vitrine draw` makes. */
enum draw_what { DRAW_TRANSLATION, DRAW_TABLES, DRAW_EXITS };

/* All options of all subcommands, as parsed. */
struct options {
    struct session_config config;
    bool history_given; /* else each subcommand has its own default */
    const char *input; /* file that is typed to the guest in the place of stdin */
    unsigned trace;    /* TRACE_* */
    bool json;
    const char *json_file; /* NULL: stdout */
    bool digest;
    const char *signature;
    const char *gdb;
    const char *record; /* file that the session is recorded to */
    const char
        *at;     /* where `walk` and `draw` look: instruction count, address, symbol, file:line */
    char access; /* 'r', 'w', 'x' */
    const char *va;
    enum draw_what what;
    const char *output;
    int width, height; /* pixels or points; 0: the drawing's own choice */
    bool dark;
    const char *dir;     /* where `compare` finds its kernels; NULL: where they are built */
    const char *engines; /* names with commas; NULL: all */
    unsigned runs;       /* of each program, 1 to 99 */
    bool brief;          /* the kernels' short variants */
    const char *svg;     /* the chart, NULL: none */
    const char *control;  /* path of the socket that other programs rule the run by */
    const char *incoming; /* address where the guest comes from */
    const char *secret;   /* file */
    const char *protect; /* address of a backup */
    const char *backup;  /* address where a guest to be protected comes from */
    const char *fence;   /* file that decides who runs it */
    uint64_t epoch, patience; /* ms; 0: not given */
    uint64_t downtime, rounds, throttle; /* of `migrate`: ms, number, percent; 0: not given */
};

struct command {
    const char *name;
    unsigned bit;          /* CMD_* */
    const char *arguments; /* as the usage line shows them */
    int min, max;          /* how many */
    const char *about;
    const char *example;
    int (*run)(const struct options *options, int argc, char **argv); /* returns the exit status */
    void (*help)(FILE *out); /* what --help says besides; NULL: nothing */
};

int cmd_run(const struct options *options, int argc, char **argv);
int cmd_record(const struct options *options, int argc, char **argv);
int cmd_replay(const struct options *options, int argc, char **argv);
int cmd_debug(const struct options *options, int argc, char **argv);
int cmd_walk(const struct options *options, int argc, char **argv);
int cmd_disasm(const struct options *options, int argc, char **argv);
int cmd_devices(const struct options *options, int argc, char **argv);
int cmd_isa(const struct options *options, int argc, char **argv);
int cmd_draw(const struct options *options, int argc, char **argv);
int cmd_compare(const struct options *options, int argc, char **argv);
void cmd_compare_help(FILE *out);
int cmd_backup(const struct options *options, int argc, char **argv);
int cmd_migrate(const struct options *options, int argc, char **argv);
void cmd_migrate_help(FILE *out);
int cmd_kvm_info(const struct options *options, int argc, char **argv);

/* Prints "vitrine: " and the line on stderr; returns EXIT_USAGE. */
int cmd_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Parses the options of `command`; the other arguments are moved to the end of argv.
 * Returns the index of the first of them, or -1 after an error was printed, or 0 after --help. */
int options_parse(const struct command *command, int argc, char **argv, struct options *options);
/* Prints the options that `command` takes, a line each. */
void options_help(FILE *out, const struct command *command);

/* "64M", "1G", "4096", "0x1000"; 0, or -EINVAL when it is no size, too big, or followed by more. */
int parse_size(const char *text, uint64_t *out);

/* Opens the guest of a subcommand that does not run a console: output is dropped, and no input
 * will come. NULL after the error was printed. */
struct session *cmd_open(const struct options *options, const char *image);

/* What going back in time may take unless --history says otherwise. */
#define CMD_HISTORY ((uint64_t)256 << 20)

/* Before session_free(): what is written to the disk only now. `status`, or after a message
 * EXIT_USAGE. */
int cmd_close(struct session *session, int status);

/* Runs to `at`: a decimal number is a count of guest instructions, all else an address as in
 * session_lookup(). NULL: stays at the start. Returns 0 or, after a message, EXIT_*. */
int cmd_run_to(struct session *session, const char *at);

/* 0, or EXIT_USAGE after a message if the file at `path` could not be written. Writes nothing. */
int cmd_check_output(const char *path);

#endif
