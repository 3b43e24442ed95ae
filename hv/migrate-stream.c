/* The messages of a migration. See migrate-stream.h. */
#include "config.h"

#include "hv/migrate-stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 24, NUMBERED = 16, PAGES_MAX = MIGRATE_BATCH * (5 + MIGRATE_PAGE) };
enum { MISSING_MAX = 4 << 20 }; /* bytes: of 128 GiB */

/* How long the payload of each type may be. */
static const struct {
    const char *name;
    uint32_t min, max;
} TYPES[MESSAGES] = {
    [MESSAGE_HELLO] = {"HELLO", 20, 20},   [MESSAGE_CONFIG] = {"CONFIG", 1, 16384},
    [MESSAGE_ACCEPT] = {"ACCEPT", 0, 0},   [MESSAGE_PAGES] = {"PAGES", 5, PAGES_MAX},
    [MESSAGE_ROUND] = {"ROUND", 4, 4},     [MESSAGE_SYNC] = {"SYNC", 4, 4},
    [MESSAGE_INPUT] = {"INPUT", 0, 65536}, [MESSAGE_STATE] = {"STATE", 1, 4 << 20},
    [MESSAGE_PREPARE] = {"PREPARE", 8, 8}, [MESSAGE_READY] = {"READY", 8, 8},
    [MESSAGE_COMMIT] = {"COMMIT", 0, 0},   [MESSAGE_DONE] = {"DONE", 0, 0},
    [MESSAGE_ABORT] = {"ABORT", 0, 400},   [MESSAGE_PROTECT] = {"PROTECT", 16, 16},
    [MESSAGE_BLOCKS] = {"BLOCKS", 5, PAGES_MAX}, [MESSAGE_OUTPUT] = {"OUTPUT", 1, 65536},
    [MESSAGE_EPOCH] = {"EPOCH", 46, 142},  [MESSAGE_ACK] = {"ACK", 8, 8},
    [MESSAGE_BEAT] = {"BEAT", 0, 0},       [MESSAGE_OVER] = {"OVER", 8, 8},
    [MESSAGE_MISSING] = {"MISSING", 9, 8 + MISSING_MAX},
    [MESSAGE_DEMAND] = {"DEMAND", 8, 8},   [MESSAGE_GOT] = {"GOT", 8, 8},
    [MESSAGE_ARRIVED] = {"ARRIVED", 8, 8}, [MESSAGE_RECOVER] = {"RECOVER", 8, 8},
};

void stream_init(struct stream *s, struct link *link)
{
    *s = (struct stream){.link = link};
}

void stream_free(struct stream *s)
{
    free(s->message);
    state_buffer_free(&s->out);
    *s = (struct stream){0};
}

void stream_split(struct stream *s, struct stream *writer)
{
    *writer = (struct stream){
        .link = s->link, .sent = s->sent, .sent_sum = s->sent_sum, .bytes = s->bytes};
}

/* ---- numbers -------------------------------------------------------------------------------- */

static void put_number(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t take_number(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

uint32_t stream_u32(const uint8_t *at)
{
    return (uint32_t)take_number(at, 4);
}

uint64_t stream_u64(const uint8_t *at)
{
    return take_number(at, 8);
}

static uint64_t check_of(const uint8_t *message, size_t length)
{
    struct digest digest;
    digest_init(&digest);
    digest_bytes(&digest, message, NUMBERED);
    digest_bytes(&digest, message + HEAD, length);
    return digest.value;
}

static uint64_t add_check(uint64_t sum, uint64_t check)
{
    struct digest digest = {sum};
    digest_u64(&digest, check);
    return digest.value;
}

/* ---- writing -------------------------------------------------------------------------------- */

void stream_begin(struct stream *s)
{
    static const uint8_t head[HEAD];
    s->out.count = 0;
    s->out.failed = false;
    state_buffer_add(&s->out, head, HEAD);
}

void stream_put(struct stream *s, const void *bytes, size_t count)
{
    if (count)
        state_buffer_add(&s->out, bytes, count);
}

void stream_put_u8(struct stream *s, uint8_t value)
{
    stream_put(s, &value, 1);
}

void stream_put_u32(struct stream *s, uint32_t value)
{
    uint8_t bytes[4];
    put_number(bytes, value, 4);
    stream_put(s, bytes, 4);
}

void stream_put_u64(struct stream *s, uint64_t value)
{
    uint8_t bytes[8];
    put_number(bytes, value, 8);
    stream_put(s, bytes, 8);
}

int stream_send(struct stream *s, enum message type)
{
    if (s->out.failed) {
        snprintf(s->why, sizeof s->why, "the host has no memory left");
        return -ENOMEM;
    }
    uint8_t *message = s->out.bytes;
    size_t length = s->out.count - HEAD;
    put_number(message, type, 4);
    put_number(message + 4, length, 4);
    put_number(message + 8, s->sent, 8);
    uint64_t check = check_of(message, length);
    put_number(message + 16, check, 8);
    int error = link_send(s->link, message, s->out.count);
    if (error) {
        snprintf(s->why, sizeof s->why, "the link broke at %s: %s", TYPES[type].name,
                 strerror(-error));
        return error;
    }
    s->sent++;
    s->sent_sum = add_check(s->sent_sum, check);
    s->bytes += s->out.count;
    return 0;
}

int stream_send_empty(struct stream *s, enum message type)
{
    stream_begin(s);
    return stream_send(s, type);
}

void stream_abort(struct stream *s, const char *why)
{
    char kept[LINK_ERROR];
    memcpy(kept, s->why, sizeof kept);
    stream_begin(s);
    stream_put(s, why, strnlen(why, TYPES[MESSAGE_ABORT].max));
    stream_send(s, MESSAGE_ABORT);
    memcpy(s->why, kept, sizeof kept);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int refuse(struct stream *s, const char *reason)
{
    snprintf(s->why, sizeof s->why, "the stream is damaged: message %llu %s",
             (unsigned long long)s->got, reason);
    return -EPROTO;
}

static int broken(struct stream *s, int error)
{
    snprintf(s->why, sizeof s->why, "the link broke: %s",
             error == -ECONNRESET ? "the other side is gone" : strerror(-error));
    return error;
}

/* What the other side says is printed: as text, whatever it is. */
static int aborted(struct stream *s)
{
    snprintf(s->why, sizeof s->why, "the other side: %.*s", (int)s->length, (char *)s->payload);
    for (char *c = s->why; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return -ECANCELED;
}

static int receive_payload(struct stream *s, const uint8_t head[HEAD])
{
    /* The head stands in front of the payload, as it was sent: so one digest covers both. */
    uint8_t *message = realloc(s->message, HEAD + s->length);
    if (!message) {
        snprintf(s->why, sizeof s->why, "the host has no memory left");
        return -ENOMEM;
    }
    s->message = message;
    s->payload = message + HEAD;
    memcpy(message, head, HEAD);
    int error = link_receive(s->link, s->payload, s->length);
    if (error)
        return broken(s, error);
    uint64_t check = stream_u64(message + 16);
    if (check != check_of(message, s->length))
        return refuse(s, "has a wrong checksum");
    s->got++;
    s->got_bytes += HEAD + s->length;
    s->got_sum = add_check(s->got_sum, check);
    return 0;
}

int stream_next(struct stream *s, enum message *type)
{
    uint8_t head[HEAD];
    int error = link_receive(s->link, head, HEAD);
    if (error)
        return broken(s, error);
    uint32_t number = stream_u32(head);
    s->length = stream_u32(head + 4);
    if (number >= MESSAGES)
        return refuse(s, "is of no type that there is");
    if (s->length < TYPES[number].min || s->length > TYPES[number].max)
        return refuse(s, "has a length that its type cannot have");
    if (stream_u64(head + 8) != s->got)
        return refuse(s, "has another number");
    error = receive_payload(s, head);
    *type = (enum message)number;
    if (!error && number == MESSAGE_ABORT)
        error = aborted(s);
    return error;
}

int stream_expect(struct stream *s, enum message wanted)
{
    enum message type;
    int error = stream_next(s, &type);
    if (!error && type != wanted) {
        snprintf(s->why, sizeof s->why, "the stream is damaged: %s where %s belongs",
                 TYPES[type].name, TYPES[wanted].name);
        error = -EPROTO;
    }
    return error;
}
