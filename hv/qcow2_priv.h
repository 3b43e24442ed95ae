/* What the files of qcow2 share. The format is drawn in qcow2.h. */
#ifndef VITRINE_HV_QCOW2_PRIV_H
#define VITRINE_HV_QCOW2_PRIV_H

#include <endian.h>

#include "hv/qcow2.h"

/* ---- the format --------------------------------------------------------------------------- */

/* The header as it stands in the file, big-endian. Version 2 ends before `incompatible`. */
struct qcow2_header_file {
    uint8_t magic[QCOW2_MAGIC_SIZE]; /* "QFI\xfb" */
    uint32_t version;
    uint64_t backing_offset;
    uint32_t backing_size;
    uint32_t cluster_bits;
    uint64_t size;
    uint32_t crypt_method;
    uint32_t l1_size; /* entries */
    uint64_t l1_offset;
    uint64_t reftable_offset;
    uint32_t reftable_clusters;
    uint32_t snapshots;
    uint64_t snapshots_offset;
    uint64_t incompatible, compatible, autoclear; /* feature bits */
    uint32_t refcount_order;
    uint32_t header_length;
} __attribute__((packed));

enum { QCOW2_V2_LENGTH = 72, QCOW2_V3_LENGTH = 104 };
enum { QCOW2_AT_REFTABLE = 48, QCOW2_AT_AUTOCLEAR = 88 }; /* offsets of what is changed later */
enum { QCOW2_EXTENSION_FORMAT = 0xe2792aca, QCOW2_EXTENSION_BITMAPS = 0x23852875 };

#define QCOW2_COPIED     (1ull << 63)
#define QCOW2_DEFLATED   (1ull << 62)
#define QCOW2_READS_ZERO 1ull
#define QCOW2_OFFSET     0x00fffffffffffe00ull /* bits 9 to 55 */
#define QCOW2_END        (1ull << 56)          /* no offset in a file is this large */

/* Limits, QEMU's too: 32 MiB of L1 table, 8 MiB of refcount table. */
enum { QCOW2_L1_MAX = 32 << 20, QCOW2_REFTABLE_MAX = 8 << 20 };
enum { QCOW2_CLUSTER_BITS_MIN = 9, QCOW2_CLUSTER_BITS_MAX = 21, QCOW2_REFCOUNT_ORDER_MAX = 6 };

/* The header as numbers of the host; checked. */
struct qcow2_header {
    unsigned version, cluster_bits, refcount_order;
    uint64_t size;
    uint32_t l1_size;
    uint64_t l1_offset;
    uint64_t reftable_offset;
    uint32_t reftable_clusters;
    uint32_t snapshots;
    uint64_t autoclear;
    bool bitmaps;  /* has persistent bitmaps */
    unsigned note; /* of qcow2_creation: only for encoding */
    bool backed;
    char backing[QCOW2_NAME_MAX + 1];
    char format[QCOW2_FORMAT_MAX + 1]; /* of the backing file; "" not told */
};

/* Reads and checks. -EINVAL and `why`. */
int qcow2_header_read(struct storage *file, const char *path, struct qcow2_header *header,
                      char *why);
/* As many bytes as there are before the first table, in `bytes` (of a cluster, zeroed). */
void qcow2_header_encode(const struct qcow2_header *header, uint8_t *bytes);

/* ---- tables in memory --------------------------------------------------------------------- */

enum qcow2_table_kind { QCOW2_L2, QCOW2_REFBLOCK };

/* A cluster of the file that holds an L2 table or a refcount block, and what is not written yet. */
struct qcow2_table {
    uint64_t offset; /* in the file; 0: the slot is free */
    uint8_t *bytes;  /* one cluster, as in the file */
    enum qcow2_table_kind kind;
    bool fresh;              /* nothing in the file refers to it yet */
    size_t dirty, dirty_end; /* bytes to be written: dirty <= i < dirty_end; equal: none */
    uint64_t used;           /* when, for the choice of whom to forget */
};

struct qcow2_cache {
    struct qcow2_table *table;
    unsigned count, limit; /* slots; how many should be kept */
    unsigned dirty;        /* tables with something to be written */
    unsigned last;         /* slot that was found last */
    uint64_t clock;
};

/* A table of 8-byte entries that is in memory as a whole: L1, and the refcount table. */
struct qcow2_index {
    uint64_t *entry; /* host's byte order */
    uint64_t count;
    uint64_t dirty, dirty_end; /* entries to be written */
};

/* Numbers, as many as come. All 0: empty. */
struct qcow2_list {
    uint64_t *at;
    size_t count, room;
};

/* Which clusters hold metadata: a hash set of their numbers, 0 is an empty slot. */
struct qcow2_guard {
    uint64_t *slot;
    uint64_t slots, used; /* slots: a power of two, or 0 */
};

struct qcow2 {
    char *path;
    struct storage *file;
    struct qcow2_header header;
    bool readonly;
    bool away; /* another program may be writing it; readonly, too, as long as that lasts */
    char trouble[QCOW2_ERROR];

    struct qcow2_index l1;
    struct qcow2_index reftable; /* empty if read-only, until qcow2_check() */
    struct qcow2_cache cache;
    uint64_t end;         /* length of the file: nobody else may change it (storage.h) */
    uint8_t *scratch;     /* one cluster */
    uint8_t *inflated;    /* the compressed cluster that was read last, or NULL */
    uint64_t inflated_at; /* where it is in the file, 0: nothing is there */

    /* What lies below: another image, or a raw file, or nothing. */
    struct qcow2 *backing;
    struct storage *raw;
    uint64_t raw_size;
    char *backing_path;
    struct qcow2_which *which; /* of the top of a chain: qcow2-which.c; NULL: not needed */
    uint64_t asked;            /* answers that this layer has given, or had not */
    bool bare;                 /* no room for L2 tables in memory: entries are read one by one */
    bool walkable;             /* from here down, no L1 table names an L2 table twice: known, once
                                * that was looked for */

    /* Only of images that are written. */
    struct qcow2_guard guard;
    uint64_t hint;              /* no cluster below is free */
    struct qcow2_list released; /* clusters to be counted down once nothing in the file refers to
                                 * them */
    bool unflushed;             /* something was written since the file was flushed */
    bool broken;                /* a flush has failed, or the image is corrupt: no more writes */
};

/* Bytes of a cluster. */
static inline uint64_t qcow2_cluster(const struct qcow2 *q)
{
    return 1ull << q->header.cluster_bits;
}

/* Entries of an L2 table, as a power of two: 8 bytes each. */
static inline unsigned qcow2_l2_bits(const struct qcow2 *q)
{
    return q->header.cluster_bits - 3;
}

/* Counts of a refcount block, as a power of two. */
static inline unsigned qcow2_refblock_bits(const struct qcow2 *q)
{
    return q->header.cluster_bits + 3 - q->header.refcount_order;
}

/* Notes what is wrong with the image; returns -EIO. */
int qcow2_complain(struct qcow2 *q, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes to the image's file and remembers that this must be flushed. */
int qcow2_put(struct qcow2 *q, uint64_t at, const void *bytes, size_t count);
/* Flushes what qcow2_put() has written, if there is something. */
int qcow2_settle(struct qcow2 *q);

/* Are these bytes in the file? */
bool qcow2_in_file(const struct qcow2 *q, uint64_t at, uint64_t count);
/* -EIO unless this is the offset of a whole cluster in the file, behind the header. */
int qcow2_check_table(struct qcow2 *q, uint64_t offset, const char *what);

/* qcow2-table.c. A table stays where it is until the next get or new. */
int qcow2_table_get(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset,
                    struct qcow2_table **table);
int qcow2_table_new(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset,
                    struct qcow2_table **table);
void qcow2_table_touch(struct qcow2 *q, struct qcow2_table *table, size_t at, size_t count);
/* Writes what is dirty in the tables of one kind: those that are fresh, or those that are not. */
int qcow2_tables_write(struct qcow2 *q, enum qcow2_table_kind kind, bool fresh);
/* What was fresh is referred to now. */
void qcow2_tables_settle(struct qcow2 *q, enum qcow2_table_kind kind);
void qcow2_cache_free(struct qcow2_cache *cache);
/* An image that is only read, one of so many of a chain, keeps its share of what they all may. */
void qcow2_cache_share(struct qcow2 *q, unsigned images);
int qcow2_index_load(struct qcow2 *q, struct qcow2_index *index, uint64_t offset, uint64_t count);
void qcow2_index_set(struct qcow2_index *index, uint64_t i, uint64_t value);
int qcow2_index_write(struct qcow2 *q, struct qcow2_index *index, uint64_t offset);
/* The entry of a guest's cluster, as in the file; 0 if there is no table. */
int qcow2_l2_get(struct qcow2 *q, uint64_t cluster, uint64_t *entry);
/* The same changed in memory, with a new table if need be. */
int qcow2_l2_set(struct qcow2 *q, uint64_t cluster, uint64_t entry);

/* qcow2-read.c */
struct qcow2_entry {
    enum qcow2_kind kind;
    bool copied;
    uint64_t host;   /* where the data is; ZERO: the cluster that is kept for it, or 0 */
    size_t deflated; /* COMPRESSED: bytes at most */
};
/* Takes an L2 entry apart; -EIO if it cannot be. */
int qcow2_entry_decode(struct qcow2 *q, uint64_t raw, struct qcow2_entry *entry);

/* qcow2-which.c. Only of a whole chain; -ENOMEM. */
int qcow2_which_build(struct qcow2 *top);
void qcow2_which_free(struct qcow2_which *which);
/* The image at which to go on when the top has no answer for `at`: none between knows anything of
 * the `length` bytes from there. NULL: not known. */
struct qcow2 *qcow2_which_get(struct qcow2 *top, uint64_t at, unsigned *depth, uint64_t *length);
/* All images above `depth` were asked for `at`, and know nothing. */
void qcow2_which_note(struct qcow2 *top, uint64_t at, unsigned depth);

/* qcow2-inflate.c: one compressed cluster, to q->inflated. */
int qcow2_inflate(struct qcow2 *q, const struct qcow2_entry *entry);

/* qcow2-refcount.c */
int qcow2_list_add(struct qcow2_list *list, uint64_t number);
int qcow2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *count);
uint64_t qcow2_refcount_in(const uint8_t *block, unsigned order, uint64_t index);
void qcow2_refcount_put(uint8_t *block, unsigned order, uint64_t index, uint64_t count);
int qcow2_refcount_set(struct qcow2 *q, uint64_t cluster, uint64_t count);
/* A free cluster, counted as used from now on. */
int qcow2_allocate(struct qcow2 *q, uint64_t *offset);
/* The L2 entry `entry` is gone from memory: count down what it stood for, when that is safe. */
int qcow2_release_entry(struct qcow2 *q, const struct qcow2_entry *entry);
int qcow2_release(struct qcow2 *q, uint64_t offset);
/* Counts down all that was released. Only after the references are gone from the file. */
int qcow2_released_drop(struct qcow2 *q);
int qcow2_reftable_load(struct qcow2 *q);

/* qcow2-guard.c */
int qcow2_guard_build(struct qcow2 *q);
int qcow2_guard_add(struct qcow2 *q, uint64_t offset);
bool qcow2_guard_has(const struct qcow2 *q, uint64_t offset);
/* Looks once whether going through the whole disk, of these layers, takes a time that the files
 * account for: -EIO if an L1 table names an L2 table twice, and then the top has the reason. */
int qcow2_guard_walk(struct qcow2 *top);
void qcow2_guard_free(struct qcow2_guard *guard);

/* qcow2-copy.c: where a copy comes from or goes to: an image, or a raw file, or neither. */
struct qcow2_end {
    struct qcow2 *image;
    struct storage *raw;
    uint64_t size;
};
/* Takes a file of either format; what `format` (may be NULL) says, or what it looks like. The file
 * is closed with it, also on failure. */
int qcow2_end_adopt(struct qcow2_end *end, struct storage *file, const char *path,
                    const char *format, unsigned flags, char *why);
/* Bytes behind its size read as zero. */
int qcow2_end_read(struct qcow2_end *end, uint64_t at, void *bytes, size_t count);
int qcow2_end_close(struct qcow2_end *end);

/* qcow2-rename.c: another backing file's name in the header, durable when it returns; "": none.
 * What is in memory of the chain stays. */
int qcow2_rename_backing(struct qcow2 *q, const char *name, const char *format, char *why);

/* qcow2-write.c */
int qcow2_write_barrier(struct qcow2 *q);

/* qcow2.c: reads what writing needs, and writes nothing. */
int qcow2_prepare_writing(struct qcow2 *q);
/* Features that who does not know them may ignore, but then must switch off before writing. */
int qcow2_clear_autoclear(struct qcow2 *q);
/* The file that a backing name means; NULL: no memory. */
char *qcow2_resolve(const char *path, const char *backing);
/* "nbd://host" and "json:{...}" are no files to QEMU's tools: what has a colon before any slash. */
bool qcow2_is_protocol(const char *name);
/* Whether a file is qcow2, by its format's name or, without one, by its first bytes. */
int qcow2_probe(struct storage *file, const char *path, const char *format, bool *is_qcow2,
                char *why);
/* What was found wrong in an image, as the reason. */
int qcow2_refuse_trouble(const struct qcow2 *q, char *why);
int qcow2_refuse(char *why, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
