/*
 * Disk images in layers: the qcow2 format, version 3 (and reading of version 2).
 *
 * An overlay is an image that holds only what differs from the image below it, its backing file. A
 * guest writes to the top; what nobody has written is read from further down. So a snapshot of a
 * disk is a new, empty top, whatever the disk's size.
 *
 *                 guest's disk, in clusters of 64 KiB
 *                 0     1     2     3     4     5
 *   overlay      [W]    .    [0]    .     .    [W]     W: written here   0: reads as zero
 *   base          A     B     C     .     E     F      .: not here, look below
 *   guest reads   W     B     0     0     E     W
 *
 * An image file is an array of clusters too, in any order but for the first:
 *
 *   header ---+--> L1 table ------> L2 tables ------> data       where is a guest's cluster?
 *    cluster 0|    8 bytes each,    a cluster each,   clusters
 *             |    one per L2       one entry a
 *             |    table            guest cluster
 *             |
 *             +--> refcount table -> refcount blocks             how often is a cluster of the
 *                  8 bytes each      2 bytes a cluster           file used? 0: free
 *
 *   guest offset   63 ...        29|28       16|15        0      with clusters of 64 KiB:
 *                 |  index in L1   |index in L2| in cluster |    8192 entries a table
 *
 *   L1 entry       63                55 ...                   9    0
 *                 |copied|0 0 0 0 0 0 0| offset of the L2 table |0 0 0|   all 0: no table
 *   L2 entry       63     62           55 ...                   9    0
 *                 |copied|compressed|0..| offset of the data    |0..|zero|  all 0: look below
 *
 * "copied" says that the reference count is 1, so that writing in place is allowed; "zero" that the
 * cluster reads as zero, whatever lies below. All numbers are big-endian. The source is QEMU's
 * docs/interop/qcow2.txt.
 *
 * How a write survives a crash. A disk may lose any of the writes that were made since its last
 * flush, and keep others (storage.h). If a reference reaches the disk without what it refers to,
 * the image is corrupt; the other way round a cluster is lost to nobody's use, a leak, which harms
 * no data. So references are written last:
 *
 *   a guest's write   takes a free cluster, by the counts in memory; writes the data there at once;
 *                     notes the new L2 entry in memory. In the file nothing of this is seen yet.
 *   qcow2_flush()     1. writes counts, and L2 tables to which nothing refers yet      -> flush
 *                        (if a refcount block is new, it goes first, before its entry) -> flush
 *                     2. writes L2 and L1 entries: the new data is part of the disk    -> flush
 *                     3. counts down what these entries have stopped to refer to; that is written
 *                        by the next flush, and only then is the cluster used again
 *
 * However many clusters were written, a flush costs two flushes of the file, and one if nothing was
 * allocated. The price: a guest that never flushes loses what it wrote if the program is killed, as
 * it would on a disk with a write cache. Closing flushes.
 *
 * A file is never trusted: every offset is checked before it is used, memory is bounded by what the
 * file really holds, and no data is ever written over metadata. What is not done: encryption,
 * external data files, subclusters (all refused), and writing to images with internal snapshots.
 *
 * Functions return 0 or -errno unless they say otherwise. -EIO after corruption was met; then
 * qcow2_trouble() tells it. An image is used by one thread at a time.
 */
#ifndef VITRINE_HV_QCOW2_H
#define VITRINE_HV_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/storage.h"

enum {
    QCOW2_ERROR = STORAGE_ERROR,
    QCOW2_DEPTH = 2048,    /* layers of a chain at most */
    QCOW2_NAME_MAX = 1023, /* bytes of a backing file's name */
    QCOW2_FORMAT_MAX = 15, /* of its format's name */
};

struct qcow2;

/* ---- life --------------------------------------------------------------------------------- */

struct qcow2_creation {
    uint64_t size;              /* bytes, a multiple of 512; 0 with a backing file: its size */
    const char *backing;        /* as it shall stand in the header: a relative name starts at the
                                 * image's folder. NULL: none */
    const char *backing_format; /* "raw" or "qcow2"; NULL: find out now */
    bool backing_unseen;        /* the backing file is not looked at, and need not be there: `size`
                                 * must be given, and the format if the image shall tell it */
    unsigned cluster_bits;      /* 9..21; 0: 16, clusters of 64 KiB */
    unsigned refcount_order;    /* 1 << order bits a count, 0..6. Taken only with cluster_bits */
    unsigned note;              /* bytes of zeros in the header that are its maker's, a multiple of
                                 * 8, at most 64: an extension of type QCOW2_NOTE */
};

enum { QCOW2_NOTE = 0x56495452 };

/* Writes a new image aside, flushes it, and gives it its name if that is free. The backing file
 * must be there. -EINVAL and one line in `why` (QCOW2_ERROR bytes) that names file and reason. */
int qcow2_create(const char *path, const struct qcow2_creation *creation, char *why);

/* The same at the beginning of an empty storage, which stays the caller's: when it returns, all of
 * it is durable. `path` is what the image will be called. */
int qcow2_create_on(struct storage *storage, const char *path,
                    const struct qcow2_creation *creation, char *why);

enum {
    QCOW2_READONLY = 1,
    QCOW2_ALONE = 2, /* without its backing files: nothing below */
    QCOW2_AWAY = 4,  /* another program may be writing it: see qcow2_take() */
};

/* Opens and locks an image and all that it stands on. NULL and `why`. */
struct qcow2 *qcow2_open(const char *path, unsigned flags, char *why);
/* The same on any storage, which the image owns from now on, also if this fails. `path` is for
 * messages and for names of backing files. */
struct qcow2 *qcow2_open_on(struct storage *storage, const char *path, unsigned flags, char *why);
/* Flushes and frees; the flush's result. Freed in any case. */
int qcow2_close(struct qcow2 *image);

/* An image that changes hands (qcow2-hand.c). Opened with QCOW2_AWAY, or given away, it is not
 * locked and cannot be written (-EROFS); what is read may be old. */
/* Reads header and tables afresh, as for writing, while nobody writes: 0 if it could be taken now.
 * -EINVAL: it is another image than before; or -errno. See qcow2_trouble(). */
int qcow2_look(struct qcow2 *image);
/* Locks it and reads the same: from now on it is written here. -EBUSY: another has it; else as
 * above, and the lock is given back. Nothing happens if it was not away. */
int qcow2_take(struct qcow2 *image);
/* Gives the lock away. Nothing that was not flushed is written any more, at its end either. */
void qcow2_give(struct qcow2 *image);

/* Do these first bytes of a file say that it is a qcow2 image? */
enum { QCOW2_MAGIC_SIZE = 4 };
bool qcow2_is_magic(const void *bytes);

/* ---- the guest's disk --------------------------------------------------------------------- */

uint64_t qcow2_size(const struct qcow2 *image); /* bytes */
bool qcow2_is_readonly(const struct qcow2 *image);

/* Any bytes inside the disk: -EINVAL else. A failed read leaves `bytes` undefined; a failed write
 * may have been done in part. -EROFS; -ENOTSUP: a kind of compression that is not known. */
int qcow2_read(struct qcow2 *image, uint64_t at, void *bytes, size_t count);
int qcow2_write(struct qcow2 *image, uint64_t at, const void *bytes, size_t count);
/* Makes bytes read as zero; whole clusters are given back. */
int qcow2_zero(struct qcow2 *image, uint64_t at, uint64_t count);
/* Nobody needs these bytes: they are zero afterwards, or what they were. Whole clusters are given
 * back. */
int qcow2_discard(struct qcow2 *image, uint64_t at, uint64_t count);
/* All that was written is durable when this returns 0. After a flush of the storage has failed the
 * image takes no more writes: nobody can know what has arrived. */
int qcow2_flush(struct qcow2 *image);

/* The last thing found wrong in the image, one line; "" if nothing was. */
const char *qcow2_trouble(const struct qcow2 *image);

/* ---- looking into it ---------------------------------------------------------------------- */

enum qcow2_kind {
    QCOW2_NOWHERE,    /* in no layer: reads as zero */
    QCOW2_ZERO,       /* a layer says that it is zero */
    QCOW2_DATA,       /* bytes in a file */
    QCOW2_COMPRESSED, /* the same, deflated */
};

/* Which layer answers. */
struct qcow2_place {
    enum qcow2_kind kind;
    unsigned depth;   /* 0: the image itself, 1: its backing file ...; NOWHERE: of the lowest */
    uint64_t length;  /* bytes from `at` on of which all this holds, at least 1 */
    uint64_t offset;  /* DATA: where in the file */
    const char *path; /* the file, as long as the image is open */
};

/* Looks up `at`, which is inside the disk. `length` ends with the cluster, or where one L2 table
 * would end that is not there. */
int qcow2_find(struct qcow2 *image, uint64_t at, struct qcow2_place *place);
/* The same, with neighbours of the same kind and layer (and offset, for data) in one piece: this is
 * how one goes through a whole disk. -EIO where that could take longer than the files' size
 * accounts for: an L1 table of a layer names an L2 table twice, as no tool writes it. */
int qcow2_extent(struct qcow2 *image, uint64_t at, struct qcow2_place *place);

/* How many layers were asked in all look-ups so far: what a long chain costs. */
uint64_t qcow2_asked(const struct qcow2 *image);

struct qcow2_info {
    unsigned version;
    uint64_t size, cluster, file; /* bytes: disk, cluster, length of the file */
    unsigned refcount_bits;
    unsigned snapshots; /* internal ones */
    const char *path;
    const char *backing;        /* as it stands in the header, NULL: none */
    const char *backing_path;   /* where it is looked for */
    const char *backing_format; /* NULL: not told */
};

/* Of the layer at this depth; -ENOENT: there is none, or it is raw. */
int qcow2_info(struct qcow2 *image, unsigned depth, struct qcow2_info *info);
/* How many layers the chain has, a raw one at its end included. */
unsigned qcow2_depth(const struct qcow2 *image);
/* The n-th layer's file, as long as the image is open; NULL behind the last. */
const char *qcow2_file(const struct qcow2 *image, unsigned n);
/* The descriptor of the n-th layer's file; -1 behind the last, and for what is no file. */
int qcow2_descriptor(const struct qcow2 *image, unsigned n);

/* ---- whole images ------------------------------------------------------------------------- */

struct qcow2_verdict {
    uint64_t corruptions;                      /* what could lose or mix data */
    uint64_t leaks;                            /* clusters that are counted as used and are not */
    uint64_t repaired;                         /* leaks that are no more */
    uint64_t clusters, data, zero, compressed; /* of the disk, and how many are of these kinds */
};

typedef void (*qcow2_report_fn)(void *context, const char *line);

/* Compares every reference in the image (not its backing files) with the counts. With `repair`
 * leaks are given back, unless there are corruptions. `report` (may be NULL) gets a line for each
 * finding. Flushes first. -errno: could not be done. */
int qcow2_check(struct qcow2 *image, bool repair, qcow2_report_fn report, void *context,
                struct qcow2_verdict *verdict);

/* Writes what the overlay holds into its backing file and flushes that, so that both show the same
 * disk; the overlay stays as it is, and is not needed any more. All other overlays of the same
 * backing file are spoilt. A crash meanwhile harms nothing: the overlay still covers what was
 * written. */
int qcow2_commit(const char *path, char *why);
/* The same of an overlay that is open, alone, into any storage, which is closed. */
int qcow2_commit_on(struct qcow2 *overlay, struct storage *backing, const char *path, char *why);

struct qcow2_rebasing {
    const char *backing; /* as it shall stand in the header; NULL or "": none from now on */
    const char *format;  /* "raw" or "qcow2"; NULL: find out */
    bool unsafe;         /* the name only: who asks for it knows that both files have the same */
};

/* Puts an overlay on another backing file. Its disk stays what it is: where the two files differ,
 * the overlay gets what the old one has. A crash leaves it on one of the two. */
int qcow2_rebase(const char *path, const struct qcow2_rebasing *how, char *why);
/* The same of an image that is open for writing, which is then only good for closing. The storage
 * (NULL: none) is closed. */
int qcow2_rebase_on(struct qcow2 *image, struct storage *backing, const char *path,
                    const struct qcow2_rebasing *how, char *why);

/* Gives a disk another size, a multiple of 512 bytes. It grows by zeros; what shrinking would cut
 * off is only cut off if that is said. A crash leaves it with one of the two sizes. Overlays of the
 * image keep theirs. */
int qcow2_resize(const char *path, uint64_t size, bool may_shrink, char *why);
int qcow2_resize_on(struct qcow2 *image, uint64_t size, bool may_shrink, char *why);

/* Copies a disk, of a raw file or as it is seen through all layers of an image, into a new file of
 * format "raw" or "qcow2". */
int qcow2_convert(const char *path, const char *to, const char *format, char *why);

#endif
