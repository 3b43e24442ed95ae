/*
 * Shadow page tables: gVA -> hPA, made from the guest's table and the monitor's map.
 *
 * They are real Sv32 tables in the hardware's memory, walked by the hardware's own MMU. Only this
 * file writes them. There is one set of tables for each thing that a guest's translation depends on
 * besides the address: its root (satp), its virtual mode, SUM and MXR. Sets stay when the guest
 * switches between them, so that going back costs nothing.
 *
 * Shadow tables behave like a large TLB: an entry is filled when the guest first touches the page,
 * and goes when the guest executes sfence.vma, as the architecture demands of it. (The alternative,
 * write-protecting the guest's tables, is discussed in docs/monitor.md.)
 */
#ifndef VITRINE_HV_SHADOW_H
#define VITRINE_HV_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mmu.h"
#include "hv/gpa.h"

enum { SHADOW_SETS = 64 };

/* One set of shadow tables: a root and the leaf tables below it. */
struct shadow_set {
    struct tlb_context key; /* what it translates for: guest's satp, virtual mode, SUM, MXR */
    uint32_t root;          /* hardware address of the root table; 0: this set is not in use */
    uint32_t tables;        /* leaf tables below the root */
    uint32_t entries;       /* leaf entries filled */
    uint64_t used;          /* when it was last entered, for choosing a victim */
    uint64_t pointers[1024 / 64]; /* a bit for each entry of the root that is in use */
};

/* Why an entry has changed; a number, so that a log of changes can be written to a file. */
enum shadow_reason {
    SHADOW_NO_REASON,
    SHADOW_FIRST_ACCESS,
    SHADOW_FIRST_WRITE,
    SHADOW_MORE_GRANTED,
    SHADOW_FENCE_PAGE,
    SHADOW_FENCE_SUPERPAGE,
    SHADOW_FENCE_SPACE,
    SHADOW_FENCE_ALL,
    SHADOW_PMP,
    SHADOW_PMP_DEBUGGER,
    SHADOW_RESET,
    SHADOW_END,
    SHADOW_MOVED,
    SHADOW_REASONS,
};

/* In words; "" for SHADOW_NO_REASON and for what is no reason. */
const char *shadow_reason_text(unsigned reason);

/* The newest change, for the exit log and the drawing. */
struct shadow_change {
    uint8_t kind;   /* enum shadow_change_kind of view.h */
    uint8_t reason; /* enum shadow_reason */
    uint32_t va, count;
    uint32_t pte_old, pte_new;
};

struct shadow {
    struct hw *hw;
    struct frames *frames;
    struct machine *guest; /* whose tables are shadowed */
    struct gpa *gpa;
    struct shadow_set set[SHADOW_SETS];
    uint8_t active;             /* the set that is the hardware's root while the guest runs, counted
                                 * from 1; 0: none yet */
    uint32_t limit;             /* frames that the tables may take */
    uint32_t taken;
    uint64_t turn;              /* counts entries, for shadow_set.used */
    struct shadow_change change;
    uint32_t work;              /* table entries read and written since the exit began */
};

extern const struct state_table shadow_state, shadow_set_state;

/* The set that is active, or NULL. */
static inline struct shadow_set *shadow_current(struct shadow *shadow)
{
    return shadow->active ? &shadow->set[shadow->active - 1] : NULL;
}

enum shadow_outcome {
    SHADOW_MAPPED,     /* the guest may try again */
    SHADOW_GUEST_TRAP, /* the guest's own table (or PMP) refuses: inject walk->cause */
    SHADOW_DEVICE,     /* the address belongs to a device, or to nothing: emulate the access */
    SHADOW_NOT_PLAIN,  /* RAM, but not to be mapped (PMP splits the page, HTIF): interpret */
};

/* 0 or -ENOMEM: `limit` frames could not be promised. */
int shadow_init(struct shadow *shadow, struct machine *guest, struct gpa *gpa, uint32_t limit);
void shadow_free(struct shadow *shadow);

/* Before the guest runs: the set for its present root, mode, SUM and MXR becomes the hardware's
 * root. Makes one if there is none, at the cost of the oldest if need be. */
void shadow_activate(struct shadow *shadow);

/* The hardware has faulted at va: walks the guest's table as the guest's hardware would (setting its
 * A and D bits) and fills in the entry if the guest may do this access. */
enum shadow_outcome shadow_fault(struct shadow *shadow, uint32_t va, enum access access,
                                 struct walk *walk);

/* The guest's sfence.vma: forgets entries for va (NULL: all) in the sets of asid (NULL: all). */
void shadow_fence(struct shadow *shadow, const uint32_t *va, const uint32_t *asid);
/* Forgets everything: PMP has changed, the guest's memory was replaced, or the machine is reset. */
void shadow_drop_all(struct shadow *shadow, enum shadow_reason reason);

/* For viewers: the shadow translation of va for the guest's present root and mode, without side
 * effects; false: there is no such set yet. */
bool shadow_look(struct shadow *shadow, uint32_t va, struct walk *walk);
/* "S+SUM", "U", "M (bare)" ... of a set's key. */
void shadow_class_name(const struct tlb_context *key, char *text, unsigned size);

#endif
