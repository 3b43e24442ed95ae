/* Inside of the simulated backend, shared by simulated.c (life, run, stops), simulated-state.c (the
 * whole state at a moment, snapshots), replay.c (running backwards) and simulated-view.c (answers,
 * and the table that holds all of it together). */
#ifndef VITRINE_HV_SIMULATED_PRIV_H
#define VITRINE_HV_SIMULATED_PRIV_H

#include "cpu/isa.h"
#include "cpu/machine.h"
#include "hv/backend.h"
#include "hv/overlay.h"
#include "hv/recorder.h"
#include "hv/replay.h"
#include "hv/trap-log.h"
#include "hv/vm.h"

/* What the present command waits for, besides stops that end any run. */
struct goal {
    uint64_t target; /* guest instruction count; UINT64_MAX: none */
    bool exit;       /* the next exit (bare: trap) */
    bool exit_seen;
    uint64_t exits;  /* but only when there were so many */
    bool point;      /* the temporary breakpoint `at` */
    bool same_frame; /* it counts only in this mode, address space, and not deeper in the stack */
    uint32_t at, satp, sp;
    uint8_t mode;
    bool travel; /* to a moment of the past (replay.c): nobody listens, and ... */
    enum { POINTS_USER, POINTS_NONE, POINTS_ANY } points; /* ... these breakpoints hold */
};

/* The whole state, kept. */
struct moment {
    int layer;       /* of the overlay */
    uint8_t *packed; /* all structs, by their tables */
    size_t size;
    uint64_t executed, exits;
    uint64_t mtime; /* the guest's time: with the host's clock it must not jump */
    bool between;   /* see struct simulated */
};

struct snapshot {
    int id;
    unsigned run; /* history.run that it is a moment of; 0: of one that was cut off */
    char name[64];
    struct moment moment;
};

/* What the guest has written to its console, in bytes since reset. */
struct console {
    uint64_t printed;
    uint64_t shown; /* of these, given to the session: while the past is replayed they are more */
};

struct checkpoint {
    struct moment moment;
    size_t delivered; /* records of the input log */
    bool pinned;      /* a debugger wrote there: replay cannot come from before */
};

/* Memory that somebody has asked about. */
struct search_piece {
    uint32_t va, pa, length;
};
enum { SEARCH_PIECES = 16 };

/* A search for the newest stop of its kind before `from`, one stretch between two checkpoints after
 * the other. */
struct search {
    bool active;
    struct session_break point;               /* BACK_WRITE: where; else length 0 */
    struct search_piece piece[SEARCH_PIECES]; /* what of it a device may have written */
    unsigned pieces;
    uint64_t from, upper;
    int at;         /* the checkpoint that the present stretch begins with */
    unsigned stops; /* in this stretch, so far */
    uint64_t tail,
        dark;   /* only its last `tail` instructions are looked at, from position `dark`; */
    bool blind; /* up to there without breakpoints. dark 0: all of it is */
    bool found;
    bool input;               /* it is input that has made a device write */
    uint64_t position;        /* of the newest stop in this stretch */
    struct backend_stop stop; /* and what it is */
};

/* How many exits there were at moments all along the run, for drawing. When it is full every second
 * one goes. */
struct profile {
    uint64_t apart; /* instructions from one to the next, at least */
    uint64_t seq;   /* of the newest exit that was looked at */
    unsigned count;
    struct view_moment moment[VIEW_MOMENTS - 1];
};

struct history {
    bool on, full; /* full: it was given up because it did not fit */
    unsigned run;  /* counts those that began, from 1 on */
    bool ended;    /* the guest had ended when the present command began: it must not run on */
    struct checkpoint *point; /* in the order of their positions */
    int count, room;
    size_t delivered;    /* records of the input log, so far */
    uint64_t end;        /* the run is known up to here */
    uint64_t interval;   /* instructions between two checkpoints near the present */
    uint64_t price;      /* of a checkpoint, in ns of the processor's time */
    uint64_t price_back; /* of going back to one */
    uint64_t spent;      /* by the engine since the checkpoint behind us */
    uint64_t typed;      /* session_typed() when the guest last stood at the end */
    int barrier;         /* layer of the newest pinned checkpoint behind us; 0: none */
    struct search search;
    struct backend_stop told; /* how the travel under way shall end */
    uint64_t exits;           /* the travel leads to this exit; 0: to an instruction */
    bool to_point;            /* ... to a breakpoint there */
    bool in_front;            /* ... in front of the instruction there */
    struct profile profile;
};

struct simulated {
    struct session *session;
    const struct session_config *config;
    struct machine *computer; /* the hardware below the monitor; NULL on a bare session */
    struct vmm vmm;
    struct vm *vm;
    struct machine *guest; /* the guest's machine, real or virtual */

    struct goal goal;
    bool sleepy;               /* a paced guest that sleeps most of the time */
    unsigned slow;             /* slices are halved so many times, since they have taken long */
    uint64_t (*host_ns)(void); /* ... by this clock: the host's, or that of a test */
    bool between; /* the last run ended with its budget: the machine has not looked for interrupts
                   * since, nor was input delivered. Then its state is a function of the count of
                   * instructions */
    bool input_held;    /* there was no room for what was typed: see simulated_input_held() */
    bool balloon_asked; /* for so many pages, and the guest could not be told yet */
    uint32_t balloon_wanted;
    struct hart before_real, before_virtual; /* when the last command began, for "changed" */
    uint32_t events_mask;

    struct session_break points[SESSION_BREAKS];
    int point_count;

    struct trap_log traps; /* bare: instead of exits */
    struct console console;

    struct overlay *overlay; /* NULL: nothing is kept */
    bool returning;          /* a moment is being put back */
    struct snapshot *snapshot;
    int snapshots, snapshot_ids;
    struct history history;
    struct recorder recorder;
    struct backend_stop last_stop; /* of the newest run; zeros if it was paused */
    bool disk_held;                /* the guest is protected: simulated-disk.c */
    struct simulated_move *move;   /* while the guest is moved to another host: simulated-move.c */
    struct simulated_absent *absent; /* while pages are on another host: simulated-absent.c */
};

/* Instructions that the guest has executed since reset: where it is in its run. */
static inline uint64_t simulated_now(const struct simulated *s)
{
    return s->guest->hart.executed;
}

extern const struct state_table console_state, simulated_state;
extern const struct backend_move simulated_move;

/* ---- simulated.c: the functions of struct backend_ops --------------------------------------- */

void *simulated_create(const struct session_config *config, struct session *session, char *why);
void simulated_destroy(void *self);
int simulated_reset(void *self, char *why);
int simulated_begin(void *self, const struct backend_command *command);
bool simulated_slice(void *self, struct backend_stop *stop);
int simulated_points(void *self, const struct session_break *points, int count);
uint64_t simulated_instructions(void *self);
void simulated_events_mask(void *self, uint32_t mask);
int simulated_set_engine(void *self, const char *name);

/* ---- simulated.c: for replay.c -------------------------------------------------------------- */

/* Gives the machine the breakpoints that hold for the present goal. */
void simulated_load_points(struct simulated *s);
void simulated_say(struct backend_stop *stop, enum session_state state, enum session_stop why,
                   const char *text);
void simulated_say_watch(const struct simulated *s, struct backend_stop *stop);
/* Is the machine in front of a breakpoint of the user's? */
bool simulated_at_point(const struct simulated *s);
/* What this thread has taken of the processor so far. */
uint64_t simulated_cpu_ns(void);
uint64_t simulated_exits(const struct simulated *s);
/* Where the log has exit (bare: trap) number `seq`, or one that came later or never. */
const struct exit_record *simulated_exit_record(const struct simulated *s, uint64_t seq);

/* The guest as it is loaded from its image. 0 or -errno with `why`. */
int simulated_reload(struct simulated *s, char *why);
/* The machine has been replaced by another: its history begins here. */
void simulated_restarted(struct simulated *s);

/* ---- simulated-input.c ---------------------------------------------------------------------- */

/* Delivers what has come, or comes again here. */
void simulated_deliver(struct simulated *s);
/* Is there something that must wait for one instruction? */
bool simulated_input_waits(const struct simulated *s);
/* Instructions until what had no room is offered again, UINT64_MAX: there is no such. */
uint64_t simulated_input_held(const struct simulated *s);
/* Gives a record of the log to the guest. false: it does not take it now. */
bool simulated_give(struct simulated *s, const struct input_record *record);
int simulated_set_balloon(void *self, uint32_t pages);

/* ---- simulated-state.c ---------------------------------------------------------------------- */

/* Keeps account of what changes from now on, so that moments can be kept. 0 or -ENOMEM. */
int simulated_keep(struct simulated *s);
/* All moments are gone; keeps account no longer. */
void simulated_keep_end(struct simulated *s);
/* Host memory that kept moments and the disk's written blocks take, but for `packed`. */
uint64_t simulated_kept_bytes(const struct simulated *s);

/* Pages of memory that the next moment will have to look at. */
uint32_t simulated_written_pages(const struct simulated *s);
/* 0 or -ENOMEM. */
int simulated_freeze(struct simulated *s, struct moment *out);
int simulated_return(struct simulated *s, const struct moment *moment);
int simulated_forget(struct simulated *s, struct moment *moment);

int simulated_snapshot(void *self, const char *name, char *why);
int simulated_restore(void *self, int id, char *why);
int simulated_snapshots(void *self, struct view_snapshot *out, int max);
int simulated_snapshot_delete(void *self, int id);
void simulated_forget_snapshots(struct simulated *s);
/* The moment of snapshot `id`; NULL: there is no such snapshot. */
const struct moment *simulated_snapshot_moment(struct simulated *s, int id);
/* The structs as they were at that moment, in copies, `count` of them: copy[i] is what from[i] was.
 * 0 or -ENOMEM; simulated_aside_free() in any case. */
enum { SIMULATED_OBJECTS = 2 * MACHINE_OBJECTS + VM_OBJECTS + 4 };
struct simulated_aside {
    struct state_object from[SIMULATED_OBJECTS], copy[SIMULATED_OBJECTS];
    unsigned count;
};
int simulated_aside(struct simulated *s, const struct moment *moment, struct simulated_aside *out);
void simulated_aside_free(struct simulated_aside *aside);

/* ---- simulated-disk.c: functions of struct backend_move -------------------------------------- */

int simulated_disk(void *self, enum move_disk how);
int simulated_disk_hand(void *self, enum move_hand how, char *why);
int simulated_disk_blocks(void *self,
                          int (*item)(void *context, uint32_t block, const uint8_t *bytes),
                          void *context);
int simulated_disk_put(void *self, uint32_t block, const uint8_t *bytes);
int simulated_disk_commit(void *self, uint32_t block, const uint8_t *bytes);

void simulated_view_history(void *self, struct view_history *out);
int simulated_write_disk(void *self, char *why);
int simulated_forget_past(void *self, char *why);
/* Which part of the overlay the disk's written blocks are; -1: none. Memory is part 0. */
int simulated_disk_part(const struct simulated *s);

/* ---- simulated-absent.c --------------------------------------------------------------------- */

/* Functions of struct backend_move. */
int simulated_absent(void *self, struct postcopy *from);
void simulated_arrived(void *self);

/* All of these do nothing while no page is on another host. */
void simulated_absent_free(struct simulated *s);
/* What follows is done for the guest, and must not wait for pages. */
void simulated_absent_running(struct simulated *s, bool runs);
/* The machine has stopped for a page (STOP_ABSENT). True: the run is over, the page does not come.
 */
bool simulated_at_absent(struct simulated *s, struct backend_stop *stop);
/* The guest resets its machine. True: not before all pages are here: simulated_await_reset(). */
bool simulated_reset_waits(struct simulated *s);
bool simulated_resets(const struct simulated *s);
/* True: the run is over, they do not come. */
bool simulated_await_reset(struct simulated *s, struct backend_stop *stop);

/* ---- simulated-time.c ----------------------------------------------------------------------- */

/* The run begins here; it has come to here, perhaps for the first time; it is known up to here
 * only. */
void profile_begin(struct simulated *s);
void profile_note(struct simulated *s);
void profile_cut(struct simulated *s);

void simulated_view_timeline(void *self, struct view_timeline *out);
void simulated_view_layers(void *self, struct view_layers *out);
struct disk *simulated_disk_image(void *self); /* NULL: there is none */

/* ---- simulated-file.c ----------------------------------------------------------------------- */

int simulated_keep_files(void *self, char *why);
int simulated_save(void *self, int id, int base, struct snapshot_file *out, char *why);
int simulated_load(void *self, const struct snapshot_file *from, char *why);

#endif
