/*
 * What differs between two snapshots: elements of state tables, pieces of KVM's state, pages.
 *
 * State tables are compared in their saved form, which has all names in it. Under a monitor pages
 * of the guest lie anywhere in the computer's memory; the monitor's map, which is in the file as
 * well, tells where, so what is compared is what the guest would see.
 */
#include <string.h>

#include "hv/snapshot_priv.h"

/* ---- state tables --------------------------------------------------------------------------- */

static const uint8_t SIZE[] = {
    [STATE_U8] = 1, [STATE_U16] = 2, [STATE_U32] = 4, [STATE_U64] = 8, [STATE_BOOL] = 1};

/* The next table's head: version, name, number of fields. */
static bool begin_table(struct snapshot_fields *w, struct bytes_reader *r)
{
    bytes_take(r, 2);
    bytes_take_text(r, w->table, sizeof w->table);
    w->left = (uint32_t)bytes_take(r, 4);
    return !r->torn;
}

bool snapshot_next_field(struct snapshot_fields *w, struct snapshot_field *out)
{
    struct bytes_reader r = {w->bytes, w->count, w->at, false};
    while (!w->left)
        if (r.at == r.count || !begin_table(w, &r))
            return false;
    w->left--;
    memcpy(out->table, w->table, sizeof out->table);
    bytes_take_text(&r, out->name, sizeof out->name);
    out->type = (uint8_t)bytes_take(&r, 1);
    out->count = (uint32_t)bytes_take(&r, 4);
    out->values = r.bytes + r.at;
    if (r.torn || out->type > STATE_BOOL || out->count > (r.count - r.at) / SIZE[out->type])
        return false;
    w->at = r.at + (size_t)out->count * SIZE[out->type];
    return true;
}

uint64_t snapshot_field_value(const struct snapshot_field *f, uint32_t index)
{
    unsigned size = SIZE[f->type];
    struct bytes_reader r = {f->values, (size_t)f->count * size, (size_t)index * size, false};
    return bytes_take(&r, size);
}

static bool same_field(const struct snapshot_field *a, const struct snapshot_field *b)
{
    return !strcmp(a->table, b->table) && !strcmp(a->name, b->name) && a->type == b->type &&
           a->count == b->count;
}

/* Field by field; tables of another version may not have the same ones, then they are named. */
static void diff_tables(const struct state_buffer *a, const struct state_buffer *b,
                        const struct snapshot_differ *d)
{
    struct snapshot_fields in_a = {a->bytes, a->count, 0, "", 0};
    struct snapshot_fields in_b = {b->bytes, b->count, 0, "", 0};
    struct snapshot_field x, y;
    while (snapshot_next_field(&in_a, &x)) {
        if (!snapshot_next_field(&in_b, &y) || !same_field(&x, &y)) {
            if (d->piece)
                d->piece(d->context, x.table, NULL, NULL, 0);
            return;
        }
        for (uint32_t i = 0; i < x.count && d->field; i++) {
            uint64_t p = snapshot_field_value(&x, i), q = snapshot_field_value(&y, i);
            if (p != q)
                d->field(d->context, x.table, x.name, i, x.count, p, q);
        }
    }
    if (snapshot_next_field(&in_b, &y) && d->piece)
        d->piece(d->context, y.table, NULL, NULL, 0);
}

/* ---- KVM's pieces --------------------------------------------------------------------------- */

/* {name, u32 size, bytes}, see hv/kvm/state.c. */
bool snapshot_next_piece(const struct state_buffer *kvm, size_t *at, char name[17],
                         const uint8_t **bytes, size_t *count)
{
    struct bytes_reader r = {kvm->bytes, kvm->count, *at + 16, false};
    if (kvm->count - *at < 20)
        return false;
    memcpy(name, kvm->bytes + *at, 16);
    name[16] = 0;
    *count = bytes_take(&r, 4);
    *bytes = kvm->bytes + r.at;
    if (*count > kvm->count - r.at)
        return false;
    *at = r.at + *count;
    return true;
}

static void diff_pieces(const struct state_buffer *a, const struct state_buffer *b,
                        const struct snapshot_differ *d)
{
    size_t in_a = 0, in_b = 0, count_a, count_b;
    const uint8_t *x, *y;
    char name[17], other[17];
    while (d->piece && snapshot_next_piece(a, &in_a, name, &x, &count_a) &&
           snapshot_next_piece(b, &in_b, other, &y, &count_b)) {
        bool same_kind = !strcmp(name, other) && count_a == count_b;
        if (!same_kind || memcmp(x, y, count_a))
            d->piece(d->context, name, x, y, same_kind ? count_a : 0);
    }
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* The guest's memory as it sees it. */
struct seen {
    const struct snapshot_part *memory, *map;
};

static struct seen see(const struct snapshot_file *s)
{
    return (struct seen){snapshot_find_part(s, "memory"), snapshot_find_part(s, "map")};
}

/* The page of the computer that holds page `index` of the guest; false: none does. */
static bool find_frame(const struct seen *s, uint32_t index, uint32_t *frame)
{
    *frame = index;
    if (!s->map)
        return true;
    const struct snapshot_page *page = snapshot_look(s->map, index / (SNAPSHOT_PAGE / 4));
    if (!page || !page->bytes)
        return false;
    struct bytes_reader r = {page->bytes, SNAPSHOT_PAGE, index % (SNAPSHOT_PAGE / 4) * 4, false};
    uint32_t pa = (uint32_t)bytes_take(&r, 4);
    *frame = (pa - 0x80000000u) / SNAPSHOT_PAGE; /* the computer's memory begins there */
    return pa != 0;
}

/* NULL: zeros. */
static const uint8_t *guest_page(const struct seen *s, uint32_t index)
{
    uint32_t frame;
    const struct snapshot_page *page =
        find_frame(s, index, &frame) ? snapshot_look(s->memory, frame) : NULL;
    return page ? page->bytes : NULL;
}

static bool same_bytes(const uint8_t *x, const uint8_t *y)
{
    static const uint8_t zero[SNAPSHOT_PAGE];
    return x == y || !memcmp(x ? x : zero, y ? y : zero, SNAPSHOT_PAGE);
}

/* Tells runs of neighbours. */
struct runs {
    const struct snapshot_differ *differ;
    const char *part;
    uint32_t first, count;
};

static void end_run(struct runs *r)
{
    if (r->count)
        r->differ->pages(r->differ->context, r->part, r->first, r->first + r->count - 1);
    r->count = 0;
}

static void add_page(struct runs *r, uint32_t index)
{
    if (r->count && index != r->first + r->count)
        end_run(r);
    if (!r->count)
        r->first = index;
    r->count++;
}

/* Calls for each index that at least one of the two parts has, ascending; with their pages, NULL
 * where there is none. */
static void each_pair(const struct snapshot_part *x, const struct snapshot_part *y,
                      void (*pair)(void *context, uint32_t index, const struct snapshot_page *p,
                                   const struct snapshot_page *q),
                      void *context)
{
    uint32_t i = 0, k = 0;
    while (i < x->count || k < y->count) {
        bool in_x = i < x->count && (k == y->count || x->page[i].index <= y->page[k].index);
        bool in_y = k < y->count && (i == x->count || y->page[k].index <= x->page[i].index);
        const struct snapshot_page *p = in_x ? &x->page[i++] : NULL;
        const struct snapshot_page *q = in_y ? &y->page[k++] : NULL;
        pair(context, p ? p->index : q->index, p, q);
    }
}

struct comparison {
    struct seen a, b;
    bool backed; /* a page that is not there is not zeros */
    struct runs runs;
};

static void compare_page(void *context, uint32_t index, const struct snapshot_page *p,
                         const struct snapshot_page *q)
{
    struct comparison *c = context;
    bool one_only = c->backed && (!p || !q);
    if (one_only || !same_bytes(p ? p->bytes : NULL, q ? q->bytes : NULL))
        add_page(&c->runs, index);
}

/* A page of the two maps: the guest's pages that it tells of. */
static void compare_mapped(void *context, uint32_t index, const struct snapshot_page *p,
                           const struct snapshot_page *q)
{
    enum { ENTRIES = SNAPSHOT_PAGE / 4 };
    struct comparison *c = context;
    if (!(p && p->bytes) && !(q && q->bytes))
        return; /* neither has any of them; and a small file can tell of very many such pages */
    for (uint32_t i = 0; i < ENTRIES && index < UINT32_MAX / ENTRIES; i++) {
        uint32_t page = index * ENTRIES + i;
        if (!same_bytes(guest_page(&c->a, page), guest_page(&c->b, page)))
            add_page(&c->runs, page);
    }
}

static void diff_memory(const struct snapshot_file *a, const struct snapshot_file *b,
                        const struct snapshot_differ *d)
{
    struct comparison c = {see(a), see(b), false, {.differ = d, .part = "memory"}};
    if (!c.a.memory || !c.b.memory || !c.a.map != !c.b.map)
        return;
    if (c.a.map)
        each_pair(c.a.map, c.b.map, compare_mapped, &c);
    else
        each_pair(c.a.memory, c.b.memory, compare_page, &c);
    end_run(&c.runs);
}

static void diff_disk(const struct snapshot_file *a, const struct snapshot_file *b,
                      const struct snapshot_differ *d)
{
    const struct snapshot_part *x = snapshot_find_part(a, "disk"),
                               *y = snapshot_find_part(b, "disk");
    struct comparison c = {.backed = true, .runs = {.differ = d, .part = "disk"}};
    if (x && y)
        each_pair(x, y, compare_page, &c);
    end_run(&c.runs);
}

void snapshot_diff(const struct snapshot_file *a, const struct snapshot_file *b,
                   const struct snapshot_differ *d)
{
    diff_tables(&a->tables, &b->tables, d);
    diff_pieces(&a->kvm, &b->kvm, d);
    if (!d->pages)
        return;
    diff_memory(a, b, d);
    diff_disk(a, b, d);
}
