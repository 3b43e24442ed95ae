/* Guest-physical memory: frames and who has them. See gpa.h. */
#include "hv/gpa.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- frames of the hardware's memory ------------------------------------------------------ */

int frames_init(struct frames *f, struct hw *hw, uint32_t reserve)
{
    *f = (struct frames){.hw = hw};
    if (reserve % PAGE_SIZE || reserve >= hw->memory_size)
        return -EINVAL;
    f->first = f->next = hw->memory_base + reserve;
    f->end = hw->memory_base + hw->memory_size;
    f->free = calloc((f->end - f->first) / PAGE_SIZE, sizeof *f->free);
    return f->free ? 0 : -ENOMEM;
}

void frames_free(struct frames *f)
{
    free(f->free);
    *f = (struct frames){0};
}

static uint32_t frames_available(const struct frames *f)
{
    return (f->end - f->next) / PAGE_SIZE + f->free_count;
}

bool frames_promise(struct frames *f, uint32_t count)
{
    if (count > frames_available(f) - f->promised)
        return false;
    f->promised += count;
    return true;
}

void frames_unpromise(struct frames *f, uint32_t count)
{
    assert(count <= f->promised);
    f->promised -= count;
}

uint32_t frame_new(struct frames *f)
{
    if (f->promised == 0)
        return 0;
    uint32_t pa;
    if (f->free_count) {
        pa = f->free[--f->free_count];
    } else {
        pa = f->next;
        f->next += PAGE_SIZE;
    }
    f->promised--;
    uint8_t *page = f->hw->ops->page(f->hw, pa);
    if (!page)
        return 0;
    memset(page, 0, PAGE_SIZE);
    return pa;
}

void frame_release(struct frames *f, uint32_t pa)
{
    assert(pa >= f->first && pa < f->next && pa % PAGE_SIZE == 0);
    f->free[f->free_count++] = pa;
    f->promised++;
}

/* ---- one virtual machine's map ------------------------------------------------------------ */

int gpa_init(struct gpa *gpa, struct frames *frames, uint32_t base, uint32_t size)
{
    *gpa = (struct gpa){.frames = frames, .base = base, .pages = size / PAGE_SIZE};
    gpa->frame = calloc(gpa->pages, sizeof *gpa->frame);
    if (!gpa->frame)
        return -ENOMEM;
    if (!frames_promise(frames, gpa->pages)) {
        free(gpa->frame);
        gpa->frame = NULL;
        return -ENOMEM;
    }
    return 0;
}

void gpa_clear(struct gpa *gpa)
{
    for (uint32_t i = 0; i < gpa->pages; i++) {
        if (gpa->frame[i])
            frame_release(gpa->frames, gpa->frame[i]);
        gpa->frame[i] = 0;
    }
}

void gpa_free(struct gpa *gpa)
{
    if (!gpa->frame)
        return;
    gpa_clear(gpa);
    frames_unpromise(gpa->frames, gpa->pages);
    free(gpa->frame);
    *gpa = (struct gpa){0};
}

uint32_t gpa_to_hpa(const struct gpa *gpa, uint32_t pa)
{
    uint32_t index = (pa - gpa->base) >> PAGE_SHIFT;
    if (pa < gpa->base || index >= gpa->pages || !gpa->frame[index])
        return 0;
    return gpa->frame[index] | (pa & PAGE_MASK);
}

uint8_t *gpa_allot(void *context, uint32_t index)
{
    struct gpa *gpa = context;
    assert(index < gpa->pages);
    if (!gpa->frame[index])
        gpa->frame[index] = frame_new(gpa->frames);
    if (!gpa->frame[index])
        return NULL;
    return gpa->frames->hw->ops->page(gpa->frames->hw, gpa->frame[index]);
}
