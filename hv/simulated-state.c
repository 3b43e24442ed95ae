/*
 * The simulated backend: its whole state, kept at a moment and put back.
 *
 * What is large (the computer's memory, the monitor's arrays, the log of exits, the written blocks
 * of the disk) is kept in layers, see overlay.h. Under the monitor it is the *computer's* memory:
 * the guest's pages and the shadow tables are in it. All else are structs with state tables; a
 * moment has their rows as packed bytes. So exits, counts and shadow tables after a return are
 * those that there were.
 *
 * Nothing is kept, and nothing costs, before simulated_keep().
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

enum { OBJECTS = SIMULATED_OBJECTS };

static const struct state_field console_fields[] = {
    STATE(struct console, U64, printed),
    STATE_NOT(struct console, shown, "what the world has seen"),
};
const struct state_table console_state = STATE_TABLE("console", struct console, 1, console_fields);

static const struct state_field simulated_fields[] = {
    STATE_NOT(struct simulated, session, "wiring"),
    STATE_NOT(struct simulated, config, "configuration"),
    STATE_NOT(struct simulated, computer, "has tables of its own"),
    STATE_NOT(struct simulated, vmm, "has tables of its own"),
    STATE_NOT(struct simulated, vm, "has tables of its own"),
    STATE_NOT(struct simulated, guest, "has tables of its own"),
    STATE_NOT(struct simulated, goal, "the present command"),
    STATE_NOT(struct simulated, sleepy, "the host's time"),
    STATE_NOT(struct simulated, slow, "the host's time"),
    STATE_NOT(struct simulated, host_ns, "the host's time"),
    STATE_NOT(struct simulated, between, "kept with each moment"),
    STATE_NOT(struct simulated, input_held, "input that waits"),
    STATE_NOT(struct simulated, balloon_asked, "input that waits"),
    STATE_NOT(struct simulated, balloon_wanted, "input that waits"),
    STATE_NOT(struct simulated, before_real, "what the viewer saw last"),
    STATE_NOT(struct simulated, before_virtual, "what the viewer saw last"),
    STATE_NOT(struct simulated, events_mask, "observers"),
    STATE_NOT(struct simulated, points, "the user's breakpoints"),
    STATE_NOT(struct simulated, point_count, "of that"),
    STATE_NOT(struct simulated, traps, "has a table of its own"),
    STATE_NOT(struct simulated, console, "has a table of its own"),
    STATE_NOT(struct simulated, overlay, "kept moments"),
    STATE_NOT(struct simulated, returning, "within one function"),
    STATE_NOT(struct simulated, snapshot, "kept moments"),
    STATE_NOT(struct simulated, snapshots, "kept moments"),
    STATE_NOT(struct simulated, snapshot_ids, "never used again"),
    STATE_NOT(struct simulated, history, "kept moments"),
    STATE_NOT(struct simulated, disk_held, "what the user wants: no snapshots meanwhile"),
    STATE_NOT(struct simulated, move, "an account of pages"),
    STATE_NOT(struct simulated, absent, "pages on their way: no moments are kept meanwhile"),
    STATE_NOT(struct simulated, recorder, "a record of the run"),
    STATE_NOT(struct simulated, last_stop, "of the last run"),
};
const struct state_table simulated_state =
    STATE_TABLE("simulated", struct simulated, 1, simulated_fields);

static struct machine *hardware(struct simulated *s)
{
    return s->computer ? s->computer : s->guest;
}

/* ---- what is small: structs ----------------------------------------------------------------- */

static unsigned objects(struct simulated *s, struct state_object out[OBJECTS])
{
    unsigned n = machine_objects(s->guest, out);
    if (s->computer)
        n += machine_objects(s->computer, out + n);
    if (s->vm)
        n += vm_objects(s->vm, out + n);
    out[n++] = (struct state_object){&trap_log_state, &s->traps};
    out[n++] = (struct state_object){&console_state, &s->console};
    assert(n <= OBJECTS);
    return n;
}

static size_t packed_size(const struct state_object *object, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += state_packed_size(object[i].table);
    return size;
}

static bool pack(struct simulated *s, struct moment *out)
{
    struct state_object object[OBJECTS];
    unsigned count = objects(s, object);
    out->size = packed_size(object, count);
    out->packed = malloc(out->size);
    uint8_t *at = out->packed;
    for (unsigned i = 0; at && i < count; i++)
        at = state_pack(object[i], at);
    return at;
}

static void unpack(struct simulated *s, const struct moment *moment)
{
    struct state_object object[OBJECTS];
    unsigned count = objects(s, object);
    const uint8_t *at = moment->packed;
    assert(packed_size(object, count) == moment->size);
    for (unsigned i = 0; i < count; i++)
        at = state_unpack(object[i], at);
}

int simulated_aside(struct simulated *s, const struct moment *moment, struct simulated_aside *out)
{
    unsigned count = objects(s, out->from);
    const uint8_t *at = moment->packed;
    for (out->count = 0; out->count < count; out->count++) {
        const struct state_object *from = &out->from[out->count];
        void *copy = malloc(from->table->size);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, from->object, from->table->size);
        out->copy[out->count] = (struct state_object){from->table, copy};
        at = state_unpack(out->copy[out->count], at);
    }
    return 0;
}

void simulated_aside_free(struct simulated_aside *aside)
{
    for (unsigned i = 0; i < aside->count; i++)
        free(aside->copy[i].object);
}

/* ---- what is large: layers ------------------------------------------------------------------ */

/* Granule by granule, so that code beside data that differ stays translated. */
static void put_page(void *context, uint32_t page, const uint8_t *bytes)
{
    static const uint8_t zero[RAM_GRANULE];
    struct simulated *s = context;
    struct ram *ram = &hardware(s)->ram;
    uint8_t *to = ram_page(ram, ram->base + page * RAM_PAGE);
    for (unsigned at = 0; to && at < RAM_PAGE; at += RAM_GRANULE) {
        const uint8_t *from = bytes ? bytes + at : zero;
        if (!memcmp(to + at, from, RAM_GRANULE))
            continue;
        memcpy(to + at, from, RAM_GRANULE);
        ram_changed(ram, to + at, RAM_GRANULE);
    }
}

/* While a moment is put back nothing need be told: all translations go in any case. */
static void pages_cleaned(void *context, const uint32_t *page, uint32_t count)
{
    struct simulated *s = context;
    if (!s->returning)
        machine_pages_cleaned(hardware(s), page, count);
}

static struct overlay *make_layers(struct simulated *s)
{
    struct overlay_part part[OVERLAY_PARTS];
    struct vm_array array[VM_ARRAYS] = {
        {"log", s->traps.record, TRAP_LOG * sizeof *s->traps.record, sizeof *s->traps.record}};
    struct ram *ram = &hardware(s)->ram;
    unsigned n = 0, arrays = s->vm ? vm_arrays(s->vm, array) : 1;
    part[n++] = (struct overlay_part){.name = "memory",
                                      .bytes = ram->mapping,
                                      .size = ram->size,
                                      .unit = 1,
                                      .track = &ram->code->track,
                                      .put = put_page,
                                      .cleaned = pages_cleaned,
                                      .context = s};
    for (unsigned i = 0; i < arrays; i++)
        part[n++] = (struct overlay_part){.name = array[i].name,
                                          .bytes = array[i].bytes,
                                          .size = array[i].size,
                                          .unit = array[i].unit};
    struct disk_memory *disk = s->guest->disk_image ? disk_memory_of(s->guest->disk_image) : NULL;
    if (disk)
        part[n++] = (struct overlay_part){.name = "disk",
                                          .bytes = disk->bytes,
                                          .size = disk->size,
                                          .unit = 1,
                                          .track = &disk->track,
                                          .backed = true,
                                          .put = disk_memory_put,
                                          .context = disk};
    return overlay_new(part, n);
}

/* The last of make_layers(). */
int simulated_disk_part(const struct simulated *s)
{
    struct vm_array array[VM_ARRAYS];
    unsigned arrays = s->vm ? vm_arrays(s->vm, array) : 1;
    bool kept = s->overlay && s->guest->disk_image && disk_memory_of(s->guest->disk_image);
    return kept ? (int)(1 + arrays) : -1;
}

int simulated_keep(struct simulated *s)
{
    if (s->overlay)
        return 0;
    struct machine *m = hardware(s);
    int error = s->guest->disk_image ? disk_keep(s->guest->disk_image) : 0;
    error = error ? error : ram_track_on(&m->ram);
    if (error)
        return error;
    s->overlay = make_layers(s);
    if (!s->overlay) {
        ram_track_off(&m->ram);
        return -ENOMEM;
    }
    mmu_flush(m); /* who may write where is to be asked again */
    machine_invalidate(m);
    m->ram.code->epoch++;
    return 0;
}

void simulated_keep_end(struct simulated *s)
{
    if (!s->overlay)
        return;
    overlay_free(s->overlay);
    s->overlay = NULL;
    ram_track_off(&hardware(s)->ram);
}

uint64_t simulated_kept_bytes(const struct simulated *s)
{
    const struct disk *disk = s->guest->disk_image;
    uint64_t bytes = s->overlay ? overlay_bytes(s->overlay) : 0;
    return bytes + (disk && disk_memory_of(disk) ? disk_memory_bytes(disk_memory_of(disk)) : 0);
}

uint32_t simulated_written_pages(const struct simulated *s)
{
    return (s->computer ? s->computer : s->guest)->ram.code->track.count;
}

/* ---- moments -------------------------------------------------------------------------------- */

int simulated_freeze(struct simulated *s, struct moment *out)
{
    int error = simulated_keep(s);
    clock_sample(&s->guest->hart.clock);
    *out = (struct moment){.executed = s->guest->hart.executed,
                           .exits = s->vm ? s->vm->exits : s->traps.count,
                           .mtime = hart_mtime(&s->guest->hart),
                           .between = s->between};
    if (!error && !pack(s, out))
        error = -ENOMEM;
    if (error)
        return error;
    out->layer = overlay_freeze(s->overlay);
    if (out->layer > 0)
        return 0;
    free(out->packed);
    return out->layer;
}

int simulated_return(struct simulated *s, const struct moment *moment)
{
    s->returning = true;
    int error = overlay_restore(s->overlay, moment->layer);
    s->returning = false;
    if (error)
        return error;
    unpack(s, moment);
    if (s->vm)
        vm_loaded(s->vm);
    else
        machine_loaded(s->guest);
    s->between = moment->between;
    s->guest->debug.skip = s->guest->hart.executed;
    return 0;
}

int simulated_forget(struct simulated *s, struct moment *moment)
{
    int error = overlay_delete(s->overlay, moment->layer);
    if (error)
        return error;
    free(moment->packed);
    *moment = (struct moment){0};
    return 0;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

static int refuse(char *why, int error, const char *text)
{
    snprintf(why, SESSION_ERROR, "%s", text);
    return error;
}

static struct snapshot *find_snapshot(struct simulated *s, int id)
{
    for (int i = 0; i < s->snapshots; i++)
        if (s->snapshot[i].id == id)
            return &s->snapshot[i];
    return NULL;
}

const struct moment *simulated_snapshot_moment(struct simulated *s, int id)
{
    const struct snapshot *snapshot = find_snapshot(s, id);
    return snapshot ? &snapshot->moment : NULL;
}

/* The snapshot that layer `layer` is of or stands on, by way of layers that are no snapshots; 0:
 * none. `pages`: what those and the layer itself have. */
static int snapshot_at(const struct simulated *s, int layer, uint64_t *pages, uint64_t *bytes)
{
    *pages = *bytes = 0;
    for (; layer; layer = overlay_parent(s->overlay, layer)) {
        for (int i = 0; i < s->snapshots; i++)
            if (s->snapshot[i].moment.layer == layer)
                return s->snapshot[i].id;
        *pages += overlay_pages(s->overlay, layer);
        *bytes += overlay_layer_bytes(s->overlay, layer);
    }
    return 0;
}

int simulated_snapshot(void *self, const char *name, char *why)
{
    struct simulated *s = self;
    if (s->disk_held)
        return refuse(why, -EBUSY, "no snapshots while the guest is protected");
    struct snapshot *grown = realloc(s->snapshot, (size_t)(s->snapshots + 1) * sizeof *grown);
    if (grown)
        s->snapshot = grown;
    struct snapshot *new = grown ? &s->snapshot[s->snapshots] : NULL;
    int error = new ? simulated_freeze(s, &new->moment) : -ENOMEM;
    if (error)
        return refuse(why, error, "the host has no memory left for a snapshot");
    snprintf(new->name, sizeof new->name, "%s", name ? name : "");
    new->id = ++s->snapshot_ids;
    new->run = s->history.run;
    s->snapshots++;
    return new->id;
}

int simulated_restore(void *self, int id, char *why)
{
    struct simulated *s = self;
    struct snapshot *snapshot = find_snapshot(s, id);
    if (!snapshot)
        return refuse(why, -ENOENT, "there is no such snapshot");
    int error = simulated_return(s, &snapshot->moment);
    if (error)
        return refuse(why, error, "the host has no memory left to restore a snapshot");
    s->console.shown = s->console.printed;
    recorder_spoil(s, "the guest was taken back to a snapshot");
    simulated_restarted(s);
    snapshot->run = s->history.run; /* which begins with it */
    return 0;
}

int simulated_snapshots(void *self, struct view_snapshot *out, int max)
{
    struct simulated *s = self;
    uint64_t pages, bytes;
    int current = s->overlay ? snapshot_at(s, overlay_current(s->overlay), &pages, &bytes) : 0;
    for (int i = 0; i < s->snapshots && i < max; i++) {
        const struct snapshot *from = &s->snapshot[i];
        int layer = from->moment.layer, below = overlay_parent(s->overlay, layer);
        out[i] = (struct view_snapshot){
            .id = from->id,
            .parent = snapshot_at(s, below, &pages, &bytes),
            .exits = from->moment.exits,
            .current = from->id == current,
        };
        out[i].pages = pages + overlay_pages(s->overlay, layer);
        out[i].bytes = bytes + overlay_layer_bytes(s->overlay, layer) + from->moment.size;
        snprintf(out[i].name, sizeof out[i].name, "%s", from->name);
    }
    return s->snapshots;
}

int simulated_snapshot_delete(void *self, int id)
{
    struct simulated *s = self;
    struct snapshot *gone = find_snapshot(s, id);
    int error = gone ? simulated_forget(s, &gone->moment) : -ENOENT;
    if (error)
        return error;
    int after = s->snapshots - (int)(gone - s->snapshot) - 1;
    memmove(gone, gone + 1, (size_t)after * sizeof *gone);
    s->snapshots--;
    return 0;
}

void simulated_forget_snapshots(struct simulated *s)
{
    for (int i = 0; i < s->snapshots; i++)
        free(s->snapshot[i].moment.packed);
    free(s->snapshot);
    s->snapshot = NULL;
    s->snapshots = 0;
}

/* ---- history and disk ----------------------------------------------------------------------- */

void simulated_view_history(void *self, struct view_history *out)
{
    struct simulated *s = self;
    const struct history *h = &s->history;
    *out = (struct view_history){
        .present = h->on,
        .in_past = replay_in_past(s),
        .first = h->count ? h->point[0].moment.executed : 0,
        .end = h->end,
        .bytes = replay_bytes(s),
        .limit = s->config->history,
        .checkpoints = (unsigned)h->count,
    };
}

static void forget(struct simulated *s)
{
    replay_end(s);
    simulated_forget_snapshots(s);
    simulated_keep_end(s);
}

int simulated_forget_past(void *self, char *why)
{
    int error = simulated_write_disk(self, why);
    if (!error) /* without a disk that is written it has forgotten nothing */
        forget(self);
    return error;
}

int simulated_write_disk(void *self, char *why)
{
    struct simulated *s = self;
    struct disk *disk = s->guest->disk_image;
    if (!disk || !disk_memory_of(disk) || s->config->disk_discard || disk_is_away(disk) ||
        s->disk_held) /* held: protection decides */
        return 0;
    forget(s);
    int error = disk_write_through(disk);
    if (error)
        snprintf(why, SESSION_ERROR, "%.400s: %s", s->config->disk, strerror(-error));
    return error;
}
