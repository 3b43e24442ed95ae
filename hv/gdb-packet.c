/*
 * What the packets of the GDB protocol mean, in terms of a session.
 *
 * One row of a table and one function for a packet. Register numbers are those of gdb's RISC-V
 * port: x0..x31, pc = 32, CSR n = 65 + n, and the privilege mode as "priv". Breakpoints of every
 * kind are the session's: guest memory is never patched.
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

#include "cpu/isa.h"
#include "hv/gdb_priv.h"

enum {
    REG_PC = 32,
    REG_CSR = 65,
    REG_PRIV = REG_CSR + 4096,
    SIGNAL_INT = 2,
    SIGNAL_ILL = 4,
    SIGNAL_TRAP = 5,
    SIGNAL_SEGV = 11
};

/* ---- replies ------------------------------------------------------------------------------ */

static void reply_add(struct gdb *gdb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends; what does not fit any more is left out. */
static void reply_add(struct gdb *gdb, const char *format, ...)
{
    size_t room = sizeof gdb->reply - gdb->reply_count;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(gdb->reply + gdb->reply_count, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        gdb->reply_count += (size_t)length < room ? (size_t)length : room - 1;
}

static void reply_error(struct gdb *gdb, int error)
{
    reply_add(gdb, "E%02x", (unsigned)(error < 0 ? -error : error) & 0xff);
}

static void reply_result(struct gdb *gdb, int result)
{
    if (result)
        reply_error(gdb, result);
    else
        reply_add(gdb, "OK");
}

/* A register as the target stores it: little-endian bytes in hex. */
static void reply_word(struct gdb *gdb, uint32_t value)
{
    reply_add(gdb, "%08x", __builtin_bswap32(value));
}

/* ---- arguments ---------------------------------------------------------------------------- */

/* Reads a hexadecimal number of at most 32 bits and moves on behind it. */
static bool take_number(const char **at, uint32_t *out)
{
    char *end;
    size_t digits = strspn(*at, "0123456789abcdefABCDEF");
    if (!digits || digits > 8)
        return false;
    *out = (uint32_t)strtoul(*at, &end, 16);
    *at = end;
    return true;
}

static bool take_char(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

/* Reads two hex digits into a byte. */
static bool take_byte(const char **at, uint8_t *out)
{
    char digits[3] = {(*at)[0], (*at)[0] ? (*at)[1] : '\0', '\0'};
    if (strspn(digits, "0123456789abcdefABCDEF") != 2)
        return false;
    *out = (uint8_t)strtoul(digits, NULL, 16);
    *at += 2;
    return true;
}

static bool take_word(const char **at, uint32_t *out)
{
    uint8_t byte[4];
    for (int i = 0; i < 4; i++)
        if (!take_byte(at, &byte[i]))
            return false;
    *out = (uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 |
           (uint32_t)byte[3] << 24;
    return true;
}

/* ---- stops -------------------------------------------------------------------------------- */

static void view_guest_hart(struct gdb *gdb, struct view_hart *hart)
{
    session_view_hart(gdb->session, VIEW_VIRTUAL, hart);
    if (!hart->present)
        session_view_hart(gdb->session, VIEW_REAL, hart);
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
    reply_add(gdb, "T%02x%s:%" PRIx64 ";", SIGNAL_TRAP, kind, status->watch_address);
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
           stop == STOPPED_SHUTDOWN || stop == STOPPED_INTERNAL || stop == STOPPED_FAIL_ENTRY;
}

static void reply_stop(struct gdb *gdb)
{
    struct view_status status;
    session_status(gdb->session, &status);
    if (status.state == SESSION_ENDED && status.stop == STOPPED_POWEROFF)
        reply_add(gdb, "W%02x", (unsigned)status.exit_code & 0xff);
    else if (status.state == SESSION_ENDED)
        reply_add(gdb, "X09");
    else if (status.stop == STOPPED_WATCHPOINT)
        reply_watch(gdb, &status);
    else
        reply_add(gdb, "T%02x", signal_of(status.stop));
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

void gdb_report_stop(struct gdb *gdb)
{
    struct view_status status;
    session_status(gdb->session, &status);
    if (!gdb->resumed || status.state == SESSION_RUNNING || status.stops == gdb->stops)
        return;
    gdb->resumed = false;
    if (wants_words(status.stop))
        send_message(gdb, status.text);
    gdb->reply_count = 0;
    reply_stop(gdb);
    gdb_send(gdb, gdb->reply, gdb->reply_count);
}

/* ---- run control -------------------------------------------------------------------------- */

static void resume(struct gdb *gdb, bool step)
{
    struct view_status status;
    if (gdb->resumed)
        return;
    session_status(gdb->session, &status);
    gdb->stops = status.stops;
    int failed = step ? session_step(gdb->session, 1) : session_run(gdb->session);
    if (failed == -ESHUTDOWN)
        reply_stop(gdb);
    else if (failed)
        reply_error(gdb, failed);
    else
        gdb->resumed = true; /* no reply until it stops */
}

/* "s", "c", or with an address to go on from: "s80000000". */
static void answer_resume(struct gdb *gdb, const char *at)
{
    uint32_t address = 0;
    if (*at && (!take_number(&at, &address) || *at)) {
        reply_error(gdb, EINVAL);
        return;
    }
    if (gdb->count > 1)
        session_write_register(gdb->session, REG_PC, address);
    resume(gdb, gdb->packet[0] == 's');
}

/* "S05", "C05": a signal means nothing to a hart. */
static void answer_resume_signal(struct gdb *gdb, const char *at)
{
    resume(gdb, gdb->packet[0] == 'S');
}

static void answer_vcont(struct gdb *gdb, const char *at)
{
    if (*at == 'c' || *at == 'C' || *at == 's' || *at == 'S')
        resume(gdb, *at == 's' || *at == 'S');
    else
        reply_error(gdb, EINVAL);
}

static void answer_vcont_query(struct gdb *gdb, const char *at)
{
    reply_add(gdb, "vCont;c;C;s;S");
}

static void answer_why(struct gdb *gdb, const char *at)
{
    reply_stop(gdb);
}

static void answer_detach(struct gdb *gdb, const char *at)
{
    gdb->detached = true;
    reply_add(gdb, "OK");
}

static void answer_kill(struct gdb *gdb, const char *at)
{
    gdb->killed = true;
    if (gdb->packet[0] == 'v')
        reply_add(gdb, "OK");
}

/* ---- registers ---------------------------------------------------------------------------- */

static void answer_registers(struct gdb *gdb, const char *at)
{
    struct view_hart hart;
    view_guest_hart(gdb, &hart);
    for (int i = 0; i < 32; i++)
        reply_word(gdb, hart.x[i]);
    reply_word(gdb, hart.pc);
}

static void answer_set_registers(struct gdb *gdb, const char *at)
{
    uint32_t value[REG_PC + 1];
    for (int i = 0; i <= REG_PC; i++)
        if (!take_word(&at, &value[i])) {
            reply_error(gdb, EINVAL);
            return;
        }
    int failed = 0;
    for (int i = 0; i <= REG_PC && !failed; i++)
        failed = session_write_register(gdb->session, i, value[i]);
    reply_result(gdb, failed);
}

static bool read_register(const struct view_hart *hart, uint32_t number, uint32_t *out)
{
    if (number <= REG_PC) {
        *out = number == REG_PC ? hart->pc : hart->x[number];
        return true;
    }
    if (number == REG_PRIV) {
        *out = hart->mode;
        return true;
    }
    for (unsigned i = 0; i < hart->csr_count; i++)
        if (number == (uint32_t)REG_CSR + hart->csr[i].number) {
            *out = hart->csr[i].value;
            return true;
        }
    return false;
}

static void answer_register(struct gdb *gdb, const char *at)
{
    struct view_hart hart;
    uint32_t number, value;
    view_guest_hart(gdb, &hart);
    if (take_number(&at, &number) && !*at && read_register(&hart, number, &value))
        reply_word(gdb, value);
    else
        reply_error(gdb, EINVAL);
}

static void answer_set_register(struct gdb *gdb, const char *at)
{
    uint32_t number, value;
    if (!take_number(&at, &number) || !take_char(&at, '=') || !take_word(&at, &value) || *at)
        reply_error(gdb, EINVAL);
    else if (number <= REG_PC)
        reply_result(gdb, session_write_register(gdb->session, (int)number, value));
    else if (number >= REG_CSR && number < REG_PRIV)
        reply_result(gdb, session_write_csr(gdb->session, (uint16_t)(number - REG_CSR), value));
    else
        reply_error(gdb, EINVAL);
}

/* ---- memory ------------------------------------------------------------------------------- */

static bool take_range(const char **at, uint32_t *address, uint32_t *length)
{
    return take_number(at, address) && take_char(at, ',') && take_number(at, length);
}

/* May answer with less than was asked for: up to the first byte that is not there. */
static void answer_memory(struct gdb *gdb, const char *at)
{
    struct view_memory memory;
    uint32_t address, length;
    if (!take_range(&at, &address, &length) || *at) {
        reply_error(gdb, EINVAL);
        return;
    }
    if (length > sizeof memory.data)
        length = sizeof memory.data;
    session_view_memory(gdb->session, false, address, length, &memory);
    for (uint32_t i = 0; i < memory.length && memory.valid[i / 8] >> i % 8 & 1; i++)
        reply_add(gdb, "%02x", memory.data[i]);
    if (!gdb->reply_count && length)
        reply_error(gdb, EFAULT);
}

static void answer_set_memory(struct gdb *gdb, const char *at)
{
    uint8_t bytes[GDB_PACKET / 2];
    uint32_t address, length;
    if (!take_range(&at, &address, &length) || !take_char(&at, ':') || length > sizeof bytes) {
        reply_error(gdb, EINVAL);
        return;
    }
    for (uint32_t i = 0; i < length; i++)
        if (!take_byte(&at, &bytes[i])) {
            reply_error(gdb, EINVAL);
            return;
        }
    reply_result(gdb,
                 length ? session_write_memory(gdb->session, false, address, bytes, length) : 0);
}

static void answer_set_memory_binary(struct gdb *gdb, const char *at)
{
    uint32_t address, length;
    if (!take_range(&at, &address, &length) || !take_char(&at, ':') ||
        length > (size_t)(gdb->packet + gdb->count - at))
        reply_error(gdb, EINVAL);
    else
        reply_result(gdb, length ? session_write_memory(gdb->session, false, address,
                                                        (const uint8_t *)at, length)
                                 : 0);
}

/* ---- breakpoints -------------------------------------------------------------------------- */

/* "type,address,length", type 0..4: software and hardware breakpoint, write, read, access. */
static bool take_point(const char *at, struct gdb_point *out)
{
    out->type = *at++;
    return out->type >= '0' && out->type <= '4' && take_char(&at, ',') &&
           take_range(&at, &out->address, &out->length);
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
    if (!take_point(at, &point)) {
        reply_error(gdb, EINVAL);
        return;
    }
    if (find_point(gdb, &point)) { /* the protocol wants it to be idempotent */
        reply_add(gdb, "OK");
        return;
    }
    struct session_break wanted = {.kind = KINDS[point.type - '0'],
                                   .address = point.address,
                                   .length = point.type <= '1' ? 1 : point.length};
    point.id = session_break_add(gdb->session, &wanted);
    for (int i = 0; i < SESSION_BREAKS && point.id > 0; i++)
        if (!gdb->point[i].id) {
            gdb->point[i] = point;
            reply_add(gdb, "OK");
            return;
        }
    reply_error(gdb, point.id < 0 ? point.id : ENOSPC);
}

static void answer_clear_point(struct gdb *gdb, const char *at)
{
    struct gdb_point wanted = {0};
    if (!take_point(at, &wanted)) {
        reply_error(gdb, EINVAL);
        return;
    }
    struct gdb_point *point = find_point(gdb, &wanted);
    if (point) {
        session_break_remove(gdb->session, point->id);
        point->id = 0;
    }
    reply_add(gdb, "OK");
}

void gdb_clear_points(struct gdb *gdb)
{
    for (int i = 0; i < SESSION_BREAKS; i++)
        if (gdb->point[i].id) {
            session_break_remove(gdb->session, gdb->point[i].id);
            gdb->point[i].id = 0;
        }
}

/* ---- target description ------------------------------------------------------------------- */

static const char *register_type(unsigned n)
{
    return n == 1 || n == REG_PC ? "code_ptr" : n >= 2 && n <= 4 ? "data_ptr" : "int";
}

static void write_description(struct gdb *gdb, FILE *out)
{
    struct view_hart hart;
    view_guest_hart(gdb, &hart);
    fputs("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
          "<target version=\"1.0\">\n<architecture>riscv:rv32</architecture>\n"
          "<feature name=\"org.gnu.gdb.riscv.cpu\">\n",
          out);
    for (unsigned i = 0; i <= REG_PC; i++)
        fprintf(out, "<reg name=\"%s\" bitsize=\"32\" regnum=\"%u\" type=\"%s\"/>\n",
                i == REG_PC ? "pc" : isa_register_name(i), i, register_type(i));
    fputs("</feature>\n<feature name=\"org.gnu.gdb.riscv.csr\">\n", out);
    for (unsigned i = 0; i < hart.csr_count; i++)
        fprintf(out, "<reg name=\"%s\" bitsize=\"32\" regnum=\"%u\" group=\"csr\"/>\n",
                hart.csr[i].name, REG_CSR + hart.csr[i].number);
    fprintf(out,
            "</feature>\n<feature name=\"org.gnu.gdb.riscv.virtual\">\n"
            "<reg name=\"priv\" bitsize=\"32\" regnum=\"%u\"/>\n</feature>\n</target>\n",
            REG_PRIV);
}

/* "OFFSET,LENGTH": a part of the description, which has no character that would need escaping. */
static void answer_description(struct gdb *gdb, const char *at)
{
    uint32_t offset, length;
    char *text = NULL;
    size_t size = 0;
    if (!take_range(&at, &offset, &length) || *at) {
        reply_error(gdb, EINVAL);
        return;
    }
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        reply_error(gdb, ENOMEM);
        return;
    }
    write_description(gdb, out);
    fclose(out);
    if (offset > size)
        offset = (uint32_t)size;
    if (length > GDB_PACKET - 2)
        length = GDB_PACKET - 2;
    bool last = size - offset <= length;
    reply_add(gdb, "%c%.*s", last ? 'l' : 'm', (int)(last ? size - offset : length), text + offset);
    free(text);
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
    while (count < sizeof line - 1 && take_byte(&at, &byte))
        line[count++] = (char)byte;
    line[count] = '\0';
    FILE *out = *at ? NULL : open_memstream(&text, &size);
    if (!out) {
        reply_error(gdb, EINVAL);
        return;
    }
    run_monitor_command(gdb, out, line);
    fclose(out);
    for (size_t i = 0; i < size; i++)
        reply_add(gdb, "%02x", (uint8_t)text[i]);
    free(text);
}

/* ---- small queries ------------------------------------------------------------------------ */

static void answer_supported(struct gdb *gdb, const char *at)
{
    reply_add(gdb, "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+",
              GDB_PACKET);
}

static void answer_no_ack(struct gdb *gdb, const char *at)
{
    gdb->no_ack = true;
    reply_add(gdb, "OK");
}

static void answer_ok(struct gdb *gdb, const char *at)
{
    reply_add(gdb, "OK");
}

/* There is one thread: the hart. */
static void answer_thread(struct gdb *gdb, const char *at)
{
    reply_add(gdb, "QC1");
}

static void answer_threads(struct gdb *gdb, const char *at)
{
    reply_add(gdb, "m1");
}

static void answer_threads_end(struct gdb *gdb, const char *at)
{
    reply_add(gdb, "l");
}

static void answer_attached(struct gdb *gdb, const char *at)
{
    reply_add(gdb, "1");
}

/* ---- the table ---------------------------------------------------------------------------- */

/* The first row whose name begins the packet answers it; its function gets the rest. */
static const struct {
    const char *name;
    void (*answer)(struct gdb *gdb, const char *at);
} PACKETS[] = {
    {"qSupported", answer_supported},
    {"qXfer:features:read:target.xml:", answer_description},
    {"QStartNoAckMode", answer_no_ack},
    {"qRcmd,", answer_monitor},
    {"qAttached", answer_attached},
    {"qfThreadInfo", answer_threads},
    {"qsThreadInfo", answer_threads_end},
    {"qC", answer_thread},
    {"vCont?", answer_vcont_query},
    {"vCont;", answer_vcont},
    {"vKill", answer_kill},
    {"g", answer_registers},
    {"G", answer_set_registers},
    {"p", answer_register},
    {"P", answer_set_register},
    {"m", answer_memory},
    {"M", answer_set_memory},
    {"X", answer_set_memory_binary},
    {"Z", answer_set_point},
    {"z", answer_clear_point},
    {"s", answer_resume},
    {"c", answer_resume},
    {"S", answer_resume_signal},
    {"C", answer_resume_signal},
    {"?", answer_why},
    {"H", answer_ok},
    {"T", answer_ok},
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
