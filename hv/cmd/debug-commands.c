/*
 * The commands of `vitrine debug`: a row of a table and a function for each.
 *
 * Numbers are as in C (0x for hexadecimal); an address may also be a symbol, symbol+offset or
 * file:line. Every function returns 0, or -1 after it has said what is wrong.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/debug.h"
#include "hv/cmd/show.h"

int debug_fail(const char *what, const char *why)
{
    fflush(stdout);
    cmd_fail("debug: %s: %s", what, why);
    return -1;
}

/* ---- arguments ---------------------------------------------------------------------------- */

/* Reads a count or, if it was not given, takes the default. */
static int take_count(const char *text, uint64_t otherwise, uint64_t max, uint64_t *out)
{
    *out = otherwise;
    if (text && (parse_size(text, out) || *out > max))
        return debug_fail(text, "not a number, or too large");
    return 0;
}

static int take_address(struct debug *debug, const char *text, uint64_t *out)
{
    if (session_lookup(debug->session, text, out))
        return debug_fail(text, "no such symbol, line or address");
    return 0;
}

static uint64_t guest_pc(struct debug *debug)
{
    struct view_insn insn;
    return session_disassemble_pc(debug->session, 0, &insn, 1) == 1 ? insn.va : 0;
}

/* ---- running ------------------------------------------------------------------------------ */

/* Why a control call did nothing. */
static const char *refusal(int failed)
{
    switch (failed) {
    case -ESHUTDOWN: return "the guest has ended (reset starts it again)";
    case -ENOTSUP: return "there is no way back: x86 guests, --clock host and --history off have none";
    case -ENOSPC: return "the way back did not fit into its memory (--history SIZE)";
    default: return strerror(-failed);
    }
}

/* After a control call: waits, and shows where the guest is now. */
static int follow(struct debug *debug, const char *what, int failed)
{
    if (failed)
        return debug_fail(what, refusal(failed));
    debug_wait(debug);
    show_stop(stdout, debug->session);
    return 0;
}

static int command_step(struct debug *debug, char **words)
{
    uint64_t count;
    if (take_count(words[1], 1, UINT64_MAX, &count) || !count)
        return -1;
    return follow(debug, words[0], session_step(debug->session, count));
}

static int command_over(struct debug *debug, char **words)
{
    return follow(debug, words[0], session_step_over(debug->session));
}

static void show_exits_after(struct debug *debug, uint64_t after)
{
    struct view_exit exits[32];
    int count;
    while ((count = session_exits(debug->session, after, exits, 32)) > 0) {
        for (int i = 0; i < count; i++)
            show_exit(stdout, &exits[i]);
        after = exits[count - 1].seq;
    }
}

static int command_exit(struct debug *debug, char **words)
{
    struct view_exit_stats before;
    session_exit_stats(debug->session, &before);
    int failed = follow(debug, words[0], session_step_exit(debug->session));
    if (!failed)
        show_exits_after(debug, before.total);
    return failed;
}

static int command_run(struct debug *debug, char **words)
{
    return follow(debug, words[0], session_run(debug->session));
}

static int command_until(struct debug *debug, char **words)
{
    uint64_t address;
    if (take_address(debug, words[1], &address))
        return -1;
    return follow(debug, words[0], session_run_to(debug->session, address));
}

static int command_reset(struct debug *debug, char **words)
{
    return follow(debug, words[0], session_reset(debug->session));
}

static int command_quit(struct debug *debug, char **words)
{
    debug->quit = true;
    return 0;
}

/* ---- running backwards -------------------------------------------------------------------- */

static int command_step_back(struct debug *debug, char **words)
{
    uint64_t count;
    if (take_count(words[1], 1, UINT64_MAX, &count))
        return -1;
    return follow(debug, words[0], session_step_back(debug->session, count));
}

static int command_goto(struct debug *debug, char **words)
{
    uint64_t instruction;
    if (take_count(words[1], 0, UINT64_MAX - 1, &instruction))
        return -1;
    return follow(debug, words[0], session_goto(debug->session, instruction));
}

/* "[phys] ADDRESS [LENGTH]" */
static int command_who_wrote(struct debug *debug, char **words)
{
    uint64_t address, length;
    bool physical = words[1] && !strcmp(words[1], "phys");
    char **at = words + 1 + physical;
    if (!*at)
        return debug_fail(words[0], "which address?");
    if (take_address(debug, *at, &address) || take_count(at[1], 4, 1u << 30, &length))
        return -1;
    return follow(debug, words[0],
                  session_run_back(debug->session, BACK_WRITE, physical, address,
                                   (uint32_t)length));
}

static int command_run_back(struct debug *debug, char **words)
{
    if (words[1] && !strcmp(words[1], "write"))
        return command_who_wrote(debug, words + 1);
    bool exit = words[1] && !strcmp(words[1], "exit");
    if (words[1] && !exit)
        return debug_fail(words[1], "not exit or write");
    return follow(debug, words[0],
                  session_run_back(debug->session, exit ? BACK_EXIT : BACK_POINT, false, 0, 0));
}

static int command_history(struct debug *debug, char **words)
{
    struct view_history history;
    struct view_status status;
    session_view_history(debug->session, &history);
    session_status(debug->session, &status);
    if (!history.present)
        return debug_fail(words[0], refusal(-ENOTSUP));
    printf("instruction %" PRIu64 " of %" PRIu64 " to %" PRIu64 "%s\n"
           "%u checkpoints, %" PRIu64 " KiB of %" PRIu64 "\n",
           status.instructions, history.first, history.end,
           history.in_past ? ", in the past" : "", history.checkpoints, history.bytes >> 10,
           history.limit >> 10);
    return 0;
}

/* ---- breakpoints -------------------------------------------------------------------------- */

static const char *kind_name(unsigned kind)
{
    static const char *const NAMES[] = {"",      "execute",        "read",        "execute, read",
                                        "write", "execute, write", "read, write", "any access"};
    return NAMES[kind & 7];
}

static int list_breaks(struct debug *debug)
{
    struct session_break list[SESSION_BREAKS];
    char symbol[VIEW_SYMBOL];
    int count = session_break_list(debug->session, list, SESSION_BREAKS);
    for (int i = 0; i < count; i++) {
        session_symbol(debug->session, list[i].address, symbol, sizeof symbol);
        printf("%d: %s at %s0x%08" PRIx64 ", %u bytes  %s\n", list[i].id, kind_name(list[i].kind),
               list[i].physical ? "physical " : "", list[i].address,
               list[i].length ? list[i].length : 1, list[i].physical ? "" : symbol);
    }
    return 0;
}

static int add_break(struct debug *debug, const char *what, const struct session_break *wanted)
{
    int id = session_break_add(debug->session, wanted);
    if (id < 0)
        return debug_fail(what, id == -ENOSPC ? "too many breakpoints" : strerror(-id));
    printf("%d: %s at %s0x%08" PRIx64 "\n", id, kind_name(wanted->kind),
           wanted->physical ? "physical " : "", wanted->address);
    return 0;
}

static int command_break(struct debug *debug, char **words)
{
    struct session_break wanted = {.kind = BREAK_EXECUTE, .length = 1};
    if (!words[1])
        return list_breaks(debug);
    if (take_address(debug, words[1], &wanted.address))
        return -1;
    return add_break(debug, words[0], &wanted);
}

static int command_watch(struct debug *debug, char **words)
{
    static const struct {
        const char *word;
        unsigned kind;
    } KINDS[] = {{"r", BREAK_READ}, {"w", BREAK_WRITE}, {"rw", BREAK_READ | BREAK_WRITE}};
    struct session_break wanted = {.kind = BREAK_WRITE};
    uint64_t length;
    char **at = words + 1;
    for (int i = 0; i < 3 && *at; i++)
        if (!strcmp(*at, KINDS[i].word)) {
            wanted.kind = KINDS[i].kind;
            at++;
            break;
        }
    if (*at && !strcmp(*at, "phys")) {
        wanted.physical = true;
        at++;
    }
    if (!*at)
        return debug_fail(words[0], "which address?");
    if (take_address(debug, *at, &wanted.address) || take_count(at[1], 4, 1u << 30, &length))
        return -1;
    wanted.length = (uint32_t)length;
    return add_break(debug, words[0], &wanted);
}

static int command_delete(struct debug *debug, char **words)
{
    uint64_t id;
    if (take_count(words[1], 0, INT32_MAX, &id))
        return -1;
    int failed = session_break_remove(debug->session, (int)id);
    return failed ? debug_fail(words[1], "no such breakpoint (break lists them)") : 0;
}

/* ---- looking ------------------------------------------------------------------------------ */

static enum view_isa isa_of(struct debug *debug)
{
    struct view_status status;
    session_status(debug->session, &status);
    return status.isa;
}

static bool is_rv32(struct debug *debug)
{
    return isa_of(debug) == ISA_RV32;
}

static int any_registers(struct debug *debug, const char *group)
{
    static struct view_registers registers;
    session_view_registers(debug->session, &registers);
    return show_any_registers(stdout, &registers, group)
               ? 0
               : debug_fail(group, "not general, segment, control, debug, msr, fpu, sse or all");
}

static int command_regs(struct debug *debug, char **words)
{
    if (!is_rv32(debug))
        return any_registers(debug, words[1] ? words[1] : "general");
    struct view_hart real, virtual;
    const char *which = words[1] ? words[1] : "";
    session_view_hart(debug->session, VIEW_REAL, &real);
    session_view_hart(debug->session, VIEW_VIRTUAL, &virtual);
    if (*which && strcmp(which, "real") && strcmp(which, "virtual") && strcmp(which, "both"))
        return debug_fail(which, "not real, virtual or both");
    if (!virtual.present && *which && strcmp(which, "real"))
        return debug_fail(which, "there is no virtual hart on the bare computer");
    if (!strcmp(which, "both"))
        show_registers_both(stdout, &real, &virtual);
    else
        show_registers(stdout, virtual.present && strcmp(which, "real") ? &virtual : &real);
    return 0;
}

static int command_csrs(struct debug *debug, char **words)
{
    if (!is_rv32(debug))
        return any_registers(debug, "control");
    struct view_hart hart;
    bool real = words[1] && !strcmp(words[1], "real");
    session_view_hart(debug->session, real ? VIEW_REAL : VIEW_VIRTUAL, &hart);
    if (!hart.present)
        session_view_hart(debug->session, VIEW_REAL, &hart);
    show_csrs(stdout, &hart);
    return 0;
}

static int command_walk(struct debug *debug, char **words)
{
    struct view_translation translation;
    uint64_t va;
    char access = 'r';
    if (!words[1])
        session_last_access(debug->session, &va, &access);
    else if (take_address(debug, words[1], &va))
        return -1;
    if (words[1] && words[2])
        access = words[2][0];
    if (!strchr("rwx", access) || (words[1] && words[2] && words[2][1]))
        return debug_fail(words[2], "not r, w or x");
    session_translate(debug->session, va, access, &translation);
    show_translation(stdout, &translation, isa_of(debug));
    return 0;
}

static int command_tables(struct debug *debug, char **words)
{
    static const char *const KINDS[] = {"guest", "map", "shadow"};
    struct view_table table;
    bool found = false;
    for (int i = 0; i < 3; i++) {
        if (words[1] && strcmp(words[1], KINDS[i]))
            continue;
        session_view_table(debug->session, (enum view_table_kind)i, &table);
        show_table(stdout, &table);
        found = true;
    }
    return found ? 0 : debug_fail(words[1], "not guest, map or shadow");
}

static int command_tlb(struct debug *debug, char **words)
{
    struct view_tlb tlb;
    if (!is_rv32(debug))
        return debug_fail(words[0], "nobody can look into the TLB of the host's processor");
    session_view_tlb(debug->session, &tlb);
    show_tlb(stdout, &tlb);
    return 0;
}

static int command_dis(struct debug *debug, char **words)
{
    struct view_insn insn[64];
    uint64_t va = guest_pc(debug);
    uint64_t count;
    if (words[1] && take_address(debug, words[1], &va))
        return -1;
    if (take_count(words[1] ? words[2] : NULL, 10, 64, &count))
        return -1;
    int got = words[1] ? session_disassemble(debug->session, va, insn, (int)count)
                       : session_disassemble_pc(debug->session, 3, insn, (int)count);
    show_insns(stdout, isa_of(debug), insn, got, guest_pc(debug));
    return 0;
}

static int command_mem(struct debug *debug, char **words)
{
    struct view_memory memory;
    uint64_t address;
    uint64_t length;
    bool physical = !strcmp(words[1], "phys");
    char **at = words + 1 + physical;
    if (!*at)
        return debug_fail(words[0], "which address?");
    if (take_address(debug, *at, &address) || take_count(at[1], 64, sizeof memory.data, &length))
        return -1;
    session_view_memory(debug->session, physical, address, (uint32_t)length, &memory);
    show_memory(stdout, &memory);
    return 0;
}

static int command_exits(struct debug *debug, char **words)
{
    struct view_exit_stats stats;
    uint64_t count;
    if (take_count(words[1], 10, 4096, &count))
        return -1;
    session_exit_stats(debug->session, &stats);
    show_exits_after(debug, stats.total > count ? stats.total - count : 0);
    show_exit_stats(stdout, &stats);
    return 0;
}

static int command_devices(struct debug *debug, char **words)
{
    struct view_devices devices;
    session_view_devices(debug->session, &devices);
    show_devices(stdout, &devices);
    return 0;
}

/* The rest of the line, as it was typed, and Enter. */
static int command_input(struct debug *debug, char **words)
{
    const char *text = debug->line + strspn(debug->line, " \t");
    text += strcspn(text, " \t");
    text += *text != '\0';
    size_t count = strlen(text);
    if (session_input(debug->session, (const uint8_t *)text, count) < count ||
        session_input(debug->session, (const uint8_t *)"\n", 1) < 1)
        return debug_fail(words[0], "the guest has not read what was typed before");
    return 0;
}

static int command_where(struct debug *debug, char **words)
{
    char symbol[VIEW_SYMBOL];
    uint64_t address = guest_pc(debug);
    if (words[1] && take_address(debug, words[1], &address))
        return -1;
    session_symbol(debug->session, address, symbol, sizeof symbol);
    printf("0x%08" PRIx64 " %s\n", address, symbol);
    return 0;
}

static int command_engine(struct debug *debug, char **words)
{
    struct view_status status;
    int failed = words[1] ? session_set_engine(debug->session, words[1]) : 0;
    if (failed)
        return debug_fail("engine",
                          failed == -ENOTSUP
                              ? "the host's processor runs this guest"
                              : "there is no such engine (vitrine run --help lists them)");
    session_status(debug->session, &status);
    printf("%s\n", status.engine);
    return 0;
}

static int command_vcpu(struct debug *debug, char **words)
{
    struct view_status status;
    uint64_t index = 0;
    if (take_count(words[1], 0, 1000, &index))
        return -1;
    if (words[1] && session_set_vcpu(debug->session, (unsigned)index))
        return debug_fail(words[1], "there is no such vCPU");
    session_status(debug->session, &status);
    printf("vcpu %u of %u\n", status.vcpu, status.vcpus);
    return 0;
}

/* A register of a device by their names; false: there is none. */
static bool device_value(const struct view_devices *devices, const char *device, const char *name,
                         uint32_t *value)
{
    for (uint32_t i = 0; i < devices->count; i++) {
        const struct view_device *d = &devices->device[i];
        for (uint32_t r = 0; r < d->count && !strcmp(d->name, device); r++) {
            *value = d->reg[r].value;
            if (!strcmp(d->reg[r].name, name))
                return true;
        }
    }
    return false;
}

static int command_balloon(struct debug *debug, char **words)
{
    struct view_devices devices;
    uint64_t pages;
    uint32_t wanted, actual;
    if (take_count(words[1], 0, UINT32_MAX, &pages))
        return -1;
    int failed = words[1] ? session_set_balloon(debug->session, pages) : 0;
    if (failed == -EINVAL)
        return debug_fail(words[1], "the guest has not so many pages");
    session_view_devices(debug->session, &devices);
    if (failed || !device_value(&devices, "virtio-balloon", "num_pages", &wanted) ||
        !device_value(&devices, "virtio-balloon", "actual", &actual))
        return debug_fail(words[0], "this guest has no balloon (--balloon gives it one)");
    printf("%u pages wanted, %u given back\n", wanted, actual);
    return 0;
}

/* ---- dirty pages ---------------------------------------------------------------------------- */

static int command_dirty(struct debug *debug, char **words)
{
    static struct view_dirty dirty;
    session_view_dirty(debug->session, &dirty);
    if (!dirty.present)
        return debug_fail(words[0], "writes of this guest are not logged");
    printf("%" PRIu64 " pages written since the last look, %" PRIu64 " in all\n", dirty.dirty_now,
           dirty.dirty_total);
    show_heat(stdout, &dirty, 255);
    return 0;
}

static int command_heat(struct debug *debug, char **words)
{
    static struct view_dirty dirty;
    session_view_dirty(debug->session, &dirty);
    if (!dirty.present)
        return debug_fail(words[0], "writes of this guest are not logged");
    show_heat(stdout, &dirty, 1);
    return 0;
}

static int command_digest(struct debug *debug, char **words)
{
    printf("digest 0x%016" PRIx64 "\n", session_digest(debug->session));
    return 0;
}

static int command_help(struct debug *debug, char **words);

/* ---- the table ---------------------------------------------------------------------------- */

static const struct row {
    const char *name, *alias; /* alias may be NULL */
    const char *arguments;
    int min, max; /* how many */
    debug_command_fn run;
    const char *help;
} COMMANDS[] = {
    {"step", "s", "[N]", 0, 1, command_step, "one guest instruction, or N"},
    {"over", "n", "", 0, 0, command_over, "one instruction, but through a call or trap"},
    {"exit", "e", "", 0, 0, command_exit, "until the monitor has handled an exit (bare: a trap)"},
    {"run", "c", "", 0, 0, command_run, "until something stops it; Ctrl-C pauses"},
    {"continue", NULL, "", 0, 0, command_run, "the same"},
    {"until", "u", "ADDRESS", 1, 1, command_until, "run to there"},
    {"step-back", "sb", "[N]", 0, 1, command_step_back, "one instruction, or N, into the past"},
    {"run-back", "rb", "[exit | write [phys] ADDRESS [LENGTH]]", 0, 4, command_run_back,
     "to the last stop at a breakpoint or watchpoint, exit, or write"},
    {"goto", "g", "N", 1, 1, command_goto, "to where N instructions have been executed"},
    {"who-wrote", "ww", "[phys] ADDRESS [LENGTH]", 1, 3, command_who_wrote,
     "back to in front of the last write there, by the guest or a device"},
    {"history", NULL, "", 0, 0, command_history, "how far one can go back, and what that takes"},
    {"break", "b", "[ADDRESS]", 0, 1, command_break, "stop in front of it; alone: list"},
    {"watch", NULL, "[r|w|rw] [phys] ADDRESS [LENGTH]", 1, 4, command_watch,
     "stop after an access (default: w, 4 bytes)"},
    {"delete", "d", "NUMBER", 1, 1, command_delete, "a breakpoint or watchpoint"},
    {"regs", "r", "[real|virtual|both|GROUP]", 0, 1, command_regs,
     "registers; * changed, ! different; x86: a group, or all"},
    {"csrs", NULL, "[real|virtual]", 0, 1, command_csrs, "control and status registers"},
    {"walk", "w", "[ADDRESS [r|w|x]]", 0, 2, command_walk,
     "the three translations; alone: of the newest access"},
    {"tables", "t", "[guest|map|shadow]", 0, 1, command_tables, "page tables, as runs of pages"},
    {"tlb", NULL, "", 0, 0, command_tlb, "what the hardware's TLB holds"},
    {"dis", "l", "[ADDRESS [N]]", 0, 2, command_dis, "disassemble; alone: around the pc"},
    {"mem", "x", "[phys] ADDRESS [LENGTH]", 1, 3, command_mem, "memory in hex (default: 64 bytes)"},
    {"exits", NULL, "[N]", 0, 1, command_exits, "the last N exits (10), and how often each reason"},
    {"devices", NULL, "", 0, 0, command_devices, "the guest's devices and their registers"},
    {"where", NULL, "[ADDRESS]", 0, 1, command_where, "the symbol at an address, or at the pc"},
    {"input", "i", "TEXT", 0, DEBUG_WORDS, command_input, "type the rest of the line and Enter"},
    {"engine", NULL, "[NAME]", 0, 1, command_engine, "how instructions are run; NAME: from now on"},
    {"vcpu", NULL, "[N]", 0, 1, command_vcpu, "KVM: the vCPU that the others mean; N: from now on"},
    {"balloon", NULL, "[PAGES]", 0, 1, command_balloon,
     "the memory balloon; PAGES: ask for so many of 4 KiB"},
    {"snapshot", NULL, "[NAME]", 0, 1, debug_snapshot, "keep the state of the whole machine"},
    {"snapshots", NULL, "", 0, 0, debug_snapshots, "list them; * the one that one comes from"},
    {"tree", NULL, "", 0, 0, debug_tree, "the same as a tree: which stands on which"},
    {"restore", NULL, "ID", 1, 1, debug_restore, "go back to a snapshot"},
    {"forget", NULL, "ID", 1, 1, debug_forget, "delete a snapshot"},
    {"diff", NULL, "ID [ID]", 1, 2, debug_diff,
     "how the second differs from the first; alone: how the guest now does"},
    {"commit", NULL, "ID", 1, 1, debug_commit,
     "--session: its parent becomes what this one is, and this one goes"},
    {"export", NULL, "ID FILE", 2, 2, debug_export, "--session: as one file that needs no other"},
    {"import", NULL, "FILE", 1, 1, debug_import, "--session: such a file as a new snapshot"},
    {"check", NULL, "", 0, 0, debug_check, "--session: read all files, and name the damaged one"},
    {"dirty", NULL, "", 0, 0, command_dirty, "KVM: which pages were written since the last look"},
    {"heat", NULL, "", 0, 0, command_heat, "KVM: the same, and where was written before"},
    {"digest", NULL, "", 0, 0, command_digest, "of the guest's whole state"},
    {"reset", NULL, "", 0, 0, command_reset, "back to the first instruction"},
    {"help", "h", "", 0, 0, command_help, "this list"},
    {"quit", "q", "", 0, 0, command_quit, "leave"},
};

enum { COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS };

static int command_help(struct debug *debug, char **words)
{
    for (int i = 0; i < COMMAND_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s %s", COMMANDS[i].name, COMMANDS[i].alias ? ", " : "",
                 COMMANDS[i].alias ? COMMANDS[i].alias : "", COMMANDS[i].arguments);
        printf("  %-38s %s\n", left, COMMANDS[i].help);
    }
    printf("An ADDRESS is a number, a symbol, symbol+offset or file:line.\n");
    return 0;
}

int debug_command(struct debug *debug, int count, char *words[DEBUG_WORDS])
{
    char *arguments[DEBUG_WORDS + 2] = {0}; /* NULL behind the last, twice */
    memcpy(arguments, words, (size_t)count * sizeof *words);
    if (words[0][0] == '#')
        return 0;
    for (int i = 0; i < COMMAND_COUNT; i++) {
        const struct row *row = &COMMANDS[i];
        if (strcmp(words[0], row->name) && (!row->alias || strcmp(words[0], row->alias)))
            continue;
        if (count - 1 < row->min || count - 1 > row->max)
            return debug_fail(row->name, *row->arguments ? row->arguments : "takes no argument");
        return row->run(debug, arguments);
    }
    return debug_fail(words[0], "unknown command (help lists them)");
}
