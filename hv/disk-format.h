/* Opening a disk image of whatever format, as a disk for a guest. */
#ifndef VITRINE_HV_DISK_FORMAT_H
#define VITRINE_HV_DISK_FORMAT_H

#include "cpu/dev/disk.h"

/* A disk_open_fn. A file that begins as a qcow2 image does is one; all else is a raw image. NULL
 * and one line in `why` (DISK_ERROR bytes) that names the file and the reason.
 *
 * A guest could write such a beginning into a raw image, and by its next start the image would be
 * taken for an overlay of any file of the host that the guest has thought of. So a raw disk refuses
 * (-EPERM) to have its first bytes look like an image of another format. */
struct disk *disk_format_open(const char *path, bool readonly, char *why);

#endif
