/*
 * A session: the one door to a running guest.
 *
 * The command line, the window, the GDB stub, the grader and the tests all drive this object and
 * nothing below it. A session owns one guest (on the bare computer, in a virtual machine on it, or
 * an x86 guest on the host's own processor) and one worker thread that runs it in slices. All
 * functions here may be called from any thread; they are answered by the worker between two slices
 * (within about a millisecond) and return copies.
 *
 * Life cycle:
 *
 *     struct session_config config;
 *     char why[SESSION_ERROR];
 *     session_config_init(&config);
 *     config.image = "samples/hello.elf";
 *     config.under = SESSION_HV;
 *     struct session *s = session_new(&config, why);    // NULL: `why` has one clear line
 *     session_run(s);
 *     session_wait(s, -1);                               // until it stops
 *     session_status(s, &status);
 *     session_free(s);
 *
 * Errors: functions that can fail return 0 or -errno; the reasons are named at each function. What
 * a kind of guest does not have is -ENOTSUP, and its views are empty (`present` false, count 0).
 *
 * Addresses have 64 bits. Those of an RV32 guest end at 0xffffffff: session_lookup(), breakpoints
 * and session_run_to() refuse larger ones, elsewhere their upper half is ignored (so that addresses
 * may be counted over the end, as the hart does).
 *
 * A guest's misbehaviour is never an error of the session: it is a stop, see enum session_stop.
 *
 * Source: docs/architecture.md, "A session".
 */
#ifndef VITRINE_HV_SESSION_H
#define VITRINE_HV_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/view.h"

struct session;

enum { SESSION_ERROR = 512 };

enum session_under {
    SESSION_BARE, /* an RV32 guest on the simulated computer */
    SESSION_HV,   /* the same in a virtual machine on it */
    SESSION_KVM,  /* an x86 guest on the host's processor; not in every build */
};

struct session_config {
    const char *image; /* ELF, or flat binary (loaded at 0x80400000, S mode); must be set, but for
                        * KVM with `firmware` or `disk`. KVM: see boot_format */
    const char *disk;  /* image for virtio-blk, NULL: none */
    bool disk_readonly;
    bool disk_away; /* another program may be writing the disk: it is taken when the guest has come
                     * (hv/migrate.h, hv/protect.h), or when somebody lets it run */
    const char *kernel_args; /* command line of the kernel (RV32: /chosen/bootargs), NULL: none */
    enum session_under under;
    const char *engine; /* "interp", "jit", "auto" ...; NULL: interp. KVM: ignored */
    /* Guest memory in bytes: a multiple of 4 MiB from 4 MiB to 1 GiB; KVM: a multiple of 4 KiB from
     * 1 MiB to 1 TiB. */
    uint64_t memory;
    uint64_t max_instructions; /* stop there; 0: no limit */
    bool host_clock;           /* mtime follows the host's clock instead of counting instructions */
    bool no_reboot;       /* a guest that resets its machine has switched it off, with code 0 */
    bool misaligned_trap; /* misaligned loads and stores trap instead of being done */
    bool ad_trap;         /* clear A/D bits page-fault instead of being set by hardware */
    /* For people who type: an idle guest's time passes as fast as the host's, and the program
     * sleeps meanwhile. Changes nothing of what the guest sees. */
    bool paced;

    /* Virtio devices of RV32 guests. KVM guests always have all of them. */
    bool rng;               /* entropy device; its numbers follow from the seed */
    uint64_t rng_seed;      /* KVM: ignored, the numbers are the host's */
    bool balloon;           /* memory balloon, see session_set_balloon() */
    uint32_t balloon_pages; /* asked for at the start; also KVM */
    /* A console beside the UART. What is typed goes to it, as soon as the guest's driver has
     * buffers for it, and not to the UART (also KVM). What it prints is console output as well. */
    bool virtio_console;

    /* For SESSION_KVM; the others ignore them. */
    const char *initrd;      /* initial RAM disk, NULL: none */
    const char *firmware;    /* BIOS image, which boots from `disk`; `image` is ignored */
    const char *boot_format; /* what `image` is ("bzimage", "pvh" ...); NULL: found by looking */
    unsigned cpus;           /* vCPUs, at least 1 */
    /* A network card: "user", and options behind commas as vitrine(1) has them. NULL: none. */
    const char *net;
    int kvm_fd;      /* an open /dev/kvm, which stays the caller's; -1: open it */
    bool no_seccomp; /* leave the vCPU threads unconfined, for a debugger of the monitor */

    /* For the simulated guests; SESSION_KVM ignores them. */
    uint64_t history;  /* host memory in bytes that going back in time may take; 0: one cannot */
    bool disk_discard; /* what the guest writes to its disk stays in memory, and is dropped */

    /* Console output of the guest, called as it is written, on a thread that runs the guest (one
     * call at a time, and none after the stop); may be NULL (then output is kept for
     * session_output()). It must not call back into the session. */
    void (*output)(void *context, const uint8_t *bytes, size_t count);
    /* KVM: the one descriptor beside standard output and error that output() needs, -1: none. The
     * threads that run the guest hold no others. */
    int output_fd;
    /* Called on the worker thread each time the session stops; may be NULL. Must not call back into
     * the session: wake your own loop instead. */
    void (*stopped)(void *context);
    void *context;
};

/* Fills in the defaults: hv, 64 MiB, interp, instruction clock; one vCPU. Never fails. */
void session_config_init(struct session_config *config);

/* Can this file only be an x86 guest (ELF for x86, Linux bzImage, boot sector)? Then `under` should
 * be SESSION_KVM. False also if it cannot be read; flat binaries cannot be told from each other. */
bool session_is_x86(const char *image);

/* Loads the image and stops before its first instruction. NULL on failure, and `why` (at least
 * SESSION_ERROR bytes) is one line that names the file and the reason. The strings are copied. */
struct session *session_new(const struct session_config *config, char *why);

/* Stops the worker, frees everything; NULL is allowed. */
void session_free(struct session *session);

/* ---- control: these return at once; session_wait() waits for the stop --------------------- */

/* Each is -EBUSY while the guest runs (but pause, input) and -ESHUTDOWN once it has ended (but
 * reset; that, too, if it has moved to another host). -ENOLCK: its disk is away and cannot be
 * taken; the status' text says why. */
int session_step(struct session *session, uint64_t count); /* instructions of the current vCPU */
int session_step_over(struct session *session); /* as step, but runs through a call or a trap */
int session_step_exit(
    struct session *session); /* until a VM exit has been handled (bare: a trap) */
int session_run(struct session *session);
int session_run_to(struct session *session, uint64_t va); /* a temporary breakpoint; -EINVAL */
int session_pause(struct session *session);               /* 0 also when it is already stopped */
int session_reset(struct session *session);               /* to the state after session_new() */
/* From now on questions about registers and translation, and steps, mean this vCPU. Also while the
 * guest runs. -EINVAL: there is no such vCPU. */
int session_set_vcpu(struct session *session, unsigned index);

/*
 * ---- backwards: these, too, return at once; also after the guest has ended ----
 *
 * A guest can be taken back to any moment since the session began, was reset, or restored a
 * snapshot, if config.history is not 0 and the guest's clock is not the host's (else -ENOTSUP;
 * -ENOSPC when what has to be kept did not fit into config.history, and the history was given up).
 * All of it is as it was: registers, memory, devices, what was written to the disk, exits and their
 * counts, the monitor's tables. Position N is the moment after N instructions
 * (view_status.instructions), before input that arrives there and before an interrupt is taken
 * there.
 *
 * In the past session_run() and its sisters go on as they are: the recorded input comes when it
 * came, and what was printed is not printed again; up to the end of what is known, where new input
 * is taken. But session_input() while the guest stands in the past cuts what is recorded behind
 * that moment, as soon as the guest runs on, and so do writes to memory and registers: it is
 * another run from there on.
 *
 * Each is -EBUSY while the guest runs. They stop with STOPPED_BEGINNING where the record begins.
 */
int session_step_back(struct session *session, uint64_t count);
/* To position `instruction`; beyond the end of what is known the guest runs on, up to there. Stops
 * with STOPPED_STEP. Breakpoints on the way do not count. */
int session_goto(struct session *session, uint64_t instruction);

enum session_back {
    /* The newest breakpoint or watchpoint of session_break_list() before this moment. The guest
     * then stands in front of the instruction: the one with the breakpoint, or the one that made
     * the access. STOPPED_BREAKPOINT, STOPPED_WATCHPOINT. */
    BACK_POINT,
    /* The newest VM exit (bare: trap) before this moment: it has just been handled. STOPPED_EXIT.
     */
    BACK_EXIT,
    /* The newest write to address .. + length: "who wrote this?". The guest then stands in front of
     * the store; or, if it was a device, of the instruction that has made it write, or of the input
     * that has: then the text names the device and the instruction. Devices are known by the pages
     * that the address leads to now (the first 16 pieces of them). Not found are writes of
     * debuggers. STOPPED_WATCHPOINT. */
    BACK_WRITE,
};
/* `address` and `length` (at least 1) are for BACK_WRITE only; -EINVAL. */
int session_run_back(struct session *session, enum session_back kind, bool physical,
                     uint64_t address, uint32_t length);

/* Asks the guest to give back so many pages of 4 KiB in all, by its virtio balloon; it does so when
 * and as far as it wants (the device's register `actual` tells). Also while the guest runs. It is
 * input like what is typed: in the past it begins another run, and records have it. -EINVAL: more
 * than it has; -ENOTSUP: the guest has no balloon; -EBUSY: the session follows a record. */
int session_set_balloon(struct session *session, uint64_t pages);

/* Waits until the session is not running. `timeout_ms` < 0: for ever. 0, or -ETIMEDOUT. */
int session_wait(struct session *session, int timeout_ms);

/* ---- console ------------------------------------------------------------------------------ */

/* Queues what was typed; delivered at the next slice and recorded with its instruction count.
 * The queue is bounded (64 KiB): returns how many bytes it took. */
size_t session_input(struct session *session, const uint8_t *bytes, size_t count);
/* All of a regular file from where its descriptor stands, as if it were typed before the guest runs
 * on, whatever its size: what the queue has no room for follows when the guest has taken the rest,
 * so that a run on the same file is always the same run. Then as session_input_end(). The
 * descriptor stays the caller's, who may close it; the file is not to change meanwhile: one that
 * becomes shorter, or cannot be read, ends there. -EINVAL: it is no regular file; or -errno. What
 * is still in the file is gone after a reset, and does not move with the guest to another host. */
int session_input_file(struct session *session, int fd);
/* No more input will ever come: a guest that waits for it stops (STOPPED_IDLE) instead of waiting.
 */
void session_input_end(struct session *session);
/* Takes console output that was not taken yet (only if config.output is NULL); the last 1 MiB is
 * kept. Returns the number of bytes copied. */
size_t session_output(struct session *session, uint8_t *bytes, size_t size);

/* ---- breakpoints and watchpoints ---------------------------------------------------------- */

enum session_break_kind { BREAK_EXECUTE = 1, BREAK_READ = 2, BREAK_WRITE = 4 }; /* may be or-ed */

struct session_break {
    int id;        /* set by session_break_add */
    unsigned kind; /* enum session_break_kind, or-ed */
    bool physical; /* address is guest-physical */
    uint64_t address;
    uint32_t length; /* bytes; BREAK_EXECUTE looks at instruction starts in the range; 0 = 1 */
};

enum { SESSION_BREAKS = 64 };

/* Returns the id (> 0), or -EINVAL for a bad kind or range, -ENOSPC when SESSION_BREAKS are set (or
 * more than the processor has places for), -ENOTSUP for a kind that this guest cannot have. */
int session_break_add(struct session *session, const struct session_break *wanted);
int session_break_remove(struct session *session, int id); /* -ENOENT */
int session_break_list(struct session *session, struct session_break *out, int max);

/* ---- questions ---------------------------------------------------------------------------- */

void session_status(struct session *session, struct view_status *out);
void session_view_hart(struct session *session, enum view_hart_kind kind, struct view_hart *out);
/* The registers of the guest's (current) processor as a list, whatever its ISA. */
void session_view_registers(struct session *session, struct view_registers *out);
/* `count` instructions from guest virtual address `va` on; returns how many were written. */
int session_disassemble(struct session *session, uint64_t va, struct view_insn *out, int count);
/* As above, around the current pc with `before` instructions in front of it. */
int session_disassemble_pc(struct session *session, int before, struct view_insn *out, int count);
/* Translation of va for access 'r', 'w' or 'x' as the hart would do it now, changing nothing. */
void session_translate(struct session *session, uint64_t va, char access,
                       struct view_translation *out);
/* The guest address that the newest instruction used: its load or store, else its fetch. */
void session_last_access(struct session *session, uint64_t *va, char *access);
/* The same of its disk: the byte where the newest transfer began, and 'r' or 'w'. false: there was
 * none yet. */
bool session_last_disk_access(struct session *session, uint64_t *byte, char *access);
void session_view_table(struct session *session, enum view_table_kind kind, struct view_table *out);
void session_view_tlb(struct session *session, struct view_tlb *out);
/* Memory by guest virtual address (physical: false) or guest-physical address. */
void session_view_memory(struct session *session, bool physical, uint64_t address, uint32_t length,
                         struct view_memory *out);
/* Which pages the guest writes to. Each call ends an interval and begins the next; the log begins
 * with the first call, because it costs the guest something. */
void session_view_dirty(struct session *session, struct view_dirty *out);
/* Writes guest memory / registers, for a debugger. -EFAULT where there is no RAM. */
int session_write_memory(struct session *session, bool physical, uint64_t address,
                         const uint8_t *bytes, uint32_t length);
int session_write_register(struct session *session, int number,
                           uint32_t value); /* 0..31, 32 = pc */
int session_write_csr(struct session *session, uint16_t number, uint32_t value); /* -ENOENT */
/* By the name in view_register, on any ISA. -ENOENT: there is none of that name; -EINVAL: it cannot
 * hold this value, or cannot be written. */
int session_write_register64(struct session *session, const char *name, uint64_t value);
/* Runs the guest in another engine from the next instruction on, also while it runs; the guest
 * cannot tell. -ENOENT: there is none of that name. view_status tells which one it is. */
int session_set_engine(struct session *session, const char *name);
/* Exits with seq > `after`, oldest first, at most `max`; returns how many. The last 4,096 are kept.
 */
int session_exits(struct session *session, uint64_t after, struct view_exit *out, int max);
void session_exit_stats(struct session *session, struct view_exit_stats *out);
void session_view_devices(struct session *session, struct view_devices *out);

/* Digest of the guest-visible state (hart, devices, memory), and of everything incl. the monitor.
 */
uint64_t session_digest(struct session *session);
uint64_t session_digest_all(struct session *session);

/* Symbols and lines. `name` is "symbol", "symbol+8", "file.c:42", or a number (0x...). 0, -ENOENT.
 */
int session_lookup(struct session *session, const char *name, uint64_t *address);
/* "main+0x10" of an address; "" when unknown. Returns false if unknown. */
bool session_symbol(struct session *session, uint64_t address, char *out, size_t size);

/* Memory between two symbols, one 32-bit word a line in hex (architecture tests). 0 or -errno. */
int session_write_signature(struct session *session, const char *path);

/* ---- snapshots ---------------------------------------------------------------------------- */

/* All are -ENOTSUP where there are none, and but for the list -EBUSY while the guest runs. `why` is
 * SESSION_ERROR bytes: one line when the result is negative. */

/* Keeps the state of the whole machine under this name. The id (> 0), or -errno. From the first one
 * on what the guest writes to its disk is in memory only, and a program that is killed loses it,
 * also what the guest has flushed: see session_write_disk(). */
int session_snapshot(struct session *session, const char *name, char *why);
/* Puts the machine back; also after it has ended. The session stops anew (STOPPED_RESET), what was
 * typed and printed and not taken yet is dropped. -ENOENT: no such snapshot. */
int session_restore(struct session *session, int id, char *why);
/* Fills in at most `max`, oldest first; returns how many there are in all. */
int session_snapshots(struct session *session, struct view_snapshot *out, int max);
int session_snapshot_delete(struct session *session, int id); /* -ENOENT */
/* The same list as a tree: each is followed by those that stand on it; `depth` and `last` are
 * filled in. */
int session_snapshot_tree(struct session *session, struct view_snapshot *out, int max);
/* How snapshot `b` differs from snapshot `a`; b 0: how the guest as it is now does. -ENOENT,
 * -EINVAL (a file is damaged), -ENOMEM. */
int session_snapshot_diff(struct session *session, int a, int b, struct view_differences *out,
                          char *why);

/*
 * Snapshots that outlive the program: files in a session directory (hv/snapshot.h). From then on
 * session_snapshot() and the others above mean the snapshots in that directory, those of earlier
 * programs too, whose ids they take and give; a snapshot is acknowledged when it is on the disk.
 * The disk's file stays as it is: what the guest writes to its disk is in the snapshots, as with
 * config.disk_discard.
 *
 * session_keep() makes the directory if need be, and locks it. -EBUSY: another program has it, the
 * guest runs, is moved or protected, or there are snapshots in memory already; -EINVAL: the
 * directory is of another guest or of other options; -ENOTSUP: this kind of guest, or one with a
 * disk that cannot be kept: with config.disk_away one that can be written.
 */
int session_keep(struct session *session, const char *path, char *why);
/* A session that goes on from snapshot `id` (0: the newest) of a directory, which it keeps. Of
 * `wishes` it takes all but what the directory says (guest, memory, devices, where it runs); image,
 * disk, initrd and firmware there, if not NULL, are other places of the same files. NULL and `why`
 * as session_new(), and when a file is damaged or not what it was. */
struct session *session_open(const char *path, int id, const struct session_config *wishes,
                             char *why);

/* What there is to do with a directory, as its session does it; -ENOTSUP without one. Nothing of
 * this changes the guest. */

/* Snapshot `id`'s parent becomes what `id` is, which is gone then; the parent keeps its number.
 * -ENOENT: there is no such snapshot, or it has no parent. */
int session_snapshot_commit(struct session *session, int id, char *why);
/* One file with all layers of it; a file of that name is replaced. */
int session_snapshot_export(struct session *session, int id, const char *path, char *why);
/* Such a file as a snapshot without a parent: its id. -EINVAL: it is of another guest, or damaged.
 */
int session_snapshot_import(struct session *session, const char *path, char *why);
/* Reads all files. How many snapshots are damaged; `why` names the first. */
int session_snapshot_check(struct session *session, char *why);

/* What the guest has written to a disk stays in memory while there is a history or a snapshot, so
 * that it can be put back, too; the file is as it was. This writes it to the file: 0, or -errno
 * with `why`. From then on there is no way back: history and snapshots are gone. session_free()
 * does the same (but for config.disk_discard), but cannot tell whether it went well. -EBUSY while
 * the guest runs. */
int session_write_disk(struct session *session, char *why);
/* History and snapshots are given up, and what they kept of the disk is written to its file: for a
 * guest that is to be protected (hv/guard.h). 0 also where there is nothing to give up; -EBUSY
 * while the guest runs, or when its snapshots are files; or as session_write_disk(). */
int session_forget_past(struct session *session, char *why);
void session_view_history(struct session *session, struct view_history *out);
/* The same with what there is along the way: checkpoints, input, snapshots. */
void session_view_timeline(struct session *session, struct view_timeline *out);
/* The layers of memory (or of the disk's written blocks) under the guest, and which of them answers
 * for the page at this guest-physical address (or byte of the disk). Nothing is changed. */
void session_view_layers(struct session *session, bool disk, uint64_t address,
                         struct view_layers *out);

/* ---- records ------------------------------------------------------------------------------ */

/* Records the session, to be written to this file: the images' digests, the configuration, what is
 * typed and when, and the guest's digest each 10 million instructions (hv/record.h). The guest must
 * stand at its first instruction. -EINVAL, -EBUSY, -ENOTSUP (KVM, the host's clock), or -errno of a
 * file that cannot be read; `why` is one line. */
int session_record(struct session *session, const char *path, char *why);
/* Writes the file, aside and then renamed, and records no longer. The record ends where the guest
 * stands. -EBUSY while it runs; -EIO: something has happened that no record can tell (a debugger
 * has written to the guest, a snapshot was restored, a reset from outside); or -errno. */
int session_record_end(struct session *session, char *why);
/* A session that follows a record: the same run, bit for bit, in any engine. Of `wishes` it takes
 * all but what the record says (guest, memory, where it runs ...); image and disk there, if not
 * NULL, are other places of the same files. The disk is not written to. NULL and `why` as
 * session_new(), and when a file is not what it was. The run ends with STOPPED_RECORD_END, as the
 * guest ended, or with STOPPED_DIFFERS. */
struct session *session_replay(const char *path, const struct session_config *wishes, char *why);
/* ---- moving to another host: hv/migrate.h does it ------------------------------------------- */

void session_view_migration(struct session *session, struct view_migration *out);
void session_view_protection(struct session *session,
                             struct view_protection *out); /* hv/protect.h */
/* By a person's word, who knows that the guest does not run on the other side: after a migration
 * that ended in doubt, or a protection, the guest can run here again (STOPPED_PAUSE). -EINVAL:
 * there was none; -EALREADY: the other side is being asked just now (migrate_recover()); -EBUSY:
 * the other side, or somebody else, has its disk; or -errno: it cannot be written. */
int session_take_back(struct session *session);

/* ---- events ------------------------------------------------------------------------------- */

/* A bounded ring of what happened (cpu/event.h). Nothing is recorded, and nothing costs, until a
 * mask is set. The reader never blocks the machine: what did not fit is counted as dropped. */
struct event;
void session_events_mask(struct session *session, uint32_t mask); /* bits 1u << enum event_type */
int session_events(struct session *session, struct event *out, int max, uint64_t *dropped);

#endif
