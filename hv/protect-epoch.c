/* An epoch: what is new of a guest since the last one. See protect_priv.h and protect.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/protect_priv.h"
#include "hv/session_priv.h"

enum { HEAD = 46, OUTPUT_MAX = 65536, EPOCH_OUTPUT_MAX = 64 << 20, EPOCH_BLOCKS_MAX = 1 << 18 };

/* ---- piles ---------------------------------------------------------------------------------- */

static int pile_grow(struct pile *p)
{
    size_t room = p->room ? 2 * p->room : 64;
    uint32_t *index = realloc(p->index, room * sizeof *index);
    if (index)
        p->index = index;
    uint8_t *bytes = realloc(p->bytes, room * MIGRATE_PAGE);
    if (bytes)
        p->bytes = bytes;
    if (!index || !bytes)
        return -ENOMEM;
    p->room = room;
    return 0;
}

/* `bytes` NULL: zeros. */
static int pile_add(struct pile *p, uint32_t index, const uint8_t *bytes)
{
    if (p->count == p->room && pile_grow(p))
        return -ENOMEM;
    uint8_t *to = p->bytes + p->count * MIGRATE_PAGE;
    if (bytes)
        memcpy(to, bytes, MIGRATE_PAGE);
    else
        memset(to, 0, MIGRATE_PAGE);
    p->index[p->count++] = index;
    return 0;
}

static const uint8_t *pile_at(const struct pile *p, size_t i)
{
    return p->bytes + i * MIGRATE_PAGE;
}

static void pile_free(struct pile *p)
{
    free(p->index);
    free(p->bytes);
}

/* ---- life ----------------------------------------------------------------------------------- */

void epoch_clear(struct epoch *e)
{
    e->head = (struct epoch_head){0};
    e->pages.count = e->blocks.count = 0;
    e->state.count = e->input.count = 0;
    free(e->output);
    e->output = NULL;
    e->output_count = 0;
}

void epoch_free(struct epoch *e)
{
    epoch_clear(e);
    pile_free(&e->pages);
    pile_free(&e->blocks);
    state_buffer_free(&e->state);
    state_buffer_free(&e->input);
}

/* ---- from the guest ------------------------------------------------------------------------- */

static int capture_pages(struct epoch *e, struct session *s, struct page_set *dirty)
{
    int error = s->ops->move->collect(s->backend, dirty->bits);
    for (uint64_t at = 0; !error; at++) {
        at = page_set_next(dirty, at);
        if (at == dirty->pages)
            break;
        page_set_remove(dirty, at);
        error = pile_add(&e->pages, (uint32_t)at, s->ops->move->page(s->backend, at));
    }
    return error;
}

static int add_block(void *context, uint32_t block, const uint8_t *bytes)
{
    return pile_add(context, block, bytes);
}

static int capture_input(struct epoch *e, const struct session *s)
{
    for (size_t i = 0; i < s->input_count; i++)
        state_buffer_add(&e->input, &s->input[(s->input_head + i) % INPUT_QUEUE], 1);
    return e->input.failed ? -ENOMEM : 0;
}

static void capture_head(struct epoch_head *head, const struct session *s)
{
    head->instructions = s->ops->instructions ? s->ops->instructions(s->backend) : 0;
    head->state = s->state == SESSION_RUNNING ? EPOCH_RUNS
                  : s->state == SESSION_ENDED ? EPOCH_ENDED
                                              : EPOCH_STANDS;
    head->stop = (uint8_t)s->stop;
    head->exit_code = (uint32_t)s->exit_code;
    memcpy(head->text, s->text, sizeof head->text);
}

int epoch_capture(struct epoch *e, struct session *s, struct page_set *dirty)
{
    const struct backend_move *move = s->ops->move;
    epoch_clear(e);
    int error = capture_pages(e, s, dirty);
    if (!error && move->blocks)
        error = move->blocks(s->backend, add_block, &e->blocks);
    error = error ? error : capture_input(e, s);
    error = error ? error : move->save(s->backend, &e->state);
    error = error ? error : session_take_held(s, &e->output, &e->output_count);
    capture_head(&e->head, s);
    return error;
}

/* ---- to the stream -------------------------------------------------------------------------- */

static int send_pile(struct stream *s, const struct pile *p, enum message type)
{
    int error = 0;
    for (size_t at = 0; at < p->count && !error;) {
        stream_begin(s);
        for (unsigned i = 0; i < MIGRATE_BATCH && at < p->count; i++, at++) {
            if (type == MESSAGE_PAGES) {
                migrate_put_page(s, p->index[at], pile_at(p, at));
                continue;
            }
            stream_put_u32(s, p->index[at]);
            stream_put(s, pile_at(p, at), MIGRATE_PAGE);
        }
        error = stream_send(s, type);
    }
    return error;
}

static int send_output(struct stream *s, const struct epoch *e)
{
    int error = 0;
    for (size_t at = 0; at < e->output_count && !error; at += OUTPUT_MAX) {
        size_t left = e->output_count - at;
        stream_begin(s);
        stream_put(s, e->output + at, left < OUTPUT_MAX ? left : OUTPUT_MAX);
        error = stream_send(s, MESSAGE_OUTPUT);
    }
    return error;
}

static int send_buffer(struct stream *s, const struct state_buffer *b, enum message type)
{
    stream_begin(s);
    if (type == MESSAGE_STATE) /* as in a migration: EPOCH tells whether it runs */
        stream_put_u8(s, 0);
    stream_put(s, b->bytes, b->count);
    return stream_send(s, type);
}

static int send_head(struct stream *s, const struct epoch_head *head)
{
    uint64_t sum = s->sent_sum;
    stream_begin(s);
    stream_put_u64(s, head->number);
    stream_put_u64(s, head->instructions);
    stream_put_u64(s, head->released);
    stream_put_u64(s, head->position);
    stream_put_u64(s, sum);
    stream_put_u8(s, head->state);
    stream_put_u8(s, head->stop);
    stream_put_u32(s, head->exit_code);
    stream_put(s, head->text, strnlen(head->text, sizeof head->text));
    return stream_send(s, MESSAGE_EPOCH);
}

int epoch_send(const struct epoch *e, struct stream *s)
{
    int error = send_pile(s, &e->pages, MESSAGE_PAGES);
    error = error ? error : send_pile(s, &e->blocks, MESSAGE_BLOCKS);
    error = error ? error : send_output(s, e);
    error = error ? error : send_buffer(s, &e->input, MESSAGE_INPUT);
    error = error ? error : send_buffer(s, &e->state, MESSAGE_STATE);
    return error ? error : send_head(s, &e->head);
}

/* ---- from the stream ------------------------------------------------------------------------ */

static int refuse(struct stream *s, int error, const char *reason)
{
    snprintf(s->why, sizeof s->why, "%s", reason);
    return error;
}

static int no_memory(struct stream *s)
{
    return refuse(s, -ENOMEM, "the host has no memory left");
}

static int too_many(struct stream *s)
{
    return refuse(s, -EPROTO, "the stream is damaged: more than an epoch can have");
}

/* Indices are looked at when they are used: epoch_apply(). */
static int take_pages(struct epoch *e, struct stream *s)
{
    struct pile *p = &e->pages;
    const uint8_t *at = s->payload, *end = at + s->length;
    while (at < end) {
        if (p->count >= e->most)
            return too_many(s);
        if (end - at < 5 || at[4] > 1 || (at[4] && end - at < 5 + MIGRATE_PAGE))
            return refuse(s, -EPROTO, "the stream is damaged: a torn page");
        if (pile_add(p, stream_u32(at), at[4] ? at + 5 : NULL))
            return no_memory(s);
        at += at[4] ? 5 + MIGRATE_PAGE : 5;
    }
    return 0;
}

static int take_blocks(struct pile *p, struct stream *s)
{
    enum { BLOCK = 4 + MIGRATE_PAGE };
    if (s->length % BLOCK)
        return refuse(s, -EPROTO, "the stream is damaged: a torn block");
    if (p->count + s->length / BLOCK > EPOCH_BLOCKS_MAX)
        return too_many(s);
    for (const uint8_t *at = s->payload; at < s->payload + s->length; at += BLOCK)
        if (pile_add(p, stream_u32(at), at + 4))
            return no_memory(s);
    return 0;
}

static int take_output(struct epoch *e, struct stream *s)
{
    if (e->output_count + s->length > EPOCH_OUTPUT_MAX)
        return too_many(s);
    uint8_t *grown = realloc(e->output, e->output_count + s->length);
    if (!grown)
        return no_memory(s);
    e->output = grown;
    memcpy(grown + e->output_count, s->payload, s->length);
    e->output_count += s->length;
    return 0;
}

static int take_buffer(struct state_buffer *b, struct stream *s)
{
    b->count = 0;
    if (s->length)
        state_buffer_add(b, s->payload, s->length);
    return b->failed ? no_memory(s) : 0;
}

static int take_head(struct epoch *e, struct stream *s, uint64_t sum)
{
    const uint8_t *at = s->payload;
    struct epoch_head head = {.number = stream_u64(at),
                              .instructions = stream_u64(at + 8),
                              .released = stream_u64(at + 16),
                              .position = stream_u64(at + 24),
                              .state = at[40],
                              .stop = at[41],
                              .exit_code = stream_u32(at + 42)};
    memcpy(head.text, at + HEAD, s->length - HEAD);
    head.text[sizeof head.text - 1] = 0;
    if (stream_u64(at + 32) != sum || !e->state.count)
        return refuse(s, -EPROTO, "the stream is damaged: something of an epoch is missing");
    if (head.state > EPOCH_ENDED || head.stop > STOPPED_MOVED || head.released >= head.number)
        return refuse(s, -EPROTO, "the stream is damaged: an epoch that cannot be");
    e->head = head;
    return 1;
}

int epoch_take(struct epoch *e, struct stream *s, enum message type, uint64_t sum)
{
    switch (type) {
    case MESSAGE_PAGES: return take_pages(e, s);
    case MESSAGE_BLOCKS: return take_blocks(&e->blocks, s);
    case MESSAGE_OUTPUT: return take_output(e, s);
    case MESSAGE_INPUT: return take_buffer(&e->input, s);
    case MESSAGE_STATE: return take_buffer(&e->state, s);
    case MESSAGE_EPOCH: return take_head(e, s, sum);
    default: return refuse(s, -EPROTO, "the stream is damaged: a message in a wrong place");
    }
}

/* ---- into the guest ------------------------------------------------------------------------- */

static int put_pages(const struct pile *p, struct session *s)
{
    const struct backend_move *move = s->ops->move;
    uint64_t pages = move->pages(s->backend);
    for (size_t i = 0; i < p->count; i++)
        if (p->index[i] >= pages || move->put(s->backend, p->index[i], pile_at(p, i)))
            return p->index[i] >= pages ? -EINVAL : -ENOMEM;
    return 0;
}

static int put_blocks(const struct pile *p, struct session *s)
{
    const struct backend_move *move = s->ops->move;
    int error = p->count && !move->put_block ? -EINVAL : 0;
    for (size_t i = 0; i < p->count && !error; i++)
        error = move->put_block(s->backend, p->index[i], pile_at(p, i));
    return error;
}

int epoch_apply(const struct epoch *e, struct session *s)
{
    int error = put_pages(&e->pages, s);
    error = error ? error : put_blocks(&e->blocks, s);
    error = error ? error : s->ops->move->load(s->backend, e->state.bytes + 1, e->state.count - 1);
    if (error)
        return error;
    if (e->input.count)
        memcpy(s->input, e->input.bytes, e->input.count);
    s->input_head = 0;
    s->input_count = e->input.count;
    return 0;
}
