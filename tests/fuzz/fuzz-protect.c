/*
 * Fuzzes both sides of a protection. A primary that knows the protocol, and its checksums, and
 * means ill sends a backup epochs; a backup of that kind answers a primary. Whatever comes, it is
 * refused with a line, or leaves a guest that can run in one place. All of the computer and the
 * monitor take part but for the faster engines, as in fuzz-migrate.c.
 *
 * Parts: cpu/[a-su-z]*.c cpu/tlb.c cpu/trap.c cpu/dev/?*.c hv/?*.c
 * Packages: zlib
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "hv/protect_priv.h"
#include "hv/session_priv.h"
#include "tests/fuzz/tape.h"

/* Small and few, so that many inputs are tried: a flat image stands at 4 MiB. */
enum { MEMORY = 8 << 20, DISK = 64 << 10, STEPS = 300, EPOCHS = 4, STEP = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

#ifndef HAVE_LIBHV
/* x86 guests and faster engines are not built in here. */
extern const struct backend_ops backend_kvm;
const struct backend_ops backend_kvm = {0};
const struct engine engine_threaded = {.name = "threaded", .about = "not in here"};
#endif

/* ---- the guest ------------------------------------------------------------------------------ */

static char image[] = "/tmp/fuzz-protect-XXXXXX.bin", disk[] = "/tmp/fuzz-protect-XXXXXX.img";

static void remove_files(void)
{
    unlink(image);
    unlink(disk);
}

/* Prints, and writes to a page, over and over. */
static void make_files(void)
{
    static const uint32_t loop[] = {
        0x100002b7, /* lui  t0, 0x10000: the UART */
        0x00000317, /* auipc t1, 0 */
        0x04100393, /* li   t2, 'A' */
        0x00728023, /* sb   t2, 0(t0) */
        0x10732023, /* sw   t2, 256(t1) */
        0xff9ff06f, /* j    back to the first store */
    };
    make_file(image, loop, sizeof loop);
    make_file(disk, "", 0);
    require(truncate(disk, DISK) == 0);
    atexit(remove_files);
}

static void run(struct session *session)
{
    session_input_end(session);
    if (session_step(session, STEPS) == 0)
        session_wait(session, -1);
}

static int last_end; /* enum backup_end, enum protect_end: what becomes of a good stream is known */

/* ---- a primary that means ill --------------------------------------------------------------- */

/* One page or block, most often with an index that there is. */
static void put_page(struct stream *s, struct input *in, bool block)
{
    static uint8_t page[MIGRATE_PAGE];
    uint32_t index = take(in) | (uint32_t)(take(in) & 7) << 8 | (uint32_t)(take(in) == 255) << 31;
    uint8_t kind = take(in);
    stream_put_u32(s, block ? index % 20 : index);
    if (!block)
        stream_put_u8(s, kind);
    memset(page, kind, sizeof page);
    for (uint8_t n = take(in) % 16; n; n--)
        page[(take(in) | take(in) << 8) % MIGRATE_PAGE] = take(in);
    if (kind == 1 || block)
        stream_put(s, page, sizeof page);
}

/* A good state in which some bytes are others. */
static void put_state(struct stream *s, struct session *session, struct input *in)
{
    struct state_buffer state = {0};
    require(session->ops->move->save(session->backend, &state) == 0);
    for (uint8_t n = take(in) % 32; n; n--)
        state.bytes[(take(in) | (size_t)take(in) << 8) % state.count] = take(in);
    stream_put_u8(s, 0);
    stream_put(s, state.bytes, state.count);
    state_buffer_free(&state);
}

/* The next epoch's head, but for what the input has otherwise. */
static void put_head(struct stream *s, struct input *in, uint64_t number)
{
    uint64_t sum = s->sent_sum;
    uint8_t wrong = take(in) % 16;
    stream_put_u64(s, number + (wrong == 1));
    stream_put_u64(s, take(in));
    stream_put_u64(s, number - 1 + (wrong == 2));
    stream_put_u64(s, wrong == 3 ? UINT64_MAX : take(in));
    stream_put_u64(s, sum + (wrong == 4));
    stream_put_u8(s, take(in) % 4);
    stream_put_u8(s, take(in) % 20);
    stream_put_u32(s, take(in));
    put_some(s, in, take(in) % 97);
}

static void put_message(struct stream *s, struct session *session, struct input *in,
                        uint64_t *number)
{
    /* Those of an epoch come often. */
    static const enum message OFTEN[] = {MESSAGE_PAGES,  MESSAGE_PAGES, MESSAGE_BLOCKS,
                                         MESSAGE_OUTPUT, MESSAGE_INPUT, MESSAGE_STATE,
                                         MESSAGE_EPOCH,  MESSAGE_EPOCH};
    uint8_t what = take(in);
    enum message type = what & 0x80 ? (enum message)(what % MESSAGES) : OFTEN[what % 8];
    stream_begin(s);
    switch (type) {
    case MESSAGE_PAGES:
    case MESSAGE_BLOCKS:
        for (unsigned n = take(in) % 4 + 1; n; n--)
            put_page(s, in, type == MESSAGE_BLOCKS);
        break;
    case MESSAGE_STATE: put_state(s, session, in); break;
    case MESSAGE_EPOCH: put_head(s, in, ++*number); break;
    default: put_some(s, in, take(in)); break;
    }
    stream_send(s, type);
}

static void make_primary(struct tape *tape, struct session *session, struct input *in)
{
    struct link link = {&RECORD, tape};
    struct stream s;
    uint64_t number = 0;
    stream_init(&s, &link);
    migrate_send_hello(&s);
    stream_begin(&s);
    migrate_describe(session, put_item, &s);
    stream_send(&s, MESSAGE_CONFIG);
    stream_begin(&s);
    stream_put_u64(&s, take(in) == 1);
    stream_put_u64(&s, 0);
    stream_send(&s, MESSAGE_PROTECT);
    while (in->left)
        put_message(&s, session, in, &number);
    stream_free(&s);
}

static void test_backup(struct session *session, struct link *link)
{
    char why[SESSION_ERROR] = "";
    struct protect_options options = {.patience_ms = 1};
    struct view_status status;
    bool runs;
    enum backup_end end = protect_receive(session, link, &options, &runs, why);
    require(end == BACKUP_OVER || (*why && !strchr(why, '\n')));
    session_status(session, &status);
    require(status.state != SESSION_RUNNING);
    last_end = (int)end;
    require(status.state != SESSION_ENDED || end == BACKUP_TAKEN);
    if (end == BACKUP_TAKEN)
        run(session);
}

/* ---- a backup that means ill ---------------------------------------------------------------- */

/* Acknowledges what comes, but for what the input has otherwise. */
static void put_answer(struct stream *s, struct input *in, uint64_t *number)
{
    uint8_t what = take(in);
    stream_begin(s);
    if (what < 0xc0) {
        stream_put_u64(s, ++*number);
        stream_send(s, what < 0xa0 ? MESSAGE_ACK : MESSAGE_OVER);
        return;
    }
    put_some(s, in, what == 0xc0 ? 8 : take(in));
    stream_send(s, what == 0xc0 ? MESSAGE_ACK : (enum message)(what % MESSAGES));
}

static void make_backup(struct tape *tape, struct input *in)
{
    struct link link = {&RECORD, tape};
    struct stream s;
    uint64_t number = 0;
    stream_init(&s, &link);
    migrate_send_hello(&s);
    stream_send_empty(&s, MESSAGE_ACCEPT);
    stream_begin(&s);
    stream_put_u64(&s, take(in));
    stream_send(&s, MESSAGE_ACK);
    while (in->left)
        put_answer(&s, in, &number);
    stream_free(&s);
}

/* Nobody may run a guest that the other side could have; a person's word frees it. */
static void check_stands(struct session *session)
{
    require(session_run(session) == -ESHUTDOWN);
    require(session_take_back(session) == 0);
}

static void test_primary(struct session *session, struct link *link)
{
    char why[SESSION_ERROR] = "";
    struct protect_options options = {.instructions = STEP, .epochs = EPOCHS, .patience_ms = 1};
    struct protection *p = protect_begin(session, link, &options, why);
    require(p || *why);
    enum protect_end end = p ? protect_run(p, why) : PROTECT_ALONE;
    require(end != PROTECT_FENCED); /* there is no fence */
    require(end == PROTECT_OVER || (*why && !strchr(why, '\n')));
    protect_free(p);
    last_end = (int)end;
    if (end == PROTECT_DOUBT)
        check_stands(session);
    require(session_step(session, STEPS) == 0);
    session_wait(session, -1);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* The first byte: bit 0, the bytes are the stream itself; bit 1, a bare guest; bit 2, it is a
 * backup that means ill. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct tape tape = {0};
    if (!strcmp(image + sizeof image - 11, "XXXXXX.bin"))
        make_files();
    if (count < 1)
        return 0;
    struct session *session = make_session(image, disk, MEMORY, bytes[0] & 2);
    struct input in = {bytes + 1, count - 1};
    if (bytes[0] & 1)
        state_buffer_add(&tape.bytes, in.at, in.left);
    else if (bytes[0] & 4)
        make_backup(&tape, &in);
    else
        make_primary(&tape, session, &in);
    struct link link = {&PLAY, &tape};
    if (bytes[0] & 4)
        test_primary(session, &link);
    else
        test_backup(session, &link);
    session_free(session);
    state_buffer_free(&tape.bytes);
    return 0;
}

/* ---- what to begin with --------------------------------------------------------------------- */

/* Streams, and answers, that are well: see put_message(), put_page(), put_head() and put_answer().
 */
#define SAY_PAGE   0, 0, 3, 0, 0, 1, 1, 5, 0, 'x'
#define SAY_BLOCK  2, 0, 3, 0, 0, 'b', 0
#define SAY_OUTPUT 3, 2, 'o', 'k'
#define SAY_INPUT  4, 2, 'h', 'i'
#define SAY_STATE  5, 0
#define SAY_EPOCH  6, 0, 10, 0, 1, 0, 0, 0
#define SAY_OVER   0x90, 8, 2, 0, 0, 0, 0, 0, 0, 0

_Static_assert(0x90 % MESSAGES == MESSAGE_OVER, "the byte that stands for it");

static const uint8_t LOST[] = {0,         0,          SAY_PAGE,  SAY_INPUT, SAY_STATE, SAY_EPOCH,
                               SAY_BLOCK, SAY_OUTPUT, SAY_INPUT, SAY_STATE, SAY_EPOCH};
static const uint8_t IN_ORDER[] = {2,         0,         SAY_PAGE,  SAY_STATE, SAY_EPOCH,
                                   SAY_BLOCK, SAY_STATE, SAY_EPOCH, SAY_OVER};
static const uint8_t ANSWERS[] = {4, 0, 1, 1, 1, 1, 0xa0};

static const struct {
    const uint8_t *bytes;
    size_t count;
    int end;
} GOOD[] = {{LOST, sizeof LOST, BACKUP_TAKEN},
            {IN_ORDER, sizeof IN_ORDER, BACKUP_OVER},
            {ANSWERS, sizeof ANSWERS, PROTECT_OVER}};

/* They come to the ends that they should: else nothing behind those would be looked at. */
static void check_good(void)
{
    for (unsigned i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        last_end = -1;
        LLVMFuzzerTestOneInput(GOOD[i].bytes, GOOD[i].count);
        require(last_end == GOOD[i].end);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    static bool checked;
    unsigned which = seed / 64 % (sizeof GOOD / sizeof *GOOD);
    if (!checked)
        check_good();
    checked = true;
    if ((count < 4 || seed % 64 == 0) && max >= GOOD[which].count) {
        count = GOOD[which].count;
        memcpy(bytes, GOOD[which].bytes, count);
    }
    return LLVMFuzzerMutate(bytes, count, max);
}
