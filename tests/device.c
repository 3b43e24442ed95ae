/* See device.h. */
#include "tests/device.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>

static void wire_set(void *opaque, int number, bool level)
{
    struct wire *wire = opaque;
    wire->risen += level && !wire->level;
    wire->level = level;
}

struct irq_line wire_line(struct wire *wire)
{
    return (struct irq_line){wire_set, wire, 1};
}

uint32_t device_get(struct device *d, uint32_t offset, unsigned size)
{
    uint32_t value = 0xdeadbeef;
    ck_assert(d->ops->read(d->self, offset, size, &value));
    return value;
}

void device_put(struct device *d, uint32_t offset, unsigned size, uint32_t value)
{
    ck_assert(d->ops->write(d->self, offset, size, value));
}

uint32_t random_next(struct random *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 32) ^ (uint32_t)(r->state >> 13);
}

uint32_t random_below(struct random *r, uint32_t below)
{
    return random_next(r) % below;
}

uint64_t device_digest(const struct device *d)
{
    struct digest digest;
    digest_init(&digest);
    if (d->state.table)
        state_digest(d->state, &digest);
    return digest.value;
}

void device_check_table(struct device *d)
{
    uint64_t before = device_digest(d);
    ck_assert_uint_gt(d->register_count, 0);
    for (unsigned i = 0; i < d->register_count; i++) {
        const struct device_register *r = &d->registers[i];
        ck_assert_msg(r->size == 1 || r->size == 2 || r->size == 4, "%s: size", r->name);
        ck_assert_msg(r->offset % r->size == 0 && r->offset < d->size, "%s: offset", r->name);
        ck_assert_msg(r->name[0] && r->meaning[0], "register %u has no words", i);
        ck_assert_msg(!strcmp(r->access, "r") || !strcmp(r->access, "w") ||
                          !strcmp(r->access, "rw"),
                      "%s: access", r->name);
        for (unsigned j = 0; j < i; j++)
            ck_assert_msg(strcmp(d->registers[j].name, r->name), "%s stands twice", r->name);
        d->ops->peek(d->self, r->offset, r->size);
    }
    ck_assert_msg(device_digest(d) == before, "%s: peek changes the state", d->name);
}

/* ---- rough handling ----------------------------------------------------------------------- */

static uint32_t random_value(struct random *r)
{
    uint32_t value = random_next(r);
    switch (random_below(r, 4)) {
    case 0: return value & 0xff;
    case 1: return 1u << (value & 31);
    case 2: return value & 1 ? UINT32_MAX : 0;
    default: return value;
    }
}

static void one_access(struct device *d, struct random *r)
{
    unsigned size = 1u << random_below(r, 3);
    uint32_t offset = random_below(r, d->size), value;
    if (random_below(r, 8)) {
        const struct device_register *known = &d->registers[random_below(r, d->register_count)];
        offset = known->offset;
        size = random_below(r, 8) ? known->size : size;
    }
    offset -= offset % size;
    d->ops->peek(d->self, offset, size);
    if (random_below(r, 2))
        d->ops->read(d->self, offset, size, &value);
    else
        d->ops->write(d->self, offset, size, random_value(r));
}

static void many_accesses(struct device *d, struct random *r, unsigned accesses)
{
    while (accesses--)
        one_access(d, r);
}

static void check_saving(struct device *d)
{
    struct state_buffer saved = {0};
    uint64_t before = device_digest(d);
    size_t at = 0;
    ck_assert_int_eq(state_save(d->state, &saved), 0);
    d->ops->reset(d->self);
    ck_assert_int_eq(state_load(d->state, saved.bytes, saved.count, &at), 0);
    ck_assert_uint_eq(at, saved.count);
    ck_assert_uint_eq(device_digest(d), before);
    state_buffer_free(&saved);
}

static void check_damaged_state(struct device *d, struct random *r, unsigned accesses)
{
    struct state_buffer saved = {0};
    unsigned loaded = 0;
    ck_assert_int_eq(state_save(d->state, &saved), 0);
    for (int round = 0; round < 200; round++) {
        uint8_t *bytes = malloc(saved.count);
        size_t at = 0;
        memcpy(bytes, saved.bytes, saved.count);
        for (unsigned n = 1 + random_below(r, 8); n; n--)
            bytes[random_below(r, (uint32_t)saved.count)] = (uint8_t)random_next(r);
        if (state_load(d->state, bytes, saved.count, &at) == 0) {
            loaded++;
            many_accesses(d, r, accesses / 200);
        }
        free(bytes);
    }
    ck_assert_uint_gt(loaded, 0);
    state_buffer_free(&saved);
}

static bool has_state(const struct state_table *table)
{
    for (unsigned f = 0; table && f < table->count; f++)
        if (table->fields[f].type != STATE_IS_NOT)
            return true;
    return false;
}

void device_abuse(struct device *d, unsigned accesses)
{
    struct random r = {2026};
    many_accesses(d, &r, accesses);
    if (!has_state(d->state.table))
        return;
    check_saving(d);
    check_damaged_state(d, &r, accesses);
}
