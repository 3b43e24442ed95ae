/*
 * The `vitrine` command: finds the subcommand, parses its options, runs it.
 *
 * Everything else is in the subcommands' files. Source of the exit statuses: cmd.h and vitrine(1).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"

static const struct command COMMANDS[] = {
    {"run", CMD_RUN, "GUEST", 1, 1, "run a guest with its console here; the exit status is its own",
     "vitrine run samples/minios/minios.elf --disk samples/minios/fs.img", cmd_run},
    {"debug", CMD_DEBUG, "GUEST", 1, 1, "step through a guest line by line, also from a script",
     "vitrine debug samples/paging.elf --under hv", cmd_debug},
    {"record", CMD_RUN, "FILE GUEST", 2, 2, "run a guest, and record the session in a small file",
     "vitrine record session.rec samples/minios/minios.elf", cmd_record, .guest_at = 1},
    {"replay", CMD_REPLAY, "FILE [GUEST]", 1, 2, "run a recorded session again, bit for bit",
     "vitrine replay session.rec --engine interp", cmd_replay},
    {"walk", CMD_WALK, "GUEST VA", 2, 2, "translate an address by the guest, map and shadow tables",
     "vitrine walk samples/paging.elf 0x40000000 --at 38900 --access w", cmd_walk},
    {"disasm", CMD_DISASM, "FILE [SYMBOL]", 1, 2,
     "disassemble a guest with symbols and source lines", "vitrine disasm samples/hello.elf _start",
     cmd_disasm},
    {"devices", CMD_DEVICES, "GUEST", 1, 1, "show the devices, their registers and values",
     "vitrine devices samples/hello.elf --at 100", cmd_devices},
    {"isa", CMD_ISA, "[instructions|csrs|causes|exits|kvm-exits]", 0, 1,
     "print the tables that the computer and the monitor are built from", "vitrine isa csrs",
     cmd_isa},
    {"draw", CMD_DRAW, "GUEST", 1, 1, "draw translations, page tables, exits or dirty pages to a file",
     "vitrine draw samples/paging.elf --at 38900 --va 0x40000000 -o walk.svg", cmd_draw},
    {"compare", CMD_COMPARE, "KERNEL...", 1, 64,
     "compare guests' speed natively, in each engine, with paging, under the monitor",
     "vitrine compare fib sieve --svg speed.svg", cmd_compare, cmd_compare_help},
    {"snapshot", CMD_SNAPSHOT, "ACTION DIR ...", 2, 4,
     "keep states of a guest in a directory, compare them, go on from them",
     "vitrine snapshot create work first samples/paging.elf --at 38900", cmd_snapshot,
     cmd_snapshot_help, .own_guest = true},
    {"migrate", CMD_MIGRATE, "SESSION ADDRESS", 2, 2,
     "move the guest of a `vitrine run --control SESSION` to another `vitrine run --incoming`",
     "vitrine migrate /tmp/session unix:/tmp/there", cmd_migrate, cmd_migrate_help},
    {"backup", CMD_RUN, "ADDRESS GUEST", 2, 2,
     "stand by for a `vitrine run --protect ADDRESS`, and go on if it is lost",
     "vitrine backup unix:/tmp/there samples/minios/minios.elf", cmd_backup, .guest_at = 1},
    {"control", CMD_CONTROL, "SESSION [COMMAND...]", 1, 8,
     "ask a running `vitrine run --control SESSION` how it is, or tell it what to do",
     "vitrine control /tmp/session protect unix:/tmp/there", cmd_control, cmd_control_help},
    {"kvm-info", CMD_KVM_INFO, "", 0, 0,
     "say what this host offers to x86 guests, and how to get access",
     "vitrine kvm-info --json | jq .features", cmd_kvm_info},
    {"disk", CMD_DISK, "ACTION FILE [TO]", 2, 3, "make, look into, check and copy disk images",
     "vitrine disk create mine.qcow2 --backing samples/minios/fs.img", cmd_disk, cmd_disk_help},
};

enum { COUNT = sizeof COMMANDS / sizeof *COMMANDS };

int cmd_fail(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *c = line; *c; c++) /* file names may hold anything; an error is one line */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    fprintf(stderr, "vitrine: %s\n", line);
    return EXIT_USAGE;
}

int cmd_fail_output(int error)
{
    return error == EPIPE ? EXIT_USAGE : cmd_fail("standard output: %s", strerror(error));
}

static void help(void)
{
    printf("vitrine - a hypervisor in a glass case\n\n"
           "Usage: vitrine SUBCOMMAND [ARGUMENTS] [OPTIONS]\n\n");
    for (int i = 0; i < COUNT; i++)
        printf("  %-9s %s\n", COMMANDS[i].name, COMMANDS[i].about);
    printf("\n\"vitrine SUBCOMMAND --help\" tells more; so does the manual page vitrine(1).\n");
}

static void command_help(const struct command *command)
{
    printf("vitrine %s - %s\n\n", command->name, command->about);
    printf("Usage: vitrine %s %s%s[OPTIONS]\n\n", command->name, command->arguments,
           *command->arguments ? " " : "");
    options_help(stdout, command);
    if (command->help)
        command->help(stdout);
    printf("\nExample:\n  %s\n", command->example);
}

/* What was printed has arrived, or that is an error too (a full disk, a closed pipe). */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    int failed = cmd_fail_output(errno);
    return status ? status : failed;
}

/* Without a guest's file: an x86 guest comes from a disk, or is firmware alone. */
static bool can_boot(const struct session_config *config)
{
    return config->under == SESSION_KVM && (config->disk || config->firmware);
}

static int fail_arguments(const struct command *command)
{
    return cmd_fail("%s: needs %s (see vitrine %s --help)", command->name,
                    *command->arguments ? command->arguments : "no argument", command->name);
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct options options = {.access = 'r', .runs = 3, .throttle = 80, .downtime = 10};
    session_config_init(&options.config);
    int first = options_parse(command, argc, argv, &options);
    if (first < 0)
        return EXIT_USAGE;
    if (first == 0) {
        command_help(command);
        return 0;
    }
    int left = argc - first;
    bool guest = command->bit & CMD_GUEST && !command->own_guest;
    bool no_file = guest && left == command->min - 1;
    if (guest && options.from && !options.session)
        return cmd_fail("--from %s: of which directory? (--session)", options.from);
    if (left > command->max || (left < command->min && !no_file))
        return fail_arguments(command);
    if (guest && !no_file) { /* taken out, so that the others follow each other */
        options.config.image = argv[first + command->guest_at];
        argv[first + command->guest_at] = argv[first];
        first++;
    }
    if (guest && !options.from && options_settle(&options))
        return EXIT_USAGE;
    if (no_file && !options.from && !can_boot(&options.config))
        return fail_arguments(command);
    return command->run(&options, argc - first, argv + first);
}

/* Started with a standard stream closed, the program would get a file of its own by that number
 * (the guest's disk, its memory), and print into it. So something stands there: reading finds the
 * end, writing fails. */
static bool hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (!hold_standard_streams())
        return EXIT_USAGE; /* and nowhere to say so */
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word)
        return cmd_fail("which subcommand? (see vitrine --help)");
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
        help();
        return finish(0);
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        printf("vitrine %s\n", PACKAGE_VERSION);
        return finish(0);
    }
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(word, COMMANDS[i].name))
            return finish(run_command(&COMMANDS[i], argc - 1, argv + 1));
    return cmd_fail("unknown %s '%s' (see vitrine --help)", *word == '-' ? "option" : "subcommand",
                    word);
}
