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
    EXIT_SCRIPT = 1, /* a command of a `vitrine debug` script failed */
    EXIT_STAYED = 1, /* `vitrine migrate`: the guest is where it was */
    EXIT_DOUBT = 3,  /* the same: it may have moved, or not */
    EXIT_TORN = 4,   /* the same: it runs there, some of its memory is here only */
    EXIT_DIFFERS =
        1, /* a run of `vitrine compare` failed, or had another result; a replay differs */
    EXIT_CORRUPT = 1, /* `vitrine disk check`: the image is damaged */
    EXIT_USAGE = 2,   /* bad options, bad input files, outputs that cannot be written */
    EXIT_LEAKS = 3,   /* `vitrine disk check`: it has clusters that nobody uses, nothing worse */
    EXIT_LIMIT = 124, /* --max-instructions or --max-seconds was reached */
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
    CMD_DISK = 1 << 9,
    CMD_REPLAY = 1 << 10,
    CMD_SNAPSHOT = 1 << 11,
    CMD_MIGRATE = 1 << 12,
    CMD_CONTROL = 1 << 13,
    /* Of options only: guests of the other kind do not take it. */
    CMD_ONLY_SIMULATED = 1 << 16,
    CMD_ONLY_KVM = 1 << 17,
    CMD_GUEST = CMD_RUN | CMD_DEBUG | CMD_WALK | CMD_DEVICES | CMD_DRAW |
                CMD_SNAPSHOT, /* those that run one */
};

enum { TRACE_EXITS = 1, TRACE_MMU = 2, TRACE_INSNS = 4 };

/* The kinds of drawing that `vitrine draw` makes. */
enum draw_what {
    DRAW_TRANSLATION,
    DRAW_TABLES,
    DRAW_EXITS,
    DRAW_HEAT,
    DRAW_TIMELINE,
    DRAW_LAYERS,
    DRAW_MIGRATION,
    DRAW_PROTECTION
};

enum { OPTION_ROWS = 96 }; /* in the options' table, at most */

/* All options of all subcommands, as parsed. */
struct options {
    struct session_config config;
    bool history_given;      /* else each subcommand has its own default */
    bool given[OPTION_ROWS]; /* each row of the options' table */
    unsigned chosen;         /* bit n: enum session_under n was asked for */
    unsigned max_seconds;    /* of the host; 0: no limit */
    const char *input;       /* file that is typed to the guest in the place of stdin */
    unsigned trace;          /* TRACE_* */
    bool json;
    const char *json_file; /* NULL: stdout */
    bool digest;
    const char *signature;
    const char *gdb;
    const char *session; /* directory in which snapshots are kept */
    const char *from;    /* its snapshot to go on from; NULL: from the start */
    const char *record;  /* file that the session is recorded to */
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
    /* `disk` */
    const char *backing, *backing_format; /* NULL: none; find out */
    const char *disk_format;              /* to convert to; NULL: qcow2 */
    uint64_t disk_size;                   /* bytes, 0: the backing file's */
    bool repair, unsafe, shrink;
    const char *control;      /* path of the socket that other programs rule the run by */
    const char *incoming;     /* address where the guest comes from */
    const char *secret;       /* file */
    const char *protect;      /* address of a backup */
    const char *backup;       /* address where a guest to be protected comes from */
    const char *fence;        /* file that decides who runs it */
    uint64_t epoch, patience; /* ms; 0: not given */
    bool postcopy, recover;   /* of `migrate` */
    uint64_t downtime, rounds, throttle; /* of `migrate`: ms, number (0: not given), percent */
};

struct command {
    const char *name;
    unsigned bit;          /* CMD_* */
    const char *arguments; /* as the usage line shows them */
    int min, max;          /* how many */
    const char *about;
    const char *example;
    /* Returns the exit status. Of those that run a guest its file is config.image, which is NULL
     * where the guest is booted from a disk; argv has what comes behind it. */
    int (*run)(const struct options *options, int argc, char **argv);
    void (*help)(FILE *out); /* what --help says besides; NULL: nothing */
    int guest_at;            /* which argument is the guest, from 0 on */
    bool own_guest;          /* it finds its guest among the arguments by itself */
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
int cmd_snapshot(const struct options *options, int argc, char **argv);
void cmd_snapshot_help(FILE *out);
int cmd_backup(const struct options *options, int argc, char **argv);
int cmd_control(const struct options *options, int argc, char **argv);
void cmd_control_help(FILE *out);
int cmd_migrate(const struct options *options, int argc, char **argv);
void cmd_migrate_help(FILE *out);
int cmd_kvm_info(const struct options *options, int argc, char **argv);
int cmd_disk(const struct options *options, int argc, char **argv);
void cmd_disk_help(FILE *out);

/* Prints "vitrine: " and the line on stderr; returns EXIT_USAGE. */
int cmd_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Standard output cannot be written, `error` (an errno) says why. Of a closed pipe nothing is said:
 * whoever has closed it knows. Returns EXIT_USAGE. */
int cmd_fail_output(int error);

/* Parses the options of `command`; the other arguments are moved to the end of argv.
 * Returns the index of the first of them, or -1 after an error was printed, or 0 after --help. */
int options_parse(const struct command *command, int argc, char **argv, struct options *options);
/* After config.image is set: decides what kind of guest it is, and whether the options fit that.
 * 0, or EXIT_USAGE after a message. */
int options_settle(struct options *options);
/* Prints the options that `command` takes, a line each. */
void options_help(FILE *out, const struct command *command);

/* "64M", "1G", "4096", "0x1000"; 0, or -EINVAL when it is no size, too big, or followed by more. */
int parse_size(const char *text, uint64_t *out);

/* session_new(); NULL after the error was printed. */
struct session *cmd_session(const struct session_config *config);

/* The same, with --session and --from: kept in a directory, or gone on from one of its snapshots.
 */
struct session *cmd_session_kept(const struct options *options,
                                 const struct session_config *config);

/* Opens the guest of a subcommand that does not run a console: output is dropped, and no input
 * will come. NULL after the error was printed. */
struct session *cmd_open(const struct options *options);

/* What going back in time may take unless --history says otherwise. */
#define CMD_HISTORY ((uint64_t)256 << 20)

/* Before session_free(): what is written to the disk only now. `status`, or after a message
 * EXIT_USAGE. */
int cmd_close(struct session *session, int status);

/* Runs to --at: a decimal number is a count of guest instructions, all else an address as in
 * session_lookup(). Without it, stays at the start. Returns 0 or, after a message, EXIT_*. */
int cmd_run_to(struct session *session, const struct options *options);

/* 0, or EXIT_USAGE after a message if the file at `path` could not be written. Writes nothing. */
int cmd_check_output(const char *path);

#endif
