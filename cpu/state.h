/*
 * State tables: each struct whose content is part of the computer's state is described once.
 *
 * A table has a row for every member of its struct: name, offset, type, count, and the version of
 * the table in which the member first appeared. Members that are not state (host pointers, caches
 * that can be made again) have a row too, with the reason. Digest, save, load and diff read the
 * same rows, so a member cannot be forgotten in one of them; tests/test-state.c compares the tables
 * with the debug information of the structs and fails when a member has no row.
 *
 *     static const struct state_field timer_fields[] = {
 *         STATE(struct timer, U64, deadline),
 *         STATE_NOT(struct timer, irq, "wiring"),
 *     };
 *     const struct state_table timer_state = STATE_TABLE("timer", struct timer, 1, timer_fields);
 *
 * The saved form is little-endian and does not depend on the host or on the struct's layout.
 */
#ifndef VITRINE_CPU_STATE_H
#define VITRINE_CPU_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum state_type { STATE_U8, STATE_U16, STATE_U32, STATE_U64, STATE_BOOL, STATE_IS_NOT };

struct state_field {
    const char *name;
    uint32_t offset;
    uint32_t count;     /* elements; bytes for STATE_IS_NOT */
    uint8_t type;       /* enum state_type */
    uint16_t since;     /* version of the table that first had it */
    const char *reason; /* why a STATE_IS_NOT member is no state */
};

struct state_table {
    const char *name;
    const char *type_name; /* the struct's, as in "struct hart" */
    uint16_t version;
    uint32_t size; /* of the struct */
    unsigned count;
    const struct state_field *fields;
};

#define STATE_SIZE_U8   1
#define STATE_SIZE_U16  2
#define STATE_SIZE_U32  4
#define STATE_SIZE_U64  8
#define STATE_SIZE_BOOL 1

#define STATE_MEMBER_SIZE(S, member) sizeof(((S *)0)->member)
/* A member of unsigned integers (or bool) of the named width, single or an array. */
#define STATE(S, TYPE, member)                                                                   \
    {#member, offsetof(S, member), STATE_MEMBER_SIZE(S, member) / STATE_SIZE_##TYPE,             \
     STATE_##TYPE, 1, NULL}
/* The same, added in a later version of the table. */
#define STATE_SINCE(S, TYPE, member, version)                                                    \
    {#member, offsetof(S, member), STATE_MEMBER_SIZE(S, member) / STATE_SIZE_##TYPE,             \
     STATE_##TYPE, version, NULL}
/* A member that is not state, and why. */
#define STATE_NOT(S, member, why)                                                                \
    {#member, offsetof(S, member), STATE_MEMBER_SIZE(S, member), STATE_IS_NOT, 1, why}

#define STATE_TABLE(label, S, version_, fields_)                                                 \
    {label, #S, version_, sizeof(S), sizeof(fields_) / sizeof((fields_)[0]), fields_}

/* One struct in memory together with its table. */
struct state_object {
    const struct state_table *table;
    void *object;
};

/* ---- digest ------------------------------------------------------------------------------- */

/* A 64-bit digest, not cryptographic: equal states have equal digests, unequal ones differ with
 * overwhelming probability unless somebody builds a collision. */
struct digest {
    uint64_t value;
};

void digest_init(struct digest *digest);
void digest_u64(struct digest *digest, uint64_t word);
void digest_bytes(struct digest *digest, const void *bytes, size_t count);

void state_digest(struct state_object object, struct digest *digest);

/* ---- save and load ------------------------------------------------------------------------ */

/* A growing byte buffer. `failed` is set when memory ran out; then nothing more is added. */
struct state_buffer {
    uint8_t *bytes;
    size_t count, size;
    bool failed;
};

void state_buffer_add(struct state_buffer *buffer, const void *bytes, size_t count);
void state_buffer_free(struct state_buffer *buffer);

/* Appends the object: name, version, then every field with its name. 0 or -ENOMEM. */
int state_save(struct state_object object, struct state_buffer *buffer);

/* Reads what state_save() wrote from bytes[*at..], moves *at behind it. Fields that the saved
 * version did not have keep the value that the object has (its reset value). Returns 0, or -EINVAL
 * (torn, another struct, a field that this table does not know or that comes twice, or one that is
 * missing though that version had it), -EPROTO (a newer version), -ENOMEM; on failure the object is
 * unchanged. */
int state_load(struct state_object object, const uint8_t *bytes, size_t count, size_t *at);

/* ---- pack ---------------------------------------------------------------------------------- */

/* The same rows as plain bytes, one after the other, for keeping states in memory: without names or
 * versions, so only this program can read them, and only with this table. */
size_t state_packed_size(const struct state_table *table);
/* Both return the address behind what they wrote or read. */
uint8_t *state_pack(struct state_object object, uint8_t *to);
const uint8_t *state_unpack(struct state_object object, const uint8_t *from);

/* ---- diff --------------------------------------------------------------------------------- */

/* Calls `differ` for each element that is not equal in the two objects of one table. */
void state_diff(const struct state_table *table, const void *a, const void *b,
                void (*differ)(void *context, const struct state_field *field, uint32_t index,
                               uint64_t in_a, uint64_t in_b),
                void *context);

/* The element as a number, whatever its width. */
uint64_t state_get(const struct state_field *field, const void *object, uint32_t index);

#endif
