/*
 * What a guest's disk does while the guest moves or is protected, for both kinds of guest:
 * functions of struct backend_move (backend.h), with the disk in the place of the backend. `disk`
 * NULL: the guest has none.
 *
 * Writes that are held back stay in the disk's memory (cpu/dev/disk-memory.h), which keeps a list
 * of the blocks that were written: what is new in an epoch.
 */
#ifndef VITRINE_HV_MOVE_DISK_H
#define VITRINE_HV_MOVE_DISK_H

#include "cpu/dev/disk.h"
#include "hv/backend.h"

/* MOVE_DISK_HOLD. */
int move_disk_hold(struct disk *disk);
/* MOVE_DISK_RELEASE. `drop`: what was written is to be lost, as the user has asked for. */
int move_disk_release(struct disk *disk, bool drop);
/* `held`: HOLD was said. TAKE ends that, if the disk was away and is ours now. */
int move_disk_hand(struct disk *disk, enum move_hand how, bool *held, char *why);
int move_disk_blocks(struct disk *disk,
                     int (*item)(void *context, uint32_t block, const uint8_t *bytes),
                     void *context);
int move_disk_put(struct disk *disk, uint32_t block, const uint8_t *bytes);
/* Tells `item` what of the disk must be equal on both sides. */
void move_disk_describe(const struct disk *disk,
                        void (*item)(void *context, const char *name, const char *value),
                        void *context);

#endif
