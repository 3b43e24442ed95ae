/* Inside of the KVM backend: backend.c (life), backend-run.c (running, breakpoints), backend-view.c
 * (questions), backend-exits.c (more of them), backend-snapshot.c, backend-disk.c and
 * backend-file.c (snapshots), backend-move.c. */
#ifndef VITRINE_KVM_BACKEND_PRIV_H
#define VITRINE_KVM_BACKEND_PRIV_H

#include "cpu/image.h"
#include "hv/backend.h"
#include "hv/kvm/board.h"
#include "hv/kvm/disasm.h"
#include "hv/kvm/explain.h"
#include "hv/kvm/layers.h"
#include "hv/kvm/registers.h"
#include "hv/kvm/vm.h"
#include "hv/overlay.h"

enum { SNAPSHOTS_MAX = 1024, DEBUG_BYTES = 1024 };

/* The sums of struct kvm_exits. */
struct kvm_exit_counts {
    uint64_t total, count[KVM_REASONS], ns[KVM_REASONS];
};

/* A state that was kept: a layer of memory, one of the disk's written blocks, and the rest as
 * bytes.
 */
struct kvm_snapshot {
    int layer; /* also its id */
    int disk;  /* layer of kvm_backend.disk; 0: no disk is kept */
    char name[64];
    struct state_buffer state;
    size_t devices; /* where their state begins in that */
    struct kvm_exit_counts exits;
};

/* What the present command waits for. */
struct kvm_goal {
    struct backend_command command;
    uint64_t steps; /* left of GOAL_STEP */
    bool point;     /* a temporary breakpoint at `at` ... */
    uint64_t at;
    bool same_frame; /* ... that counts only with a stack pointer of at least `sp` */
    uint64_t sp, cr3;
    bool leaving; /* the run begins on a breakpoint: the first instruction is stepped */
};

struct kvm_backend {
    const struct session_config *config;
    struct session *session;
    struct kvm_vm vm;
    bool has_vm;
    struct kvm_board *board;
    struct kvm_layers *layers;
    struct overlay *disk; /* layers of what was written to the disk; NULL: it is not kept */
    struct kvm_disasm *disasm;
    unsigned width;              /* bits of a guest-physical address */
    struct symbols *symbols;     /* NULL: none known */
    struct state_buffer initial; /* state after loading, for reset */
    bool software_kvm;           /* the host's KVM has no hardware below it */
    char format[32];             /* how the image was loaded */

    unsigned vcpu; /* that questions and steps mean */
    struct kvm_goal goal;
    struct session_break point[SESSION_BREAKS];
    int points;
    struct kvm_cpu_state before; /* of the current vCPU when the last run began */
    bool has_before;
    char detail[VIEW_DETAIL]; /* of the last stop, in lines */

    struct kvm_snapshot snapshot[SNAPSHOTS_MAX];
    int snapshots;
    uint64_t dirty_total;
    bool moves;     /* the guest is being moved, and all its pages have been told of */
    bool disk_held; /* the guest is protected: what it writes to its disk stays in memory */

    uint8_t debug[DEBUG_BYTES];     /* of the debug ports, not printed yet; guarded by vm.io */
    size_t debug_count, debug_seen; /* bytes of it; so many at the end of the slice before */
    bool in_line;                   /* the console has printed a part of a line; guarded by vm.io */
};

/* backend-move.c */
extern const struct backend_move kvm_backend_move;

/* backend-run.c */
int kvm_backend_begin(void *self, const struct backend_command *command);
bool kvm_backend_slice(void *self, struct backend_stop *stop);
void kvm_backend_kick(void *self);
int kvm_backend_points(void *self, const struct session_break *points, int count);

/* backend.c */
int kvm_backend_reset(void *self, char *why);
/* A slice has ended, and perhaps the run: prints a line by the debug ports that has no end yet, if
 * nobody writes on it or on the console's any more. The vCPUs are parked. */
void kvm_backend_flush_debug(struct kvm_backend *backend, bool over);

/* backend-file.c */
int kvm_backend_keep_files(void *self, char *why);
int kvm_backend_save_file(void *self, int id, int base, struct snapshot_file *out, char *why);
int kvm_backend_load_file(void *self, const struct snapshot_file *from, char *why);

/* backend-disk.c: what is written to a disk that can be written to stays in memory from now on, in
 * layers as memory has. 0 or -errno; -EBUSY: the guest is protected. */
int kvm_backend_keep_disk(struct kvm_backend *backend);
/* Writes it to the disk's file, unless it is to be dropped, and keeps no more. */
int kvm_backend_end_disk(struct kvm_backend *backend);
/* The same without snapshots, which are gone then; not if it is to be dropped. */
int kvm_backend_write_disk(void *self, char *why);
int kvm_backend_forget_past(void *self, char *why);
/* A snapshot's disk as a part of a file, what differs from `base` (NULL: all). 0 or -errno. */
int kvm_backend_save_disk(struct kvm_backend *backend, const struct kvm_snapshot *snapshot,
                          const struct kvm_snapshot *base, struct snapshot_file *out);
/* Makes the disk what the file says; -EINVAL: it is another disk. With `look` it only looks. */
int kvm_backend_load_disk(struct kvm_backend *backend, const struct snapshot_file *from, bool look);

/* backend-snapshot.c */
struct kvm_snapshot *kvm_backend_find_snapshot(struct kvm_backend *backend, int id); /* or NULL */
void kvm_backend_set_exits(struct kvm_backend *backend, const struct kvm_exit_counts *counts);
int kvm_backend_snapshot(void *self, const char *name, char *why);
int kvm_backend_restore(void *self, int id, char *why);
int kvm_backend_snapshots(void *self, struct view_snapshot *out, int max);
int kvm_backend_snapshot_delete(void *self, int id);
void kvm_backend_forget_snapshots(struct kvm_backend *backend);
void kvm_backend_view_layers(void *self, struct view_layers *out);
/* The whole state but memory: what KVM keeps and what the devices keep. */
int kvm_backend_save(struct kvm_backend *backend, struct state_buffer *buffer);
int kvm_backend_load(struct kvm_backend *backend, const struct state_buffer *buffer);
/* The same for a guest that has not run here: the network has no connections that would be
 * another's. */
int kvm_backend_load_state(struct kvm_backend *backend, const struct state_buffer *buffer);

/* A vCPU's registers, and how its code is to be read. */
struct kvm_look {
    struct kvm_cpu_state cpu;
    struct kvm_code code;
};

/* backend-view.c */
bool kvm_backend_look(struct kvm_backend *backend, struct kvm_look *look); /* the current vCPU */
void kvm_backend_view_registers(void *self, struct view_registers *out);
int kvm_backend_disassemble(void *self, uint64_t va, struct view_insn *out, int count);
int kvm_backend_disassemble_pc(void *self, int before, struct view_insn *out, int count);
void kvm_backend_translate(void *self, uint64_t va, char access, struct view_translation *out);
void kvm_backend_view_table(void *self, enum view_table_kind kind, struct view_table *out);
void kvm_backend_view_memory(void *self, bool physical, struct view_memory *out);
int kvm_backend_write_memory(void *self, bool physical, uint64_t address, const uint8_t *bytes,
                             uint32_t length);
int kvm_backend_write_register64(void *self, const char *name, uint64_t value);
int kvm_backend_lookup(void *self, const char *name, uint64_t *address);
bool kvm_backend_symbol(void *self, uint64_t address, char *out, size_t size);

/* backend-exits.c */
void kvm_backend_status(void *self, struct view_status *out);
int kvm_backend_exits(void *self, uint64_t after, struct view_exit *out, int max);
void kvm_backend_exit_stats(void *self, struct view_exit_stats *out);
void kvm_backend_events_mask(void *self, uint32_t mask);
void kvm_backend_view_devices(void *self, struct view_devices *out);
void kvm_backend_view_dirty(void *self, struct view_dirty *out);
uint64_t kvm_backend_digest(void *self);

#endif
