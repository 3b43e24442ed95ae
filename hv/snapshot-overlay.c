/*
 * The disk's part of a snapshot as a qcow2 overlay, and back: only bytes, see snapshot.h.
 *
 * Its clusters are as large as the blocks that a snapshot counts in, 4096 bytes. So a block is a
 * cluster, whole, and the overlay is written without looking at what it stands on.
 *
 * A snapshot's overlay does not change: what somebody writes to it is damage. So that this can be
 * told, its header has a note:
 *
 *      note   u64 digest of the configuration | u64 checksum, little-endian
 *
 * The checksum is of all but the note and the backing file's name, so that `qemu-img rebase -u` may
 * tell the overlay where the guest's disk has gone.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"
#include "hv/snapshot_priv.h"
#include "hv/storage-memory.h"

enum { CLUSTER_BITS = 12, REFCOUNT_ORDER = 4, NOTE = 16, MADE_UP = 300 };
_Static_assert(SNAPSHOT_PAGE == 1 << CLUSTER_BITS, "a block is a cluster");

/* ---- the note ------------------------------------------------------------------------------- */

/* Where the note's bytes are in an image of `count` bytes; 0: there is none. See qcow2-header.c. */
static size_t find_note(const uint8_t *bytes, size_t count)
{
    struct qcow2_header_file f;
    if (count < SNAPSHOT_PAGE)
        return 0;
    memcpy(&f, bytes, sizeof f);
    size_t at = be32toh(f.header_length), end = SNAPSHOT_PAGE;
    while (at <= end - 8) {
        uint32_t word[2];
        memcpy(word, bytes + at, sizeof word);
        size_t length = be32toh(word[1]);
        at += 8;
        if (!word[0] || length > end - at)
            return 0;
        if (be32toh(word[0]) == QCOW2_NOTE)
            return length == NOTE ? at : 0;
        at += (length + 7) & ~(size_t)7;
    }
    return 0;
}

/* Of the header without what a tool may change in it, and all that follows. */
static uint64_t checksum(const uint8_t *bytes, size_t count, uint64_t config)
{
    struct qcow2_header_file f;
    struct digest digest;
    memcpy(&f, bytes, sizeof f);
    f.backing_offset = f.autoclear = f.compatible = 0;
    f.backing_size = f.header_length = 0;
    digest_init(&digest);
    digest_u64(&digest, config);
    digest_u64(&digest, count);
    digest_bytes(&digest, &f, sizeof f);
    digest_bytes(&digest, bytes + SNAPSHOT_PAGE, count - SNAPSHOT_PAGE);
    return digest.value;
}

void snapshot_overlay_seal(uint8_t *bytes, size_t count, uint64_t config)
{
    size_t at = find_note(bytes, count);
    if (!at)
        return;
    uint64_t note[2] = {htole64(config), htole64(checksum(bytes, count, config))};
    memcpy(bytes + at, note, sizeof note);
}

static const char *check_note(const uint8_t *bytes, size_t count, uint64_t config)
{
    uint64_t note[2];
    size_t at = find_note(bytes, count);
    if (!at)
        return "torn or damaged: it is no overlay of a snapshot";
    memcpy(note, bytes + at, sizeof note);
    if (checksum(bytes, count, le64toh(note[0])) != le64toh(note[1]))
        return "damaged: the checksum is wrong";
    return le64toh(note[0]) == config ? NULL : "it belongs to another session";
}

bool snapshot_overlay_is_ours(const uint8_t *bytes, size_t count)
{
    return count >= SNAPSHOT_PAGE && qcow2_is_magic(bytes) && find_note(bytes, count);
}

/* ---- making --------------------------------------------------------------------------------- */

static int write_blocks(struct qcow2 *image, const struct snapshot_part *part)
{
    int error = 0;
    for (uint32_t i = 0; i < part->count && !error; i++) {
        const struct snapshot_page *page = &part->page[i];
        uint64_t at = (uint64_t)page->index * SNAPSHOT_PAGE, left = part->size - at;
        size_t count = left < SNAPSHOT_PAGE ? (size_t)left : SNAPSHOT_PAGE;
        error =
            page->bytes ? qcow2_write(image, at, page->bytes, count) : qcow2_zero(image, at, count);
    }
    return error;
}

int snapshot_overlay_make(const struct snapshot_part *part, const char *backing,
                          const char *backing_format, uint64_t config, struct state_buffer *out,
                          char *why)
{
    char line[QCOW2_ERROR] = "";
    struct qcow2_creation creation = {.size = part->size,
                                      .backing = backing,
                                      .backing_format = backing_format,
                                      .backing_unseen = true,
                                      .cluster_bits = CLUSTER_BITS,
                                      .refcount_order = REFCOUNT_ORDER,
                                      .note = NOTE};
    struct storage *storage = storage_memory_new(out);
    int error = storage ? qcow2_create_on(storage, "overlay", &creation, line) : -ENOMEM;
    if (error)
        storage_close(storage);
    struct qcow2 *image = error ? NULL : qcow2_open_on(storage, "overlay", QCOW2_ALONE, line);
    error = error ? error : image ? write_blocks(image, part) : -EINVAL;
    int closed = image ? qcow2_close(image) : 0;
    error = error ? error : closed;
    if (!error)
        snapshot_overlay_seal(out->bytes, out->count, config);
    else
        snprintf(why, SNAPSHOT_ERROR, "%s", *line ? line : strerror(-error));
    return error;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The blocks from `at` on that an extent covers; false: it is not one of an overlay of ours. */
static bool take_extent(struct snapshot_file *s, struct snapshot_part *part, uint64_t at,
                        const struct qcow2_place *place, size_t count)
{
    uint64_t pages = (place->length + SNAPSHOT_PAGE - 1) / SNAPSHOT_PAGE;
    bool data = place->kind == QCOW2_DATA;
    if (place->kind == QCOW2_NOWHERE)
        return true;
    /* Each block has an entry of 8 bytes, and data a cluster: a file that says more of itself
     * cannot take more memory than that. */
    if (place->kind == QCOW2_COMPRESSED || part->count + pages > count / 8 ||
        (data && (pages > count / SNAPSHOT_PAGE || place->offset % SNAPSHOT_PAGE ||
                  place->offset > count - pages * SNAPSHOT_PAGE)))
        return false;
    for (uint64_t i = 0; i < pages; i++)
        snapshot_add_page(s, part, (uint32_t)(at / SNAPSHOT_PAGE + i),
                          data ? s->overlay + place->offset + i * SNAPSHOT_PAGE : NULL);
    return true;
}

/* What is wrong, or NULL. */
static const char *take_blocks(struct snapshot_file *s, struct snapshot_part *part,
                               struct qcow2 *image, size_t count)
{
    struct qcow2_place place;
    struct qcow2_info info;
    if (qcow2_info(image, 0, &info) || info.cluster != SNAPSHOT_PAGE || info.size != part->size)
        return "damaged: it is not of this disk";
    for (uint64_t at = 0; at < part->size; at += place.length)
        if (qcow2_extent(image, at, &place) || !take_extent(s, part, at, &place, count))
            return "damaged: its tables make no sense";
    return s->failed ? "the host has no memory left" : NULL;
}

int snapshot_overlay_take(struct snapshot_file *s, uint8_t *bytes, size_t count, uint64_t config,
                          char *why)
{
    char line[QCOW2_ERROR] = "";
    struct snapshot_part *part = snapshot_find_part(s, "disk");
    struct state_buffer buffer = {.bytes = bytes, .count = count, .size = count};
    free(s->overlay);
    s->overlay = bytes;
    const char *reason =
        !part || part->count ? "the snapshot has no room for it" : check_note(bytes, count, config);
    struct storage *storage = reason ? NULL : storage_memory_new(&buffer);
    struct qcow2 *image =
        storage ? qcow2_open_on(storage, "overlay", QCOW2_READONLY | QCOW2_ALONE, line) : NULL;
    if (!reason)
        reason = image   ? take_blocks(s, part, image, count)
                 : *line ? line
                         : "the host has no memory left";
    if (image)
        qcow2_close(image); /* read-only: nothing can fail */
    if (reason)
        snprintf(why, SNAPSHOT_ERROR, "%.*s", MADE_UP, reason);
    return reason ? -EINVAL : 0;
}

bool snapshot_overlay_backing(const uint8_t *bytes, size_t count, char *name, size_t size)
{
    struct qcow2_header_file f;
    if (!snapshot_overlay_is_ours(bytes, count))
        return false;
    memcpy(&f, bytes, sizeof f);
    uint64_t at = be64toh(f.backing_offset), length = be32toh(f.backing_size);
    if (at > SNAPSHOT_PAGE || length > SNAPSHOT_PAGE - at || length >= size)
        return false;
    memcpy(name, bytes + at, (size_t)length);
    name[length] = 0;
    return true;
}
