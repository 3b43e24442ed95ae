/* Inside of snapshots as files: snapshot-file.c (one file's bytes), snapshot-config.c,
 * snapshot-disk.c (what touches the disk) and snapshot.c (the directory). */
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
int snapshot_disk_remove(const struct snapshot_disk *disk, const char *path);
/* The first `most` bytes of a regular file, malloc()ed; `size`: of the whole file. NULL and errno.
 */
uint8_t *snapshot_disk_read(const char *path, size_t most, size_t *count, uint64_t *size);

#endif
