/*
 * The simulated backend: what its views of time show. The run as a line with its checkpoints, its
 * input and its snapshots; and the stack of layers under the guest with the scan for one page.
 *
 * Only reads. Layers are the overlay's (hv/overlay.h), checkpoints the history's (hv/replay.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dev/disk-memory.h"
#include "cpu/dev/disk.h"
#include "hv/simulated_priv.h"
#include "hv/view-layers.h"

/* ---- how many exits there were when ---------------------------------------------------------- */

enum { APART_FIRST = 64, LOOKS = 32 }; /* LOOKS: into the log of exits, for each slice */

static void profile_add(struct profile *p, struct view_moment moment)
{
    enum { MOST = sizeof p->moment / sizeof *p->moment };
    if (p->count && moment.instruction < p->moment[p->count - 1].instruction + p->apart)
        return;
    if (p->count == MOST) {
        for (unsigned i = 1; i < MOST / 2; i++)
            p->moment[i] = p->moment[2 * i];
        p->count = MOST / 2;
        p->apart *= 2;
    }
    p->moment[p->count++] = moment;
}

void profile_begin(struct simulated *s)
{
    struct profile *p = &s->history.profile;
    p->count = 0;
    p->apart = APART_FIRST;
    p->seq = simulated_exits(s);
    profile_add(p, (struct view_moment){s->guest->hart.executed, p->seq});
}

/* Of the exits since the last time some are asked when they were. */
void profile_note(struct simulated *s)
{
    struct profile *p = &s->history.profile;
    uint64_t exits = simulated_exits(s), new = exits - p->seq;
    if (exits < p->seq || s->guest->hart.executed <= p->moment[p->count - 1].instruction)
        return;
    for (uint64_t seq = p->seq + 1; seq <= exits; seq += new / LOOKS + 1) {
        const struct exit_record *r = simulated_exit_record(s, seq);
        if (r->seq == seq)
            profile_add(p, (struct view_moment){r->instruction, seq});
    }
    profile_add(p, (struct view_moment){s->guest->hart.executed, exits});
    p->seq = exits;
}

void profile_cut(struct simulated *s)
{
    struct profile *p = &s->history.profile;
    while (p->count > 1 && p->moment[p->count - 1].instruction > s->guest->hart.executed)
        p->count--;
    p->seq = simulated_exits(s);
}

/* ---- the run as a line ---------------------------------------------------------------------- */

/* Number `i` of `fit` that are taken evenly out of `count`, the first and the last among them. */
static size_t evenly(size_t i, size_t fit, size_t count)
{
    return fit < 2 || count <= fit ? i : i * (count - 1) / (fit - 1);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void add_checkpoints(const struct simulated *s, struct view_timeline *out)
{
    const struct history *h = &s->history;
    size_t count = (size_t)h->count, fit = least(count, VIEW_CHECKPOINTS);
    for (size_t i = 0; i < fit; i++)
        out->checkpoint[i] = h->point[evenly(i, fit, count)].moment.executed;
    out->checkpoints = (unsigned)fit;
}

/* The profile, and where the guest stands now in its place among them. */
static void add_moments(const struct simulated *s, struct view_timeline *out)
{
    const struct profile *p = &s->history.profile;
    struct view_moment here = {out->here, simulated_exits(s)};
    unsigned at = 0;
    while (at < p->count && p->moment[at].instruction <= here.instruction &&
           p->moment[at].exits <= here.exits)
        at++;
    memcpy(out->moment, p->moment, at * sizeof here);
    out->moment[at] = here;
    memcpy(&out->moment[at + 1], &p->moment[at], (p->count - at) * sizeof here);
    out->moments = p->count + 1;
}

static void add_inputs(const struct simulated *s, struct view_timeline *out)
{
    size_t count = session_log_count(s->session);
    size_t fit = least(count, VIEW_INPUTS);
    for (size_t i = 0; i < fit; i++)
        out->input[i] = session_log_at(s->session, evenly(i, fit, count))->instruction;
    out->inputs = (unsigned)fit;
}

static int by_instruction(const void *a, const void *b)
{
    const struct view_kept *x = a, *y = b;
    return x->instruction < y->instruction ? -1 : x->instruction > y->instruction;
}

static void add_snapshots(const struct simulated *s, struct view_timeline *out)
{
    for (int i = 0; i < s->snapshots && out->snapshots < VIEW_SNAPSHOTS; i++) {
        const struct snapshot *from = &s->snapshot[i];
        struct view_kept *to = &out->snapshot[out->snapshots];
        if (from->run != s->history.run)
            continue;
        *to = (struct view_kept){.instruction = from->moment.executed, .id = from->id};
        memcpy(to->name, from->name, sizeof to->name);
        out->snapshots++;
    }
    qsort(out->snapshot, out->snapshots, sizeof *out->snapshot, by_instruction);
}

void simulated_view_timeline(void *self, struct view_timeline *out)
{
    struct simulated *s = self;
    simulated_view_history(s, &out->history);
    if (!out->history.present)
        return;
    out->here = s->guest->hart.executed;
    add_checkpoints(s, out);
    add_moments(s, out);
    add_inputs(s, out);
    add_snapshots(s, out);
}

/* ---- the stack of layers -------------------------------------------------------------------- */

/* One page, looked for from the top down. */
struct look {
    struct simulated *s;
    struct view_layers *out;
    unsigned part;
    uint32_t page;
    int answer;     /* id of the layer that has it; 0: the base, -1: the top */
    int point;      /* checkpoint where the last layer was found: its neighbour is the next one */
    uint64_t pitch; /* so many checkpoints become one LAYER_MANY */
};

/* Which page of the overlay the address is in. Under the monitor it is the page of the computer's
 * memory that the guest's page has. */
static bool find_page(struct look *k)
{
    struct simulated *s = k->s;
    struct view_layers *out = k->out;
    uint32_t pa = (uint32_t)out->address;
    const char *why = NULL;
    if (out->disk) {
        k->part = (unsigned)simulated_disk_part(s);
        k->page = (uint32_t)(out->address / OVERLAY_PAGE);
        if (out->address >= disk_memory_of(s->guest->disk_image)->size)
            why = "the disk ends before";
    } else if (out->address != pa || !ram_has(&s->guest->ram, pa)) {
        why = "there is no memory at this address";
    } else {
        const struct ram *ram = s->computer ? &s->computer->ram : &s->guest->ram;
        uint32_t hpa = s->vm ? gpa_to_hpa(&s->vm->gpa, pa) : pa;
        k->page = (hpa - ram->base) / OVERLAY_PAGE;
        if (!hpa)
            why = "the guest has not touched it yet, so it has no frame";
    }
    snprintf(out->why, sizeof out->why, "%s", why ? why : "");
    return !why;
}

static const struct snapshot *snapshot_of(const struct simulated *s, int id)
{
    for (int i = 0; i < s->snapshots; i++)
        if (s->snapshot[i].moment.layer == id)
            return &s->snapshot[i];
    return NULL;
}

/* The search goes on where the last one ended: layers come in the order of checkpoints. */
static const struct moment *checkpoint_of(struct look *k, int id)
{
    const struct history *h = &k->s->history;
    for (int i = 0; i < h->count; i++) {
        int at = ((k->point - i) % h->count + h->count) % h->count;
        if (h->point[at].moment.layer == id) {
            k->point = at;
            return &h->point[at].moment;
        }
    }
    return NULL;
}

static struct view_layer describe(struct look *k, int id)
{
    struct view_layer l = {.kind = id < 0 ? LAYER_TOP : id ? LAYER_CHECKPOINT : LAYER_BASE};
    const struct snapshot *snapshot = id > 0 ? snapshot_of(k->s, id) : NULL;
    const struct moment *m = snapshot ? &snapshot->moment : id > 0 ? checkpoint_of(k, id) : NULL;
    if (snapshot) {
        l.kind = LAYER_SNAPSHOT;
        memcpy(l.name, snapshot->name, sizeof l.name);
    }
    l.pages = id < 0 ? overlay_top_pages(k->s->overlay) : overlay_pages(k->s->overlay, id);
    l.timed = m;
    l.instruction = m ? m->executed : 0;
    return l;
}

/* Is `layer` the one that `from` stands on, by way of others? */
static bool stands_on(const struct simulated *s, int from, int layer)
{
    while (from > layer) /* who stands on another is younger and has a larger number */
        from = overlay_parent(s->overlay, from);
    return from == layer;
}

/* Is the snapshot's nearest layer in this stack `id`, and not the snapshot itself? `above`: the
 * layer in the stack that stands on it; 0: the top. */
static bool branches_off(const struct simulated *s, int layer, int id, int above)
{
    if (above && stands_on(s, layer, above))
        return false;
    return layer != id && (id == 0 || stands_on(s, layer, id));
}

static void add_layer(struct look *k, int id, int above)
{
    const struct simulated *s = k->s;
    struct view_layer l = describe(k, id);
    for (int i = 0; i < s->snapshots && id >= 0; i++)
        if (branches_off(s, s->snapshot[i].moment.layer, id, above))
            view_layer_beside(&l, s->snapshot[i].name);
    if (id)
        view_layers_add(k->out, &l, id == k->answer, k->pitch);
    else
        view_layers_add_base(k->out, &l, k->out->disk ? s->guest->disk_image : NULL);
}

static void scan(struct look *k)
{
    struct overlay *o = k->s->overlay;
    int steps;
    if (!k->out->there || overlay_top_has(o, k->part, k->page))
        k->answer = -1;
    else
        overlay_scan(o, k->part, k->page, &k->answer, &steps);
}

struct disk *simulated_disk_image(void *self)
{
    struct simulated *s = self;
    return s->guest->disk_image;
}

void simulated_view_layers(void *self, struct view_layers *out)
{
    struct simulated *s = self;
    struct look k = {.s = s, .out = out};
    uint64_t layers = 0;
    struct disk *disk = out->disk ? s->guest->disk_image : NULL;
    if (!s->overlay || (out->disk && simulated_disk_part(s) < 0)) {
        view_layers_disk(out, disk);
        return;
    }
    out->present = true;
    snprintf(out->base, sizeof out->base, "%s",
             disk && !disk_file(disk, 0) ? "the disk's file" : "zeros");
    out->there = find_page(&k);
    scan(&k);
    for (int id = overlay_current(s->overlay); id; id = overlay_parent(s->overlay, id))
        layers++;
    k.pitch = layers / (VIEW_LAYERS / 2) + 1;
    add_layer(&k, -1, 0);
    int above = 0;
    for (int id = overlay_current(s->overlay); id; id = overlay_parent(s->overlay, id)) {
        add_layer(&k, id, above);
        above = id;
    }
    add_layer(&k, 0, above);
}
