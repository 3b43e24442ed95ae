/* A disk whose guest moves or is protected. See move-disk.h. */
#include "hv/move-disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpu/dev/disk-memory.h"

static struct disk_memory *memory_of(const struct disk *disk)
{
    return disk ? disk_memory_of(disk) : NULL;
}

int move_disk_hold(struct disk *disk)
{
    return disk && !disk_is_readonly(disk) ? disk_keep(disk) : 0;
}

int move_disk_release(struct disk *disk, bool drop)
{
    return disk && !drop && memory_of(disk) ? disk_keep_end(disk) : 0;
}

/* A disk that is ours but cannot be written is as good as another's: so that one may try again. */
static int take(struct disk *disk, bool *held, char *why)
{
    if (!disk_is_away(disk))
        return 0;
    int error = disk_take(disk, why);
    if (error)
        return error;
    error = *held ? move_disk_release(disk, false) : 0;
    if (error) {
        disk_give(disk);
        snprintf(why, DISK_ERROR, "the guest's disk cannot be written: %s", strerror(-error));
        return error;
    }
    *held = false;
    return 0;
}

static int settle(struct disk *disk, char *why)
{
    int error = disk_settle(disk);
    if (error)
        snprintf(why, DISK_ERROR, "the guest's disk cannot be written: %s", strerror(-error));
    return error;
}

int move_disk_hand(struct disk *disk, enum move_hand how, bool *held, char *why)
{
    if (!disk || disk_is_readonly(disk))
        return 0;
    switch (how) {
    case MOVE_HAND_SETTLE: return settle(disk, why);
    case MOVE_HAND_GIVE: disk_give(disk); return 0;
    case MOVE_HAND_LOOK: return disk_look(disk, why);
    case MOVE_HAND_TAKE: return take(disk, held, why);
    }
    return -EINVAL;
}

int move_disk_blocks(struct disk *disk,
                     int (*item)(void *context, uint32_t block, const uint8_t *bytes),
                     void *context)
{
    struct disk_memory *m = memory_of(disk);
    int error = 0;
    for (uint32_t i = 0; m && i < m->track.count && !error; i++)
        error = item(context, m->track.dirty[i], m->bytes + (uint64_t)m->track.dirty[i] * RAM_PAGE);
    for (uint32_t i = 0; m && i < m->track.count && !error; i++)
        ram_track_clean(&m->track, m->track.dirty[i], RAM_CLEAN);
    if (m && !error)
        m->track.count = 0;
    return error;
}

int move_disk_put(struct disk *disk, uint32_t block, const uint8_t *bytes)
{
    struct disk_memory *m = memory_of(disk);
    if (!m || block >= m->blocks)
        return -EINVAL;
    disk_memory_put(m, block, bytes);
    return 0;
}

void move_disk_describe(const struct disk *disk,
                        void (*item)(void *context, const char *name, const char *value),
                        void *context)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", disk ? (unsigned long long)disk_sectors(disk) : 0);
    item(context, "disk sectors", text);
    item(context, "disk", !disk ? "none" : disk_is_readonly(disk) ? "read-only" : "writable");
}
