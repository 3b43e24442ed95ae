/*
 * The simulated backend: a snapshot as what a file can hold, and back.
 *
 * What is small goes by the state tables, with names and versions, so that it can be read by later
 * programs; what is large goes page by page out of the layers (simulated-state.c). Under the
 * monitor that is the computer's memory and the monitor's arrays, so a guest that comes out of a
 * file has the very exits and shadow tables that it would have had.
 *
 * A file is not to be trusted: what the monitor builds on is checked (vm_check) before it is used,
 * and if anything is refused the guest is what it was before.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dev/disk-memory.h"
#include "cpu/dev/disk.h"
#include "hv/session-state.h"
#include "hv/simulated_priv.h"
#include "hv/snapshot.h"

/* What belongs to the moment and to no struct that lives on. */
struct between {
    bool between;   /* struct simulated */
    uint64_t mtime; /* with the host's clock: the guest's time, which must not jump */
};

static const struct state_field between_fields[] = {
    STATE(struct between, BOOL, between),
    STATE(struct between, U64, mtime),
};
const struct state_table between_state = STATE_TABLE("moment", struct between, 1, between_fields);

static int refuse(char *why, int error, const char *text)
{
    snprintf(why, SESSION_ERROR, "%s", text);
    return error;
}

/* ---- tables --------------------------------------------------------------------------------- */

enum { OBJECTS = MACHINE_OBJECTS + VM_OBJECTS + 4 };

/* In the order of the section "tables": the guest's machine, and what it has shown. */
static unsigned guest_objects(struct simulated *s, struct between *between,
                              struct state_object out[OBJECTS])
{
    unsigned n = machine_objects(s->guest, out);
    out[n++] = (struct state_object){&console_state, &s->console};
    out[n++] = (struct state_object){&between_state, between};
    out[n++] = (struct state_object){&trap_log_state, &s->traps};
    assert(n <= OBJECTS);
    return n;
}

/* Of the section "monitor". */
static unsigned monitor_objects(struct simulated *s, struct state_object out[OBJECTS])
{
    unsigned n = s->computer ? machine_objects(s->computer, out) : 0;
    if (s->vm)
        n += vm_objects(s->vm, out + n);
    assert(n <= OBJECTS);
    return n;
}

/* `aside`: the objects as they were at the moment that is saved, for those that it has. */
static int save_objects(const struct state_object *object, unsigned count,
                        const struct simulated_aside *aside, struct state_buffer *out)
{
    int error = 0;
    for (unsigned i = 0; i < count && !error; i++) {
        struct state_object is = object[i];
        for (unsigned k = 0; k < aside->count; k++)
            if (aside->from[k].object == is.object && aside->from[k].table == is.table)
                is = aside->copy[k];
        error = state_save(is, out);
    }
    return error;
}

static int save_tables(struct simulated *s, const struct moment *moment, struct snapshot_file *out)
{
    struct state_object object[OBJECTS];
    struct simulated_aside aside;
    struct between between = {.between = moment->between, .mtime = moment->mtime};
    int error = simulated_aside(s, moment, &aside);
    if (!error)
        error = save_objects(object, guest_objects(s, &between, object), &aside, &out->tables);
    if (!error)
        error = save_objects(object, monitor_objects(s, object), &aside, &out->monitor);
    simulated_aside_free(&aside);
    return error;
}

/* Loads an object, or only a copy of it, to see whether it could be. */
static int load_object(struct state_object object, bool keep, const struct state_buffer *from,
                       size_t *at)
{
    if (keep)
        return state_load(object, from->bytes, from->count, at);
    void *copy = malloc(object.table->size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, object.object, object.table->size);
    struct state_object aside = {object.table, copy};
    int error = state_load(aside, from->bytes, from->count, at);
    const struct hart *hart = copy;
    bool odd = !error && object.table == &hart_state &&
               ((hart->mode != MODE_U && hart->mode != MODE_S && hart->mode != MODE_M) || hart->id);
    free(copy);
    return odd ? -EINVAL : error;
}

static int load_objects(const struct state_object *object, unsigned count, bool keep,
                        const struct state_buffer *from, char *why)
{
    size_t at = 0;
    int error = 0;
    unsigned i = 0;
    for (; i < count && !error; i++)
        error = load_object(object[i], keep, from, &at);
    if (!error && at != from->count)
        return refuse(why, -EINVAL, "it has state that this guest has not");
    if (error)
        snprintf(why, SESSION_ERROR, "the state of '%s' %s", object[i - 1].table->name,
                 error == -EPROTO   ? "was saved by a newer version of this program"
                 : error == -EINVAL ? "makes no sense"
                                    : strerror(-error));
    return error;
}

/* `keep` false: only looks whether it can be loaded. */
static int load_tables(struct simulated *s, struct between *between,
                       const struct snapshot_file *from, bool keep, char *why)
{
    struct state_object object[OBJECTS];
    unsigned count = guest_objects(s, between, object);
    int error = load_objects(object, count, keep, &from->tables, why);
    count = monitor_objects(s, object);
    return error ? error : load_objects(object, count, keep, &from->monitor, why);
}

/* ---- pages out ------------------------------------------------------------------------------ */

static void see_page(void *context, unsigned part, uint32_t page, const uint8_t *bytes)
{
    struct snapshot_file *out = context;
    snapshot_add_page(out, &out->part[part], page, bytes);
}

int simulated_save(void *self, int id, int base, struct snapshot_file *out, char *why)
{
    struct simulated *s = self;
    const struct overlay_part *part;
    const struct moment *moment = simulated_snapshot_moment(s, id);
    const struct moment *below = base ? simulated_snapshot_moment(s, base) : NULL;
    int error = !moment || (base && !below) ? -ENOENT : save_tables(s, moment, out);
    for (unsigned i = 0; !error && (part = overlay_part_at(s->overlay, i)); i++)
        if (!snapshot_add_part(out, part->name, part->size, part->unit, part->backed))
            error = -ENOSPC;
    if (!error)
        error = overlay_each(s->overlay, moment->layer, below ? below->layer : 0, see_page, out);
    snapshot_sort(out);
    if (!error && out->failed)
        error = -ENOMEM;
    if (error)
        return refuse(why, error, strerror(-error));
    out->about.instructions = moment->executed;
    out->about.exits = moment->exits;
    return 0;
}

/* ---- pages in ------------------------------------------------------------------------------- */

/* Do the parts of the file belong to this guest? */
static int check_parts(struct simulated *s, const struct snapshot_file *from, char *why)
{
    const struct overlay_part *part;
    unsigned count = 0;
    for (; (part = overlay_part_at(s->overlay, count)); count++) {
        const struct snapshot_part *its = snapshot_find_part(from, part->name);
        if (!its || its->size != part->size || its->unit != part->unit ||
            its->backed != part->backed) {
            snprintf(why, SESSION_ERROR, "its %s is not of this guest, or of another program",
                     part->name);
            return -EINVAL;
        }
    }
    return count == from->parts ? 0 : refuse(why, -EINVAL, "it has parts that this guest has not");
}

static size_t page_size(const struct overlay_part *part, uint32_t page)
{
    uint64_t left = part->size - (uint64_t)page * OVERLAY_PAGE;
    return left < OVERLAY_PAGE ? (size_t)left : OVERLAY_PAGE;
}

/* Is the page nothing, as the file says it is? Then it is not touched. */
static bool is_nothing(struct simulated *s, const struct overlay_part *part, uint32_t page)
{
    struct machine *m = s->computer ? s->computer : s->guest;
    const struct disk_memory *disk = part->backed ? part->context : NULL;
    return disk ? !disk->has[page] : part->track && !m->ram.page[page];
}

static void put_page(struct simulated *s, const struct overlay_part *part, uint32_t page,
                     const struct snapshot_page *its)
{
    static const uint8_t zero[OVERLAY_PAGE];
    const uint8_t *bytes = its && its->bytes ? its->bytes : zero;
    uint8_t *to = part->bytes + (uint64_t)page * OVERLAY_PAGE;
    if (!its && is_nothing(s, part, page))
        return;
    if (part->track)
        ram_track_write(part->track, page);
    if (part->put)
        part->put(part->context, page, its || !part->backed ? bytes : NULL);
    else
        memcpy(to, bytes, page_size(part, page));
}

static void put_part(struct simulated *s, const struct overlay_part *part,
                     const struct snapshot_part *its)
{
    uint32_t pages = (uint32_t)((part->size + OVERLAY_PAGE - 1) / OVERLAY_PAGE), next = 0;
    for (uint32_t page = 0; page < pages; page++) {
        bool there = next < its->count && its->page[next].index == page;
        put_page(s, part, page, there ? &its->page[next++] : NULL);
    }
}

static int load_all(struct simulated *s, const struct snapshot_file *from, struct between *between,
                    char *why)
{
    const struct overlay_part *part;
    int error = load_tables(s, between, from, false, why);
    error = error ? error : check_parts(s, from, why);
    if (error)
        return error;
    for (unsigned i = 0; (part = overlay_part_at(s->overlay, i)); i++)
        put_part(s, part, snapshot_find_part(from, part->name));
    error = load_tables(s, between, from, true, why);
    if (!error && s->vm && !vm_check(s->vm))
        error = refuse(why, -EINVAL, "the monitor can never have been in this state");
    return error;
}

/* The machine is another one: what was derived from the old one goes. */
static void loaded(struct simulated *s, const struct between *between)
{
    if (s->vm)
        vm_loaded(s->vm);
    else
        machine_loaded(s->guest);
    s->between = between->between;
    if (s->config->host_clock) {
        clock_sample(&s->guest->hart.clock);
        clock_set_mtime(&s->guest->hart.clock, s->guest->hart.executed, between->mtime);
    }
    s->guest->debug.skip = s->guest->hart.executed;
    s->console.shown = s->console.printed;
    recorder_spoil(s, "the guest was taken back to a snapshot");
    simulated_restarted(s);
}

/* To the state of a reset first: what an older version has not saved keeps the value that it has
 * then. */
int simulated_load(void *self, const struct snapshot_file *from, char *why)
{
    struct simulated *s = self;
    struct moment before;
    struct between between = {0};
    char line[SESSION_ERROR];
    int error = simulated_freeze(s, &before);
    if (error)
        return refuse(why, error, "the host has no memory left for a snapshot");
    error = simulated_reload(s, why);
    error = error ? error : load_all(s, from, &between, why);
    if (!error)
        loaded(s, &between);
    int id = error ? error : simulated_snapshot(s, from->about.name, why);
    if (id < 0 && simulated_return(s, &before))
        simulated_reload(s, line); /* no memory even for that: at least it is a guest */
    simulated_forget(s, &before);
    return id;
}

int simulated_keep_files(void *self, char *why)
{
    struct simulated *s = self;
    if (simulated_keep(s))
        return refuse(why, -ENOMEM, "the host has no memory left for snapshots");
    return 0;
}
