/* Layers of a VM's memory. See layers.h. */
#include "config.h"

#include "hv/kvm/layers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct layer {
    int id, parent;
    uint64_t count;
    uint64_t *page; /* numbers of pages, ascending */
    uint8_t *bytes; /* their content, in that order */
};

struct kvm_layers {
    struct kvm_vm *vm;
    uint64_t pages;  /* of memory */
    uint64_t *dirty; /* bits: pages written since the top was opened */
    uint64_t *moved; /* the same since who moves the guest has looked; NULL: nobody does */
    uint8_t *heat;   /* a byte a page */
    uint8_t *base;   /* the memfd, to be read; NULL: nobody wanted to */
    struct layer **layer;
    int count, next_id;
    int current; /* id below the top, 0: none */
};

/* ---- sets of pages -------------------------------------------------------------------------- */

static size_t set_words(const struct kvm_layers *l)
{
    return (l->pages + 63) / 64;
}

static void set_add(uint64_t *set, uint64_t page)
{
    set[page / 64] |= 1ull << (page % 64);
}

static void set_remove(uint64_t *set, uint64_t page)
{
    set[page / 64] &= ~(1ull << (page % 64));
}

static bool set_has(const uint64_t *set, uint64_t page)
{
    return set[page / 64] >> (page % 64) & 1;
}

static uint64_t set_count(const struct kvm_layers *l, const uint64_t *set)
{
    uint64_t count = 0;
    for (size_t i = 0; i < set_words(l); i++)
        count += (unsigned)__builtin_popcountll(set[i]);
    return count;
}

/* The first page of the set from `page` on; l->pages if there is none. */
static uint64_t set_next(const struct kvm_layers *l, const uint64_t *set, uint64_t page)
{
    while (page < l->pages) {
        uint64_t left = set[page / 64] >> (page % 64);
        if (left)
            return page + (unsigned)__builtin_ctzll(left);
        page = (page / 64 + 1) * 64;
    }
    return l->pages;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static struct layer *find(const struct kvm_layers *l, int id)
{
    for (int i = 0; i < l->count; i++)
        if (l->layer[i]->id == id)
            return l->layer[i];
    return NULL;
}

static bool is_below(const struct kvm_layers *l, int id, int from)
{
    for (const struct layer *a = find(l, from); a; a = find(l, a->parent))
        if (a->id == id)
            return true;
    return false;
}

static void free_layer(struct layer *a)
{
    if (!a)
        return;
    if (a->bytes)
        munmap(a->bytes, a->count * KVM_PAGE);
    free(a->page);
    free(a);
}

/* A layer with room for `count` pages. */
static struct layer *new_layer(uint64_t count)
{
    struct layer *a = calloc(1, sizeof *a);
    if (!a || !count)
        return a;
    a->count = count;
    a->page = malloc(count * sizeof *a->page);
    a->bytes =
        mmap(NULL, count * KVM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (a->bytes == MAP_FAILED)
        a->bytes = NULL;
    if (a->page && a->bytes)
        return a;
    free_layer(a);
    return NULL;
}

static int add_layer(struct kvm_layers *l, struct layer *a)
{
    struct layer **grown = realloc(l->layer, (size_t)(l->count + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    l->layer = grown;
    l->layer[l->count++] = a;
    return 0;
}

/* ---- what has been written ------------------------------------------------------------------ */

static void see_page(void *context, uint64_t offset)
{
    struct kvm_layers *l = context;
    set_add(l->dirty, offset / KVM_PAGE);
    if (l->moved)
        set_add(l->moved, offset / KVM_PAGE);
    l->heat[offset / KVM_PAGE] = 255;
}

/* Moves the VM's log, and what this program has written itself, into the set of dirty pages. */
static int collect(struct kvm_layers *l)
{
    int error = kvm_vm_dirty(l->vm, see_page, l);
    uint64_t *written = l->vm->memory.written;
    for (size_t i = 0; i < set_words(l); i++)
        for (uint64_t left = __atomic_exchange_n(&written[i], 0, __ATOMIC_ACQ_REL); left;
             left &= left - 1)
            see_page(l, (i * 64 + (unsigned)__builtin_ctzll(left)) * KVM_PAGE);
    return error;
}

static int begin_log(struct kvm_layers *l)
{
    struct kvm_memory *m = &l->vm->memory;
    if (!m->written)
        m->written = calloc(set_words(l), sizeof *m->written);
    return m->written ? kvm_vm_log_dirty(l->vm, true) : -ENOMEM;
}

int kvm_layers_look(struct kvm_layers *l, uint64_t *written)
{
    int error = begin_log(l);
    for (uint64_t i = 0; i < l->pages; i++)
        l->heat[i] /= 2;
    if (!error)
        error = collect(l);
    *written = 0;
    for (uint64_t i = 0; i < l->pages; i++)
        *written += l->heat[i] == 255;
    return error;
}

const uint8_t *kvm_layers_heat(const struct kvm_layers *l)
{
    return l->heat;
}

/* ---- freezing ------------------------------------------------------------------------------- */

/* The first time: the memfd stays as it is, and the guest writes to private copies of its pages.
 * KVM follows the change of the mapping by itself (its MMU notifier). */
static int freeze_base(struct kvm_layers *l)
{
    struct kvm_memory *m = &l->vm->memory;
    if (m->frozen)
        return 0;
    void *at = mmap(m->host, m->size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, m->fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    m->frozen = true;
    memset(l->dirty, 0, set_words(l) * sizeof *l->dirty);
    return 0;
}

static struct layer *copy_dirty(const struct kvm_layers *l)
{
    struct layer *a = new_layer(set_count(l, l->dirty));
    uint64_t n = 0;
    for (uint64_t page = set_next(l, l->dirty, 0); a && page < l->pages;
         page = set_next(l, l->dirty, page + 1), n++) {
        a->page[n] = page;
        memcpy(a->bytes + n * KVM_PAGE, l->vm->memory.host + page * KVM_PAGE, KVM_PAGE);
    }
    return a;
}

int kvm_layers_freeze(struct kvm_layers *l)
{
    int error = begin_log(l);
    if (!error)
        error = collect(l);
    if (!error)
        error = freeze_base(l);
    struct layer *a = error ? NULL : copy_dirty(l);
    if (!a)
        return error ? error : -ENOMEM;
    a->id = l->next_id;
    a->parent = l->current;
    error = add_layer(l, a);
    if (error) {
        free_layer(a);
        return error;
    }
    memset(l->dirty, 0, set_words(l) * sizeof *l->dirty);
    l->next_id++;
    l->current = a->id;
    return a->id;
}

/* ---- restoring ------------------------------------------------------------------------------ */

static void add_pages(uint64_t *set, const struct layer *a)
{
    for (uint64_t i = 0; i < a->count; i++)
        set_add(set, a->page[i]);
}

/* Adds the pages in which two layers differ: those of all layers between each and what both stand
 * on. */
static void add_difference(const struct kvm_layers *l, uint64_t *set, int a, int b)
{
    for (const struct layer *x = find(l, a); x && !is_below(l, x->id, b); x = find(l, x->parent))
        add_pages(set, x);
    for (const struct layer *x = find(l, b); x && !is_below(l, x->id, a); x = find(l, x->parent))
        add_pages(set, x);
}

/* Pages that no layer has are as in the base: without a private copy. Neighbours go at once. */
static int drop_copies(struct kvm_layers *l, const uint64_t *set)
{
    for (uint64_t from = set_next(l, set, 0), to; from < l->pages; from = set_next(l, set, to)) {
        for (to = from + 1; to < l->pages && set_has(set, to);)
            to++;
        if (madvise(l->vm->memory.host + from * KVM_PAGE, (to - from) * KVM_PAGE, MADV_DONTNEED))
            return -errno;
    }
    return 0;
}

int kvm_layers_restore(struct kvm_layers *l, int id)
{
    if (!find(l, id))
        return -ENOENT;
    uint64_t *set = calloc(set_words(l), sizeof *set);
    int error = set ? collect(l) : -ENOMEM;
    if (error)
        goto out;
    memcpy(set, l->dirty, set_words(l) * sizeof *set);
    add_difference(l, set, l->current, id);
    for (const struct layer *a = find(l, id); a; a = find(l, a->parent)) {
        for (uint64_t i = 0; i < a->count; i++) {
            if (!set_has(set, a->page[i]))
                continue;
            memcpy(l->vm->memory.host + a->page[i] * KVM_PAGE, a->bytes + i * KVM_PAGE, KVM_PAGE);
            set_remove(set, a->page[i]);
        }
    }
    error = drop_copies(l, set);
    memset(l->dirty, 0, set_words(l) * sizeof *l->dirty);
    l->current = id;
out:
    free(set);
    return error;
}

/* ---- deleting ------------------------------------------------------------------------------- */

/* `upper` with those pages of `lower` that it has not itself. */
static struct layer *merge(const struct layer *lower, const struct layer *upper)
{
    uint64_t i = 0, j = 0, n = 0;
    struct layer *a = new_layer(lower->count + upper->count);
    while (a && (i < lower->count || j < upper->count)) {
        bool take_upper =
            i == lower->count || (j < upper->count && upper->page[j] <= lower->page[i]);
        const struct layer *from = take_upper ? upper : lower;
        uint64_t at = take_upper ? j : i;
        if (take_upper && i < lower->count && lower->page[i] == upper->page[j])
            i++;
        a->page[n] = from->page[at];
        memcpy(a->bytes + n++ * KVM_PAGE, from->bytes + at * KVM_PAGE, KVM_PAGE);
        if (take_upper)
            j++;
        else
            i++;
    }
    if (!a)
        return NULL;
    if (a->bytes && n < a->count) /* what was not needed is given back */
        munmap(a->bytes + n * KVM_PAGE, (a->count - n) * KVM_PAGE);
    a->count = n;
    a->id = upper->id;
    a->parent = lower->parent;
    return a;
}

int kvm_layers_delete(struct kvm_layers *l, int id)
{
    struct layer *gone = find(l, id);
    if (!gone)
        return -ENOENT;
    for (int i = 0; i < l->count; i++) {
        if (l->layer[i]->parent != id)
            continue;
        struct layer *merged = merge(gone, l->layer[i]);
        if (!merged)
            return -ENOMEM; /* those done already are complete in themselves */
        free_layer(l->layer[i]);
        l->layer[i] = merged;
    }
    if (l->current ==
        id) { /* the top stands on it: its pages count as written since the one below */
        add_pages(l->dirty, gone);
        l->current = gone->parent;
    }
    for (int i = 0; i < l->count; i++)
        if (l->layer[i] == gone)
            l->layer[i] = l->layer[--l->count];
    free_layer(gone);
    return 0;
}

/* ---- questions ------------------------------------------------------------------------------ */

int kvm_layers_current(const struct kvm_layers *l)
{
    return l->current;
}

int kvm_layers_parent(const struct kvm_layers *l, int id)
{
    const struct layer *a = find(l, id);
    return a ? a->parent : 0;
}

uint64_t kvm_layers_pages(const struct kvm_layers *l, int id)
{
    const struct layer *a = find(l, id);
    return a ? a->count : 0;
}

/* The base is what the memfd holds. It is mapped once more, since the guest's view of it is
 * private.
 */
static int map_base(struct kvm_layers *l)
{
    const struct kvm_memory *m = &l->vm->memory;
    if (l->base)
        return 0;
    void *at = mmap(NULL, m->size, PROT_READ, MAP_SHARED | MAP_NORESERVE, m->fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    l->base = at;
    return 0;
}

typedef void (*see_fn)(void *context, uint64_t page, const uint8_t *bytes);

/* Holes of the memfd are zeros, and nobody wants to see those. */
static void see_base(const struct kvm_layers *l, const uint64_t *seen, see_fn see, void *context)
{
    int fd = l->vm->memory.fd;
    for (off_t from = 0, to; (from = lseek(fd, from, SEEK_DATA)) >= 0; from = to) {
        to = lseek(fd, from, SEEK_HOLE);
        for (off_t at = from; at < to && (uint64_t)at / KVM_PAGE < l->pages; at += KVM_PAGE)
            if (!set_has(seen, (uint64_t)at / KVM_PAGE))
                see(context, (uint64_t)at / KVM_PAGE, l->base + at);
    }
}

/* From the top down: the first layer that has a page says what it is. */
int kvm_layers_each(struct kvm_layers *l, int id, int base, see_fn see, void *context)
{
    if (!find(l, id) || (base && !is_below(l, base, id)))
        return -ENOENT;
    uint64_t *seen = calloc(set_words(l), sizeof *seen);
    int error = seen ? map_base(l) : -ENOMEM;
    for (const struct layer *a = find(l, id); a && a->id != base && !error; a = find(l, a->parent))
        for (uint64_t i = 0; i < a->count; i++) {
            if (!set_has(seen, a->page[i]))
                see(context, a->page[i], a->bytes + i * KVM_PAGE);
            set_add(seen, a->page[i]);
        }
    if (!base && !error)
        see_base(l, seen, see, context);
    free(seen);
    return error;
}

static bool has_page(const struct layer *a, uint64_t page)
{
    uint64_t low = 0, high = a->count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (a->page[middle] < page)
            low = middle + 1;
        else
            high = middle;
    }
    return low < a->count && a->page[low] == page;
}

int kvm_layers_find(struct kvm_layers *l, uint64_t offset)
{
    uint64_t page = offset / KVM_PAGE;
    if (page >= l->pages || !l->vm->memory.frozen || collect(l) || set_has(l->dirty, page))
        return -1;
    for (const struct layer *a = find(l, l->current); a; a = find(l, a->parent))
        if (has_page(a, page))
            return a->id;
    return 0;
}

uint64_t kvm_layers_top_pages(struct kvm_layers *l)
{
    if (!l->vm->memory.frozen || collect(l))
        return 0;
    return set_count(l, l->dirty);
}

/* ---- moving ---------------------------------------------------------------------------------- */

int kvm_layers_moves(struct kvm_layers *l)
{
    int error = begin_log(l);
    if (!error)
        error = collect(l);
    if (!error && !l->moved)
        l->moved = calloc(set_words(l), sizeof *l->moved);
    return error ? error : l->moved ? 0 : -ENOMEM;
}

void kvm_layers_moves_end(struct kvm_layers *l)
{
    free(l->moved);
    l->moved = NULL;
}

int kvm_layers_moved(struct kvm_layers *l, uint64_t *bits)
{
    int error = collect(l);
    for (size_t i = 0; i < set_words(l) && !error; i++) {
        bits[i] |= l->moved[i];
        l->moved[i] = 0;
    }
    return error;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct kvm_layers *kvm_layers_new(struct kvm_vm *vm)
{
    struct kvm_layers *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->vm = vm;
    l->pages = vm->memory.size / KVM_PAGE;
    l->next_id = 1;
    l->dirty = calloc(set_words(l), sizeof *l->dirty);
    l->heat = calloc(l->pages, 1);
    if (l->dirty && l->heat)
        return l;
    kvm_layers_free(l);
    return NULL;
}

void kvm_layers_free(struct kvm_layers *l)
{
    if (!l)
        return;
    for (int i = 0; i < l->count; i++)
        free_layer(l->layer[i]);
    if (l->base)
        munmap(l->base, l->vm->memory.size);
    free(l->layer);
    free(l->dirty);
    free(l->moved);
    free(l->heat);
    free(l);
}
