/*
 * virtio block device (VIRTIO 1.1, section 5.2): read, write, flush, get ID, discard, write zeroes.
 *
 * A request is a header {type, reserved, sector}, the data, and one status byte to be written. The
 * disk's content is the host's file and no state of the machine.
 */
#include "cpu/dev/virtio-blk.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/dev/virtio.h"

struct virtio_blk {
    struct virtio *virtio;
    struct disk *disk;
    struct virtio_kind kind;
};

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

#define F_SIZE_MAX     (1ull << 1)
#define F_SEG_MAX      (1ull << 2)
#define F_RO           (1ull << 5)
#define F_FLUSH        (1ull << 9)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)

/* Parts of a request's data: the queue's entries but for header and status. */
enum { PARTS_MAX = VIRTIO_QUEUE_MAX - 2 };
/* Bytes of a part. A driver that knows both limits makes no request that is too long. */
enum { PART_MAX = 32 << 10 };
_Static_assert(PARTS_MAX * PART_MAX + 16 + 1 <= VIRTIO_REQUEST_MAX, "a whole request is served");
/* Sectors that one request may discard, and set to zero: the latter may have to be written. */
enum { DISCARD_MAX = 1 << 22, ZEROES_MAX = VIRTIO_REQUEST_MAX / DISK_SECTOR };

/* Section 5.2.4 */
struct config {
    uint64_t capacity;
    uint32_t size_max, seg_max;
    uint8_t geometry[4], blk_size[4], topology[8], writeback[4]; /* not offered */
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused[3];
};

_Static_assert(sizeof(struct config) <= VIRTIO_CONFIG, "the configuration fits");

/* Data moves in pieces, so that a request of any size needs little memory. */
enum { PIECE = 8 * DISK_SECTOR };

static uint8_t serve_read(struct virtio_blk *b, struct virtio_request *r, uint64_t sector)
{
    uint8_t piece[PIECE];
    size_t room = virtio_room(r);
    if (room == 0 || !disk_holds(b->disk, sector, room - 1)) /* data and the status byte */
        return S_IOERR;
    for (size_t left = room - 1; left;) {
        size_t part = left < PIECE ? left : PIECE;
        if (disk_read(b->disk, sector, piece, part) || virtio_give(r, piece, part) != part)
            return S_IOERR;
        sector += part / DISK_SECTOR;
        left -= part;
    }
    return S_OK;
}

/* A driver that has not accepted F_FLUSH cannot ask for it: each change is durable at once then
 * (section 5.2.6.2). */
static uint8_t settle(struct virtio_blk *b)
{
    if (virtio_features(b->virtio) & F_FLUSH)
        return S_OK;
    return disk_flush(b->disk) ? S_IOERR : S_OK;
}

static uint8_t serve_write(struct virtio_blk *b, struct virtio_request *r, uint64_t sector)
{
    uint8_t piece[PIECE];
    size_t left = virtio_left(r);
    if (disk_is_readonly(b->disk) || !disk_holds(b->disk, sector, left))
        return S_IOERR;
    while (left) {
        size_t part = left < PIECE ? left : PIECE;
        if (virtio_take(r, piece, part) != part || disk_write(b->disk, sector, piece, part))
            return S_IOERR;
        sector += part / DISK_SECTOR;
        left -= part;
    }
    return settle(b);
}

/* Discard and write zeroes, section 5.2.6: one range of sectors. `flags` bit 0 lets zeroes be a
 * hole, which they are anyway; no other bit is known. */
static uint8_t serve_range(struct virtio_blk *b, struct virtio_request *r, uint32_t type)
{
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range;
    bool zeroes = type == T_WRITE_ZEROES;
    if (virtio_take(r, &range, sizeof range) != sizeof range || virtio_left(r) ||
        range.sectors > (zeroes ? ZEROES_MAX : DISCARD_MAX))
        return S_IOERR;
    if (range.flags & ~(zeroes ? 1u : 0u))
        return S_UNSUPP;
    size_t count = (size_t)range.sectors * DISK_SECTOR;
    int error = zeroes ? disk_zero(b->disk, range.sector, count)
                       : disk_discard(b->disk, range.sector, count);
    return error ? S_IOERR : settle(b);
}

static uint8_t serve_id(struct virtio_request *r)
{
    static const char id[20] = "vitrine";
    return virtio_room(r) > sizeof id && virtio_give(r, id, sizeof id) == sizeof id ? S_OK
                                                                                    : S_IOERR;
}

static void serve(void *self, unsigned queue, struct virtio_request *r)
{
    struct virtio_blk *b = self;
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    uint8_t status = S_IOERR;
    if (virtio_take(r, &header, sizeof header) == sizeof header) {
        switch (header.type) {
        case T_IN: status = serve_read(b, r, header.sector); break;
        case T_OUT: status = serve_write(b, r, header.sector); break;
        case T_FLUSH: status = disk_flush(b->disk) ? S_IOERR : S_OK; break;
        case T_GET_ID: status = serve_id(r); break;
        case T_DISCARD:
        case T_WRITE_ZEROES: status = serve_range(b, r, header.type); break;
        default: status = S_UNSUPP;
        }
    }
    /* The status is the last byte of the buffers, wherever the data has ended. */
    static const uint8_t filler[PIECE];
    while (virtio_room(r) > 1) {
        size_t gap = virtio_room(r) - 1;
        if (!virtio_give(r, filler, gap < sizeof filler ? gap : sizeof filler))
            return;
    }
    virtio_give(r, &status, 1);
}

static const struct device_register CONFIG[] = {
    {"capacity", 0, 4, "r", "size in sectors of 512 bytes, low half"},
    {"capacityHigh", 4, 4, "r", "high half"},
    {"size_max", 8, 4, "r", "bytes that such a part may have"},
    {"seg_max", 12, 4, "r", "parts that a request's data may have"},
    {"max_discard_sectors", 36, 4, "r", "of one discard"},
    {"max_write_zeroes_sectors", 48, 4, "r", "of one write of zeroes"},
};

static void configure(const void *self, uint8_t config[VIRTIO_CONFIG])
{
    const struct virtio_blk *b = self;
    const struct config c = {
        .capacity = disk_sectors(b->disk),
        .size_max = PART_MAX,
        .seg_max = PARTS_MAX,
        .max_discard_sectors = DISCARD_MAX,
        .max_discard_seg = 1,
        .discard_sector_alignment = 1,
        .max_write_zeroes_sectors = ZEROES_MAX,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
    };
    memcpy(config, &c, sizeof c);
}

struct virtio_blk *virtio_blk_new(struct dma dma, struct irq_line irq, struct disk *disk)
{
    struct virtio_blk *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->disk = disk;
    b->kind = (struct virtio_kind){
        .name = "virtio-blk",
        .about = "virtio block device: the disk",
        .device_id = 2,
        .features = F_SIZE_MAX | F_SEG_MAX | F_FLUSH |
                    (disk_is_readonly(disk) ? F_RO : F_DISCARD | F_WRITE_ZEROES),
        .queues = 1,
        .serve = serve,
        .configure = configure,
        .config = CONFIG,
        .config_count = sizeof CONFIG / sizeof CONFIG[0],
    };
    b->virtio = virtio_new(&b->kind, b, dma, irq);
    if (!b->virtio) {
        free(b);
        return NULL;
    }
    return b;
}

void virtio_blk_free(struct virtio_blk *b)
{
    if (!b)
        return;
    virtio_free(b->virtio);
    free(b);
}

struct device *virtio_blk_device(struct virtio_blk *b)
{
    return virtio_device(b->virtio);
}
