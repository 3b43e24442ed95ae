/*
 * Guest-physical memory: which frame of the hardware's memory holds which page of a guest.
 *
 * Two things: `struct frames` hands out 4 KiB frames of the hardware's memory, for guests and for
 * shadow tables; `struct gpa` is one virtual machine's map from guest-physical pages to frames. A
 * guest page gets its frame when it is first touched. Frames are promised when a virtual machine is
 * created, so that a guest can never find the memory that it was told of gone.
 *
 * Neighbours that are touched later get neighbouring frames where that is possible: at the first touch
 * in a cluster of 64 pages a run of as many frames is set aside for it. Whoever maps such pages can
 * then do it in one piece.
 */
#ifndef VITRINE_HV_GPA_H
#define VITRINE_HV_GPA_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/hw.h"

struct frames {
    struct hw *hw;
    uint32_t first, end; /* physical addresses of the range that is handed out */
    uint32_t next;       /* never used so far */
    uint32_t *free;      /* stack of frames given back */
    uint32_t free_count;
    uint32_t promised;   /* frames that virtual machines may still ask for */
    uint32_t aside;      /* frames of runs that were not taken yet */
};

extern const struct state_table frames_state, gpa_state;

/* Leaves `reserve` bytes at the start of the hardware's memory alone. 0, -ENOMEM, -EINVAL. */
int frames_init(struct frames *frames, struct hw *hw, uint32_t reserve);
void frames_free(struct frames *frames);
/* Sets `count` frames aside for later. false: there are not that many. */
bool frames_promise(struct frames *frames, uint32_t count);
void frames_unpromise(struct frames *frames, uint32_t count);
/* A zeroed frame out of those promised: its physical address, or 0 if there is none. */
uint32_t frame_new(struct frames *frames);
/* Gives it back; the promise for it stands again. */
void frame_release(struct frames *frames, uint32_t pa);

/* Sets `count` neighbouring frames aside: the address of the first, or 0 if there are none. */
uint32_t frames_run(struct frames *frames, uint32_t count);
/* As frame_new() and frame_release(), for a frame out of a run, which stays in its run. */
void frame_take(struct frames *frames, uint32_t pa);
void frame_put_back(struct frames *frames, uint32_t pa);
/* Ends the run; none of its frames is taken. */
void frames_end_run(struct frames *frames, uint32_t pa, uint32_t count);

enum { GPA_CLUSTER = 64 }; /* pages */

#define GPA_NO_RUN 1u

struct gpa {
    struct frames *frames;
    uint32_t base, pages; /* the guest's RAM */
    uint32_t *frame;      /* hardware address by guest page, 0: not touched yet */
    uint32_t *run;        /* by cluster: of its run, 0: none yet, GPA_NO_RUN: there was none */
};

int gpa_init(struct gpa *gpa, struct frames *frames, uint32_t base, uint32_t size); /* -ENOMEM */
void gpa_free(struct gpa *gpa);
/* Takes all frames back: the guest's memory reads as zero again. */
void gpa_clear(struct gpa *gpa);

/* Hardware address of a guest-physical address; 0: not RAM, or not touched yet. */
uint32_t gpa_to_hpa(const struct gpa *gpa, uint32_t pa);

/* ram_allot_fn: gives a guest page its frame, and returns where the host keeps it. */
uint8_t *gpa_allot(void *context, uint32_t index);

#endif
