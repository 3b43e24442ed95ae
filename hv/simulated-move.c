/*
 * The simulated backend: what moving its guest to another host needs. See struct backend_move.
 *
 * What moves is what the guest can see: its memory, and the objects of its machine by their tables.
 * The monitor below, its frames and shadow tables stay: the destination's monitor makes its own, so
 * that a guest can even move from a virtual machine to the bare computer.
 *
 * Which pages were written is known by the host pages that the memory consists of (struct
 * ram_track). Under the monitor those are frames of the hardware's memory; a guest page's frame
 * never changes, but a guest that resets its machine gives all of them back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dev/disk.h"
#include "cpu/rv.h"
#include "hv/move-disk.h"
#include "hv/simulated_priv.h"

struct simulated_move {
    uint8_t *there;   /* by guest page: it was not untouched at the last look */
    uint8_t *written; /* by page of the hardware's memory, during a look */
};

static struct machine *hardware(const struct simulated *s)
{
    return s->computer ? s->computer : s->guest;
}

static uint32_t guest_pages(const struct simulated *s)
{
    return s->guest->ram.size / RAM_PAGE;
}

/* ---- what must be equal --------------------------------------------------------------------- */

/* Bare or under the monitor makes no difference to the guest. */
static void describe(void *self, void (*item)(void *context, const char *name, const char *value),
                     void *context)
{
    const struct simulated *s = self;
    const struct session_config *c = s->config;
    char text[32];
    item(context, "guest", "rv32");
    snprintf(text, sizeof text, "%u", s->guest->ram.size);
    item(context, "memory", text);
    item(context, "misaligned", c->misaligned_trap ? "trap" : "hardware");
    item(context, "A and D bits", c->ad_trap ? "trap" : "hardware");
    item(context, "clock", c->host_clock ? "host" : "instructions");
    move_disk_describe(s->guest->disk_image, item, context);
}

/* ---- pages ---------------------------------------------------------------------------------- */

static uint64_t pages(void *self)
{
    return guest_pages(self);
}

static void end(void *self)
{
    struct simulated *s = self;
    if (!s->move)
        return;
    ram_track_moves_end(&hardware(s)->ram);
    free(s->move->there);
    free(s->move->written);
    free(s->move);
    s->move = NULL;
}

static int begin(void *self)
{
    struct simulated *s = self;
    struct machine *m = hardware(s);
    if (replay_in_past(s) || recorder_follows(s))
        return -EBUSY;
    s->move = calloc(1, sizeof *s->move);
    if (!s->move)
        return -ENOMEM;
    s->move->there = calloc(guest_pages(s), 1);
    s->move->written = calloc(m->ram.size / RAM_PAGE, 1);
    if (!s->move->there || !s->move->written || ram_track_moves(&m->ram)) {
        end(s);
        return -ENOMEM;
    }
    mmu_flush(m); /* who may write where is to be asked again */
    machine_invalidate(m);
    m->ram.code->epoch++;
    return 0;
}

/* Takes the list of pages written, which are clean again from now on. */
static void take_written(struct simulated *s)
{
    struct machine *m = hardware(s);
    struct ram_track *t = &m->ram.code->track;
    memset(s->move->written, 0, m->ram.size / RAM_PAGE);
    for (uint32_t i = 0; i < t->moved_count; i++) {
        s->move->written[t->moved[i]] = 1;
        t->clean[t->moved[i]] |= RAM_UNMOVED;
    }
    machine_pages_cleaned(m, t->moved, t->moved_count);
    t->moved_count = 0;
}

static int collect(void *self, uint64_t *bits)
{
    struct simulated *s = self;
    take_written(s);
    for (uint32_t i = 0; i < guest_pages(s); i++) {
        const uint8_t *host = s->guest->ram.page[i];
        bool was = s->move->there[i], is = host != NULL;
        if (was != is || (is && s->move->written[ram_host_page(&s->guest->ram, host)]))
            bits[i / 64] |= 1ull << (i % 64);
        s->move->there[i] = is;
    }
    return 0;
}

static const uint8_t *page(void *self, uint64_t index)
{
    const struct simulated *s = self;
    return s->guest->ram.page[index];
}

static int put(void *self, uint64_t index, const uint8_t *bytes)
{
    static const uint8_t zero[RAM_PAGE];
    struct simulated *s = self;
    struct ram *ram = &s->guest->ram;
    if (!bytes && !ram->page[index])
        return 0;
    return ram_write(ram, ram->base + (uint32_t)index * RAM_PAGE, bytes ? bytes : zero, RAM_PAGE)
               ? 0
               : -ENOMEM;
}

/* ---- state ---------------------------------------------------------------------------------- */

/* What belongs to no object: with the host's clock, the time, which must not jump. */
struct elapsed {
    uint64_t mtime;
};

static const struct state_field elapsed_fields[] = {STATE(struct elapsed, U64, mtime)};
static const struct state_table elapsed_state =
    STATE_TABLE("elapsed", struct elapsed, 1, elapsed_fields);

static int save(void *self, struct state_buffer *buffer)
{
    struct simulated *s = self;
    struct state_object object[MACHINE_OBJECTS];
    unsigned count = machine_objects(s->guest, object);
    clock_sample(&s->guest->hart.clock);
    struct elapsed elapsed = {hart_mtime(&s->guest->hart)};
    int error = state_save((struct state_object){&elapsed_state, &elapsed}, buffer);
    for (unsigned i = 0; i < count && !error; i++)
        error = state_save(object[i], buffer);
    return error;
}

/* Loads one object, or a copy of it that is thrown away. */
static int load_one(struct state_object object, bool keep, const uint8_t *bytes, size_t count,
                    size_t *at)
{
    if (keep)
        return state_load(object, bytes, count, at);
    void *copy = malloc(object.table->size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, object.object, object.table->size);
    int error = state_load((struct state_object){object.table, copy}, bytes, count, at);
    const struct hart *hart = copy;
    if (!error && object.table == &hart_state &&
        ((hart->mode != MODE_U && hart->mode != MODE_S && hart->mode != MODE_M) || hart->id))
        error = -EINVAL; /* no hart was ever like this */
    free(copy);
    return error;
}

static int load_objects(struct simulated *s, struct elapsed *elapsed, bool keep,
                        const uint8_t *bytes, size_t count)
{
    struct state_object object[MACHINE_OBJECTS];
    unsigned n = machine_objects(s->guest, object);
    size_t at = 0;
    int error = load_one((struct state_object){&elapsed_state, elapsed}, keep, bytes, count, &at);
    for (unsigned i = 0; i < n && !error; i++)
        error = load_one(object[i], keep, bytes, count, &at);
    return error || at == count ? error : -EINVAL;
}

static int load(void *self, const uint8_t *bytes, size_t count)
{
    struct simulated *s = self;
    struct machine *m = s->guest;
    struct elapsed elapsed = {0};
    int error = load_objects(s, &elapsed, false, bytes, count);
    error = error ? error : load_objects(s, &elapsed, true, bytes, count);
    if (error)
        return error;
    if (s->vm)
        shadow_drop_all(&s->vm->shadow, SHADOW_MOVED);
    tlb_reset(&m->tlb);
    if (m->hart.clock.host) {
        clock_sample(&m->hart.clock);
        clock_set_mtime(&m->hart.clock, m->hart.executed, elapsed.mtime);
    }
    machine_loaded(m);
    machine_invalidate(m);
    s->before_virtual = m->hart;
    s->input_held = true; /* what comes with the guest had no room there, either */
    recorder_spoil(s, "the guest has come from another host");
    simulated_restarted(s);
    return 0;
}

/* What stays in memory for going back in time is written, too: time there begins anew. */
static int flush(void *self)
{
    struct simulated *s = self;
    char why[SESSION_ERROR];
    int error = simulated_write_disk(s, why);
    return error || !s->guest->disk_image ? error : disk_flush_file(s->guest->disk_image);
}

const struct backend_move simulated_move = {
    .describe = describe,
    .pages = pages,
    .begin = begin,
    .end = end,
    .collect = collect,
    .page = page,
    .put = put,
    .save = save,
    .load = load,
    .flush = flush,
    .hand = simulated_disk_hand,
    .absent = simulated_absent,
    .arrived = simulated_arrived,
    .disk = simulated_disk,
    .blocks = simulated_disk_blocks,
    .put_block = simulated_disk_put,
    .commit_block = simulated_disk_commit,
};
