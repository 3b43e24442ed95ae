/*
 * Physical memory, page by page.
 *
 * The computer's own memory is one private mapping of the host. A virtual machine's memory is the
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

struct ram {
    uint32_t base;   /* physical address of the first byte */
    uint32_t size;   /* bytes, a multiple of the page size */
    uint8_t **page;  /* size / 4096 host addresses; NULL: not touched yet */
    ram_allot_fn allot;
    void *context;
    uint8_t *mapping; /* the host's mapping if this is the computer's own memory */
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

/* Host address of the page that holds physical address `pa`, which need not be page-aligned.
 * NULL: not RAM, or no memory left. */
uint8_t *ram_page(struct ram *ram, uint32_t pa);

/* For readers that must not change anything: NULL also for a page never touched. */
const uint8_t *ram_peek(const struct ram *ram, uint32_t pa);

/* Copies across pages. false (and nothing copied) if the range is not wholly RAM. */
bool ram_read(const struct ram *ram, uint32_t pa, void *bytes, size_t count);
bool ram_write(struct ram *ram, uint32_t pa, const void *bytes, size_t count);

/* Adds the content to the digest: untouched and all-zero pages count as the same. */
void ram_digest(const struct ram *ram, struct digest *digest);

#endif
