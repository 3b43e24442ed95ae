/*
 * Fuzzes the destination of a migration: a stream from somebody who knows the protocol, and its
 * checksums, and means ill. Whatever comes, it is refused with a line, or makes a guest that can
 * run.
 *
 * Sources: hv/session.c hv/session-ask.c hv/session-io.c hv/simulated*.c hv/trap-log.c hv/overlay.c
 * hv/view-layers.c hv/page-pool.c hv/bytes.c hv/record.c hv/recorder.c hv/replay.c hv/snapshot*.c
 * hv/disk-format.c hv/storage.c hv/qcow2*.c hv/vm.c hv/vm-check.c hv/exit.c hv/emulate.c hv/inject.c
 * hv/shadow.c hv/gpa.c hv/hw.c hv/sched.c hv/migrate.c hv/migrate-stream.c hv/migrate-receive.c
 * Packages: zlib
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/migrate.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"
#include "tests/fuzz/tape.h"

enum { MEMORY = 8 << 20, STEPS = 3000 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* x86 guests are not built in here. */
extern const struct backend_ops backend_kvm;
const struct backend_ops backend_kvm = {0};

static char image[] = "/tmp/fuzz-migrate-XXXXXX.bin";

static void remove_image(void)
{
    unlink(image);
}

static void make_image(void)
{
    static const uint32_t loop[] = {0x00000013, 0xffdff06f}; /* nop; j back to it */
    int fd = mkstemps(image, 4);
    require(fd >= 0 && write(fd, loop, sizeof loop) == (ssize_t)sizeof loop);
    close(fd);
    atexit(remove_image);
}

static struct session *make_session(bool bare)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = image;
    config.memory = MEMORY;
    config.under = bare ? SESSION_BARE : SESSION_HV;
    struct session *session = session_new(&config, why);
    require(session != NULL);
    return session;
}

/* ---- the stream ----------------------------------------------------------------------------- */

/* One page, with the index and kind that the input says. */
static void put_page(struct stream *s, struct input *in)
{
    static uint8_t page[MIGRATE_PAGE];
    uint32_t index = take(in) | (uint32_t)take(in) << 8 | (uint32_t)(take(in) & 1) << 31;
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
    case MESSAGE_PREPARE: stream_put_u64(s, s->sent_sum + (take(in) == 1)); break;
    case MESSAGE_ROUND: stream_put_u32(s, take(in)); break;
    default: put_some(s, in, take(in)); break;
    }
    stream_send(s, (enum message)type);
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
        put_message(&s, session, in);
    stream_free(&s);
}

/* ---- the destination ------------------------------------------------------------------------ */

/* The first byte: bit 0, the bytes are the stream itself; bit 1, a bare guest. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char why[SESSION_ERROR] = "";
    struct tape tape = {0};
    bool runs;
    if (!strcmp(image + sizeof image - 11, "XXXXXX.bin"))
        make_image();
    if (count < 1)
        return 0;
    struct session *session = make_session(bytes[0] & 2);
    struct input in = {bytes + 1, count - 1};
    if (bytes[0] & 1)
        state_buffer_add(&tape.bytes, in.at, in.left);
    else
        make_stream(&tape, session, &in);
    struct link link = {&PLAY, &tape};
    enum migrate_end end = migrate_receive(session, &link, &runs, why);
    require(end == MIGRATE_MOVED || (*why && !strchr(why, '\n')));
    session_input_end(session);
    if (end == MIGRATE_MOVED || end == MIGRATE_WHOLE) {
        session_step(session, STEPS);
        session_wait(session, -1);
    }
    session_free(session);
    state_buffer_free(&tape.bytes);
    return 0;
}
