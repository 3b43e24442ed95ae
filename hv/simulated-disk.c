/*
 * The simulated backend: its disk while the guest moves or is protected. See struct backend_move
 * and hv/move-disk.h.
 *
 * The list of blocks written, which tells what is new in an epoch, is what snapshots use otherwise.
 * So there is either a history and snapshots, or protection.
 */
#include <errno.h>

#include "hv/move-disk.h"
#include "hv/simulated_priv.h"

static int hold(struct simulated *s)
{
    if (s->overlay || s->history.on)
        return -EBUSY;
    int error = move_disk_hold(s->guest->disk_image);
    if (!error)
        s->disk_held = true;
    return error;
}

static int release(struct simulated *s)
{
    if (!s->disk_held)
        return 0;
    int error = move_disk_release(s->guest->disk_image, s->config->disk_discard);
    s->disk_held = error != 0;
    return error;
}

int simulated_disk(void *self, enum move_disk how)
{
    return how == MOVE_DISK_HOLD ? hold(self) : release(self);
}

/* What is to be dropped in the end has no file that anybody else could write. */
int simulated_disk_hand(void *self, enum move_hand how, char *why)
{
    struct simulated *s = self;
    return s->config->disk_discard ? 0
                                   : move_disk_hand(s->guest->disk_image, how, &s->disk_held, why);
}

int simulated_disk_blocks(void *self,
                          int (*item)(void *context, uint32_t block, const uint8_t *bytes),
                          void *context)
{
    const struct simulated *s = self;
    return move_disk_blocks(s->guest->disk_image, item, context);
}

int simulated_disk_put(void *self, uint32_t block, const uint8_t *bytes)
{
    const struct simulated *s = self;
    return move_disk_put(s->guest->disk_image, block, bytes);
}

int simulated_disk_commit(void *self, uint32_t block, const uint8_t *bytes)
{
    const struct simulated *s = self;
    return s->config->disk_discard ? 0 : disk_write_block(s->guest->disk_image, block, bytes);
}
