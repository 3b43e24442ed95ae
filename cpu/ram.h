/*
 * Physical memory, page by page.
 *
 * The computer's own memory is one mapping of the host, of a memfd, so that an engine can map pages
 * of it a second time. A virtual machine's memory is the
 * same struct with other pages: each is a page of the hardware below, found by an `allot` function
 * when the page is first touched. Nothing above this file sees the difference.
 *
 * A page that was never touched reads as zero and has no host memory.
 */
#ifndef VITRINE_CPU_RAM_H
#define VITRINE_CPU_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/state.h"

/* Gives the host address of page `index` (4096 bytes, zeroed), or NULL if there is no memory left.
 * Called once a page. */
typedef uint8_t *(*ram_allot_fn)(void *context, uint32_t index);

/*
 * Which memory an engine has derived something from: decoded or translated code. Whoever changes
 * bytes asks ram_changed(), so that the engine can forget what has become stale. One for all memories
 * that consist of the same host pages: a virtual machine's memory refers to the hardware's.
 */
enum { RAM_PAGE = 4096, RAM_GRANULE = 64 }; /* bytes; a page's granules are bits of one word */

/*
 * Which pages were written since somebody last looked (a snapshot, say). A clean page is like one
 * with derived code: no fast path may write to it, so its first write is heard of, and from then on
 * it is dirty and free for all.
 *
 * Two may look, each in its own time: snapshots, and who moves the guest to another host. A page has
 * a bit for each to whom it is clean.
 */
enum ram_clean {
    RAM_DIRTY,
    RAM_CLEAN,
    RAM_WARM, /* clean, but it was written not long ago, and is likely to be written again */
    RAM_STATES = 3,     /* mask: one of the three above, for snapshots */
    RAM_UNMOVED = 4, /* or-ed: for who moves the guest it is clean */
};

struct ram_track {
    uint8_t *clean;   /* by page: enum ram_clean; NULL: nobody keeps account */
    uint32_t *dirty;  /* those that are RAM_DIRTY, in the order of their first write; room for all */
    uint32_t count;
    uint32_t *moved;  /* those that are not RAM_UNMOVED; NULL: nobody moves the guest */
    uint32_t moved_count;
};

/* The page is clean, or warm, for snapshots. */
static inline void ram_track_clean(struct ram_track *track, uint32_t page, enum ram_clean state)
{
    track->clean[page] = (uint8_t)((track->clean[page] & RAM_UNMOVED) | state);
}

/* For `pages` pages, all clean. -ENOMEM. */
int ram_track_init(struct ram_track *track, uint64_t pages);
void ram_track_free(struct ram_track *track, uint64_t pages);
static inline void ram_track_write(struct ram_track *track, uint32_t page)
{
    if (track->clean && track->clean[page]) {
        if (track->clean[page] & RAM_STATES)
            track->dirty[track->count++] = page;
        if (track->clean[page] & RAM_UNMOVED)
            track->moved[track->moved_count++] = page;
        track->clean[page] = RAM_DIRTY;
    }
}

struct ram_code {
    const uint8_t *base; /* of the host's mapping */
    struct ram_track track;
    uint64_t *derived;   /* by page: a bit for each granule */
    uint32_t epoch;      /* counts the pages that came to be watched */
    /* The engine's: code of the page `index` (from base) is stale. NULL while no engine cares. */
    void (*changed)(void *context, uint32_t index);
    void *context;
};

/*
 * Pages that are elsewhere: the guest runs here already, and they come from another host
 * (post-copy). Such a page has no host address in struct ram, so it looks like one that was never
 * touched, and no fast path knows it; whoever comes the slow way for it asks this first.
 */
struct ram_absent {
    uint8_t **host; /* by page: where its bytes will be; NULL: it is not one of these */
    /* Is it here by now? If not, it is asked for. Whoever runs the machine calls machine_absent()
     * from here, and returns false: what needed the page is done again later. */
    bool (*here)(void *context, uint32_t index);
    void *context;
    struct state_buffer *undo; /* not NULL: what ram_write() overwrites is kept here: ram_undo() */
};

struct ram {
    uint32_t base;   /* physical address of the first byte */
    uint32_t size;   /* bytes, a multiple of the page size */
    uint8_t **page;  /* size / 4096 host addresses; NULL: not touched yet */
    ram_allot_fn allot;
    void *context;
    uint8_t *mapping; /* the host's mapping if this is the computer's own memory */
    int fd;           /* of its memfd, so that it can be mapped once more; -1: none */
    struct ram_code *code;
    struct ram_absent *absent; /* NULL: nothing is elsewhere; the owner's who has set it */
};

/* The computer's own memory. 0, -ENOMEM, or -EINVAL (size not a multiple of 4 KiB, 0, or reaching
 * past 4 GiB). */
int ram_init(struct ram *ram, uint32_t base, uint32_t size);
/* Memory whose pages come from elsewhere. Same errors. */
int ram_init_allotted(struct ram *ram, uint32_t base, uint32_t size, ram_allot_fn allot,
                      void *context);
void ram_free(struct ram *ram);

/* Forgets all content: every page is untouched again. Pages that were allotted are not given back:
 * their owner does that. */
void ram_clear(struct ram *ram);

static inline bool ram_has(const struct ram *ram, uint32_t pa)
{
    return pa - ram->base < ram->size;
}

/* Bytes at `host` (size > 0, within one page) are about to be, or have just been, changed by other
 * means than ram_write(). */
static inline void ram_changed(const struct ram *ram, const uint8_t *host, size_t size);
/* The engine has derived something from these bytes. Returns true if it is the first time for their
 * page: then no fast path may write to it any longer. */
bool ram_derive(struct ram *ram, const uint8_t *host, size_t size);
/* Is there anything derived from this page? */
static inline bool ram_is_derived(const struct ram *ram, const uint8_t *host);
/* May fast paths write to this page: is there nothing derived from it, and is it dirty, if somebody
 * keeps account? */
static inline bool ram_takes_writes(const struct ram *ram, const uint8_t *host);
/* As ram_takes_writes(), or if it is worth while to count the page as written before it is: somebody
 * wants to give a fast path the pages around one that is written. */
static inline bool ram_may_take_writes(const struct ram *ram, const uint8_t *host);
/* A fast path wants to write to this page from now on. */
static inline void ram_will_write(const struct ram *ram, const uint8_t *host);
/* The engine has forgotten everything. */
void ram_underive(struct ram *ram);

/* Keeps account of writes from now on; all pages touched so far count as written. Only for the
 * computer's own memory. 0 or -ENOMEM. Who keeps caches of translations for writing must forget them
 * now, and when pages become clean: machine_pages_cleaned(). */
int ram_track_on(struct ram *ram);
void ram_track_off(struct ram *ram);
/* The same for who moves the guest; all pages are clean at first. */
int ram_track_moves(struct ram *ram);
void ram_track_moves_end(struct ram *ram);

/* Host address of the page that holds physical address `pa`, which need not be page-aligned.
 * NULL: not RAM, or no memory left, or it is elsewhere and not here yet. */
static inline uint8_t *ram_page(struct ram *ram, uint32_t pa);
/* Its slow half: the page was not touched yet. */
uint8_t *ram_touch(struct ram *ram, uint32_t pa);

/* For readers that must not change anything: NULL also for a page never touched. */
const uint8_t *ram_peek(const struct ram *ram, uint32_t pa);
/* The page is elsewhere, and nobody has touched it here yet. */
bool ram_is_absent(const struct ram *ram, uint32_t pa);

/* Copies across pages. false (and nothing copied) if the range is not wholly RAM; false, too, if a
 * page is elsewhere and not here yet: then what lies before it may have been copied. */
bool ram_read(const struct ram *ram, uint32_t pa, void *bytes, size_t count);
bool ram_write(struct ram *ram, uint32_t pa, const void *bytes, size_t count);
/* What was overwritten since absent->undo was set is as it was. No more is kept. */
void ram_undo(struct ram *ram);

static inline uint8_t *ram_page(struct ram *ram, uint32_t pa)
{
    uint32_t at = pa - ram->base;
    if (at >= ram->size)
        return NULL;
    uint8_t *page = ram->page[at / RAM_PAGE];
    return page ? page : ram_touch(ram, pa);
}

/* The slow half of ram_changed(). */
void ram_code_changed(struct ram_code *code, const uint8_t *host, size_t size);

static inline size_t ram_host_page(const struct ram *ram, const uint8_t *host)
{
    return (size_t)(host - ram->code->base) / RAM_PAGE;
}

static inline bool ram_is_derived(const struct ram *ram, const uint8_t *host)
{
    return ram->code && ram->code->derived[ram_host_page(ram, host)];
}

static inline bool ram_takes_writes(const struct ram *ram, const uint8_t *host)
{
    if (!ram->code)
        return true;
    size_t page = ram_host_page(ram, host);
    return !ram->code->derived[page] && !(ram->code->track.clean && ram->code->track.clean[page]);
}

static inline bool ram_may_take_writes(const struct ram *ram, const uint8_t *host)
{
    if (!ram->code)
        return true;
    size_t page = ram_host_page(ram, host);
    return !ram->code->derived[page] &&
           !(ram->code->track.clean && ram->code->track.clean[page] == RAM_CLEAN);
}

static inline void ram_will_write(const struct ram *ram, const uint8_t *host)
{
    if (ram->code)
        ram_track_write(&ram->code->track, (uint32_t)ram_host_page(ram, host));
}

static inline void ram_changed(const struct ram *ram, const uint8_t *host, size_t size)
{
    if (!ram_takes_writes(ram, host))
        ram_code_changed(ram->code, host, size);
}

/* Adds the content to the digest: untouched and all-zero pages count as the same. */
void ram_digest(const struct ram *ram, struct digest *digest);

#endif
