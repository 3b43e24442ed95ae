/* Physical memory, page by page. See ram.h. */
#include "cpu/ram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/rv.h"

static uint8_t *allot_from_mapping(void *context, uint32_t index)
{
    struct ram *ram = context;
    return ram->mapping + (size_t)index * PAGE_SIZE;
}

int ram_init_allotted(struct ram *ram, uint32_t base, uint32_t size, ram_allot_fn allot,
                      void *context)
{
    *ram = (struct ram){.base = base, .size = size, .allot = allot, .context = context};
    if (size == 0 || size % PAGE_SIZE || base % PAGE_SIZE || (uint64_t)base + size > 1ull << 32)
        return -EINVAL;
    ram->page = calloc(size / PAGE_SIZE, sizeof *ram->page);
    return ram->page ? 0 : -ENOMEM;
}

int ram_init(struct ram *ram, uint32_t base, uint32_t size)
{
    int error = ram_init_allotted(ram, base, size, allot_from_mapping, ram);
    if (error)
        return error;
    void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        free(ram->page);
        ram->page = NULL;
        return -ENOMEM;
    }
    ram->mapping = mapping;
    return 0;
}

void ram_free(struct ram *ram)
{
    if (ram->mapping)
        munmap(ram->mapping, ram->size);
    free(ram->page);
    *ram = (struct ram){0};
}

void ram_clear(struct ram *ram)
{
    if (ram->mapping)
        madvise(ram->mapping, ram->size, MADV_DONTNEED);
    memset(ram->page, 0, ram->size / PAGE_SIZE * sizeof *ram->page);
}

uint8_t *ram_page(struct ram *ram, uint32_t pa)
{
    if (!ram_has(ram, pa))
        return NULL;
    uint32_t index = (pa - ram->base) >> PAGE_SHIFT;
    if (!ram->page[index])
        ram->page[index] = ram->allot(ram->context, index);
    return ram->page[index];
}

const uint8_t *ram_peek(const struct ram *ram, uint32_t pa)
{
    return ram_has(ram, pa) ? ram->page[(pa - ram->base) >> PAGE_SHIFT] : NULL;
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
        if (page)
            memcpy(to, page + (pa & PAGE_MASK), part);
        else
            memset(to, 0, part);
        to += part, pa += part, count -= part;
    }
    return true;
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
        memcpy(page + (pa & PAGE_MASK), from, part);
        from += part, pa += part, count -= part;
    }
    return true;
}

static bool page_is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE_SIZE - 1) == 0;
}

void ram_digest(const struct ram *ram, struct digest *digest)
{
    digest_u64(digest, ram->size);
    for (uint32_t i = 0; i < ram->size / PAGE_SIZE; i++) {
        if (!ram->page[i] || page_is_zero(ram->page[i]))
            continue;
        digest_u64(digest, i);
        digest_bytes(digest, ram->page[i], PAGE_SIZE);
    }
}
