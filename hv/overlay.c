/*
 * Layers of pages. See overlay.h for what they are.
 *
 * What a page was is a `version`; each layer is a list of versions. Two rules hold between them:
 *
 *   `older` of a version is what the layer below would give for the page; NULL: the base's content
 *   `index[page]` is the version that the layer under the top would give for it
 *
 * So going down a layer sets index[page] = version->older for its pages, going up sets
 * index[page] = version, and nothing else ever needs to be looked for. A version may be in several
 * layers: those that stood on one that was deleted, and have taken over its pages.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_NORESERVE */
#endif
#include "hv/overlay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/page-pool.h"

struct version {
    struct version *older;
    uint32_t layers; /* that have it */
    bool going;      /* of a layer that is being deleted */
    uint8_t *bytes;  /* a page of the pool */
};

enum { VERSION_BYTES = sizeof(struct version) + OVERLAY_PAGE };

struct entry {
    uint32_t page;
    uint32_t part;
    struct version *version;
};

struct layer {
    int id;
    struct layer *parent; /* NULL: stands on the base */
    uint32_t depth;       /* layers below */
    uint64_t count, room;
    struct entry *entry;
};

struct part {
    struct overlay_part is;
    uint32_t pages;
    struct version **index;  /* by page */
    const uint8_t **content; /* the same: its bytes, so that a look-up is one step */
    uint8_t *mark;           /* by page: see the functions that use it; zero between them */
};

struct overlay {
    struct part part[OVERLAY_PARTS];
    unsigned parts;
    struct layer **layer; /* in order of their ids */
    int count, room, next_id;
    struct layer *current;
    struct page_pool pool;
    uint64_t versions; /* alive */
    uint64_t entries;
};

/* ---- memory --------------------------------------------------------------------------------- */

static void *map_zeroed(uint64_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void unmap(void *at, uint64_t size)
{
    if (at)
        munmap(at, size);
}

static bool part_init(struct part *p, const struct overlay_part *is)
{
    *p =
        (struct part){.is = *is, .pages = (uint32_t)((is->size + OVERLAY_PAGE - 1) / OVERLAY_PAGE)};
    p->index = map_zeroed(p->pages * sizeof *p->index);
    p->content = map_zeroed(p->pages * sizeof *p->content);
    p->mark = map_zeroed(p->pages);
    return p->index && p->content && p->mark;
}

static void part_free(struct part *p)
{
    unmap(p->index, p->pages * sizeof *p->index);
    unmap(p->content, p->pages * sizeof *p->content);
    unmap(p->mark, p->pages);
}

struct overlay *overlay_new(const struct overlay_part *part, unsigned parts)
{
    assert(parts <= OVERLAY_PARTS);
    struct overlay *o = calloc(1, sizeof *o);
    bool ok = o;
    if (!o)
        return NULL;
    o->next_id = 1;
    for (unsigned i = 0; i < parts; i++, o->parts++)
        ok &= part_init(&o->part[i], &part[i]);
    if (ok)
        return o;
    overlay_free(o);
    return NULL;
}

static void let_go(struct overlay *o, struct version *v)
{
    if (--v->layers)
        return;
    page_pool_give(&o->pool, v->bytes);
    free(v);
    o->versions--;
}

static void layer_free(struct overlay *o, struct layer *l)
{
    for (uint64_t i = 0; i < l->count; i++)
        let_go(o, l->entry[i].version);
    o->entries -= l->count;
    free(l->entry);
    free(l);
}

void overlay_free(struct overlay *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->count; i++)
        layer_free(o, o->layer[i]);
    for (unsigned i = 0; i < o->parts; i++)
        part_free(&o->part[i]);
    page_pool_free(&o->pool);
    free(o->layer);
    free(o);
}

/* Room for `more` entries. */
static bool layer_grow(struct layer *l, uint64_t more)
{
    if (l->count + more <= l->room)
        return true;
    uint64_t room = l->count + more + l->room / 2;
    struct entry *grown = realloc(l->entry, room * sizeof *grown);
    if (!grown)
        return false;
    l->entry = grown;
    l->room = room;
    return true;
}

static void layer_add(struct overlay *o, struct layer *l, const struct entry *e)
{
    assert(l->count < l->room);
    l->entry[l->count++] = *e;
    o->entries++;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* Bytes of a page that its part has. */
static size_t page_size(const struct part *p, uint32_t page)
{
    uint64_t left = p->is.size - (uint64_t)page * OVERLAY_PAGE;
    return left < OVERLAY_PAGE ? (size_t)left : OVERLAY_PAGE;
}

static uint8_t *page_at(const struct part *p, uint32_t page)
{
    return p->is.bytes + (uint64_t)page * OVERLAY_PAGE;
}

static const uint8_t *bytes_of(const struct version *v)
{
    return v ? v->bytes : NULL;
}

/* Does the page differ from the newest version? What is in a base behind a part is not asked: a
 * page that was written counts as changed until it has a version. */
static bool has_changed(const struct part *p, uint32_t page)
{
    static const uint8_t zero[OVERLAY_PAGE];
    const uint8_t *was = bytes_of(p->index[page]);
    if (!was && p->is.backed)
        return true;
    return memcmp(page_at(p, page), was ? was : zero, page_size(p, page)) != 0;
}

static void put(const struct part *p, uint32_t page)
{
    const uint8_t *bytes = bytes_of(p->index[page]);
    if (p->is.put)
        p->is.put(p->is.context, page, bytes);
    else if (bytes)
        memcpy(page_at(p, page), bytes, page_size(p, page));
    else
        memset(page_at(p, page), 0, page_size(p, page));
}

/* ---- the tree ------------------------------------------------------------------------------- */

static int place_of(const struct overlay *o, int id)
{
    int low = 0, high = o->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (o->layer[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < o->count && o->layer[low]->id == id ? low : -1;
}

static struct layer *find(const struct overlay *o, int id)
{
    int place = place_of(o, id);
    return place < 0 ? NULL : o->layer[place];
}

static bool make_room(struct overlay *o)
{
    if (o->count < o->room)
        return true;
    int room = o->room * 2 + 16;
    struct layer **grown = realloc(o->layer, (size_t)room * sizeof *grown);
    if (!grown)
        return false;
    o->layer = grown;
    o->room = room;
    return true;
}

/* ---- freezing ------------------------------------------------------------------------------- */

static bool add_version(struct overlay *o, struct layer *l, unsigned part, uint32_t page)
{
    const struct part *p = &o->part[part];
    struct version *v = layer_grow(l, 1) ? malloc(sizeof *v) : NULL;
    uint8_t *bytes = v ? page_pool_take(&o->pool) : NULL;
    if (!bytes) {
        free(v);
        return false;
    }
    v->bytes = bytes;
    v->older = p->index[page];
    v->layers = 1;
    v->going = false;
    memcpy(v->bytes, page_at(p, page), page_size(p, page));
    o->versions++;
    layer_add(o, l, &(struct entry){page, part, v});
    return true;
}

static bool collect(struct overlay *o, struct layer *l, unsigned part)
{
    const struct part *p = &o->part[part];
    const struct ram_track *t = p->is.track;
    uint32_t count = t ? t->count : p->pages;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t page = t ? t->dirty[i] : i;
        if (has_changed(p, page) && !add_version(o, l, part, page))
            return false;
    }
    return true;
}

/*
 * The pages are clean from now on, and their next write will be heard of; but those that have
 * changed this time are likely to change again, so nobody need be told: they stay dirty, and are
 * compared next time, which costs less than to hear of a write. `mark` says which they are.
 */
static void make_clean(struct part *p)
{
    struct ram_track *t = p->is.track;
    uint32_t kept = 0, cleaned = 0, *gone = malloc((t->count + 1) * sizeof *gone);
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t page = t->dirty[i];
        if (p->mark[page] && gone) {
            t->dirty[kept++] = page;
            continue;
        }
        ram_track_clean(t, page, RAM_WARM);
        if (gone)
            gone[cleaned++] = page;
    }
    if (p->is.cleaned && cleaned)
        p->is.cleaned(p->is.context, gone, cleaned);
    if (p->is.cleaned && !gone && t->count) /* no memory for the list: one by one */
        for (uint32_t i = 0; i < t->count; i++)
            p->is.cleaned(p->is.context, &t->dirty[i], 1);
    t->count = kept;
    free(gone);
}

static void set_newest(struct overlay *o, const struct entry *e, struct version *v)
{
    o->part[e->part].index[e->page] = v;
    o->part[e->part].content[e->page] = bytes_of(v);
}

/* The layer's pages are the newest now. */
static void step_up(struct overlay *o, const struct layer *l)
{
    for (uint64_t i = 0; i < l->count; i++)
        set_newest(o, &l->entry[i], l->entry[i].version);
}

static void step_down(struct overlay *o, const struct layer *l)
{
    for (uint64_t i = 0; i < l->count; i++)
        set_newest(o, &l->entry[i], l->entry[i].version->older);
}

static void set_marks(struct overlay *o, const struct layer *l, uint8_t value)
{
    for (uint64_t i = 0; i < l->count; i++)
        o->part[l->entry[i].part].mark[l->entry[i].page] = value;
}

int overlay_freeze(struct overlay *o)
{
    struct layer *l = make_room(o) ? calloc(1, sizeof *l) : NULL;
    bool ok = l;
    for (unsigned i = 0; ok && i < o->parts; i++)
        ok = collect(o, l, i);
    if (!ok) {
        if (l)
            layer_free(o, l);
        return -ENOMEM;
    }
    set_marks(o, l, 1);
    for (unsigned i = 0; i < o->parts; i++)
        if (o->part[i].is.track)
            make_clean(&o->part[i]);
    set_marks(o, l, 0);
    l->id = o->next_id++;
    l->parent = o->current;
    l->depth = l->parent ? l->parent->depth + 1 : 0;
    o->layer[o->count++] = l;
    o->current = l;
    step_up(o, l);
    return l->id;
}

/* ---- restoring ------------------------------------------------------------------------------ */

/* What both stand on; NULL: the base. */
static struct layer *common(struct layer *a, struct layer *b)
{
    while (a != b) {
        if (!a || (b && b->depth > a->depth))
            b = b->parent;
        else
            a = a->parent;
    }
    return a;
}

/* Moves the index from the current layer to `to`, and marks the pages in which they may differ. */
static void move_index(struct overlay *o, struct layer *to, struct layer **path)
{
    struct layer *base = common(o->current, to);
    for (struct layer *l = o->current; l != base; l = l->parent) {
        step_down(o, l);
        set_marks(o, l, 1);
    }
    uint32_t steps = 0;
    for (struct layer *l = to; l != base; l = l->parent)
        path[steps++] = l;
    while (steps--) {
        step_up(o, path[steps]);
        set_marks(o, path[steps], 1);
    }
}

static void put_marked(struct overlay *o, const struct layer *l)
{
    for (uint64_t i = 0; i < l->count; i++) {
        struct part *p = &o->part[l->entry[i].part];
        uint32_t page = l->entry[i].page;
        if (p->mark[page] && p->is.track)
            put(p, page);
        p->mark[page] = 0;
    }
}

static void put_written(struct part *p)
{
    struct ram_track *t = p->is.track;
    for (uint32_t i = 0; i < t->count; i++)
        p->mark[t->dirty[i]] = 1;
    for (uint32_t i = 0, count = t->count; i < count; i++) {
        uint32_t page = t->dirty[i];
        if (p->mark[page])
            put(p, page);
        p->mark[page] = 0;
    }
}

/* All pages are as the index says: none of them is dirty. */
static void forget_writes(struct part *p)
{
    struct ram_track *t = p->is.track;
    for (uint32_t i = 0; i < t->count; i++)
        ram_track_clean(t, t->dirty[i], RAM_WARM);
    if (p->is.cleaned && t->count)
        p->is.cleaned(p->is.context, t->dirty, t->count);
    t->count = 0;
}

int overlay_restore(struct overlay *o, int id)
{
    struct layer *to = find(o, id), *from = o->current;
    if (!to)
        return -ENOENT;
    struct layer **path = malloc((to->depth + 1) * sizeof *path);
    if (!path)
        return -ENOMEM;
    struct layer *base = common(from, to);
    move_index(o, to, path);
    free(path);
    for (unsigned i = 0; i < o->parts; i++)
        if (o->part[i].is.track)
            put_written(&o->part[i]);
    for (const struct layer *l = from; l != base; l = l->parent)
        put_marked(o, l);
    for (const struct layer *l = to; l != base; l = l->parent)
        put_marked(o, l);
    for (unsigned i = 0; i < o->parts; i++) {
        struct part *p = &o->part[i];
        for (uint32_t page = 0; !p->is.track && page < p->pages; page++)
            put(p, page);
        if (p->is.track)
            forget_writes(p);
    }
    o->current = to;
    return 0;
}

/* ---- deleting ------------------------------------------------------------------------------- */

/* The pages of `gone` that `heir`, which stands on it, has not itself. */
static uint64_t count_missing(struct overlay *o, const struct layer *gone, const struct layer *heir)
{
    uint64_t count = 0;
    set_marks(o, gone, 1);
    set_marks(o, heir, 0);
    for (uint64_t i = 0; i < gone->count; i++)
        count += o->part[gone->entry[i].part].mark[gone->entry[i].page];
    set_marks(o, gone, 0);
    return count;
}

static void set_going(const struct layer *l, bool going)
{
    for (uint64_t i = 0; i < l->count; i++)
        l->entry[i].version->going = going;
}

/* What `heir` has itself replaces the one before the gone one now; what it has not it takes over.
 */
static void inherit(struct overlay *o, const struct layer *gone, struct layer *heir)
{
    set_marks(o, gone, 1);
    for (uint64_t i = 0; i < heir->count; i++) {
        struct version *v = heir->entry[i].version;
        if (v->older && v->older->going)
            v->older = v->older->older;
        o->part[heir->entry[i].part].mark[heir->entry[i].page] = 0;
    }
    for (uint64_t i = 0; i < gone->count; i++) {
        const struct entry *e = &gone->entry[i];
        uint8_t *mark = &o->part[e->part].mark[e->page];
        if (*mark) {
            layer_add(o, heir, e);
            e->version->layers++;
        }
        *mark = 0;
    }
    heir->parent = gone->parent;
}

/* Everything that stands on `l` is one layer nearer to the base. */
static void count_depths(struct overlay *o)
{
    for (int i = 0; i < o->count; i++) /* parents come first */
        o->layer[i]->depth = o->layer[i]->parent ? o->layer[i]->parent->depth + 1 : 0;
}

/* The top stands on what was below: the layer's pages are the top's. */
static void give_to_top(struct overlay *o, const struct layer *gone)
{
    step_down(o, gone);
    for (uint64_t i = 0; i < gone->count; i++) {
        struct ram_track *t = o->part[gone->entry[i].part].is.track;
        if (t)
            ram_track_write(t, gone->entry[i].page);
    }
    o->current = gone->parent;
}

int overlay_delete(struct overlay *o, int id)
{
    int place = place_of(o, id);
    if (place < 0)
        return -ENOENT;
    struct layer *gone = o->layer[place];
    for (int i = place + 1; i < o->count; i++)
        if (o->layer[i]->parent == gone &&
            !layer_grow(o->layer[i], count_missing(o, gone, o->layer[i])))
            return -ENOMEM;
    set_going(gone, true);
    for (int i = place + 1; i < o->count; i++)
        if (o->layer[i]->parent == gone)
            inherit(o, gone, o->layer[i]);
    set_going(gone, false);
    if (o->current == gone)
        give_to_top(o, gone);
    o->count--;
    memmove(&o->layer[place], &o->layer[place + 1], (size_t)(o->count - place) * sizeof *o->layer);
    count_depths(o);
    layer_free(o, gone);
    return 0;
}

/* ---- questions ------------------------------------------------------------------------------ */

int overlay_current(const struct overlay *o)
{
    return o->current ? o->current->id : 0;
}

int overlay_parent(const struct overlay *o, int id)
{
    const struct layer *l = find(o, id);
    return l && l->parent ? l->parent->id : 0;
}

uint64_t overlay_pages(const struct overlay *o, int id)
{
    const struct layer *l = find(o, id);
    return l ? l->count : 0;
}

uint64_t overlay_bytes(const struct overlay *o)
{
    return o->versions * VERSION_BYTES + o->entries * sizeof(struct entry) +
           (uint64_t)o->count * sizeof(struct layer);
}

uint64_t overlay_layer_bytes(const struct overlay *o, int id)
{
    const struct layer *l = find(o, id);
    uint64_t bytes = l ? sizeof *l + l->count * sizeof *l->entry : 0;
    for (uint64_t i = 0; l && i < l->count; i++)
        bytes += l->entry[i].version->layers == 1 ? VERSION_BYTES : 0;
    return bytes;
}

const uint8_t *overlay_look(const struct overlay *o, unsigned part, uint32_t page)
{
    return o->part[part].content[page];
}

static const struct version *own_version(const struct layer *l, unsigned part, uint32_t page)
{
    for (uint64_t i = 0; i < l->count; i++)
        if (l->entry[i].page == page && l->entry[i].part == part)
            return l->entry[i].version;
    return NULL;
}

const uint8_t *overlay_scan(const struct overlay *o, unsigned part, uint32_t page, int *id,
                            int *steps)
{
    *steps = 0;
    *id = 0;
    for (const struct layer *l = o->current; l; l = l->parent) {
        const struct version *v = own_version(l, part, page);
        ++*steps;
        if (v) {
            *id = l->id;
            return v->bytes;
        }
    }
    return NULL;
}

bool overlay_in_top(const struct overlay *o, unsigned part, uint32_t page)
{
    const struct part *p = &o->part[part];
    return p->is.track ? !(p->is.track->clean[page] & RAM_STATES) : has_changed(p, page);
}

bool overlay_top_has(const struct overlay *o, unsigned part, uint32_t page)
{
    return overlay_in_top(o, part, page) && has_changed(&o->part[part], page);
}

uint64_t overlay_top_pages(const struct overlay *o)
{
    uint64_t pages = 0;
    for (unsigned i = 0; i < o->parts; i++) {
        const struct part *p = &o->part[i];
        const struct ram_track *t = p->is.track;
        uint32_t count = t ? t->count : p->pages;
        for (uint32_t n = 0; n < count; n++)
            pages += has_changed(p, t ? t->dirty[n] : n);
    }
    return pages;
}

const struct overlay_part *overlay_part_at(const struct overlay *o, unsigned part)
{
    return part < o->parts ? &o->part[part].is : NULL;
}

/* Those that no layer above has had; they are marked. */
static void see_own(struct overlay *o, const struct layer *l, overlay_see_fn see, void *context)
{
    for (uint64_t i = 0; i < l->count; i++) {
        const struct entry *e = &l->entry[i];
        uint8_t *mark = &o->part[e->part].mark[e->page];
        if (!*mark)
            see(context, e->part, e->page, e->version->bytes);
        *mark = 1;
    }
}

int overlay_each(struct overlay *o, int id, int base, overlay_see_fn see, void *context)
{
    struct layer *from = find(o, id), *to = find(o, base), *l = from;
    while (l && l != to)
        l = l->parent;
    if (!from || l != to || (base && !to))
        return -ENOENT;
    for (l = from; l != to; l = l->parent)
        see_own(o, l, see, context);
    for (l = from; l != to; l = l->parent)
        set_marks(o, l, 0);
    return 0;
}
