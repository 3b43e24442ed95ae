/* Inside of snapshots as files: snapshot-file.c and snapshot-overlay.c (the bytes of one file, and
 * of its disk's overlay), snapshot-config.c, snapshot-disk.c (what touches the host's disk),
 * snapshot.c (the directory) and snapshot-merge.c (what changes several of its files). */
#ifndef VITRINE_HV_SNAPSHOT_PRIV_H
#define VITRINE_HV_SNAPSHOT_PRIV_H

#include "hv/bytes.h"
#include "hv/snapshot.h"

/* ---- snapshot-file.c ---------------------------------------------------------------------- */

/* Of a section with this name and these bytes. */
uint64_t snapshot_checksum(const char *name, const uint8_t *bytes, size_t count);

/* ---- snapshot-disk.c ---------------------------------------------------------------------- */

struct snapshot_disk {
    snapshot_step_fn step; /* NULL: nobody wants to know */
    void *context;
};

/* Writes it aside, flushes, renames, flushes the folder. 0 or -errno; nothing has changed then,
 * unless it is only the last of these that failed. */
int snapshot_disk_replace(const struct snapshot_disk *disk, const char *path, const uint8_t *bytes,
                          size_t count);
/* Flushes the folder that the file, or folder, of this name is in: a new name is on the disk only
 * when that is. 0 or -errno. */
int snapshot_disk_flush_folder(const struct snapshot_disk *disk, const char *path);
int snapshot_disk_remove(const struct snapshot_disk *disk, const char *path);
/* The first `most` bytes of a regular file, malloc()ed; `size`: of the whole file. NULL and errno;
 * EINVAL: it is another kind of file. */
uint8_t *snapshot_disk_read(const char *path, size_t most, size_t *count, uint64_t *size);

/* ---- snapshot-overlay.c -------------------------------------------------------------------- */

/* A qcow2 image with the pages of a disk's part, standing on `backing` (NULL: on nothing). 0 or
 * -errno with `why`. */
int snapshot_overlay_make(const struct snapshot_part *part, const char *backing,
                          const char *backing_format, uint64_t config, struct state_buffer *out,
                          char *why);
/* Writes into an image's note that it is whole as it is. One without a note stays as it is. */
void snapshot_overlay_seal(uint8_t *bytes, size_t count, uint64_t config);
/* Puts the blocks of such an image into the snapshot's part "disk". The bytes must have come from
 * malloc() and are the snapshot's afterwards, also when they are refused: -EINVAL and `why`. */
int snapshot_overlay_take(struct snapshot_file *snapshot, uint8_t *bytes, size_t count,
                          uint64_t config, char *why);
/* Of an image of which only the beginning is there: was it made here? And the name of its backing
 * file, "" for none; false: it has none that fits. */
bool snapshot_overlay_is_ours(const uint8_t *bytes, size_t count);
bool snapshot_overlay_backing(const uint8_t *bytes, size_t count, char *name, size_t size);

/* ---- snapshot.c, for snapshot-merge.c ------------------------------------------------------- */

struct snapshot_dir {
    char path[RECORD_TEXT];
    int lock; /* descriptor of the locked file; -1: only reading */
    struct snapshot_disk disk;
    struct snapshot_config *config;
    char *guest_disk;             /* where the guest's disk is now; NULL: where `config` says */
    struct snapshot_about *about; /* ascending ids */
    int count, room;
    int last_id; /* the highest ever seen here */
};

enum { SNAPSHOT_PATH = RECORD_TEXT + 32 };

/* The line of an -errno that has no line of its own; of a reason, -EINVAL. Both name the file of
 * snapshot `id`, 0: that of the configuration. */
int snapshot_dir_fail(const struct snapshot_dir *dir, int id, int error, char *why);
int snapshot_dir_refuse(const struct snapshot_dir *dir, int id, const char *reason, char *why);
/* 0, or -EROFS: it was opened for reading. */
int snapshot_dir_may_write(const struct snapshot_dir *dir, char *why);
struct snapshot_about *snapshot_dir_about(const struct snapshot_dir *dir, int id);
/* One file without those below it. NULL and `why`. */
struct snapshot_file *snapshot_dir_load_one(struct snapshot_dir *dir, int id, char *why);
/* `s` gets what only `below` has, and keeps `below`, in which those pages are. */
int snapshot_dir_stand_alone(struct snapshot_dir *dir, struct snapshot_file *s,
                             struct snapshot_file *below, char *why);
int snapshot_dir_write_file(struct snapshot_dir *dir, struct snapshot_file *s, const char *path,
                            char *why);
/* The snapshot's overlay, with the number that about.overlay says, if it has a disk. */
int snapshot_dir_write_overlay(struct snapshot_dir *dir, struct snapshot_file *s, char *why);
/* The snapshot's file, as about.id says, and into the list. */
int snapshot_dir_write_snapshot(struct snapshot_dir *dir, struct snapshot_file *s, char *why);
/* Removes files that are not needed any more. */
int snapshot_dir_remove(struct snapshot_dir *dir, int id, char *why);
int snapshot_dir_drop_overlay(struct snapshot_dir *dir, int number, char *why);

/* ---- snapshot-merge.c ----------------------------------------------------------------------- */

/* The overlays of snapshots that stand on something else than they should: an operation was
 * interrupted. */
void snapshot_dir_heal(struct snapshot_dir *dir);

#endif
