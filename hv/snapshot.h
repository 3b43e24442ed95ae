/*
 * Snapshots as files: a session directory, which outlives the program.
 *
 *      DIR/session         what all snapshots have in common: the guest's files with their digests,
 *                          memory, devices
 *      DIR/snapshot-1      the first snapshot: all pages that are not zero
 *      DIR/snapshot-2      the pages that differ from those of its parent, which it names
 *      DIR/disk-1.qcow2    what the guest has written to its disk up to the first: a qcow2
 *                          overlay of the guest's own disk (docs/disks.md)
 *      DIR/disk-2.qcow2    an overlay of that one, with what was written up to the second
 *      DIR/lock            locked by the program that may write here
 *
 * A snapshot is a layer (hv/overlay.h) in a file: what a page is, says the nearest file on the way
 * from the snapshot by its parents that has it; if none has, it is zero (of the disk: as in the
 * disk's own file). Parents have smaller numbers. There is no list of the files: those that are
 * there are the snapshots, so there is nothing that could contradict them.
 *
 * **Writing.** Every file is written aside ("snapshot-3.new"), flushed, renamed, and the folder is
 * flushed; only then is it acknowledged. What changes several files (deleting a snapshot on which
 * others stand) does so in an order in which each step leaves all others whole. So whenever the
 * program or the host dies, the directory opens and has all snapshots that were acknowledged; files
 * aside are swept away by the next one who may write.
 *
 * A snapshot's file names its overlay by number, mostly its own. So an overlay is written first,
 * and the snapshot is there when its file is. Overlays to which no file leads are swept away.
 *
 * **A file** is a magic number, a version, and sections, each with a checksum of its own, so that
 * damage has a name. Numbers are little-endian; a string is a u16 count and its bytes.
 *
 *      file       8 bytes "VITRSNP" 0 | u32 version, 2 | sections | section "end", empty
 *      section    name, 16 bytes, padded with 0 | u64 length | u64 checksum | length bytes
 *                 the checksum is the digest of name, length and bytes
 *      about      u32 id | u32 parent, 0: none | u64 size of the file | u64 seconds since 1970 |
 *                 u64 instructions | u64 exits | u64 digest of the configuration | u64 pages |
 *                 u64 disk blocks | string name | u32 number of the overlay that has the disk
 *                 blocks, 0: this file has them itself (since version 2)
 *      config     the configuration, see snapshot-config.c (in DIR/session and exported files)
 *      tables     the guest's machine, as its state tables save it (cpu/state.h)
 *      monitor    the monitor's, and the computer's below it; may be missing
 *      kvm        what KVM keeps of an x86 guest (hv/kvm/state.h); may be missing
 *      p.NAME     a part of memory: u64 size | u32 bytes of an element | u8 what a missing page
 *                 is, 0: zeros, 1: as in the disk's file | u32 count, then each page, ascending:
 *                 u32 index | u8 0: zeros, 1: what follows | 4096 bytes
 *
 * Whoever reads a file must expect anything in it: sizes are checked against the file's, and what
 * is refused is named in one line. Functions return 0 or -errno, and `why` (SNAPSHOT_ERROR bytes)
 * is that line.
 */
#ifndef VITRINE_HV_SNAPSHOT_H
#define VITRINE_HV_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/state.h"
#include "hv/record.h"
#include "hv/view.h"

enum {
    SNAPSHOT_ERROR = 512,
    SNAPSHOT_VERSION = 2,
    SNAPSHOT_PAGE = 4096,
    SNAPSHOT_PARTS = 8,
    SNAPSHOT_NAME = 64,     /* with the 0 at its end */
    SNAPSHOT_FILES = 65536, /* in a directory, at most */
};

/* ---- what is in a file -------------------------------------------------------------------- */

/* Everything that decides what a guest does, but for the engine. Names of files are absolute. */
struct snapshot_config {
    uint8_t under; /* enum session_under */
    bool misaligned_trap, ad_trap, host_clock, disk_readonly, virtio_console, rng, balloon;
    uint64_t rng_seed, memory;
    uint32_t balloon_pages, cpus;
    char kernel_args[RECORD_TEXT], boot_format[SNAPSHOT_NAME], net[RECORD_TEXT]; /* "": none */
    struct record_file image, disk, initrd, firmware;
};

struct snapshot_about {
    int id, parent;           /* parent 0: none */
    char name[SNAPSHOT_NAME]; /* may be empty */
    uint64_t file_bytes, time, instructions, exits;
    uint64_t config;             /* digest of the configuration */
    uint64_t pages;              /* of memory and the monitor's arrays that the file has itself */
    uint64_t blocks;             /* of the disk, 4096 bytes each */
    int overlay;                 /* they are in DIR/disk-N.qcow2; 0: in the file */
    uint64_t overlay_bytes;      /* size of that; only of a directory's list */
    char damage[SNAPSHOT_ERROR]; /* "": none known. Else only `id` is to be relied on */
};

struct snapshot_page {
    uint32_t index;
    const uint8_t *bytes; /* SNAPSHOT_PAGE of them; NULL: zeros */
};

struct snapshot_part {
    char name[12]; /* "memory", "disk", or an array of the monitor's */
    uint64_t size; /* bytes; pages end there, what is behind it in the last one is zero */
    uint32_t unit; /* bytes of an element */
    bool backed;   /* a page that no file has is not zero, but as in the disk's file */
    uint32_t count, room;
    struct snapshot_page *page; /* ascending */
};

struct snapshot_file {
    struct snapshot_about about;
    struct snapshot_config *config; /* NULL: not in this file */
    struct state_buffer tables, monitor, kvm;
    struct snapshot_part part[SNAPSHOT_PARTS];
    unsigned parts;
    uint8_t *bytes;   /* the file, in which the pages are; NULL: they are somebody else's */
    uint8_t *overlay; /* the same of the disk's overlay */
    struct snapshot_file *below; /* further files in which they are */
    bool failed;                 /* memory ran out while pages were added */
};

/* Empty. NULL: no memory. */
struct snapshot_file *snapshot_new(void);
void snapshot_free(struct snapshot_file *snapshot);
/* A new part, empty. NULL: there are SNAPSHOT_PARTS already. */
struct snapshot_part *snapshot_add_part(struct snapshot_file *snapshot, const char *name,
                                        uint64_t size, uint32_t unit, bool backed);
struct snapshot_part *snapshot_find_part(const struct snapshot_file *snapshot, const char *name);
/* The bytes must stay where they are. Without memory `failed` is set. */
void snapshot_add_page(struct snapshot_file *snapshot, struct snapshot_part *part, uint32_t index,
                       const uint8_t *bytes);
/* Once all are added: in order, and pages of zeros without bytes. */
void snapshot_sort(struct snapshot_file *snapshot);
/* The page of a part; NULL: the snapshot itself has none. */
const struct snapshot_page *snapshot_look(const struct snapshot_part *part, uint32_t index);

/* As a file's bytes, without disk blocks if about.overlay is set. -ENOMEM. Sets about.file_bytes,
 * pages and blocks. */
int snapshot_serialise(struct snapshot_file *snapshot, struct state_buffer *out);
/* Of a file's bytes, which must have come from malloc() and are the snapshot's afterwards (also
 * when it is refused). NULL and `why`, which does not name the file. */
struct snapshot_file *snapshot_parse(uint8_t *bytes, size_t count, char *why);
/* Only the sections at the beginning of a file, of which `count` bytes are there: "about", and
 * "config" if `config` is not NULL. */
int snapshot_parse_about(const uint8_t *bytes, size_t count, struct snapshot_about *about,
                         struct snapshot_config *config, char *why);

/* The configuration as bytes and back; -EINVAL: it makes no sense. */
void snapshot_config_put(const struct snapshot_config *config, struct state_buffer *out);
int snapshot_config_take(struct snapshot_config *config, const uint8_t *bytes, size_t count);
uint64_t snapshot_config_digest(const struct snapshot_config *config);
/* Names what differs in two configurations that are not equal. */
const char *snapshot_config_difference(const struct snapshot_config *a,
                                       const struct snapshot_config *b);
/* Are the guest's files what they were? */
int snapshot_config_check(const struct snapshot_config *config, char *why);

/* ---- a directory -------------------------------------------------------------------------- */

struct snapshot_dir;

/* Called before each step that touches the disk: for tests, which end the program there. `fd` and
 * the bytes are those of a write, else -1. */
struct snapshot_step {
    const char *what;      /* "write", "fsync", "rename", "fsync folder", "unlink" */
    const char *path, *to; /* `to`: of a rename */
    int fd;
    const uint8_t *bytes;
    size_t count;
};
typedef void (*snapshot_step_fn)(void *context, const struct snapshot_step *step);

enum snapshot_open {
    SNAPSHOT_READ = 0,
    SNAPSHOT_WRITE = 1,  /* locks it: -EBUSY when another program has it */
    SNAPSHOT_CREATE = 3, /* and makes it, if it is not there */
};

/* NULL and `why`. A file that cannot be read is no reason to fail: see snapshot_about.damage. */
struct snapshot_dir *snapshot_dir_open(const char *path, enum snapshot_open how, char *why);
void snapshot_dir_close(struct snapshot_dir *dir);
void snapshot_dir_watch(struct snapshot_dir *dir, snapshot_step_fn step, void *context);
const char *snapshot_dir_path(const struct snapshot_dir *dir);

/* NULL: nothing was ever kept here. */
const struct snapshot_config *snapshot_dir_config(const struct snapshot_dir *dir);
/* Once, before the first snapshot; later the same again, or -EINVAL. Where the guest's disk is, may
 * have changed: that is what new overlays stand on. */
int snapshot_dir_configure(struct snapshot_dir *dir, const struct snapshot_config *config,
                           char *why);

int snapshot_dir_count(const struct snapshot_dir *dir);
/* By index, in the order of their ids. */
const struct snapshot_about *snapshot_dir_at(const struct snapshot_dir *dir, int index);
const struct snapshot_about *snapshot_dir_find(const struct snapshot_dir *dir, int id);
/* By number, or by a name that only one has. 0 and `why`: there is none. */
int snapshot_dir_named(const struct snapshot_dir *dir, const char *text, char *why);

/* Keeps it on the disk; its parent, name, instructions and exits are set. The id (> 0). */
int snapshot_dir_add(struct snapshot_dir *dir, struct snapshot_file *snapshot, char *why);
/* NULL and `why`. `whole`: with the pages of all those that it stands on. */
struct snapshot_file *snapshot_dir_load(struct snapshot_dir *dir, int id, bool whole, char *why);
/* Forgets it: its pages go to those that stand on it. */
int snapshot_dir_delete(struct snapshot_dir *dir, int id, char *why);
/* Makes its parent what it is, and forgets it. The parent keeps its number, and those that stood on
 * the parent are as they were. */
int snapshot_dir_commit(struct snapshot_dir *dir, int id, char *why);
/* One file that needs no other: the whole snapshot, its disk blocks too, with the configuration.
 * Replaces the file. */
int snapshot_dir_export(struct snapshot_dir *dir, int id, const char *path, char *why);
/* Such a file as a snapshot without a parent; it must be of the same configuration, which the
 * directory takes over if it has none. The id. */
int snapshot_dir_import(struct snapshot_dir *dir, const char *path, char *why);

/* Reads every file whole. How many snapshots are damaged; `damaged` (may be NULL) is told of each,
 * and `why` of the first. */
int snapshot_dir_check(struct snapshot_dir *dir, void (*damaged)(void *context, const char *why),
                       void *context, char *why);

/* ---- comparing ---------------------------------------------------------------------------- */

/* What differs between two whole snapshots. Each function may be NULL. */
struct snapshot_differ {
    /* An element of a state table, "hart" "pc"; `index` of `count` elements. */
    void (*field)(void *context, const char *table, const char *field, uint32_t index,
                  uint32_t count, uint64_t a, uint64_t b);
    /* Pages first .. last: of the guest's memory ("memory"; where there is a monitor, the guest's
     * pages wherever they are) or blocks of its disk ("disk"). */
    void (*pages)(void *context, const char *part, uint32_t first, uint32_t last);
    /* A piece of what KVM keeps, `count` bytes (hv/kvm/state.c), the one and the other; count 0:
     * they have not the same pieces or tables from here on. */
    void (*piece)(void *context, const char *name, const uint8_t *a, const uint8_t *b,
                  size_t count);
    void *context;
};
void snapshot_diff(const struct snapshot_file *a, const struct snapshot_file *b,
                   const struct snapshot_differ *differ);

/* The same with names that a person knows, and addresses of the guest, one by one; and as many as a
 * view has room for. */
typedef void (*snapshot_difference_fn)(void *context, const struct view_difference *difference);
void snapshot_differences(const struct snapshot_file *a, const struct snapshot_file *b,
                          snapshot_difference_fn see, void *context);
void snapshot_view_differences(const struct snapshot_file *a, const struct snapshot_file *b,
                               struct view_differences *out);
/* "x[10]" of the hart is "a0". */
void snapshot_element_name(const char *table, const char *field, uint32_t index, uint32_t count,
                           char *text, size_t size);
/* Word `index` of KVM's piece "regs"; NULL: there are no more. */
const char *snapshot_x86_register(unsigned index);

/* The next piece of what KVM keeps; false: there are no more, or the rest makes no sense. */
bool snapshot_next_piece(const struct state_buffer *kvm, size_t *at, char name[17],
                         const uint8_t **bytes, size_t *count);

/* Walks through saved state tables: one field of one table after the other. */
struct snapshot_field {
    char table[64], name[64];
    uint8_t type;
    uint32_t count;
    const uint8_t *values; /* little-endian, one after the other */
};
struct snapshot_fields {
    const uint8_t *bytes;
    size_t count, at;
    char table[64];
    uint32_t left; /* fields of the present table */
};
/* false: there are no more, or the rest makes no sense. */
bool snapshot_next_field(struct snapshot_fields *walk, struct snapshot_field *out);
uint64_t snapshot_field_value(const struct snapshot_field *field, uint32_t index);

#endif
