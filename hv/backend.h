/*
 * A backend: what runs a session's guest.
 *
 * A session (hv/session.h) is the same to its users whatever its guest runs on. What differs is
 * behind this table of functions: the simulated computer with or without the monitor
 * (hv/simulated.c), or the host's own processor through KVM (hv/kvm/backend.c). The session keeps
 * the worker thread, the lock, the console queues, the list of breakpoints, the ring of events and
 * the state (stopped, running, ended); the backend keeps the machine.
 *
 *      caller's thread                  session's worker
 *      session_run()                    waits
 *        begin(command)
 *        wakes the worker          ->   slice(), slice(), slice() ...
 *      session_translate()
 *        kick(), waits for the lock ->  slice() returns false; the worker lets callers in
 *        translate()
 *        lets go of the lock       ->   slice() ... returns true: the stop is published
 *
 * Every function but kick() is called with the session's lock held, so that a backend needs no lock
 * of its own against the session. Between two slices nothing of the guest runs: a backend with
 * threads of its own parks them before slice() returns.
 *
 * A function that a backend does not have is NULL: the session then answers -ENOTSUP or an empty
 * view. create, destroy, reset, begin, slice, points and status must be there.
 */
#ifndef VITRINE_HV_BACKEND_H
#define VITRINE_HV_BACKEND_H

#include "cpu/dev/disk.h"
#include "cpu/state.h"
#include "hv/session.h"

/* What the guest has been told to do: filled in by session_step() and its sisters. */
enum backend_goal {
    GOAL_RUN,       /* until something stops it */
    GOAL_STEP,      /* `count` instructions (of the current vCPU) */
    GOAL_STEP_OVER, /* one, but through a call or a trap */
    GOAL_STEP_EXIT, /* until a VM exit (bare: a trap) has been handled */
    GOAL_RUN_TO,    /* to `va` */
    GOAL_STEP_BACK, /* `count` instructions, into the past */
    GOAL_GOTO,      /* to the moment after `count` instructions since reset */
    GOAL_RUN_BACK,  /* to the newest stop of the kind `back` */
};

struct backend_command {
    enum backend_goal goal;
    uint64_t count; /* BACK_WRITE: bytes */
    uint64_t va;
    enum session_back back;
    bool physical; /* va is guest-physical */
};

/* How a run ended. All zeros when slice() gets it. */
struct backend_stop {
    enum session_state state; /* SESSION_STOPPED or SESSION_ENDED */
    enum session_stop stop;
    char text[VIEW_TEXT];
    int exit_code;          /* if STOPPED_POWEROFF */
    uint64_t watch_address; /* if STOPPED_WATCHPOINT */
    char watch_access;
};

struct event;
struct disk;
struct postcopy;
struct record;
struct snapshot_file;

/*
 * What moving a guest to another host asks of a backend (hv/migrate.h). Memory is pages of 4 KiB,
 * numbered from 0 without holes. Called with the lock held, between two slices.
 */
enum move_disk { MOVE_DISK_HOLD, MOVE_DISK_RELEASE };
enum move_hand { MOVE_HAND_SETTLE, MOVE_HAND_GIVE, MOVE_HAND_LOOK, MOVE_HAND_TAKE };
enum move_sent {
    MOVE_SENT_HOLD,
    MOVE_SENT_MARK,
    MOVE_SENT_PASS,
    MOVE_SENT_RELEASE,
    MOVE_SENT_DROP
};

struct backend_move {
    /* Calls `item` for all that must be equal on both sides: the guest's kind, memory, devices. A
     * value is one line. */
    void (*describe)(void *self, void (*item)(void *context, const char *name, const char *value),
                     void *context);
    uint64_t (*pages)(void *self);
    /* From now on writes are kept account of: the first collect() gives all pages that may not be
     * zero. 0, -ENOMEM, or -EBUSY: it cannot be moved now. */
    int (*begin)(void *self);
    void (*end)(void *self);
    /* Sets a bit for each page that may have been written since the last call. 0 or -errno. */
    int (*collect)(void *self, uint64_t *bits);
    /* The page's bytes, until the lock is given back; NULL: it reads as zero. */
    const uint8_t *(*page)(void *self, uint64_t page);
    /* Replaces it; `bytes` NULL: by zeros. 0 or -ENOMEM. */
    int (*put)(void *self, uint64_t page, const uint8_t *bytes);
    /* All that is the guest's but its memory. load() checks the whole before it changes anything:
     * 0, -EINVAL (torn, of another kind, impossible), -EPROTO (a newer version), -ENOMEM. Memory
     * has been put before. */
    int (*save)(void *self, struct state_buffer *buffer);
    int (*load)(void *self, const uint8_t *bytes, size_t count);
    /* All that the guest has written to its disks is in their files, but for what is held. 0 or
     * -errno. */
    int (*flush)(void *self);
    /* The disk changes hands (cpu/dev/disk.h). Here: SETTLE, nothing is left that would be written
     * later; GIVE, it is another's. There: LOOK, could it be taken? TAKE, it is ours, and what is
     * held is written. 0; TAKE: -EBUSY, another has it; or -errno; with one line in `why`
     * (SESSION_ERROR bytes). A guest without a disk that can be written has nothing to do. */
    int (*hand)(void *self, enum move_hand how, char *why);

    /* Post-copy, at the destination: after load() the pages that are missing in `from` are not here,
     * and whoever touches one asks that. Until arrived(), which may be called when none is missing any
     * more. 0, -ENOMEM, -ENOTSUP: not this guest. NULL: not this kind of guest. */
    int (*absent)(void *self, struct postcopy *from);
    void (*arrived)(void *self);

    /* For protection (hv/protect.h). All NULL: a writable disk cannot be held back. HOLD: what the
     * guest writes stays in memory, and is dropped with the session, up to RELEASE: it is written
     * to the file, and so is what comes. 0, -ENOMEM, -EBUSY: there are snapshots, or -errno. */
    int (*disk)(void *self, enum move_disk how);
    /* Calls `item` for each block of 4 KiB that was written since the last call, or until it fails.
     */
    int (*blocks)(void *self, int (*item)(void *context, uint32_t block, const uint8_t *bytes),
                  void *context);
    /* As if the guest had written it: held. -EINVAL: there is no such block. */
    int (*put_block)(void *self, uint32_t block, const uint8_t *bytes);
    /* In the file, whatever is held. */
    int (*commit_block)(void *self, uint32_t block, const uint8_t *bytes);
    /* What the guest sends to a network: HOLD, it stays here; MARK, so far it is of one epoch;
     * PASS, that goes out; RELEASE, so does all, and what comes; DROP, what is held is gone, and
     * what comes goes out. NULL: this kind of guest has none. 0 or -ENOMEM (HOLD). */
    int (*sent)(void *self, enum move_sent how);
};

struct backend_ops {
    /* The highest guest address. What a person or a breakpoint names above it is refused by the
     * session; in other arguments the backend ignores the bits above. 0: there are 64. */
    uint64_t address_max;

    /* ---- life ----------------------------------------------------------------------------- */

    /* Checks the configuration (image or firmware is set; all else is the backend's to judge),
     * makes the machine and loads the guest, which then stands before its first instruction. NULL
     * and one line in `why` (SESSION_ERROR bytes) on failure. The configuration stays valid until
     * destroy(). The guest may already write to its console. */
    void *(*create)(const struct session_config *config, struct session *session, char *why);
    void (*destroy)(void *self);
    /* Back to the state after create(), but for the breakpoints. 0, or -errno with `why`. */
    int (*reset)(void *self, char *why);

    /* ---- running -------------------------------------------------------------------------- */

    /* A run begins. 0 or -errno (-EINVAL: no such address; for goals that lead into the past also
     * -ENOTSUP, -ENOSPC: see session_step_back()). */
    int (*begin)(void *self, const struct backend_command *command);
    /* Runs the guest for a while: about a millisecond, or until session_wanted() if there is
     * kick(). True: the run is over, and `stop` says why. False: the session lets waiting callers
     * in and calls again. Whether a pause is wanted the session decides itself, after a slice that
     * returned false. */
    bool (*slice)(void *self, struct backend_stop *stop);
    /* Somebody waits: slice() shall return soon. From any thread, without the lock, at any time
     * between create() and destroy(); also when no slice is under way. NULL: slices are short
     * enough. */
    void (*kick)(void *self);
    /* The breakpoints and watchpoints that hold from now on, also while the guest runs. 0; or
     * -EINVAL, -ENOSPC, -ENOTSUP: the session then calls again with those that held before. They
     * are copied. */
    int (*points)(void *self, const struct session_break *points, int count);
    /* Guest instructions executed since reset, for the measuring of speed. NULL: they are not
     * counted. */
    uint64_t (*instructions)(void *self);
    /* Publish the events of these types with session_publish() from now on. */
    void (*events_mask)(void *self, uint32_t mask);
    int (*set_vcpu)(void *self, unsigned index);
    int (*set_engine)(void *self, const char *name);
    int (*set_balloon)(void *self, uint32_t pages);

    /* ---- questions: each is the function of hv/session.h of the same name ------------------ */

    /* Views come zeroed (but for the regions of a table), and with what was asked (kind, va,
     * access, address, length) filled in. Nothing here changes the guest, but for the functions
     * that write. */

    /* The machine's part: instructions, exits, under_monitor, isa, vcpus, vcpu, counted, exit_ns,
     * engine, memory. */
    void (*status)(void *self, struct view_status *out);
    void (*view_hart)(void *self, enum view_hart_kind kind, struct view_hart *out);
    void (*view_registers)(void *self, struct view_registers *out);
    /* The session fills in `breakpoint`. */
    int (*disassemble)(void *self, uint64_t va, struct view_insn *out, int count);
    int (*disassemble_pc)(void *self, int before, struct view_insn *out, int count);
    void (*translate)(void *self, uint64_t va, char access, struct view_translation *out);
    /* NULL: the session says 'x' of the pc. */
    void (*last_access)(void *self, uint64_t *va, char *access);
    void (*view_table)(void *self, enum view_table_kind kind, struct view_table *out);
    void (*view_tlb)(void *self, struct view_tlb *out);
    /* `out` has address and length, which is at most sizeof data. */
    void (*view_memory)(void *self, bool physical, struct view_memory *out);
    void (*view_dirty)(void *self, struct view_dirty *out);
    int (*write_memory)(void *self, bool physical, uint64_t address, const uint8_t *bytes,
                        uint32_t length);
    int (*write_register)(void *self, int number, uint32_t value);
    int (*write_csr)(void *self, uint16_t number, uint32_t value);
    int (*write_register64)(void *self, const char *name, uint64_t value);
    int (*exits)(void *self, uint64_t after, struct view_exit *out, int max);
    void (*exit_stats)(void *self, struct view_exit_stats *out);
    void (*view_devices)(void *self, struct view_devices *out);
    uint64_t (*digest)(void *self);
    uint64_t (*digest_all)(void *self);
    int (*lookup)(void *self, const char *name,
                  uint64_t *address); /* no numbers: the session does */
    bool (*symbol)(void *self, uint64_t address, char *out, size_t size);
    int (*write_signature)(void *self, const char *path);

    /* ---- snapshots: only called while the guest stands ------------------------------------- */

    int (*snapshot)(void *self, const char *name, char *why);
    int (*restore)(void *self, int id, char *why);
    int (*snapshots)(void *self, struct view_snapshot *out, int max);
    int (*snapshot_delete)(void *self, int id);
    /* Whether the guest stands in the past, and what is known of it. */
    void (*view_history)(void *self, struct view_history *out);
    void (*view_timeline)(void *self, struct view_timeline *out);
    /* `out` has disk, address and page. */
    void (*view_layers)(void *self, struct view_layers *out);
    int (*write_disk)(void *self, char *why);
    int (*forget_past)(void *self, char *why); /* session_forget_past() */
    struct disk *(*disk_image)(void *self);    /* the guest's; NULL: it has none */
    /* Snapshots as files (hv/snapshot.h); the guest stands. keep_files: from now on nothing that a
     * snapshot file does not have is kept elsewhere (the disk's file stays as it is). save: of
     * snapshot `id`, what differs from snapshot `base` below it (0: all); the guest is as it was,
     * and the pages stay valid as long as the snapshot. load: makes the guest what a whole file
     * says, and a snapshot of that, whose id is the result; after -errno it is what it was. */
    int (*keep_files)(void *self, char *why);
    int (*save)(void *self, int id, int base, struct snapshot_file *out, char *why);
    int (*load)(void *self, const struct snapshot_file *from, char *why);
    /* hv/recorder.h. `follow` takes the record over, also when it fails. */
    int (*record)(void *self, const char *path, char *why);
    int (*record_end)(void *self, char *why);
    int (*follow)(void *self, struct record *record, char *why);

    const struct backend_move *move; /* NULL: this guest cannot be moved */
};

extern const struct backend_ops backend_simulated;
extern const struct backend_ops backend_kvm; /* only with HAVE_KVM */

/* ---- what a backend may ask of its session -------------------------------------------------- */

/* With the lock held, that is in functions of the backend on the thread that called them, unless
 * "from any thread" is said. */

/* How this guest's disk is to be opened. */
disk_open_fn session_disk_open(const struct session_config *config);
/* The guest has written to its console. From any thread, in create() and in slice(). */
void session_console(struct session *session, const uint8_t *bytes, size_t count);
/* The oldest byte that was typed and not delivered yet, without taking it; false: there is none, or
 * no memory to record it. */
bool session_input_peek(struct session *session, uint8_t *byte);
/* That byte has been delivered, before this instruction, when the guest had slept for `idle`
 * (struct clock; 0 where that is not counted). */
void session_input_taken(struct session *session, uint64_t instruction, uint64_t idle);

/* What came from outside, and when. */
enum input_kind {
    INPUT_TYPED,   /* `value`: the byte */
    INPUT_BALLOON, /* `value`: the pages that the guest is asked for */
};
struct input_record {
    uint64_t instruction, idle;
    enum input_kind kind;
    uint32_t value;
};
size_t session_log_count(const struct session *session);
/* Record number `index`, 0..; NULL: there are not so many. Valid until the next one is delivered.
 */
const struct input_record *session_log_at(const struct session *session, size_t index);
/* Something that will be delivered, or was just now. false: no memory. */
bool session_log_add(struct session *session, struct input_record record);
/* Forgets all records from number `count` on. */
void session_log_cut(struct session *session, size_t count);
/* How many bytes were ever typed. */
uint64_t session_typed(const struct session *session);
/* Nobody will type any more. What was typed before may not be delivered yet: session_input_peek().
 */
bool session_input_over(struct session *session);
/* Lets callers in who wait for the lock; then sleeps until something is typed, a pause is wanted,
 * the session ends, or `ns` are over. Only in slice(), with nothing of the guest running. The time
 * does not count for the guest's speed. */
void session_nap(struct session *session, uint64_t ns);
/* Is there a reason to end the slice: a pause, the end, a caller who waits? From any thread. */
bool session_wanted(struct session *session);
/* Why the guest stood the last time; while it runs, the time before. */
enum session_stop session_last_stop(struct session *session);
/* Puts an event into the ring, if its type is wanted. From any thread. */
void session_publish(struct session *session, const struct event *event);

#endif
