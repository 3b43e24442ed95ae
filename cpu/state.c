/*
 * State tables at work: digest, save, load, diff. See state.h.
 *
 * Saved form of one object, all numbers little-endian:
 *     u16 version | u16 n | n bytes table name | u32 fields |
 *     for each field:  u16 n | n bytes name | u8 type | u32 count | count elements
 */
#include "cpu/state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t type_size[] = {
    [STATE_U8] = 1, [STATE_U16] = 2, [STATE_U32] = 4, [STATE_U64] = 8, [STATE_BOOL] = 1,
};

uint64_t state_get(const struct state_field *field, const void *object, uint32_t index)
{
    const uint8_t *at = (const uint8_t *)object + field->offset;
    switch (field->type) {
    case STATE_U16: return ((const uint16_t *)at)[index];
    case STATE_U32: return ((const uint32_t *)at)[index];
    case STATE_U64: return ((const uint64_t *)at)[index];
    default: return at[index];
    }
}

static void set_element(const struct state_field *field, void *object, uint32_t index, uint64_t v)
{
    uint8_t *at = (uint8_t *)object + field->offset;
    switch (field->type) {
    case STATE_U8: at[index] = (uint8_t)v; break;
    case STATE_U16: ((uint16_t *)at)[index] = (uint16_t)v; break;
    case STATE_U32: ((uint32_t *)at)[index] = (uint32_t)v; break;
    case STATE_U64: ((uint64_t *)at)[index] = v; break;
    case STATE_BOOL: ((bool *)at)[index] = v != 0; break;
    }
}

/* ---- digest ------------------------------------------------------------------------------- */

void digest_init(struct digest *digest)
{
    digest->value = 0x9e3779b97f4a7c15u;
}

/* One multiplication to 128 bits, folded: every input bit reaches every output bit. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

void digest_u64(struct digest *digest, uint64_t word)
{
    digest->value = mix(digest->value ^ 0xa0761d6478bd642fu, word ^ 0xe7037ed1a0b428dbu) +
                    (digest->value << 1 | digest->value >> 63);
}

void digest_bytes(struct digest *digest, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    digest_u64(digest, count);
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        digest_u64(digest, word);
    }
    uint64_t rest = 0;
    memcpy(&rest, at, count);
    if (count)
        digest_u64(digest, rest);
}

void state_digest(struct state_object object, struct digest *digest)
{
    for (unsigned f = 0; f < object.table->count; f++) {
        const struct state_field *field = &object.table->fields[f];
        if (field->type == STATE_IS_NOT)
            continue;
        for (uint32_t i = 0; i < field->count; i++)
            digest_u64(digest, state_get(field, object.object, i));
    }
}

/* ---- save --------------------------------------------------------------------------------- */

void state_buffer_add(struct state_buffer *buffer, const void *bytes, size_t count)
{
    if (buffer->failed || !count) /* of nothing there may be no address */
        return;
    if (count > buffer->size - buffer->count) {
        size_t size = (buffer->count + count) * 2 + 256;
        uint8_t *grown = realloc(buffer->bytes, size);
        if (!grown) {
            buffer->failed = true;
            return;
        }
        buffer->bytes = grown;
        buffer->size = size;
    }
    memcpy(buffer->bytes + buffer->count, bytes, count);
    buffer->count += count;
}

void state_buffer_free(struct state_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct state_buffer){0};
}

static void put(struct state_buffer *buffer, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    state_buffer_add(buffer, bytes, size);
}

static void put_name(struct state_buffer *buffer, const char *name)
{
    size_t length = strlen(name);
    put(buffer, length, 2);
    state_buffer_add(buffer, name, length);
}

static unsigned fields_saved(const struct state_table *table)
{
    unsigned count = 0;
    for (unsigned f = 0; f < table->count; f++)
        count += table->fields[f].type != STATE_IS_NOT;
    return count;
}

int state_save(struct state_object object, struct state_buffer *buffer)
{
    const struct state_table *table = object.table;
    put(buffer, table->version, 2);
    put_name(buffer, table->name);
    put(buffer, fields_saved(table), 4);
    for (unsigned f = 0; f < table->count; f++) {
        const struct state_field *field = &table->fields[f];
        if (field->type == STATE_IS_NOT)
            continue;
        put_name(buffer, field->name);
        put(buffer, field->type, 1);
        put(buffer, field->count, 4);
        for (uint32_t i = 0; i < field->count; i++)
            put(buffer, state_get(field, object.object, i), type_size[field->type]);
    }
    return buffer->failed ? -ENOMEM : 0;
}

/* ---- load --------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *bytes;
    size_t count, at;
    bool torn;
};

static uint64_t take(struct reader *r, unsigned size)
{
    if (r->torn || r->count - r->at < size) {
        r->torn = true;
        return 0;
    }
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)r->bytes[r->at + i] << (8 * i);
    r->at += size;
    return value;
}

static bool take_name(struct reader *r, char *name, size_t size)
{
    size_t length = take(r, 2);
    if (r->torn || length >= size || r->count - r->at < length)
        return !(r->torn = true);
    memcpy(name, r->bytes + r->at, length);
    name[length] = 0;
    r->at += length;
    return true;
}

static const struct state_field *find_field(const struct state_table *table, const char *name)
{
    for (unsigned f = 0; f < table->count; f++)
        if (table->fields[f].type != STATE_IS_NOT && !strcmp(table->fields[f].name, name))
            return &table->fields[f];
    return NULL;
}

/* `seen`: by row, whether the saved form has had it. */
static int load_field(const struct state_table *table, void *object, bool *seen, struct reader *r)
{
    char name[128];
    if (!take_name(r, name, sizeof name))
        return -EINVAL;
    unsigned type = (unsigned)take(r, 1);
    uint32_t count = (uint32_t)take(r, 4);
    const struct state_field *field = find_field(table, name);
    if (r->torn || !field || field->type != type || field->count != count ||
        seen[field - table->fields])
        return -EINVAL;
    seen[field - table->fields] = true;
    for (uint32_t i = 0; i < count; i++)
        set_element(field, object, i, take(r, type_size[type]));
    return r->torn ? -EINVAL : 0;
}

/* All rows that this version of the table had: what is missing would keep a value of its own. */
static bool has_all(const struct state_table *table, const bool *seen, unsigned version)
{
    for (unsigned f = 0; f < table->count; f++) {
        const struct state_field *field = &table->fields[f];
        if (field->type != STATE_IS_NOT && field->since <= version && !seen[f])
            return false;
    }
    return true;
}

int state_load(struct state_object object, const uint8_t *bytes, size_t count, size_t *at)
{
    const struct state_table *table = object.table;
    struct reader r = {bytes, count, *at, *at > count};
    char name[128];
    unsigned version = (unsigned)take(&r, 2);
    if (!take_name(&r, name, sizeof name) || strcmp(name, table->name))
        return -EINVAL;
    if (version > table->version)
        return -EPROTO;
    unsigned fields = (unsigned)take(&r, 4);

    void *aside = malloc(table->size);
    bool *seen = calloc(table->count, sizeof *seen);
    int error = !aside || !seen ? -ENOMEM : r.torn ? -EINVAL : 0;
    if (aside)
        memcpy(aside, object.object, table->size);
    for (unsigned f = 0; f < fields && !error; f++)
        error = load_field(table, aside, seen, &r);
    if (!error && !has_all(table, seen, version))
        error = -EINVAL;
    if (!error) {
        memcpy(object.object, aside, table->size);
        *at = r.at;
    }
    free(seen);
    free(aside);
    return error;
}

/* ---- pack ---------------------------------------------------------------------------------- */

static size_t packed_field(const struct state_field *field)
{
    return field->type == STATE_IS_NOT ? 0 : (size_t)field->count * type_size[field->type];
}

size_t state_packed_size(const struct state_table *table)
{
    size_t size = 0;
    for (unsigned f = 0; f < table->count; f++)
        size += packed_field(&table->fields[f]);
    return size;
}

uint8_t *state_pack(struct state_object object, uint8_t *to)
{
    for (unsigned f = 0; f < object.table->count; f++) {
        const struct state_field *field = &object.table->fields[f];
        size_t size = packed_field(field);
        memcpy(to, (const uint8_t *)object.object + field->offset, size);
        to += size;
    }
    return to;
}

const uint8_t *state_unpack(struct state_object object, const uint8_t *from)
{
    for (unsigned f = 0; f < object.table->count; f++) {
        const struct state_field *field = &object.table->fields[f];
        size_t size = packed_field(field);
        memcpy((uint8_t *)object.object + field->offset, from, size);
        from += size;
    }
    return from;
}

/* ---- diff --------------------------------------------------------------------------------- */

void state_diff(const struct state_table *table, const void *a, const void *b,
                void (*differ)(void *context, const struct state_field *field, uint32_t index,
                               uint64_t in_a, uint64_t in_b),
                void *context)
{
    for (unsigned f = 0; f < table->count; f++) {
        const struct state_field *field = &table->fields[f];
        if (field->type == STATE_IS_NOT)
            continue;
        for (uint32_t i = 0; i < field->count; i++) {
            uint64_t in_a = state_get(field, a, i), in_b = state_get(field, b, i);
            if (in_a != in_b)
                differ(context, field, i, in_a, in_b);
        }
    }
}
