/*
 * The options of the subcommands, in one table, and how their values are read.
 *
 * A row names the option, its value, the field it fills, and who takes it. getopt_long does the
 * syntax; --help prints the rows.
 */
#include "config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/engine.h"
#include "hv/cmd/cmd.h"

/* Reads `value` into the field; returns NULL, or what was expected. */
typedef const char *(*parse_fn)(void *field, const char *value);

struct option_row {
    const char *name;
    const char *value; /* NULL: none; "[=FILE]": may be left out, and is given with the = */
    unsigned commands; /* CMD_* that take it */
    size_t offset;     /* of its field in struct options */
    parse_fn parse;
    const char *help;
};

int parse_size(const char *text, uint64_t *out)
{
    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 0);
    const char *units = "KMG", *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (errno || end[unit ? 1 : 0] || number > UINT64_MAX >> shift)
        return -EINVAL;
    *out = (uint64_t)number << shift;
    return 0;
}

static const char *set_flag(void *field, const char *value)
{
    *(bool *)field = true;
    return NULL;
}

static const char *set_text(void *field, const char *value)
{
    *(const char **)field = value;
    return *value ? NULL : "a name or a text";
}

static const char *set_count(void *field, const char *value)
{
    return parse_size(value, field) == 0 && *(uint64_t *)field ? NULL : "a number above 0";
}

static const char *set_memory(void *field, const char *value)
{
    return parse_size(value, field) == 0 ? NULL : "a size such as 64M";
}

static void choose_under(struct options *options, enum session_under under)
{
    options->config.under = under;
    options->chosen |= 1u << under;
}

static const char *set_kvm(void *field, const char *value)
{
    choose_under(field, SESSION_KVM);
    return NULL;
}

static const char *set_seconds(void *field, const char *value)
{
    uint64_t seconds;
    if (parse_size(value, &seconds) || seconds < 1 || seconds > 1000000)
        return "a number from 1 to 1000000";
    *(unsigned *)field = (unsigned)seconds;
    return NULL;
}

static const char *set_cpus(void *field, const char *value)
{
    uint64_t cpus;
    if (parse_size(value, &cpus) || cpus < 1 || cpus > 64)
        return "a number from 1 to 64";
    *(unsigned *)field = (unsigned)cpus;
    return NULL;
}

static const char *set_net(void *field, const char *value)
{
    *(const char **)field = value;
    bool user = !strncmp(value, "user", 4) && (!value[4] || value[4] == ',');
    return user ? NULL : "user (the only kind of network there is)";
}

static const char *set_downtime(void *field, const char *value)
{
    return parse_size(value, field) == 0 && *(uint64_t *)field <= 3600000 ? NULL : "0 to 3600000 (ms)";
}

static const char *set_throttle(void *field, const char *value)
{
    return parse_size(value, field) == 0 && *(uint64_t *)field <= 99 ? NULL : "0 to 99 (percent)";
}

static const char *set_epoch(void *field, const char *value)
{
    uint64_t *ms = field;
    return parse_size(value, ms) == 0 && *ms >= 1 && *ms <= 1000 ? NULL : "1 to 1000 (milliseconds)";
}

static const char *set_descriptor(void *field, const char *value)
{
    uint64_t fd;
    if (parse_size(value, &fd) || fd > INT32_MAX)
        return "the number of an open descriptor";
    *(int *)field = (int)fd;
    return NULL;
}

/* Looks `value` up in a list that NULL ends; its index, or -1. */
static int find_word(const char *value, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(value, words[i]))
            return i;
    return -1;
}

static const char *set_under(void *field, const char *value)
{
    static const enum session_under UNDER[] = {SESSION_BARE, SESSION_HV, SESSION_KVM};
    int found = find_word(value, (const char *const[]){"bare", "hv", "kvm", NULL});
    if (found < 0)
        return "bare, hv or kvm";
    choose_under(field, UNDER[found]);
    return NULL;
}

static const char *set_engine(void *field, const char *value)
{
    *(const char **)field = value;
    return engine_find(value) ? NULL : "interp, threaded, jit (where the host can) or auto";
}

static const char *set_clock(void *field, const char *value)
{
    int found = find_word(value, (const char *const[]){"instructions", "host", NULL});
    *(bool *)field = found == 1;
    return found < 0 ? "instructions or host" : NULL;
}

/* For --misaligned and --ad-bits: the other legal choice is to trap. */
static const char *set_trap(void *field, const char *value)
{
    int found = find_word(value, (const char *const[]){"hardware", "trap", NULL});
    *(bool *)field = found == 1;
    return found < 0 ? "hardware or trap" : NULL;
}

static const char *set_trace(void *field, const char *value)
{
    static const char *const WORDS[] = {"exits", "mmu", "insns", NULL};
    unsigned *trace = field;
    while (*value) {
        char word[8] = "";
        size_t length = strcspn(value, ",");
        if (length < sizeof word)
            memcpy(word, value, length);
        int found = find_word(word, WORDS);
        if (found < 0)
            break;
        *trace |= 1u << found;
        value += length;
        value += *value == ',';
    }
    return *value || !*trace ? "exits, mmu, insns, or several of them with commas" : NULL;
}

static const char *set_json(void *field, const char *value)
{
    struct options *options = field;
    options->json = true;
    options->json_file = value;
    return value && !*value ? "a file's name after the =" : NULL;
}

static const char *set_access(void *field, const char *value)
{
    *(char *)field = *value;
    return *value && strchr("rwx", *value) && !value[1] ? NULL : "r, w or x";
}

static const char *set_what(void *field, const char *value)
{
    static const char *const words[] = {"translation", "tables",    "exits",      "heat", "timeline",
                                        "layers",      "migration", "protection", NULL};
    int found = find_word(value, words);
    *(enum draw_what *)field = found < 0 ? DRAW_TRANSLATION : (enum draw_what)found;
    return found < 0 ? "translation, tables, exits, heat, timeline, layers, migration or protection" : NULL;
}

static const char *set_size(void *field, const char *value)
{
    struct options *options = field;
    char extra;
    int count = sscanf(value, "%dx%d%c", &options->width, &options->height, &extra);
    return count == 2 && options->width >= 64 && options->height >= 64 && options->width <= 16384 &&
                   options->height <= 16384
               ? NULL
               : "WIDTHxHEIGHT, each from 64 to 16384";
}

static const char *set_disk_size(void *field, const char *value)
{
    uint64_t *size = field;
    return parse_size(value, size) == 0 && *size && *size % 512 == 0
               ? NULL
               : "a multiple of 512 above 0, such as 64M";
}

static const char *set_format(void *field, const char *value)
{
    *(const char **)field = value;
    return find_word(value, (const char *const[]){"raw", "qcow2", NULL}) < 0 ? "raw or qcow2"
                                                                             : NULL;
}

static const char *set_runs(void *field, const char *value)
{
    uint64_t runs;
    if (parse_size(value, &runs) || runs < 1 || runs > 99)
        return "a number from 1 to 99";
    *(unsigned *)field = (unsigned)runs;
    return NULL;
}

static const char *set_history(void *field, const char *value)
{
    struct options *options = field;
    options->history_given = true;
    options->config.history = 0;
    bool off = !strcmp(value, "off");
    return off || !parse_size(value, &options->config.history) ? NULL : "off or a size such as 256M";
}

static const char *set_rng(void *field, const char *value)
{
    struct session_config *config = field;
    config->rng = true;
    return !value || parse_size(value, &config->rng_seed) == 0 ? NULL : "a number after the =";
}

static const char *set_balloon(void *field, const char *value)
{
    struct session_config *config = field;
    uint64_t pages;
    config->balloon = true;
    if (parse_size(value, &pages) || pages > UINT32_MAX)
        return "a number of pages";
    config->balloon_pages = (uint32_t)pages;
    return NULL;
}

#define AT(field) offsetof(struct options, field)

static const struct option_row ROWS[] = {
    {"under", "bare|hv|kvm", CMD_GUEST, 0, set_under,
     "on the bare computer, or in a virtual machine (default: hv)"},
    {"kvm", NULL, CMD_GUEST, 0, set_kvm,
     "an x86 guest on the host's own processor (default for x86 images)"},
    {"engine", "NAME", CMD_GUEST | CMD_REPLAY | CMD_ONLY_SIMULATED, AT(config.engine), set_engine,
     "how instructions are run: interp, threaded, jit or auto"},
    {"memory", "SIZE", CMD_GUEST | CMD_COMPARE, AT(config.memory), set_memory,
     "guest memory (default: 64M)"},
    {"disk", "FILE", CMD_GUEST | CMD_REPLAY, AT(config.disk), set_text,
     "virtio disk, qcow2 or raw; KVM without GUEST: boot from it"},
    {"disk-readonly", NULL, CMD_GUEST, AT(config.disk_readonly), set_flag,
     "the guest cannot write the disk"},
    {"disk-discard", NULL, CMD_GUEST | CMD_ONLY_SIMULATED, AT(config.disk_discard), set_flag,
     "what the guest writes to the disk is dropped at the end"},
    {"history", "SIZE|off", CMD_RUN | CMD_DEBUG | CMD_ONLY_SIMULATED, 0, set_history,
     "memory for going back in time (default: debug and --gdb 256M, else off)"},
    {"session", "DIR", CMD_RUN | CMD_DEBUG, AT(session), set_text,
     "keep snapshots in this directory; the disk's file stays as it is"},
    {"from", "SNAPSHOT", CMD_RUN | CMD_DEBUG | CMD_SNAPSHOT, AT(from), set_text,
     "go on from this snapshot, by number or name, of the session directory"},
    {"virtio-console", NULL, CMD_GUEST, AT(config.virtio_console), set_flag,
     "a virtio console, which is typed at in place of the serial port"},
    {"rng", "[=SEED]", CMD_GUEST, AT(config), set_rng,
     "a virtio entropy device, with numbers that follow from SEED (KVM: always there)"},
    {"balloon", "PAGES", CMD_GUEST, AT(config), set_balloon,
     "a virtio memory balloon that asks for so many pages of 4 KiB (KVM: always there)"},
    {"kernel-args", "TEXT", CMD_GUEST, AT(config.kernel_args), set_text,
     "the kernel's command line (RISC-V: bootargs in the device tree)"},
    {"initrd", "FILE", CMD_GUEST | CMD_ONLY_KVM, AT(config.initrd), set_text,
     "KVM: initial RAM disk, or module"},
    {"firmware", "FILE", CMD_GUEST | CMD_ONLY_KVM, AT(config.firmware), set_text,
     "KVM: BIOS image that boots from the disk, or from GUEST as a disk"},
    {"boot", "FORMAT", CMD_GUEST | CMD_ONLY_KVM, AT(config.boot_format), set_text,
     "KVM: what GUEST is, if it cannot be told by looking: flat16, flat32, flat64 ..."},
    {"cpus", "N", CMD_GUEST | CMD_ONLY_KVM, AT(config.cpus), set_cpus,
     "KVM: virtual processors (default: 1)"},
    {"net", "user[,OPTION]", CMD_RUN | CMD_DEBUG | CMD_ONLY_KVM, AT(config.net), set_net,
     "KVM: a network card on a network of this program's, without root"},
    {"kvm-fd", "N", CMD_GUEST | CMD_KVM_INFO | CMD_ONLY_KVM, AT(config.kvm_fd), set_descriptor,
     "KVM: /dev/kvm is already open as descriptor N"},
    {"no-seccomp", NULL, CMD_GUEST | CMD_ONLY_KVM, AT(config.no_seccomp), set_flag,
     "KVM: do not confine the vCPU threads (for debugging the monitor)"},
    {"max-instructions", "N", CMD_GUEST | CMD_COMPARE | CMD_ONLY_SIMULATED,
     AT(config.max_instructions), set_count,
     "stop after N guest instructions (run: exit status 124)"},
    {"no-reboot", NULL, CMD_RUN | CMD_DEBUG, AT(config.no_reboot), set_flag,
     "a guest that resets its machine ends the run instead"},
    {"max-seconds", "N", CMD_GUEST, AT(max_seconds), set_seconds,
     "stop after N seconds of the host (run: exit status 124)"},
    {"clock", "NAME", CMD_RUN | CMD_DEBUG | CMD_ONLY_SIMULATED, AT(config.host_clock), set_clock,
     "what moves the guest's time: instructions (default) or host"},
    {"misaligned", "hardware|trap", CMD_GUEST | CMD_ONLY_SIMULATED, AT(config.misaligned_trap),
     set_trap, "misaligned loads and stores are done, or trap (default: hardware)"},
    {"ad-bits", "hardware|trap", CMD_GUEST | CMD_ONLY_SIMULATED, AT(config.ad_trap), set_trap,
     "who sets A and D in page tables: hardware, or trap to software"},
    {"input", "FILE", CMD_GUEST, AT(input), set_text, "type FILE to the guest, not what stdin has"},
    {"trace", "LIST", CMD_RUN, AT(trace), set_trace,
     "a line on stderr for each: exits, mmu, insns (with commas)"},
    {"json", "[=FILE]", CMD_RUN | CMD_COMPARE | CMD_KVM_INFO | CMD_DISK | CMD_CONTROL, 0,
     set_json,
     "report as one JSON object on stdout (run: with the console in it), or in FILE"},
    {"digest", NULL, CMD_RUN | CMD_REPLAY, AT(digest), set_flag,
     "print a digest of the guest's whole state at the end, on stderr"},
    {"signature", "FILE", CMD_RUN | CMD_ONLY_SIMULATED, AT(signature), set_text,
     "write begin_signature..end_signature to FILE at the end"},
    {"record", "FILE", CMD_RUN | CMD_ONLY_SIMULATED, AT(record), set_text,
     "record the session in FILE, for vitrine replay"},
    {"control", "PATH", CMD_RUN, AT(control), set_text,
     "let `vitrine migrate` and others rule the run through this Unix socket"},
    {"incoming", "ADDRESS", CMD_RUN, AT(incoming), set_text,
     "take the guest from a `vitrine migrate` to unix:PATH or tcp:HOST:PORT"},
    {"secret", "FILE", CMD_RUN | CMD_MIGRATE | CMD_CONTROL, AT(secret), set_text,
     "both sides must know what is in FILE (needed for --incoming beyond this host)"},
    {"protect", "ADDRESS", CMD_RUN, AT(protect), set_text,
     "send all that the guest does to a `vitrine backup` there, which goes on if this host is lost"},
    {"fence", "FILE", CMD_RUN | CMD_CONTROL, AT(fence), set_text,
     "who has claimed FILE runs the protected guest: one file for both sides, beside the disk"},
    {"epoch", "MS", CMD_RUN | CMD_CONTROL, AT(epoch), set_epoch,
     "--protect: how often, in milliseconds from 1 to 1000 (default: 40)"},
    {"patience", "MS", CMD_RUN | CMD_CONTROL, AT(patience), set_count,
     "--protect, backup: silence for so long is a loss, in milliseconds (default: 3000)"},
    {"downtime", "MS", CMD_MIGRATE, AT(downtime), set_downtime,
     "how long the guest may stand, in milliseconds (default: 10; 0 is never enough)"},
    {"rounds", "N", CMD_MIGRATE, AT(rounds), set_count,
     "give up if it takes more rounds than this (default: 30; with --postcopy: 1, then hand over)"},
    {"postcopy", NULL, CMD_MIGRATE, AT(postcopy), set_flag,
     "hand the guest over before all of its memory is there: the rest follows while it runs"},
    {"recover", NULL, CMD_MIGRATE, AT(recover), set_flag,
     "go on with a --postcopy whose link was lost"},
    {"throttle", "PERCENT", CMD_MIGRATE, AT(throttle), set_throttle,
     "slow a guest that writes too fast down by so much at most (default: 80)"},
    {"gdb", "[ADDRESS:]PORT", CMD_RUN, AT(gdb), set_text,
     "wait for gdb there (address: 127.0.0.1 unless given)"},
    {"at", "POINT", CMD_WALK | CMD_DEVICES | CMD_DRAW | CMD_SNAPSHOT, AT(at), set_text,
     "run first: N instructions, or to a symbol, 0xADDRESS or file:line"},
    {"access", "r|w|x", CMD_WALK | CMD_DRAW, AT(access), set_access,
     "the kind of access to translate (default: r)"},
    {"what", "KIND", CMD_DRAW, AT(what), set_what,
     "translation (default), tables, exits; timeline, layers, migration, protection; heat (KVM)"},
    {"va", "ADDRESS", CMD_DRAW, AT(va), set_text,
     "address to translate (default: of the newest access)"},
    {"output", "FILE", CMD_DRAW, AT(output), set_text,
     "write FILE.svg, FILE.pdf or FILE.png; also -o FILE"},
    {"size", "WxH", CMD_DRAW | CMD_COMPARE, 0, set_size, "size of the drawing in pixels"},
    {"dark", NULL, CMD_DRAW | CMD_COMPARE, AT(dark), set_flag, "light on dark"},
    {"dir", "DIR", CMD_COMPARE, AT(dir), set_text,
     "folder of the kernels (default: where they were built or installed)"},
    {"runs", "N", CMD_COMPARE, AT(runs), set_runs,
     "runs of each program, in turns, 1 to 99 (default: 3)"},
    {"engines", "LIST", CMD_COMPARE, AT(engines), set_text,
     "engines to compare, with commas (default: all)"},
    {"short", NULL, CMD_COMPARE, AT(brief), set_flag,
     "the kernels' short variants: a check of the results, no measurement"},
    {"svg", "FILE", CMD_COMPARE, AT(svg), set_text,
     "draw a chart to FILE.svg, FILE.pdf or FILE.png"},
    {"backing", "FILE", CMD_DISK, AT(backing), set_text,
     "create, rebase: an overlay of FILE; a relative name starts at the image's folder"},
    {"backing-format", "FORMAT", CMD_DISK, AT(backing_format), set_format,
     "create, rebase: what FILE is, raw or qcow2 (default: look)"},
    {"size", "SIZE", CMD_DISK, AT(disk_size), set_disk_size,
     "create: of the disk (default: the backing file's)"},
    {"repair", NULL, CMD_DISK, AT(repair), set_flag, "check: give leaked clusters back"},
    {"unsafe", NULL, CMD_DISK, AT(unsafe), set_flag,
     "rebase: change the name only; FILE has the same content"},
    {"shrink", NULL, CMD_DISK, AT(shrink), set_flag, "resize: cut off what is behind SIZE"},
    {"format", "FORMAT", CMD_DISK, AT(disk_format), set_format,
     "convert: to qcow2 (default) or raw"},
};

enum { ROW_COUNT = sizeof ROWS / sizeof *ROWS, CODE_HELP = 256, CODE_ROW };
static_assert((int)ROW_COUNT <= (int)OPTION_ROWS, "options.given has a place for each");

static int has_value(const struct option_row *row)
{
    if (!row->value)
        return no_argument;
    return strncmp(row->value, "[=", 2) ? required_argument : optional_argument;
}

void options_help(FILE *out, const struct command *command)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &ROWS[i];
        if (!(row->commands & command->bit))
            continue;
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", row->name,
                 has_value(row) == required_argument ? " " : "", row->value ? row->value : "");
        fprintf(out, "  %-28s %s\n", left, row->help);
    }
    fprintf(out, "  %-28s %s\n", "--help", "this text");
}

/* getopt's table from the rows of one subcommand. */
static void build_long_options(const struct command *command, struct option *out)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &ROWS[i];
        if (row->commands & command->bit)
            *out++ = (struct option){row->name, has_value(row), NULL, CODE_ROW + i};
    }
    *out++ = (struct option){"help", no_argument, NULL, CODE_HELP};
    *out = (struct option){0};
}

static int complain(const struct command *command, char **argv, int code)
{
    const char *word = optind > 0 ? argv[optind - 1] : "";
    if (code == ':')
        cmd_fail("%s: option '%s' needs a value (see vitrine %s --help)", command->name, word,
                 command->name);
    else if (optopt >= CODE_HELP)
        cmd_fail("%s: option '%s' takes no value", command->name, word);
    else if (optopt)
        cmd_fail("%s: unknown option '-%c' (see vitrine %s --help)", command->name, optopt,
                 command->name);
    else
        cmd_fail("%s: unknown option '%s' (see vitrine %s --help)", command->name, word,
                 command->name);
    return -1;
}

static int find_row(const char *name)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (!strcmp(ROWS[i].name, name))
            return i;
    return -1;
}

int options_parse(const struct command *command, int argc, char **argv, struct options *options)
{
    struct option long_options[ROW_COUNT + 2];
    build_long_options(command, long_options);
    const char *short_options = command->bit & CMD_DRAW ? ":ho:" : ":h";
    int code;
    opterr = 0;
    optind = 1;
    while ((code = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (code == 'h' || code == CODE_HELP)
            return 0;
        if (code == '?' || code == ':')
            return complain(command, argv, code);
        const struct option_row *row = &ROWS[code == 'o' ? find_row("output") : code - CODE_ROW];
        options->given[row - ROWS] = true;
        const char *expected = row->parse((char *)options + row->offset, optarg);
        if (expected) {
            cmd_fail("--%s: '%s' is not %s", row->name, optarg ? optarg : "", expected);
            return -1;
        }
    }
    return optind;
}

/* ---- what kind of guest it is -------------------------------------------------------------- */

/* Without --under and --kvm the files decide: what can only be an x86 guest is one. */
static void choose_by_files(struct options *options)
{
    const struct session_config *c = &options->config;
    const char *file = c->image ? c->image : c->disk;
    if (c->firmware || c->boot_format || (file && session_is_x86(file)))
        options->config.under = SESSION_KVM;
}

/* Firmware boots from a disk: GUEST is one, if there is no other. */
static int use_as_disk(struct session_config *config)
{
    if (!config->firmware || !config->image)
        return 0;
    if (config->disk)
        return cmd_fail("--firmware boots from one disk: %s or %s?", config->image, config->disk);
    config->disk = config->image;
    config->image = NULL;
    return 0;
}

static int check_row(const struct option_row *row, bool kvm)
{
    if (kvm && row->commands & CMD_ONLY_SIMULATED)
        return cmd_fail("--%s: only simulated guests have it; this one is an x86 guest on the "
                        "host's processor",
                        row->name);
    if (!kvm && row->commands & CMD_ONLY_KVM)
        return cmd_fail("--%s: only x86 guests have it (--kvm)", row->name);
    return 0;
}

int options_settle(struct options *options)
{
    if (options->chosen & (options->chosen - 1))
        return cmd_fail("--kvm and --under: only one of bare, hv and kvm");
    const char *image = options->config.image;
    if (!options->chosen)
        choose_by_files(options);
    else if (options->config.under != SESSION_KVM && image && session_is_x86(image))
        return cmd_fail("%s: an x86 guest; it runs with --kvm, not --under", image);
    bool kvm = options->config.under == SESSION_KVM;
    for (int i = 0; i < ROW_COUNT; i++)
        if (options->given[i] && check_row(&ROWS[i], kvm))
            return EXIT_USAGE;
    return kvm ? use_as_disk(&options->config) : 0;
}
