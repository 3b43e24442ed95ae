/*
 * The messages of a migration, one after the other: see migrate.h for who sends which when.
 *
 *      0   u32  type     enum message
 *      4   u32  length   of the payload, bytes
 *      8   u64  number   0, 1, 2 ... in each direction
 *     16   u64  check    digest of the sixteen bytes above and the payload
 *     24        payload
 *
 * All numbers are little-endian. `sum` runs over the checks of one direction: two sides that have
 * the same sum have sent and got the same messages.
 *
 * A reader takes a message only in the place where it belongs, of a length that its type can have,
 * whole; all else is -EPROTO with a line that says what. It never asks for more memory than the
 * longest message needs.
 */
#ifndef VITRINE_HV_MIGRATE_STREAM_H
#define VITRINE_HV_MIGRATE_STREAM_H

#include "cpu/state.h"
#include "hv/link.h"

enum { MIGRATE_PAGE = 4096, MIGRATE_BATCH = 128, MIGRATE_VERSION = 1 };

#define MIGRATE_MAGIC "vitrine migrate\n" /* 16 bytes */

enum message {
    MESSAGE_HELLO,   /* magic, u32 version */
    MESSAGE_CONFIG,  /* lines "name=value" */
    MESSAGE_ACCEPT,  /* nothing */
    MESSAGE_PAGES,   /* for each: u32 index, u8 1 and 4,096 bytes, or u8 0: it is all zero */
    MESSAGE_ROUND,   /* u32 number: all pages of this round have been sent */
    MESSAGE_SYNC,    /* u32 number: they have arrived */
    MESSAGE_INPUT,   /* what was typed and not delivered */
    MESSAGE_STATE,   /* u8: the guest runs; then what state_save() has written */
    MESSAGE_PREPARE, /* u64 sum of all messages before it */
    MESSAGE_READY,   /* the same number */
    MESSAGE_COMMIT,  /* nothing */
    MESSAGE_DONE,    /* nothing */
    MESSAGE_ABORT,   /* text: why */
    /* protect.h; PAGES, INPUT and STATE as above */
    MESSAGE_PROTECT, /* u64 generation and u64 owner of the fence; 0: there is none */
    MESSAGE_BLOCKS,  /* for each: u32 index and 4,096 bytes of the disk */
    MESSAGE_OUTPUT,  /* console bytes of this epoch */
    MESSAGE_EPOCH,   /* struct epoch_head: this epoch has been sent */
    MESSAGE_BEAT,    /* nothing: the primary lives, though no epoch comes */
    MESSAGE_ACK,     /* u64 number: it is here, whole */
    MESSAGE_OVER,    /* u64 number: all output of this epoch is out, and no more will come */
    /* Post-copy: see migrate.h */
    MESSAGE_MISSING, /* u64 token, and a bit for each page, in bytes: these are not here */
    MESSAGE_DEMAND,  /* u64 page: the guest waits for it */
    MESSAGE_GOT,     /* u64 number: one more message PAGES is here */
    MESSAGE_ARRIVED, /* u64 number of pages that were missing: all are here */
    MESSAGE_RECOVER, /* u64 token: this migration shall go on over this link */
    MESSAGES
};

struct stream {
    struct link *link;
    uint64_t sent, got;         /* messages */
    uint64_t sent_sum, got_sum; /* of their checks */
    uint64_t bytes, got_bytes;  /* in all */
    uint8_t *message;           /* the last one that came ... */
    uint8_t *payload;           /* ... and what is in it */
    uint32_t length;
    struct state_buffer out; /* the message being put together */
    char why[LINK_ERROR];    /* after an error */
};

void stream_init(struct stream *stream, struct link *link);
void stream_free(struct stream *stream); /* not the link */
/* From now on another thread may write with `writer`, and `stream` only reads. */
void stream_split(struct stream *stream, struct stream *writer);

/* ---- writing: begin, put, send -------------------------------------------------------------- */

void stream_begin(struct stream *stream);
void stream_put(struct stream *stream, const void *bytes, size_t count);
void stream_put_u8(struct stream *stream, uint8_t value);
void stream_put_u32(struct stream *stream, uint32_t value);
void stream_put_u64(struct stream *stream, uint64_t value);
/* 0, -ENOMEM, or the link's error: then the other side does not get the message. */
int stream_send(struct stream *stream, enum message type);
/* begin and send, with nothing between. */
int stream_send_empty(struct stream *stream, enum message type);
/* Says good-bye; that it may not arrive does not matter. */
void stream_abort(struct stream *stream, const char *why);

/* ---- reading -------------------------------------------------------------------------------- */

/* The next message, into payload and length. 0; -EPROTO or the link's error with `why`; and
 * -ECANCELED with the other side's reason if it is ABORT. `*type` is any other. */
int stream_next(struct stream *stream, enum message *type);
/* As above, and -EPROTO if it is not this type. */
int stream_expect(struct stream *stream, enum message type);

/* Numbers in a payload; the caller knows that they are there. */
uint32_t stream_u32(const uint8_t *at);
uint64_t stream_u64(const uint8_t *at);

#endif
