/* Physical memory, page by page. See ram.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create, fallocate */
#endif
#include "cpu/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/dev/dma.h"
#include "cpu/rv.h"

static uint8_t *allot_from_mapping(void *context, uint32_t index)
{
    struct ram *ram = context;
    return ram->mapping + (size_t)index * PAGE_SIZE;
}

int ram_init_allotted(struct ram *ram, uint32_t base, uint32_t size, ram_allot_fn allot,
                      void *context)
{
    *ram = (struct ram){
        .base = base, .size = size, .allot = allot, .context = context, .fd = -1};
    if (size == 0 || size % PAGE_SIZE || base % PAGE_SIZE || (uint64_t)base + size > 1ull << 32)
        return -EINVAL;
    ram->page = calloc(size / PAGE_SIZE, sizeof *ram->page);
    return ram->page ? 0 : -ENOMEM;
}

/* A host without memfd gives private memory: everything works, but cannot be mapped twice. */
static bool map_memory(struct ram *ram)
{
    int flags = MAP_SHARED | MAP_NORESERVE;
    ram->fd = memfd_create("guest memory", MFD_CLOEXEC);
    if (ram->fd >= 0 && ftruncate(ram->fd, ram->size)) {
        close(ram->fd);
        ram->fd = -1;
    }
    if (ram->fd < 0)
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *mapping = mmap(NULL, ram->size, PROT_READ | PROT_WRITE, flags, ram->fd, 0);
    if (mapping == MAP_FAILED)
        return false;
    ram->mapping = mapping;
    return true;
}

static bool make_code_map(struct ram *ram)
{
    ram->code = calloc(1, sizeof *ram->code);
    if (!ram->code)
        return false;
    ram->code->base = ram->mapping;
    ram->code->derived = calloc(ram->size / PAGE_SIZE, sizeof *ram->code->derived);
    return ram->code->derived != NULL;
}

int ram_init(struct ram *ram, uint32_t base, uint32_t size)
{
    int error = ram_init_allotted(ram, base, size, allot_from_mapping, ram);
    if (error)
        return error;
    if (!map_memory(ram) || !make_code_map(ram)) {
        ram_free(ram);
        return -ENOMEM;
    }
    return 0;
}

void ram_free(struct ram *ram)
{
    if (ram->mapping) {
        munmap(ram->mapping, ram->size);
        if (ram->fd >= 0)
            close(ram->fd);
    }
    if (ram->code && ram->code->base == ram->mapping) { /* else it is the hardware's */
        ram_track_free(&ram->code->track, ram->size / PAGE_SIZE);
        free(ram->code->derived);
        free(ram->code);
    }
    free(ram->page);
    *ram = (struct ram){.fd = -1};
}

/* Pages that are about to read as zero have changed, too. */
static void clearing(const struct ram *ram)
{
    for (uint32_t i = 0; ram->mapping && i < ram->size / PAGE_SIZE; i++)
        if (ram->page[i])
            ram_will_write(ram, ram->page[i]);
}

void ram_clear(struct ram *ram)
{
    clearing(ram);
    if (ram->fd >= 0)
        fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, ram->size);
    else if (ram->mapping)
        madvise(ram->mapping, ram->size, MADV_DONTNEED);
    memset(ram->page, 0, ram->size / PAGE_SIZE * sizeof *ram->page);
}

/* ---- pages that are elsewhere --------------------------------------------------------------- */

static bool is_absent(const struct ram *ram, uint32_t index)
{
    return ram->absent && !ram->page[index] && ram->absent->host[index];
}

bool ram_is_absent(const struct ram *ram, uint32_t pa)
{
    return ram_has(ram, pa) && is_absent(ram, (pa - ram->base) >> PAGE_SHIFT);
}

/* The page if it is here by now, or NULL. */
static uint8_t *fetch(const struct ram *ram, uint32_t index)
{
    const struct ram_absent *absent = ram->absent;
    if (absent->here(absent->context, index))
        ram->page[index] = absent->host[index];
    return ram->page[index];
}

/* The page for who does not want to touch it. NULL: nobody has, or it is not here yet. */
static uint8_t *page_at(const struct ram *ram, uint32_t index)
{
    return is_absent(ram, index) ? fetch(ram, index) : ram->page[index];
}

uint8_t *ram_touch(struct ram *ram, uint32_t pa)
{
    uint32_t index = (pa - ram->base) >> PAGE_SHIFT;
    if (is_absent(ram, index))
        return fetch(ram, index);
    ram->page[index] = ram->allot(ram->context, index);
    return ram->page[index];
}

const uint8_t *ram_peek(const struct ram *ram, uint32_t pa)
{
    return ram_has(ram, pa) ? page_at(ram, (pa - ram->base) >> PAGE_SHIFT) : NULL;
}

static bool range_is_ram(const struct ram *ram, uint32_t pa, size_t count)
{
    return ram_has(ram, pa) && count <= ram->size - (pa - ram->base);
}

/* Bytes from pa to the end of its page, at most count. */
static size_t part_in_page(uint32_t pa, size_t count)
{
    size_t rest = PAGE_SIZE - (pa & PAGE_MASK);
    return count < rest ? count : rest;
}

bool ram_read(const struct ram *ram, uint32_t pa, void *bytes, size_t count)
{
    if (count == 0)
        return true;
    if (!range_is_ram(ram, pa, count))
        return false;
    uint8_t *to = bytes;
    while (count) {
        size_t part = part_in_page(pa, count);
        const uint8_t *page = ram_peek(ram, pa);
        if (!page && ram_is_absent(ram, pa))
            return false;
        if (page)
            memcpy(to, page + (pa & PAGE_MASK), part);
        else
            memset(to, 0, part);
        to += part, pa += part, count -= part;
    }
    return true;
}

/* Behind the bytes that were overwritten, so that the newest are found first. */
struct overwritten {
    uint32_t pa, count;
};

static void keep_old(const struct ram *ram, uint32_t pa, const uint8_t *at, size_t count)
{
    struct overwritten end = {pa, (uint32_t)count};
    struct state_buffer *undo = ram->absent ? ram->absent->undo : NULL;
    if (!undo)
        return;
    state_buffer_add(undo, at, count);
    state_buffer_add(undo, &end, sizeof end);
}

void ram_undo(struct ram *ram)
{
    struct state_buffer *undo = ram->absent->undo;
    ram->absent->undo = NULL;
    for (size_t at = undo->count; at && !undo->failed;) {
        struct overwritten end;
        at -= sizeof end;
        memcpy(&end, undo->bytes + at, sizeof end);
        at -= end.count;
        ram_write(ram, end.pa, undo->bytes + at, end.count);
    }
}

bool ram_write(struct ram *ram, uint32_t pa, const void *bytes, size_t count)
{
    if (count == 0)
        return true;
    if (!range_is_ram(ram, pa, count))
        return false;
    const uint8_t *from = bytes;
    while (count) {
        size_t part = part_in_page(pa, count);
        uint8_t *page = ram_page(ram, pa);
        if (!page)
            return false;
        keep_old(ram, pa, page + (pa & PAGE_MASK), part);
        memcpy(page + (pa & PAGE_MASK), from, part);
        ram_changed(ram, page + (pa & PAGE_MASK), part);
        from += part, pa += part, count -= part;
    }
    return true;
}

/* ---- for devices -------------------------------------------------------------------------- */

static bool dma_read_ram(void *memory, uint64_t pa, void *bytes, size_t count)
{
    return pa <= UINT32_MAX && ram_read(memory, (uint32_t)pa, bytes, count);
}

static bool dma_write_ram(void *memory, uint64_t pa, const void *bytes, size_t count)
{
    return pa <= UINT32_MAX && ram_write(memory, (uint32_t)pa, bytes, count);
}

/* A page with its own file behind it goes back to the host; one that was allotted, and one that was
 * never touched, has nothing to give. */
static void discard_page(struct ram *ram, uint32_t pa)
{
    uint8_t *page = page_at(ram, (pa - ram->base) / PAGE_SIZE);
    if (!page)
        return;
    keep_old(ram, pa, page, PAGE_SIZE);
    if (ram->fd < 0 || fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                 (off_t)(page - ram->mapping), PAGE_SIZE))
        memset(page, 0, PAGE_SIZE);
    ram_changed(ram, page, PAGE_SIZE);
}

static bool dma_discard_ram(void *memory, uint64_t pa, uint64_t count)
{
    struct ram *ram = memory;
    if (pa > UINT32_MAX || pa % PAGE_SIZE || count % PAGE_SIZE || count > ram->size ||
        !range_is_ram(ram, (uint32_t)pa, (size_t)count))
        return false;
    for (uint32_t done = 0; done < count; done += PAGE_SIZE)
        discard_page(ram, (uint32_t)pa + done);
    return true;
}

struct dma ram_dma(struct ram *ram)
{
    return (struct dma){dma_read_ram, dma_write_ram, dma_discard_ram, ram};
}

/* ---- what engines have derived from it ---------------------------------------------------- */

/* Bits for the granules that [at, at + size) touches; at is an offset in the page. */
static uint64_t granules(size_t at, size_t size)
{
    unsigned first = (unsigned)(at / RAM_GRANULE);
    unsigned last = (unsigned)((at + size - 1) / RAM_GRANULE);
    return (UINT64_MAX << first) & (UINT64_MAX >> (63 - last));
}

bool ram_derive(struct ram *ram, const uint8_t *host, size_t size)
{
    struct ram_code *code = ram->code;
    size_t at = (size_t)(host - code->base);
    uint64_t *derived = &code->derived[at / PAGE_SIZE];
    bool first = !*derived;
    *derived |= granules(at % PAGE_SIZE, size);
    code->epoch += first;
    return first;
}

void ram_code_changed(struct ram_code *code, const uint8_t *host, size_t size)
{
    size_t at = (size_t)(host - code->base);
    uint64_t *derived = &code->derived[at / PAGE_SIZE];
    ram_track_write(&code->track, (uint32_t)(at / PAGE_SIZE));
    if (!(*derived & granules(at % PAGE_SIZE, size)))
        return;
    *derived = 0;
    if (code->changed)
        code->changed(code->context, (uint32_t)(at / PAGE_SIZE));
}

void ram_underive(struct ram *ram)
{
    memset(ram->code->derived, 0, ram->size / PAGE_SIZE * sizeof *ram->code->derived);
}

/* ---- which pages were written --------------------------------------------------------------- */

static void *map_zeroed(uint64_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

int ram_track_init(struct ram_track *track, uint64_t pages)
{
    *track = (struct ram_track){.clean = map_zeroed(pages),
                                .dirty = map_zeroed(pages * sizeof *track->dirty)};
    if (track->clean && track->dirty) {
        memset(track->clean, RAM_CLEAN, pages);
        return 0;
    }
    ram_track_free(track, pages);
    return -ENOMEM;
}

void ram_track_free(struct ram_track *track, uint64_t pages)
{
    if (track->clean)
        munmap(track->clean, pages);
    if (track->dirty)
        munmap(track->dirty, pages * sizeof *track->dirty);
    if (track->moved)
        munmap(track->moved, pages * sizeof *track->moved);
    *track = (struct ram_track){0};
}

int ram_track_on(struct ram *ram)
{
    uint32_t pages = ram->size / PAGE_SIZE;
    if (ram->code->track.clean)
        return 0;
    int error = ram_track_init(&ram->code->track, pages);
    for (uint32_t i = 0; !error && i < pages; i++)
        if (ram->page[i])
            ram_track_write(&ram->code->track, i);
    return error;
}

/* As at the beginning: all pages touched so far count as written. */
static void track_anew(struct ram *ram)
{
    struct ram_track *track = &ram->code->track;
    track->count = 0;
    for (uint32_t i = 0; i < ram->size / PAGE_SIZE; i++) {
        ram_track_clean(track, i, ram->page[i] ? RAM_DIRTY : RAM_CLEAN);
        if (ram->page[i])
            track->dirty[track->count++] = i;
    }
}

/* While the guest is moved the account goes on, and waits for the next who wants to look. */
void ram_track_off(struct ram *ram)
{
    if (ram->code->track.moved)
        track_anew(ram);
    else
        ram_track_free(&ram->code->track, ram->size / PAGE_SIZE);
}

int ram_track_moves(struct ram *ram)
{
    struct ram_track *track = &ram->code->track;
    uint32_t pages = ram->size / PAGE_SIZE;
    int error = track->moved ? 0 : ram_track_on(ram);
    if (!error && !track->moved)
        track->moved = map_zeroed(pages * sizeof *track->moved);
    if (error || !track->moved)
        return error ? error : -ENOMEM;
    track->moved_count = 0;
    for (uint32_t i = 0; i < pages; i++)
        track->clean[i] |= RAM_UNMOVED;
    return 0;
}

void ram_track_moves_end(struct ram *ram)
{
    struct ram_track *track = &ram->code->track;
    uint32_t pages = ram->size / PAGE_SIZE;
    if (!track->moved)
        return;
    for (uint32_t i = 0; i < pages; i++)
        track->clean[i] &= RAM_STATES;
    munmap(track->moved, pages * sizeof *track->moved);
    track->moved = NULL;
    track->moved_count = 0;
}

static bool page_is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE_SIZE - 1) == 0;
}

void ram_digest(const struct ram *ram, struct digest *digest)
{
    digest_u64(digest, ram->size);
    for (uint32_t i = 0; i < ram->size / PAGE_SIZE; i++) {
        const uint8_t *page = page_at(ram, i);
        if (is_absent(ram, i))
            digest_u64(digest, ~(uint64_t)i); /* equal to no state that a whole memory can have */
        if (!page || page_is_zero(page))
            continue;
        digest_u64(digest, i);
        digest_bytes(digest, page, PAGE_SIZE);
    }
}
