/* Guest-physical memory: frames and who has them. See gpa.h. */
#include "hv/gpa.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct state_field frames_fields[] = {
    STATE_NOT(struct frames, hw, "wiring"),
    STATE_NOT(struct frames, first, "configuration"),
    STATE_NOT(struct frames, end, "configuration"),
    STATE(struct frames, U32, next),
    STATE_NOT(struct frames, free, "an array, kept page by page"),
    STATE(struct frames, U32, free_count),
    STATE(struct frames, U32, promised),
    STATE(struct frames, U32, aside),
};
const struct state_table frames_state = STATE_TABLE("frames", struct frames, 1, frames_fields);

static const struct state_field gpa_fields[] = {
    STATE_NOT(struct gpa, frames, "wiring"),
    STATE_NOT(struct gpa, base, "configuration"),
    STATE_NOT(struct gpa, pages, "configuration"),
    STATE_NOT(struct gpa, frame, "an array, kept page by page"),
    STATE_NOT(struct gpa, run, "an array, kept page by page"),
};
const struct state_table gpa_state = STATE_TABLE("gpa", struct gpa, 1, gpa_fields);

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
    return (f->end - f->next) / PAGE_SIZE + f->free_count + f->aside;
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

static void make_zero(struct frames *f, uint32_t pa)
{
    uint8_t *page = f->hw->ops->page(f->hw, pa);
    assert(page);
    memset(page, 0, PAGE_SIZE);
}

uint32_t frame_new(struct frames *f)
{
    if (f->promised == 0)
        return 0;
    uint32_t pa;
    if (f->free_count) {
        pa = f->free[--f->free_count];
    } else if (f->next < f->end) {
        pa = f->next;
        f->next += PAGE_SIZE;
    } else {
        return 0; /* what is left is set aside */
    }
    f->promised--;
    make_zero(f, pa);
    return pa;
}

void frame_release(struct frames *f, uint32_t pa)
{
    assert(pa >= f->first && pa < f->next && pa % PAGE_SIZE == 0);
    f->free[f->free_count++] = pa;
    f->promised++;
}

/* ---- runs of frames ----------------------------------------------------------------------- */

uint32_t frames_run(struct frames *f, uint32_t count)
{
    if (count > (f->end - f->next) / PAGE_SIZE)
        return 0;
    uint32_t pa = f->next;
    f->next += count * PAGE_SIZE;
    f->aside += count;
    return pa;
}

void frame_take(struct frames *f, uint32_t pa)
{
    assert(f->promised && f->aside);
    f->promised--;
    f->aside--;
    make_zero(f, pa);
}

void frame_put_back(struct frames *f, uint32_t pa)
{
    assert(pa >= f->first && pa < f->next && pa % PAGE_SIZE == 0);
    f->promised++;
    f->aside++;
}

void frames_end_run(struct frames *f, uint32_t pa, uint32_t count)
{
    assert(count <= f->aside);
    f->aside -= count;
    for (uint32_t i = 0; i < count; i++)
        f->free[f->free_count++] = pa + i * PAGE_SIZE;
}

/* ---- one virtual machine's map ------------------------------------------------------------ */

static uint32_t clusters(const struct gpa *gpa)
{
    return (gpa->pages + GPA_CLUSTER - 1) / GPA_CLUSTER;
}

/* Pages in a cluster; the last may have fewer. */
static uint32_t cluster_pages(const struct gpa *gpa, uint32_t cluster)
{
    uint32_t left = gpa->pages - cluster * GPA_CLUSTER;
    return left < GPA_CLUSTER ? left : GPA_CLUSTER;
}

int gpa_init(struct gpa *gpa, struct frames *frames, uint32_t base, uint32_t size)
{
    *gpa = (struct gpa){.frames = frames, .base = base, .pages = size / PAGE_SIZE};
    gpa->frame = calloc(gpa->pages, sizeof *gpa->frame);
    gpa->run = calloc(clusters(gpa), sizeof *gpa->run);
    if (gpa->frame && gpa->run && frames_promise(frames, gpa->pages))
        return 0;
    free(gpa->frame);
    free(gpa->run);
    *gpa = (struct gpa){0};
    return -ENOMEM;
}

void gpa_clear(struct gpa *gpa)
{
    for (uint32_t i = 0; i < gpa->pages; i++) {
        bool has_run = gpa->run[i / GPA_CLUSTER] > GPA_NO_RUN;
        if (gpa->frame[i] && has_run)
            frame_put_back(gpa->frames, gpa->frame[i]);
        else if (gpa->frame[i])
            frame_release(gpa->frames, gpa->frame[i]);
        gpa->frame[i] = 0;
    }
}

void gpa_free(struct gpa *gpa)
{
    if (!gpa->frame)
        return;
    gpa_clear(gpa);
    for (uint32_t c = 0; c < clusters(gpa); c++)
        if (gpa->run[c] > GPA_NO_RUN)
            frames_end_run(gpa->frames, gpa->run[c], cluster_pages(gpa, c));
    frames_unpromise(gpa->frames, gpa->pages);
    free(gpa->frame);
    free(gpa->run);
    *gpa = (struct gpa){0};
}

uint32_t gpa_to_hpa(const struct gpa *gpa, uint32_t pa)
{
    uint32_t index = (pa - gpa->base) >> PAGE_SHIFT;
    if (pa < gpa->base || index >= gpa->pages || !gpa->frame[index])
        return 0;
    return gpa->frame[index] | (pa & PAGE_MASK);
}

static uint32_t allot_frame(struct gpa *gpa, uint32_t index)
{
    uint32_t cluster = index / GPA_CLUSTER, *run = &gpa->run[cluster];
    if (!*run)
        *run = frames_run(gpa->frames, cluster_pages(gpa, cluster));
    if (!*run)
        *run = GPA_NO_RUN;
    if (*run == GPA_NO_RUN)
        return frame_new(gpa->frames);
    uint32_t pa = *run + index % GPA_CLUSTER * PAGE_SIZE;
    frame_take(gpa->frames, pa);
    return pa;
}

uint8_t *gpa_allot(void *context, uint32_t index)
{
    struct gpa *gpa = context;
    assert(index < gpa->pages);
    if (!gpa->frame[index])
        gpa->frame[index] = allot_frame(gpa, index);
    if (!gpa->frame[index])
        return NULL;
    return gpa->frames->hw->ops->page(gpa->frames->hw, gpa->frame[index]);
}
