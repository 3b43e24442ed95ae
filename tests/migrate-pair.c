/* Two sessions and a link that breaks. See migrate-pair.h. */
#include "config.h"

#include "tests/migrate-pair.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cpu/isa.h"

enum { PATIENCE_MS = 60000, WAIT_MS = 60000, MEMORY = 12 << 20, PRINTED = 1 << 18 };
enum { TORN_STEPS = 100000, END_OF_ROUND = 7 /* the source's call that sends ROUND */ };
enum { ALL_WRITTEN = 20000 }; /* instructions in which a guest writes to all of its pages */

/* ---- the guests ----------------------------------------------------------------------------- */

#define DATA 0x80500000u
#define UART 0x10000000u

static uint32_t i_type(enum insn_op op, unsigned rd, unsigned rs1, int32_t imm)
{
    return isa_rows[op].match | rd << 7 | rs1 << 15 | (uint32_t)imm << 20;
}

static uint32_t r_type(enum insn_op op, unsigned rd, unsigned rs1, unsigned rs2)
{
    return isa_rows[op].match | rd << 7 | rs1 << 15 | rs2 << 20;
}

static uint32_t store(enum insn_op op, unsigned base, unsigned value, int32_t imm)
{
    uint32_t u = (uint32_t)imm;
    return isa_rows[op].match | (u & 31) << 7 | base << 15 | value << 20 | (u >> 5 & 127) << 25;
}

static uint32_t branch(enum insn_op op, unsigned a, unsigned b, int32_t offset)
{
    uint32_t u = (uint32_t)offset;
    return isa_rows[op].match | (u >> 11 & 1) << 7 | (u >> 1 & 15) << 8 | a << 15 | b << 20 |
           (u >> 5 & 63) << 25 | (u >> 12 & 1) << 31;
}

static uint32_t jump(int32_t offset)
{
    uint32_t u = (uint32_t)offset;
    return 0x6f | (u >> 12 & 255) << 12 | (u >> 11 & 1) << 20 | (u >> 1 & 1023) << 21 |
           (u >> 20 & 1) << 31;
}

enum { ZERO = 0, T0 = 5, T1 = 6, T2 = 7, S0 = 8, S1 = 9, A0 = 10, A1 = 11 };
enum { WORDS = 24, LOOP = 4, PRINT = 14, INPUT = 17 };

/* Counts in s0, and stores the count in page s0 & mask; each 2,048th time it prints a letter and
 * echoes. */
static void make_guest(uint32_t code[WORDS], unsigned mask)
{
    uint32_t program[WORDS] = {
        [0] = DATA | T0 << 7 | 0x37, /* lui t0, DATA */
        [1] = UART | T1 << 7 | 0x37, /* lui t1, UART */
        [2] = i_type(OP_addi, S0, ZERO, 0),
        [3] = i_type(OP_addi, S1, ZERO, 2047),
        [LOOP] = i_type(OP_addi, S0, S0, 1),
        [5] = i_type(OP_andi, T2, S0, (int32_t)mask),
        [6] = i_type(OP_slli, T2, T2, 12),
        [7] = r_type(OP_add, T2, T2, T0),
        [8] = store(OP_sw, T2, S0, 0),
        [9] = r_type(OP_and, A0, S0, S1),
        [10] = branch(OP_bne, A0, ZERO, (LOOP - 10) * 4),
        [11] = i_type(OP_srli, A0, S0, 11),
        [12] = i_type(OP_andi, A0, A0, 15),
        [13] = i_type(OP_addi, A0, A0, 'A'),
        [PRINT] = store(OP_sb, T1, A0, 0),
        [15] = i_type(OP_lbu, A1, T1, 5), /* LSR */
        [16] = i_type(OP_andi, A1, A1, 1),
        [INPUT] = branch(OP_beq, A1, ZERO, (LOOP - INPUT) * 4),
        [18] = i_type(OP_lbu, A1, T1, 0),
        [19] = store(OP_sb, T1, A1, 0),
        [20] = jump((LOOP - 20) * 4),
    };
    memcpy(code, program, sizeof program);
}

static char image[2][40];

static void remove_images(void)
{
    for (int i = 0; i < 2; i++)
        if (*image[i])
            unlink(image[i]);
}

const char *pair_image(enum pair_guest guest)
{
    uint32_t code[WORDS];
    char *path = image[guest];
    if (*path)
        return path;
    make_guest(code, guest == PAIR_BUSY ? 1023 : 31);
    strcpy(path, "/tmp/test-migrate-XXXXXX.bin");
    int fd = mkstemps(path, 4);
    if (fd < 0 || write(fd, code, sizeof code) != (ssize_t)sizeof code)
        abort();
    close(fd);
    if (!*image[!guest])
        atexit(remove_images);
    return path;
}

static struct session *new_session(struct session_config *config, enum pair_guest guest)
{
    char why[SESSION_ERROR];
    config->image = pair_image(guest);
    config->memory = MEMORY;
    struct session *session = session_new(config, why);
    if (!session) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return session;
}

struct session *pair_session(enum pair_guest guest, enum session_under under, const char *engine)
{
    struct session_config config;
    session_config_init(&config);
    config.under = under;
    config.engine = engine;
    return new_session(&config, guest);
}

static void write_out(void *context, const uint8_t *bytes, size_t count)
{
    if (write(*(const int *)context, bytes, count) != (ssize_t)count)
        abort();
}

struct session *pair_session_to(enum pair_guest guest, enum session_under under, const int *fd)
{
    struct session_config config;
    session_config_init(&config);
    config.under = under;
    config.engine = "auto";
    config.output = write_out;
    config.context = (void *)fd;
    return new_session(&config, guest);
}

/* ---- a link that breaks --------------------------------------------------------------------- */

/* The guest goes on at the source until it has written to all of its pages; unless it stands by
 * now, to be handed over. */
static void let_it_write(struct session *source)
{
    struct view_status status;
    struct view_migration view;
    uint64_t target = pair_instructions(source) + ALL_WRITTEN;
    do {
        usleep(100);
        session_status(source, &status);
        session_view_migration(source, &view);
    } while (status.instructions < target && status.state == SESSION_RUNNING &&
             view.phase == MIGRATION_COPYING);
}

/* The guest runs at the destination, up to where it needs a page that is not there. */
static void let_it_ask(struct pair *pair)
{
    struct view_migration here, there;
    session_view_migration(pair->source, &here);
    do {
        usleep(100);
        session_view_migration(pair->destination, &there);
    } while (here.phase == MIGRATION_POSTCOPY && !there.demands);
}

/* How fast the host is must not matter: so nobody waits for a time, but for what the guest does. */
static void slow_down(struct breaking *b)
{
    if (b->calls > b->plan.call) {
        b->options->downtime = 1e9;
        return;
    }
    let_it_write(b->pair->source);
    let_it_ask(b->pair);
}

/* Is it this call's turn? Lets a part of it pass, then ends the link for both sides. */
static bool breaks(struct breaking *b, const uint8_t *out, uint8_t *in, size_t count)
{
    if (b->made++ == END_OF_ROUND && b->plan.slow && b->pair)
        let_it_write(b->pair->source);
    bool ours = b->plan.fault != FAULT_NONE && b->plan.source == b->source;
    bool due = ours && b->calls++ == b->plan.call;
    if (ours && b->plan.fault == FAULT_SLOW)
        slow_down(b);
    if (due && b->plan.fault == FAULT_LOSE)
        b->lost = true;
    if (!due || (b->plan.fault != FAULT_CUT && b->plan.fault != FAULT_DIE))
        return b->cut;
    size_t part = count * b->plan.part / 8;
    if (out && part)
        link_send(&b->below, out, part);
    if (in && part)
        link_receive(&b->below, in, part);
    if (b->plan.fault == FAULT_DIE)
        raise(SIGKILL);
    shutdown(b->fd, SHUT_RDWR);
    return b->cut = true;
}

static int breaking_send(void *self, const void *bytes, size_t count)
{
    struct breaking *b = self;
    if (breaks(b, bytes, NULL, count))
        return -EPIPE;
    return b->lost ? 0 : link_send(&b->below, bytes, count);
}

/* After a loss nothing comes any more: the other side notices, and closes. */
static int breaking_receive(void *self, void *bytes, size_t count)
{
    struct breaking *b = self;
    if (breaks(b, NULL, bytes, count))
        return -ECONNRESET;
    if (b->lost) {
        shutdown(b->fd, SHUT_RDWR);
        return -ECONNRESET;
    }
    return link_receive(&b->below, bytes, count);
}

static void breaking_close(void *self)
{
    struct breaking *b = self;
    link_close(&b->below);
}

static const struct link_ops BREAKING = {breaking_send, breaking_receive, breaking_close};

struct breaking breaking_of(int fd, bool source, struct fault_plan plan, int patience_ms)
{
    return (struct breaking){
        .below = link_of_socket(fd, patience_ms), .fd = fd, .source = source, .plan = plan};
}

static struct breaking source_of(struct pair *pair, int fd, struct migrate_options *options)
{
    struct breaking b = breaking_of(fd, true, pair->plan, PATIENCE_MS);
    b.pair = pair;
    b.options = options;
    return b;
}

struct link breaking_link(struct breaking *b)
{
    return (struct link){&BREAKING, b};
}

/* ---- both sides ----------------------------------------------------------------------------- */

struct destination {
    struct pair *pair;
    struct breaking link;
};

/* By post-copy the guest runs before the rest of it is here. */
static void take(struct pair *pair, struct link *link)
{
    struct view_migration view;
    pair->destination_end =
        migrate_receive(pair->destination, link, &pair->runs, pair->destination_why);
    session_view_migration(pair->destination, &view);
    if (view.phase != MIGRATION_POSTCOPY)
        return;
    if (pair->runs)
        session_run(pair->destination);
    pair->destination_end = migrate_receive_rest(pair->destination, pair->destination_why);
}

static void *receive(void *context)
{
    struct destination *d = context;
    struct link link = {&BREAKING, &d->link};
    take(d->pair, &link);
    link_close(&link);
    return NULL;
}

void pair_migrate(struct pair *pair, const struct migrate_options *options)
{
    int fd[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        abort();
    struct destination d = {.pair = pair,
                            .link = breaking_of(fd[0], false, pair->plan, PATIENCE_MS)};
    struct migrate_options own_options = *options;
    struct breaking own = source_of(pair, fd[1], &own_options);
    struct link link = {&BREAKING, &own};
    if (pthread_create(&thread, NULL, receive, &d))
        abort();
    pair->source_end = migrate_send(pair->source, &link, &own_options, pair->source_why);
    link_close(&link);
    pthread_join(thread, NULL);
    pair->calls[0] = d.link.calls;
    pair->calls[1] = own.calls;
}

static void *receive_again(void *context)
{
    struct destination *d = context;
    d->pair->destination_end =
        migrate_receive_again(d->pair->destination, &d->link.below, d->pair->destination_why);
    link_close(&d->link.below);
    return NULL;
}

void pair_recover(struct pair *pair)
{
    int fd[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        abort();
    struct destination d = {.pair = pair, .link = {.below = link_of_socket(fd[0], PATIENCE_MS)}};
    struct link link = link_of_socket(fd[1], PATIENCE_MS);
    if (pthread_create(&thread, NULL, receive_again, &d))
        abort();
    pair->source_end = migrate_recover(pair->source, &link, pair->source_why);
    link_close(&link);
    pthread_join(thread, NULL);
}

void pair_half(struct pair *pair, int fd, bool source, const struct migrate_options *options)
{
    struct migrate_options own_options = *options;
    struct breaking own = source ? source_of(pair, fd, &own_options)
                                 : breaking_of(fd, false, pair->plan, PATIENCE_MS);
    struct link link = {&BREAKING, &own};
    if (source)
        pair->source_end = migrate_send(pair->source, &link, &own_options, pair->source_why);
    else
        take(pair, &link);
    link_close(&link);
    pair->calls[source] = own.calls;
}

/* ---- checking ------------------------------------------------------------------------------- */

uint64_t pair_instructions(struct session *session)
{
    struct view_status status;
    session_status(session, &status);
    return status.instructions;
}

bool pair_step_to(struct session *session, uint64_t target)
{
    uint64_t at = pair_instructions(session);
    if (at == target)
        return true;
    return at < target && session_step(session, target - at) == 0 &&
           session_wait(session, WAIT_MS) == 0 && pair_instructions(session) == target;
}

static size_t take_output(struct session *session, char *text, size_t count)
{
    return count + session_output(session, (uint8_t *)text + count, PRINTED - count);
}

/* The run that never moved, at this instruction; it only goes forward, or begins again. */
static const char *compare(struct pair *pair, struct session *survivor)
{
    static char printed[PRINTED], expected[PRINTED];
    uint64_t at = pair_instructions(survivor);
    struct session *reference = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    const char *wrong = pair_step_to(reference, at) ? NULL : "the reference does not come there";
    if (!wrong && session_digest(reference) != session_digest(survivor))
        wrong = "the state is another than that of a run that never moved";
    size_t count = take_output(pair->source, printed, 0);
    count = take_output(pair->destination, printed, count);
    size_t wanted = take_output(reference, expected, 0);
    if (!wrong && (count != wanted || memcmp(printed, expected, count)))
        wrong = "the world has seen another output than that of a run that never moved";
    session_free(reference);
    return wrong;
}

bool pair_same(struct session *session)
{
    struct session *reference = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    bool same = pair_step_to(reference, pair_instructions(session)) &&
                session_digest(reference) == session_digest(session);
    session_free(reference);
    return same;
}

static bool stands(struct session *session)
{
    session_pause(session);
    return session_wait(session, WAIT_MS) == 0;
}

static const char *check_stayed(struct pair *pair, struct session **survivor)
{
    if (pair->destination_end == MIGRATE_MOVED || pair->destination_end == MIGRATE_TORN)
        return "both sides run the guest";
    *survivor = pair->source;
    return stands(pair->source) ? NULL : "the source does not pause";
}

const char *pair_check_torn(struct session *destination)
{
    struct view_status status;
    if (!stands(destination))
        return "a guest whose memory is missing does not pause";
    session_status(destination, &status);
    if (status.state == SESSION_ENDED)
        return "a guest whose memory is missing has ended";
    uint64_t at = status.instructions;
    if (session_step(destination, TORN_STEPS) || session_wait(destination, WAIT_MS))
        return "a guest whose memory is missing cannot be run up to where it is";
    session_status(destination, &status);
    bool said = status.stop == STOPPED_MISSING && strstr(status.text, " missing: the ");
    return said || (status.stop == STOPPED_STEP && status.instructions == at + TORN_STEPS)
               ? NULL
               : "a guest whose memory is missing does not say so";
}

/* It stands where it needs a page, and goes on when the link is there again. */
static const char *check_torn(struct pair *pair, struct session **survivor)
{
    const char *wrong = pair_check_torn(pair->destination);
    if (wrong)
        return wrong;
    pair->torn = true;
    pair_recover(pair);
    if (pair->source_end != MIGRATE_MOVED || pair->destination_end != MIGRATE_MOVED)
        return "the link is there again, and the rest does not come";
    *survivor = pair->destination;
    return NULL;
}

static const char *check_away(struct pair *pair, struct session **survivor)
{
    struct session *source = pair->source;
    if (session_run(source) != -ESHUTDOWN || session_reset(source) != -ESHUTDOWN ||
        session_step(source, 1) != -ESHUTDOWN)
        return "the source can run a guest that it has handed over";
    if (pair->source_end != MIGRATE_DOUBT && session_take_back(source) != -EINVAL)
        return "the source takes a guest back that has arrived";
    if (pair->source_end == MIGRATE_MOVED && pair->destination_end != MIGRATE_MOVED)
        return "nobody runs the guest";
    if (pair->destination_end == MIGRATE_TORN)
        return check_torn(pair, survivor);
    *survivor = pair->destination;
    if (pair->destination_end == MIGRATE_MOVED)
        return stands(*survivor) ? NULL : "the destination does not pause";
    *survivor = source;
    return session_take_back(source) ? "the source cannot take the guest back" : NULL;
}

const char *pair_check(struct pair *pair, uint64_t more)
{
    struct session *survivor = NULL;
    const char *wrong = pair->source_end == MIGRATE_STAYED ? check_stayed(pair, &survivor)
                                                           : check_away(pair, &survivor);
    if (!wrong && !pair_step_to(survivor, pair_instructions(survivor) + more))
        wrong = "the guest does not go on";
    return wrong ? wrong : compare(pair, survivor);
}

void pair_free(struct pair *pair)
{
    session_free(pair->source);
    session_free(pair->destination);
}
