/*
 * Virtio: split virtqueues, and requests taken from them. See virtio.h.
 *
 *      descriptor table      16 bytes each: address, length, flags, next
 *      available ring        flags, index, heads of chains        the driver writes
 *      used ring             flags, index, {head, length} ...     the device writes
 *
 * All three are the guest's memory, which it may change at any time, from another processor even
 * while a request is served: each word is read once, into a copy, and the copy is checked. A chain
 * has at most VIRTIO_QUEUE_MAX parts, and so many entries a queue.
 *
 * Source: VIRTIO 1.1, section 2.6.
 */
#include <stdatomic.h>

#include "cpu/dev/virtio_priv.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, AVAIL_NO_INTERRUPT = 1 };

/* ---- requests ----------------------------------------------------------------------------- */

/* The queue's size. A saved state may hold any number. */
static unsigned queue_size(const struct virtio *v, unsigned q)
{
    return v->num[q] <= VIRTIO_QUEUE_MAX ? v->num[q] : 0;
}

/* Where descriptors are: the queue's table, or one that a descriptor there stands for (section
 * 2.6.5.3), so that a long chain takes one entry of the queue. */
struct table {
    uint64_t at;
    uint32_t size; /* entries */
    bool indirect;
};

static bool read_descriptor(const struct virtio *v, const struct table *t, uint16_t index,
                            struct virtio_part *out)
{
    return index < t->size && dma_read(&v->dma, t->at + 16ull * index, out, sizeof *out);
}

/* A descriptor that stands for a table is the last of the queue's, and there is none in the table:
 * so a chain goes on in another table once. Flag DESC_WRITE has no meaning here. false: broken. */
static bool enter_table(const struct virtio *v, const struct virtio_part *d, struct table *t)
{
    if (!(v->driver_features & VIRTIO_F_INDIRECT) || t->indirect || d->flags & DESC_NEXT ||
        d->length % sizeof *d)
        return false;
    *t = (struct table){d->address, d->length / (uint32_t)sizeof *d, true};
    return true;
}

/* Section 2.6.4.2: parts to read come first. A table may be longer than the queue, a request not
 * longer than there is room here. */
static bool add_part(struct virtio_request *r, const struct virtio_part *d, unsigned most)
{
    bool writable = d->flags & DESC_WRITE;
    if (r->parts == most || (!writable && r->readable < r->parts))
        return false;
    r->readable += !writable;
    r->part[r->parts++] = *d;
    return true;
}

/* Follows the chain from the request's head. false: it is broken. */
static bool read_chain(struct virtio_request *r)
{
    const struct virtio *v = r->virtio;
    struct table table = {.at = v->desc[r->queue], .size = queue_size(v, r->queue)};
    uint16_t index = r->head;
    uint64_t bytes = 0;
    for (;;) {
        struct virtio_part d;
        if (!read_descriptor(v, &table, index, &d))
            return false;
        index = d.next;
        if (d.flags & DESC_INDIRECT) {
            if (!enter_table(v, &d, &table))
                return false;
            index = 0;
            continue;
        }
        bytes += d.length;
        if (bytes > VIRTIO_REQUEST_MAX ||
            !add_part(r, &d, table.indirect ? VIRTIO_QUEUE_MAX : table.size))
            return false;
        if (!(d.flags & DESC_NEXT))
            break;
    }
    r->give = r->readable;
    return true;
}

size_t virtio_left(const struct virtio_request *r)
{
    size_t left = 0;
    for (unsigned i = r->take; i < r->readable; i++)
        left += r->part[i].length;
    return left - (left ? r->taken : 0);
}

size_t virtio_room(const struct virtio_request *r)
{
    size_t room = 0;
    for (unsigned i = r->give; i < r->parts; i++)
        room += r->part[i].length;
    return room - (room ? r->given : 0);
}

size_t virtio_take(struct virtio_request *r, void *bytes, size_t count)
{
    size_t done = 0;
    while (done < count && r->take < r->readable) {
        const struct virtio_part *d = &r->part[r->take];
        size_t part = d->length - r->taken < count - done ? d->length - r->taken : count - done;
        if (part &&
            !dma_read(&r->virtio->dma, d->address + r->taken, (uint8_t *)bytes + done, part))
            break;
        done += part;
        r->taken += (uint32_t)part;
        if (r->taken == d->length)
            r->take++, r->taken = 0;
    }
    return done;
}

size_t virtio_give(struct virtio_request *r, const void *bytes, size_t count)
{
    size_t done = 0;
    while (done < count && r->give < r->parts) {
        const struct virtio_part *d = &r->part[r->give];
        size_t part = d->length - r->given < count - done ? d->length - r->given : count - done;
        if (part &&
            !dma_write(&r->virtio->dma, d->address + r->given, (const uint8_t *)bytes + done, part))
            break;
        done += part;
        r->given += (uint32_t)part;
        if (r->given == d->length)
            r->give++, r->given = 0;
    }
    r->written += (uint32_t)done;
    return done;
}

/* ---- rings -------------------------------------------------------------------------------- */

static void give_up(struct virtio *v)
{
    v->status |= STATUS_NEEDS_RESET;
    v->interrupt |= INTERRUPT_CONFIG;
}

/* How many requests the driver has made available that were not taken yet. */
static bool count_available(const struct virtio *v, unsigned q, unsigned *count)
{
    uint16_t available;
    if (!dma_read(&v->dma, v->driver[q] + 2, &available, sizeof available))
        return false;
    *count = (uint16_t)(available - v->seen[q]);
    return *count <= queue_size(v, q);
}

static bool take_request(struct virtio *v, unsigned q, struct virtio_request *r)
{
    /* The parts that count are filled in by read_chain(). */
    r->virtio = v;
    r->queue = q;
    r->parts = r->readable = r->take = r->give = 0;
    r->taken = r->given = r->written = 0;
    if (!dma_read(&v->dma, v->driver[q] + 4 + 2ull * (v->seen[q] % queue_size(v, q)), &r->head,
                  sizeof r->head))
        return false;
    v->seen[q]++;
    return read_chain(r);
}

/* Puts the finished request into the used ring, section 2.6.8. */
static bool put_used(const struct virtio_request *r)
{
    const struct virtio *v = r->virtio;
    uint64_t ring = v->used[r->queue];
    uint32_t entry[2] = {r->head, r->written};
    uint16_t index;
    if (!dma_read(&v->dma, ring + 2, &index, sizeof index))
        return false;
    if (!dma_write(&v->dma, ring + 4 + 8ull * (index % queue_size(v, r->queue)), entry,
                   sizeof entry))
        return false;
    index++;
    return dma_write(&v->dma, ring + 2, &index, sizeof index);
}

/* Buffers were used: interrupts the driver, unless it does not want that (section 2.6.7). The
 * driver may change its mind on another processor meanwhile: it says so first and looks at the used
 * ring once more then, as this writes to the ring first and looks at what it says then. If either
 * read before its own write was seen, nobody would tell of this buffer: hence the fence. */
static bool signal_used(struct virtio *v, unsigned q)
{
    uint16_t flags;
    atomic_thread_fence(memory_order_seq_cst);
    if (!dma_read(&v->dma, v->driver[q], &flags, sizeof flags))
        return false;
    if (!(flags & AVAIL_NO_INTERRUPT))
        v->interrupt |= INTERRUPT_USED;
    return true;
}

bool virtio_is_running(const struct virtio *v, unsigned q)
{
    return q < v->kind->queues && v->ready[q] && queue_size(v, q) &&
           (v->status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) == STATUS_DRIVER_OK;
}

/* ---- requests that are served at once ----------------------------------------------------- */

/* Serves what was available when the guest said so, which cannot be more than the queue holds: what
 * a request writes over the ring itself makes no more work. */
static bool serve_available(struct virtio *v, unsigned q)
{
    struct virtio_request request;
    unsigned count;
    if (!count_available(v, q, &count))
        return false;
    for (unsigned i = 0; i < count && virtio_is_running(v, q); i++) {
        if (!take_request(v, q, &request))
            return false;
        v->kind->serve(v->owner, q, &request);
        if (!put_used(&request))
            return false;
    }
    return !count || signal_used(v, q);
}

void virtio_notify(struct virtio *v, unsigned q)
{
    if (!virtio_is_running(v, q))
        return;
    if (!(v->kind->waiting >> q & 1)) {
        if (!serve_available(v, q))
            give_up(v);
    } else if (v->kind->notified) {
        v->kind->notified(v->owner, q);
    }
}

/* ---- requests that wait ------------------------------------------------------------------- */

bool virtio_next(struct virtio *v, unsigned q, struct virtio_request *r)
{
    unsigned count;
    if (!virtio_is_running(v, q))
        return false;
    bool sound = count_available(v, q, &count);
    if (sound && !count)
        return false;
    if (sound && take_request(v, q, r))
        return true;
    give_up(v);
    virtio_update(v);
    return false;
}

void virtio_done(struct virtio_request *r)
{
    struct virtio *v = r->virtio;
    if (!put_used(r) || !signal_used(v, r->queue))
        give_up(v);
    virtio_update(v);
}
