/*
 * Fuzzes both sides of a migration, by pre-copy and post-copy: what the other side sends comes from
 * somebody who knows the protocol, and its checksums, and means ill. Whatever comes, it is refused
 * with a line, or makes a guest that can run, or that stands where its memory is missing; and a
 * source never runs a guest that it has given away. All of the computer and the monitor take part
 * but for the faster engines, which take minutes to build with a fuzzer's instruments.
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
#include "hv/migrate.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"
#include "tests/fuzz/tape.h"

/* Small and few, so that many inputs are tried: a flat image stands at 4 MiB. */
enum { MEMORY = 8 << 20, STEPS = 300, TOKEN = 7, AGAIN = 255 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

#ifndef HAVE_LIBHV
/* x86 guests and faster engines are not built in here. */
extern const struct backend_ops backend_kvm;
const struct backend_ops backend_kvm = {0};
const struct engine engine_threaded = {.name = "threaded", .about = "not in here"};
#endif

static char image[] = "/tmp/fuzz-migrate-XXXXXX.bin";

static void remove_image(void)
{
    unlink(image);
}

static void make_image(void)
{
    static const uint32_t loop[] = {0x00000013, 0xffdff06f}; /* nop; j back to it */
    make_file(image, loop, sizeof loop);
    atexit(remove_image);
}

/* ---- the stream ----------------------------------------------------------------------------- */

/* One page, most often with an index that there is, and the kind that the input says. */
static void put_page(struct stream *s, struct input *in)
{
    enum { PAGES = MEMORY / MIGRATE_PAGE };
    static uint8_t page[MIGRATE_PAGE];
    uint32_t index = take(in) | (uint32_t)take(in) << 8;
    index = index % (PAGES + 4) | (uint32_t)(take(in) & 1) << 31;
    uint8_t kind = take(in);
    stream_put_u32(s, index);
    stream_put_u8(s, kind);
    memset(page, kind, sizeof page);
    for (uint8_t n = take(in) % 16; n; n--)
        page[(take(in) | take(in) << 8) % MIGRATE_PAGE] = take(in);
    if (kind == 1)
        stream_put(s, page, sizeof page);
}

/* A good state in which some bytes are others. */
static void put_state(struct stream *s, struct session *session, struct input *in)
{
    struct state_buffer state = {0};
    require(session->ops->move->save(session->backend, &state) == 0);
    for (uint8_t n = take(in) % 32; n; n--)
        state.bytes[(take(in) | (size_t)take(in) << 8) % state.count] = take(in);
    stream_put_u8(s, 1);
    stream_put(s, state.bytes, state.count);
    state_buffer_free(&state);
}

/* Pages that are missing: some of those that the guest has. */
static void put_missing(struct stream *s, struct input *in)
{
    uint8_t set[MEMORY / MIGRATE_PAGE / 8] = {0};
    for (uint8_t n = take(in) % 64; n; n--) {
        unsigned page = (take(in) | (unsigned)take(in) << 8) % (8 * sizeof set);
        set[page / 8] |= (uint8_t)(1 << page % 8);
    }
    stream_put_u64(s, TOKEN);
    stream_put(s, set, sizeof set - (take(in) == 1));
}

static void put_message(struct stream *s, struct session *session, struct input *in)
{
    unsigned type = take(in) % MESSAGES;
    stream_begin(s);
    switch (type) {
    case MESSAGE_PAGES:
        for (unsigned n = take(in) % 4 + 1; n; n--)
            put_page(s, in);
        break;
    case MESSAGE_STATE: put_state(s, session, in); break;
    case MESSAGE_MISSING: put_missing(s, in); break;
    case MESSAGE_PREPARE: stream_put_u64(s, s->sent_sum + (take(in) == 1)); break;
    case MESSAGE_ROUND: stream_put_u32(s, take(in)); break;
    case MESSAGE_DEMAND:
    case MESSAGE_GOT:
    case MESSAGE_ARRIVED:
    case MESSAGE_RECOVER: stream_put_u64(s, take(in)); break;
    default: put_some(s, in, take(in)); break;
    }
    stream_send(s, (enum message)type);
}

/* A link that ends, and another one: everything counts from the beginning. */
static void begin_again(struct stream *s)
{
    stream_abort(s, "lost");
    s->sent = s->sent_sum = 0;
    migrate_send_hello(s);
    stream_begin(s);
    stream_put_u64(s, TOKEN);
    stream_send(s, MESSAGE_RECOVER);
}

static void make_stream(struct tape *tape, struct session *session, struct input *in)
{
    struct link link = {&RECORD, tape};
    struct stream s;
    stream_init(&s, &link);
    migrate_send_hello(&s);
    stream_begin(&s);
    migrate_describe(session, put_item, &s);
    stream_send(&s, MESSAGE_CONFIG);
    while (in->left)
        if (take(in) == AGAIN)
            begin_again(&s);
        else
            put_message(&s, session, in);
    stream_free(&s);
}

static enum migrate_end last_end; /* of the whole: what becomes of a good stream is known */

/* ---- the destination ------------------------------------------------------------------------ */

/* The guest runs while the rest comes, and stands if it does not. */
static void run_guest(struct session *session, struct link *link, enum migrate_end end)
{
    char why[SESSION_ERROR] = "";
    session_step(session, STEPS);
    if (end == MIGRATE_MOVED)
        end = migrate_receive_rest(session, why);
    if (end == MIGRATE_TORN)
        end = migrate_receive_again(session, link, why);
    require(end != MIGRATE_TORN || (*why && !strchr(why, '\n')));
    last_end = end;
    session_wait(session, -1);
    session_step(session, STEPS);
    session_wait(session, -1);
}

static void fuzz_destination(struct session *session, struct input *in, bool raw)
{
    char why[SESSION_ERROR] = "";
    struct tape tape = {0};
    bool runs;
    if (raw)
        state_buffer_add(&tape.bytes, in->at, in->left);
    else
        make_stream(&tape, session, in);
    struct link link = {&PLAY, &tape};
    enum migrate_end end = migrate_receive(session, &link, &runs, why);
    require(end == MIGRATE_MOVED || (*why && !strchr(why, '\n')));
    session_input_end(session);
    if (end == MIGRATE_MOVED || end == MIGRATE_WHOLE)
        run_guest(session, &link, end);
    state_buffer_free(&tape.bytes);
}

/* ---- the source ----------------------------------------------------------------------------- */

/* A destination that answers as it should, or with whatever the input says. */
struct liar {
    struct input *in;
    struct session *session;
    uint8_t head[24], payload[8]; /* of what the source has sent last */
    struct stream out;            /* into the tape, which the source reads */
    struct tape tape;
};

static void answer(struct liar *l)
{
    unsigned last = stream_u32(l->head);
    static const uint8_t answers[MESSAGES] = {
        [MESSAGE_HELLO] = MESSAGE_HELLO,    [MESSAGE_CONFIG] = MESSAGE_ACCEPT,
        [MESSAGE_ROUND] = MESSAGE_SYNC,     [MESSAGE_PREPARE] = MESSAGE_READY,
        [MESSAGE_COMMIT] = MESSAGE_DONE,    [MESSAGE_PAGES] = MESSAGE_GOT,
        [MESSAGE_RECOVER] = MESSAGE_MISSING};
    enum message type = (enum message)answers[last];
    if (last == MESSAGE_HELLO) {
        migrate_send_hello(&l->out);
        return;
    }
    if (last == MESSAGE_RECOVER) {
        put_message(&l->out, l->session, l->in);
        return;
    }
    stream_begin(&l->out);
    if (type == MESSAGE_SYNC)
        stream_put(&l->out, l->payload, 4);
    else if (type == MESSAGE_READY)
        stream_put(&l->out, l->payload, 8);
    else if (type == MESSAGE_GOT)
        stream_put_u64(&l->out, take(l->in));
    stream_send(&l->out, type);
}

static int liar_send(void *self, const void *bytes, size_t count)
{
    struct liar *l = self;
    size_t payload = count - sizeof l->head;
    memcpy(l->head, bytes, sizeof l->head);
    memcpy(l->payload, (const uint8_t *)bytes + sizeof l->head, payload < 8 ? payload : 8);
    return 0;
}

/* The input's end is the link's. */
static int liar_receive(void *self, void *bytes, size_t count)
{
    struct liar *l = self;
    while (l->tape.bytes.count - l->tape.at < count) {
        if (!l->in->left)
            return -ECONNRESET;
        if (take(l->in) & 7)
            answer(l);
        else
            put_message(&l->out, l->session, l->in);
    }
    return tape_receive(&l->tape, bytes, count);
}

static const struct link_ops LIAR = {liar_send, liar_receive, NULL};

static void fuzz_source(struct session *session, struct input *in, bool postcopy)
{
    char why[SESSION_ERROR] = "";
    struct liar liar = {.in = in, .session = session};
    struct link record = {&RECORD, &liar.tape}, link = {&LIAR, &liar};
    stream_init(&liar.out, &record);
    session_input_end(session);
    session_step(session, STEPS);
    session_wait(session, -1);
    enum migrate_end end =
        migrate_send(session, &link,
                     &(struct migrate_options){
                         .downtime = postcopy ? 1e-9 : 10, .rounds = 2, .postcopy = postcopy},
                     why);
    require(end == MIGRATE_MOVED || (*why && !strchr(why, '\n')));
    require((session_step(session, 1) == 0) == (end == MIGRATE_STAYED));
    session_wait(session, -1);
    liar.out.sent = liar.out.sent_sum = 0;
    if (end == MIGRATE_TORN || end == MIGRATE_DOUBT)
        end = migrate_recover(session, &link, why);
    require(end == MIGRATE_STAYED || session_step(session, 1) == -ESHUTDOWN);
    last_end = end;
    stream_free(&liar.out);
    state_buffer_free(&liar.tape.bytes);
}

/* ---- both ----------------------------------------------------------------------------------- */

/* The first byte: bit 0, the bytes are the stream itself (source: post-copy); bit 1, a bare guest;
 * bit 2, the source. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (!strcmp(image + sizeof image - 11, "XXXXXX.bin"))
        make_image();
    if (count < 1)
        return 0;
    struct session *session = make_session(image, NULL, MEMORY, bytes[0] & 2);
    struct input in = {bytes + 1, count - 1};
    if (bytes[0] & 4)
        fuzz_source(session, &in, bytes[0] & 1);
    else
        fuzz_destination(session, &in, bytes[0] & 1);
    session_free(session);
    return 0;
}

/* ---- what to begin with --------------------------------------------------------------------- */

/* Streams, and answers, that are well: see put_message(), put_page() and liar_receive(). */
#define SAY_PAGE(low, kind) 0, MESSAGE_PAGES, 0, low, 0, 0, kind, 0
#define SAY_ROUND(n)        0, MESSAGE_ROUND, n
#define SAY_STATE           0, MESSAGE_INPUT, 2, 'h', 'i', 0, MESSAGE_STATE, 0
#define SAY_MISSING         0, MESSAGE_MISSING, 2, 0, 0, 3, 0, 0
#define SAY_OURS            0, MESSAGE_PREPARE, 0, 0, MESSAGE_COMMIT, 0

static const uint8_t PRE_COPY[] = {0,         SAY_PAGE(3, 1), SAY_ROUND(1), SAY_PAGE(4, 0),
                                   SAY_STATE, SAY_OURS};
static const uint8_t POST_COPY[] = {2,        SAY_PAGE(5, 1), SAY_STATE,     SAY_MISSING,
                                    SAY_OURS, SAY_PAGE(0, 1), SAY_PAGE(3, 1)};
static const uint8_t TORN[] = {2,     SAY_STATE,     SAY_MISSING, SAY_OURS, SAY_PAGE(3, 1),
                               AGAIN, SAY_PAGE(0, 1)};
static const uint8_t SOURCE[] = {4, 1, 1, 1, 1, 1, 1};

static const struct {
    const uint8_t *bytes;
    size_t count;
} GOOD[] = {{PRE_COPY, sizeof PRE_COPY},
            {POST_COPY, sizeof POST_COPY},
            {TORN, sizeof TORN},
            {SOURCE, sizeof SOURCE}};

/* They come to the end, all of them: else nothing behind that would be looked at. */
static void check_good(void)
{
    for (unsigned i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        last_end = MIGRATE_DOUBT;
        LLVMFuzzerTestOneInput(GOOD[i].bytes, GOOD[i].count);
        require(last_end == MIGRATE_MOVED);
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
