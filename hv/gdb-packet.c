/*
 * What the packets of the GDB protocol mean, in terms of a session.
 *
 * One row of a table and one function for a packet, whatever the guest's ISA; those about registers
 * are in gdb-registers.c. Threads are vCPUs, numbered from 1. Breakpoints of every kind are the
 * session's: guest memory is never patched.
 *
 * Every argument is checked: a packet that makes no sense is answered with E22, one that is unknown
 * with the empty packet, as the protocol asks.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/gdb_priv.h"

enum { SIGNAL_INT = 2, SIGNAL_ILL = 4, SIGNAL_TRAP = 5, SIGNAL_SEGV = 11 };

/* ---- replies ------------------------------------------------------------------------------ */

void gdb_reply(struct gdb *gdb, const char *format, ...)
{
    size_t room = sizeof gdb->reply - gdb->reply_count;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(gdb->reply + gdb->reply_count, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        gdb->reply_count += (size_t)length < room ? (size_t)length : room - 1;
}

void gdb_reply_error(struct gdb *gdb, int error)
{
    gdb_reply(gdb, "E%02x", (unsigned)(error < 0 ? -error : error) & 0xff);
}

void gdb_reply_result(struct gdb *gdb, int result)
{
    if (result)
        gdb_reply_error(gdb, result);
    else
        gdb_reply(gdb, "OK");
}

/* ---- arguments ---------------------------------------------------------------------------- */

bool gdb_take_number(const char **at, uint32_t *out)
{
    char *end;
    size_t digits = strspn(*at, "0123456789abcdefABCDEF");
    if (!digits || digits > 8)
        return false;
    *out = (uint32_t)strtoul(*at, &end, 16);
    *at = end;
    return true;
}

/* Reads a guest address, of as many bits as the guest's addresses have. */
static bool take_address(struct gdb *gdb, const char **at, uint64_t *out)
{
    char *end;
    size_t digits = strspn(*at, "0123456789abcdefABCDEF");
    if (!digits || digits > 16)
        return false;
    *out = strtoull(*at, &end, 16);
    *at = end;
    return *out <= gdb->isa->address_max;
}

bool gdb_take_char(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

bool gdb_take_byte(const char **at, uint8_t *out)
{
    char digits[3] = {(*at)[0], (*at)[0] ? (*at)[1] : '\0', '\0'};
    if (strspn(digits, "0123456789abcdefABCDEF") != 2)
        return false;
    *out = (uint8_t)strtoul(digits, NULL, 16);
    *at += 2;
    return true;
}

/* ---- stops -------------------------------------------------------------------------------- */

/* Which vCPU has stopped, if there are several: "thread:2;". */
static void reply_thread(struct gdb *gdb, const struct view_status *status)
{
    if (status->vcpus > 1)
        gdb_reply(gdb, "thread:%x;", status->vcpu + 1);
}

static void reply_watch(struct gdb *gdb, const struct view_status *status)
{
    const char *kind = status->watch_access == 'r' ? "rwatch" : "watch";
    for (int i = 0; i < SESSION_BREAKS; i++) { /* an access watchpoint wants its own word */
        const struct gdb_point *point = &gdb->point[i];
        if (point->id && point->type == '4' &&
            status->watch_address - point->address < point->length)
            kind = "awatch";
    }
    gdb_reply(gdb, "T%02x%s:%" PRIx64 ";", SIGNAL_TRAP, kind, status->watch_address);
    reply_thread(gdb, status);
}

/* The signal that would have stopped a process so. */
static unsigned signal_of(enum session_stop stop)
{
    switch (stop) {
    case STOPPED_PAUSE:
    case STOPPED_IDLE:
    case STOPPED_LIMIT: return SIGNAL_INT;
    case STOPPED_SHUTDOWN: return SIGNAL_SEGV;
    case STOPPED_INTERNAL:
    case STOPPED_FAIL_ENTRY: return SIGNAL_ILL;
    default: return SIGNAL_TRAP;
    }
}

/* Such a stop gdb would not explain: it gets our words. */
static bool wants_words(enum session_stop stop)
{
    return stop == STOPPED_IDLE || stop == STOPPED_LIMIT || stop == STOPPED_STUCK ||
           stop == STOPPED_SHUTDOWN || stop == STOPPED_INTERNAL || stop == STOPPED_FAIL_ENTRY ||
           stop == STOPPED_MOVED || stop == STOPPED_MISSING;
}

static void reply_stop(struct gdb *gdb)
{
    struct view_status status;
    session_status(gdb->session, &status);
    if (status.state == SESSION_ENDED && status.stop == STOPPED_POWEROFF)
        gdb_reply(gdb, "W%02x", (unsigned)status.exit_code & 0xff);
    else if (status.state == SESSION_ENDED)
        gdb_reply(gdb, "X09");
    else if (status.stop == STOPPED_WATCHPOINT)
        reply_watch(gdb, &status);
    else if (status.stop == STOPPED_BEGINNING)
        gdb_reply(gdb, "T%02xreplaylog:begin;", SIGNAL_TRAP);
    else {
        gdb_reply(gdb, "T%02x", signal_of(status.stop));
        reply_thread(gdb, &status);
    }
}

/* Shows a line in gdb's console. */
static void send_message(struct gdb *gdb, const char *text)
{
    char packet[2 * VIEW_TEXT + 16] = "O";
    size_t at = 1;
    for (; *text && at + 6 < sizeof packet; text++)
        at += (size_t)snprintf(packet + at, sizeof packet - at, "%02x", (uint8_t)*text);
    at += (size_t)snprintf(packet + at, sizeof packet - at, "0a");
    gdb_send(gdb, packet, at);
}

/* Going back, the session stands in front of the instruction that made a watched access. gdb takes a
 * RISC-V processor to report an access before it is made, and steps once, now backwards: so it must
 * find the guest behind the instruction, as it would going forward. */
static bool step_behind_access(struct gdb *gdb, const struct view_status *status)
{
    bool access = gdb->back && status->stop == STOPPED_WATCHPOINT;
    gdb->back = false;
    if (!access || session_step(gdb->session, 1))
        return false;
    gdb->stops = status->stops;
    return true;
}

void gdb_report_stop(struct gdb *gdb)
{
    struct view_status status;
    session_status(gdb->session, &status);
    if (!gdb->resumed || status.state == SESSION_RUNNING || status.stops == gdb->stops)
        return;
    if (step_behind_access(gdb, &status))
        return;
    gdb->resumed = false;
    if (wants_words(status.stop))
        send_message(gdb, status.text);
    gdb->reply_count = 0;
    reply_stop(gdb);
    gdb_send(gdb, gdb->reply, gdb->reply_count);
}

/* ---- run control -------------------------------------------------------------------------- */

static int step(struct session *session)
{
    return session_step(session, 1);
}

static int step_back(struct session *session)
{
    return session_step_back(session, 1);
}

static int run_back(struct session *session)
{
    return session_run_back(session, BACK_POINT, false, 0, 0);
}

static void resume(struct gdb *gdb, int (*how)(struct session *session))
{
    struct view_status status;
    if (gdb->resumed)
        return;
    session_status(gdb->session, &status);
    gdb->stops = status.stops;
    gdb->back = how == run_back;
    int failed = how(gdb->session);
    if (failed == -ESHUTDOWN)
        reply_stop(gdb);
    else if (failed)
        gdb_reply_error(gdb, failed);
    else
        gdb->resumed = true; /* no reply until it stops */
}

/* "s", "c", or with an address to go on from: "s80000000". */
static void answer_resume(struct gdb *gdb, const char *at)
{
    uint64_t address = 0;
    if (*at && (!take_address(gdb, &at, &address) || *at)) {
        gdb_reply_error(gdb, EINVAL);
        return;
    }
    if (gdb->count > 1)
        session_write_register64(gdb->session, gdb->isa->pc, address);
    resume(gdb, gdb->packet[0] == 's' ? step : session_run);
}

/* "bs", "bc": into the past. */
static void answer_back(struct gdb *gdb, const char *at)
{
    if (*at)
        gdb_reply_error(gdb, EINVAL);
    else
        resume(gdb, gdb->packet[1] == 's' ? step_back : run_back);
}

/* "S05", "C05": a signal means nothing to a hart. */
static void answer_resume_signal(struct gdb *gdb, const char *at)
{
    resume(gdb, gdb->packet[0] == 'S' ? step : session_run);
}

/* ---- threads: the vCPUs, from 1 on -------------------------------------------------------- */

/* Reads a thread's number; 0 and -1 mean any and all, as `*out` 0. */
static bool take_thread(const char **at, uint32_t *out)
{
    if (!strncmp(*at, "-1", 2)) {
        *at += 2;
        *out = 0;
        return true;
    }
    return gdb_take_number(at, out);
}

/* From now on questions and steps are about this vCPU. 0: about whichever it is now. */
static int choose_thread(struct gdb *gdb, uint32_t thread)
{
    struct view_status status;
    session_status(gdb->session, &status);
    if (thread > status.vcpus)
        return -EINVAL;
    if (!thread || status.vcpus == 1)
        return 0;
    return session_set_vcpu(gdb->session, thread - 1);
}

/* "g2" or "c-1": the thread for questions, or for the next resumption. Which vCPU is resumed vCont
 * says; all run on together anyway. */
static void answer_choose_thread(struct gdb *gdb, const char *at)
{
    uint32_t thread;
    char what = *at;
    if ((what != 'g' && what != 'c') || (++at, !take_thread(&at, &thread)) || *at)
        gdb_reply_error(gdb, EINVAL);
    else
        gdb_reply_result(gdb, what == 'g' ? choose_thread(gdb, thread) : 0);
}

static void answer_thread_alive(struct gdb *gdb, const char *at)
{
    struct view_status status;
    uint32_t thread;
    session_status(gdb->session, &status);
    bool alive = take_thread(&at, &thread) && !*at && thread <= status.vcpus;
    gdb_reply_result(gdb, alive ? 0 : EINVAL);
}

static void answer_thread(struct gdb *gdb, const char *at)
{
    struct view_status status;
    session_status(gdb->session, &status);
    gdb_reply(gdb, "QC%x", status.vcpu + 1);
}

static void answer_threads(struct gdb *gdb, const char *at)
{
    struct view_status status;
    session_status(gdb->session, &status);
    for (unsigned i = 1; i <= status.vcpus; i++)
        gdb_reply(gdb, "%c%x", i == 1 ? 'm' : ',', i);
}

static void answer_threads_end(struct gdb *gdb, const char *at)
{
    gdb_reply(gdb, "l");
}

/* What `info threads` shows beside the number. */
static void answer_thread_name(struct gdb *gdb, const char *at)
{
    uint32_t thread;
    char text[32];
    if (!gdb_take_number(&at, &thread) || *at || !thread) {
        gdb_reply_error(gdb, EINVAL);
        return;
    }
    snprintf(text, sizeof text, "%s %u", gdb->isa->cpu, thread - 1);
    for (const char *c = text; *c; c++)
        gdb_reply(gdb, "%02x", (uint8_t)*c);
}

/* "s:2;c": actions, each for a thread or for those not named yet. A step is of one vCPU, and then
 * the others stand; anything else lets all of them run. */
static void answer_vcont(struct gdb *gdb, const char *at)
{
    bool steps = false;
    uint32_t stepper = 0;
    do {
        uint32_t thread = 0, signal;
        char action = *at ? *at++ : 0;
        bool has_signal = action == 'C' || action == 'S';
        if ((action != 'c' && action != 's' && !has_signal) ||
            (has_signal && !gdb_take_number(&at, &signal)) ||
            (*at == ':' && (++at, !take_thread(&at, &thread))) || (*at && *at != ';')) {
            gdb_reply_error(gdb, EINVAL);
            return;
        }
        if (!steps && (action == 's' || action == 'S')) {
            steps = true;
            stepper = thread;
        }
    } while (*at++ == ';');
    int failed = steps ? choose_thread(gdb, stepper) : 0;
    if (failed)
        gdb_reply_error(gdb, failed);
    else
        resume(gdb, steps ? step : session_run);
}

static void answer_vcont_query(struct gdb *gdb, const char *at)
{
    gdb_reply(gdb, "vCont;c;C;s;S");
}

static void answer_why(struct gdb *gdb, const char *at)
{
    reply_stop(gdb);
}

static void answer_detach(struct gdb *gdb, const char *at)
{
    gdb->detached = true;
    gdb_reply(gdb, "OK");
}

static void answer_kill(struct gdb *gdb, const char *at)
{
    gdb->killed = true;
    if (gdb->packet[0] == 'v')
        gdb_reply(gdb, "OK");
}

/* ---- memory ------------------------------------------------------------------------------- */

bool gdb_take_range(const char **at, uint32_t *offset, uint32_t *length)
{
    return gdb_take_number(at, offset) && gdb_take_char(at, ',') && gdb_take_number(at, length);
}

/* "ADDRESS,LENGTH" */
static bool take_place(struct gdb *gdb, const char **at, uint64_t *address, uint32_t *length)
{
    return take_address(gdb, at, address) && gdb_take_char(at, ',') && gdb_take_number(at, length);
}

/* May answer with less than was asked for: up to the first byte that is not there. */
static void answer_memory(struct gdb *gdb, const char *at)
{
    struct view_memory memory;
    uint64_t address;
    uint32_t length;
    if (!take_place(gdb, &at, &address, &length) || *at) {
        gdb_reply_error(gdb, EINVAL);
        return;
    }
    if (length > sizeof memory.data)
        length = sizeof memory.data;
    session_view_memory(gdb->session, false, address, length, &memory);
    for (uint32_t i = 0; i < memory.length && memory.valid[i / 8] >> i % 8 & 1; i++)
        gdb_reply(gdb, "%02x", memory.data[i]);
    if (!gdb->reply_count && length)
        gdb_reply_error(gdb, EFAULT);
}

static void answer_set_memory(struct gdb *gdb, const char *at)
{
    uint8_t bytes[GDB_PACKET / 2];
    uint64_t address;
    uint32_t length;
    if (!take_place(gdb, &at, &address, &length) || !gdb_take_char(&at, ':') ||
        length > sizeof bytes) {
        gdb_reply_error(gdb, EINVAL);
        return;
    }
    for (uint32_t i = 0; i < length; i++)
        if (!gdb_take_byte(&at, &bytes[i])) {
            gdb_reply_error(gdb, EINVAL);
            return;
        }
    gdb_reply_result(gdb, length ? session_write_memory(gdb->session, false, address, bytes, length)
                                 : 0);
}

static void answer_set_memory_binary(struct gdb *gdb, const char *at)
{
    uint64_t address;
    uint32_t length;
    if (!take_place(gdb, &at, &address, &length) || !gdb_take_char(&at, ':') ||
        length > (size_t)(gdb->packet + gdb->count - at))
        gdb_reply_error(gdb, EINVAL);
    else
        gdb_reply_result(gdb, length ? session_write_memory(gdb->session, false, address,
                                                            (const uint8_t *)at, length)
                                     : 0);
}

/* ---- breakpoints -------------------------------------------------------------------------- */

/* "type,address,length", type 0..4: software and hardware breakpoint, write, read, access. */
static bool take_point(struct gdb *gdb, const char *at, struct gdb_point *out)
{
    out->type = *at++;
    return out->type >= '0' && out->type <= '4' && gdb_take_char(&at, ',') &&
           take_place(gdb, &at, &out->address, &out->length);
}

static struct gdb_point *find_point(struct gdb *gdb, const struct gdb_point *wanted)
{
    for (int i = 0; i < SESSION_BREAKS; i++) {
        struct gdb_point *point = &gdb->point[i];
        if (point->id && point->type == wanted->type && point->address == wanted->address &&
            point->length == wanted->length)
            return point;
    }
    return NULL;
}

static void answer_set_point(struct gdb *gdb, const char *at)
{
    static const unsigned KINDS[] = {BREAK_EXECUTE, BREAK_EXECUTE, BREAK_WRITE, BREAK_READ,
                                     BREAK_READ | BREAK_WRITE};
    struct gdb_point point = {0};
    if (!take_point(gdb, at, &point)) {
        gdb_reply_error(gdb, EINVAL);
        return;
    }
    if (find_point(gdb, &point)) { /* the protocol wants it to be idempotent */
        gdb_reply(gdb, "OK");
        return;
    }
    struct session_break wanted = {.kind = KINDS[point.type - '0'],
                                   .address = point.address,
                                   .length = point.type <= '1' ? 1 : point.length};
    point.id = session_break_add(gdb->session, &wanted);
    for (int i = 0; i < SESSION_BREAKS && point.id > 0; i++)
        if (!gdb->point[i].id) {
            gdb->point[i] = point;
            gdb_reply(gdb, "OK");
            return;
        }
    gdb_reply_error(gdb, point.id < 0 ? point.id : ENOSPC);
}

static void answer_clear_point(struct gdb *gdb, const char *at)
{
    struct gdb_point wanted = {0};
    if (!take_point(gdb, at, &wanted)) {
        gdb_reply_error(gdb, EINVAL);
        return;
    }
    struct gdb_point *point = find_point(gdb, &wanted);
    if (point) {
        session_break_remove(gdb->session, point->id);
        point->id = 0;
    }
    gdb_reply(gdb, "OK");
}

void gdb_clear_points(struct gdb *gdb)
{
    for (int i = 0; i < SESSION_BREAKS; i++)
        if (gdb->point[i].id) {
            session_break_remove(gdb->session, gdb->point[i].id);
            gdb->point[i].id = 0;
        }
}

/* ---- monitor commands --------------------------------------------------------------------- */

static void monitor_exits(struct gdb *gdb, FILE *out, const char *argument)
{
    struct view_exit exits[16];
    struct view_exit_stats stats;
    session_exit_stats(gdb->session, &stats);
    uint64_t after = stats.total > 10 ? stats.total - 10 : 0;
    int count = session_exits(gdb->session, after, exits, 16);
    for (int i = 0; i < count; i++)
        fprintf(out, "%" PRIu64 " pc 0x%08" PRIx64 " %s [%s]: %s\n", exits[i].seq, exits[i].pc,
                exits[i].reason_name, exits[i].text, exits[i].action);
    if (!count)
        fprintf(out, "none yet\n");
}

static void print_walk(FILE *out, const char *title, const struct view_walk *walk)
{
    if (!walk->present)
        return;
    fprintf(out, "%-14s 0x%08" PRIx64 " -> ", title, walk->va);
    if (walk->ok)
        fprintf(out, "0x%08" PRIx64 "%s\n", walk->pa, walk->bare ? " (translation is off)" : "");
    else
        fprintf(out, "%s: %s\n", walk->fault, walk->why);
    for (int i = 0; i < walk->step_count; i++)
        fprintf(out, "  level %u entry %u at 0x%08" PRIx64 ": 0x%08" PRIx64 "\n",
                walk->step[i].level, walk->step[i].index, walk->step[i].pte_pa, walk->step[i].pte);
}

static void monitor_walk(struct gdb *gdb, FILE *out, const char *argument)
{
    struct view_translation translation;
    uint64_t va;
    if (session_lookup(gdb->session, argument, &va)) {
        fprintf(out, "walk: which address? (0x..., a symbol, or file:line)\n");
        return;
    }
    session_translate(gdb->session, va, 'r', &translation);
    print_walk(out, "guest table", &translation.guest);
    print_walk(out, "monitor's map", &translation.map);
    print_walk(out, "shadow table", &translation.shadow);
}

static void monitor_status(struct gdb *gdb, FILE *out, const char *argument)
{
    struct view_status status;
    session_status(gdb->session, &status);
    fprintf(out, "%s; %" PRIu64 " instructions, %" PRIu64 " %s\n", status.text, status.instructions,
            status.exits, status.under_monitor ? "exits" : "traps");
}

static void monitor_digest(struct gdb *gdb, FILE *out, const char *argument)
{
    fprintf(out, "0x%016" PRIx64 "\n", session_digest(gdb->session));
}

static void monitor_reset(struct gdb *gdb, FILE *out, const char *argument)
{
    int failed = session_reset(gdb->session);
    fprintf(out, "%s\n", failed ? strerror(-failed) : "at its first instruction again");
}

static void monitor_help(struct gdb *gdb, FILE *out, const char *argument);

static const struct {
    const char *name, *meaning;
    void (*run)(struct gdb *gdb, FILE *out, const char *argument);
} MONITOR[] = {
    {"exits", "the last ten exits and what the monitor did", monitor_exits},
    {"walk", "ADDRESS: its translations, level by level", monitor_walk},
    {"status", "why the guest has stopped, and how far it is", monitor_status},
    {"digest", "digest of the guest's whole state", monitor_digest},
    {"reset", "back to the first instruction (then: flushregs)", monitor_reset},
    {"help", "this list", monitor_help},
};

enum { MONITOR_COUNT = sizeof MONITOR / sizeof *MONITOR };

static void monitor_help(struct gdb *gdb, FILE *out, const char *argument)
{
    for (int i = 0; i < MONITOR_COUNT; i++)
        fprintf(out, "monitor %-7s %s\n", MONITOR[i].name, MONITOR[i].meaning);
}

static void run_monitor_command(struct gdb *gdb, FILE *out, char *line)
{
    char *rest = NULL;
    const char *word = strtok_r(line, " \t", &rest);
    const char *argument = strtok_r(NULL, " \t", &rest);
    for (int i = 0; i < MONITOR_COUNT && word; i++)
        if (!strcmp(word, MONITOR[i].name)) {
            MONITOR[i].run(gdb, out, argument ? argument : "");
            return;
        }
    fprintf(out, "unknown; monitor help lists what there is\n");
}

static void answer_monitor(struct gdb *gdb, const char *at)
{
    char line[256], *text = NULL;
    size_t count = 0, size = 0;
    uint8_t byte;
    while (count < sizeof line - 1 && gdb_take_byte(&at, &byte))
        line[count++] = (char)byte;
    line[count] = '\0';
    FILE *out = *at ? NULL : open_memstream(&text, &size);
    if (!out) {
        gdb_reply_error(gdb, EINVAL);
        return;
    }
    run_monitor_command(gdb, out, line);
    fclose(out);
    for (size_t i = 0; i < size; i++)
        gdb_reply(gdb, "%02x", (uint8_t)text[i]);
    free(text);
}

/* ---- small queries ------------------------------------------------------------------------ */

static void answer_supported(struct gdb *gdb, const char *at)
{
    struct view_history history;
    session_view_history(gdb->session, &history);
    gdb_reply(gdb, "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+%s", GDB_PACKET,
              history.present ? ";ReverseStep+;ReverseContinue+" : "");
}

static void answer_no_ack(struct gdb *gdb, const char *at)
{
    gdb->no_ack = true;
    gdb_reply(gdb, "OK");
}

static void answer_attached(struct gdb *gdb, const char *at)
{
    gdb_reply(gdb, "1");
}

/* ---- the table ---------------------------------------------------------------------------- */

/* The first row whose name begins the packet answers it; its function gets the rest. */
static const struct {
    const char *name;
    void (*answer)(struct gdb *gdb, const char *at);
} PACKETS[] = {
    {"qSupported", answer_supported},
    {"qXfer:features:read:target.xml:", gdb_answer_description},
    {"QStartNoAckMode", answer_no_ack},
    {"qRcmd,", answer_monitor},
    {"qAttached", answer_attached},
    {"qfThreadInfo", answer_threads},
    {"qsThreadInfo", answer_threads_end},
    {"qThreadExtraInfo,", answer_thread_name},
    {"qC", answer_thread},
    {"vCont?", answer_vcont_query},
    {"vCont;", answer_vcont},
    {"vKill", answer_kill},
    {"g", gdb_answer_registers},
    {"G", gdb_answer_set_registers},
    {"p", gdb_answer_register},
    {"P", gdb_answer_set_register},
    {"m", answer_memory},
    {"M", answer_set_memory},
    {"X", answer_set_memory_binary},
    {"Z", answer_set_point},
    {"z", answer_clear_point},
    {"s", answer_resume},
    {"c", answer_resume},
    {"bs", answer_back},
    {"bc", answer_back},
    {"S", answer_resume_signal},
    {"C", answer_resume_signal},
    {"?", answer_why},
    {"H", answer_choose_thread},
    {"T", answer_thread_alive},
    {"D", answer_detach},
    {"k", answer_kill},
};

void gdb_answer(struct gdb *gdb)
{
    gdb->reply_count = 0;
    if (gdb->resumed && !strchr("Dkv", gdb->packet[0])) /* the reply that is due is the stop's */
        return;
    for (size_t i = 0; i < sizeof PACKETS / sizeof *PACKETS; i++) {
        size_t length = strlen(PACKETS[i].name);
        if (!strncmp(gdb->packet, PACKETS[i].name, length)) {
            PACKETS[i].answer(gdb, gdb->packet + length);
            break;
        }
    }
    bool silent = gdb->resumed || (gdb->killed && !gdb->reply_count);
    if (!silent)
        gdb_send(gdb, gdb->reply, gdb->reply_count);
}
