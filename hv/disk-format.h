/* Opening a disk image of whatever format, as a disk for a guest. */
#ifndef VITRINE_HV_DISK_FORMAT_H
#define VITRINE_HV_DISK_FORMAT_H

#include "cpu/dev/disk.h"

/* A disk_open_fn. Locks the file, as storage_open() does (hv/storage.h). A file that begins as a
 * qcow2 image does is one; all else is a raw image. NULL and one line in `why` (DISK_ERROR bytes)
 * that names the file and the reason.
 *
 * A guest could write such a beginning into a raw image, and by its next start the image would be
 * taken for an overlay of any file of the host that the guest has thought of. So a raw disk refuses
 * (-EPERM) to have its first bytes look like an image of another format. */
struct disk *disk_format_open(const char *path, bool readonly, char *why);
/* The same, of a file that another program may be writing: it is away, and not locked, until it is
 * taken (disk_take()). One that is only read is as above. */
struct disk *disk_format_open_away(const char *path, bool readonly, char *why);
/* The same for a disk whose writes are kept in memory and dropped: it can be written, after
 * disk_keep(), and its file only is read. */
struct disk *disk_format_open_discard(const char *path, bool readonly, char *why);

#endif
