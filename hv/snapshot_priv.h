/* Inside of snapshots as files: snapshot-file.c (one file's bytes), snapshot-config.c,
 * snapshot-disk.c (what touches the disk) and snapshot.c (the directory). */
#ifndef VITRINE_HV_SNAPSHOT_PRIV_H
#define VITRINE_HV_SNAPSHOT_PRIV_H

#include "hv/snapshot.h"

/* ---- snapshot-file.c: numbers and strings ------------------------------------------------- */

struct snapshot_reader {
    const uint8_t *bytes;
    size_t count, at;
    bool torn; /* sticks */
};

void snapshot_put(struct state_buffer *buffer, uint64_t value, unsigned size);
void snapshot_put_text(struct state_buffer *buffer, const char *text);
uint64_t snapshot_take(struct snapshot_reader *reader, unsigned size);
/* Torn also if it does not fit into `size` bytes, or has a 0 in it. */
void snapshot_take_text(struct snapshot_reader *reader, char *text, size_t size);
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
