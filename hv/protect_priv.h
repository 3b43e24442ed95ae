/* What both sides of a protection share: an epoch, as it is copied, sent and put. */
#ifndef VITRINE_HV_PROTECT_PRIV_H
#define VITRINE_HV_PROTECT_PRIV_H

#include "hv/migrate_priv.h"
#include "hv/protect.h"

/* Pages, or blocks of a disk: both have 4 KiB. */
struct pile {
    uint32_t *index;
    uint8_t *bytes;
    size_t count, room;
};

enum epoch_state { EPOCH_STANDS, EPOCH_RUNS, EPOCH_ENDED };

struct epoch_head {
    uint64_t number;       /* 1 ... */
    uint64_t instructions; /* of the guest, where they are counted */
    uint64_t released;     /* all output up to this epoch is out */
    uint64_t position;     /* bytes of output before this epoch */
    uint8_t state;         /* enum epoch_state */
    uint8_t stop;          /* enum session_stop, if it has ended */
    uint32_t exit_code;
    char text[VIEW_TEXT];
};

struct epoch {
    struct epoch_head head;
    struct pile pages, blocks;
    struct state_buffer state, input;
    uint8_t *output;
    size_t output_count;
    uint64_t most; /* pages that may come in one: the guest has no more */
};

void epoch_free(struct epoch *epoch);
/* Empties it; the room stays. */
void epoch_clear(struct epoch *epoch);
/* All that is new since the last call; `dirty` is a set that is empty before and after. With the
 * session's lock held. 0 or -errno. */
int epoch_capture(struct epoch *epoch, struct session *session, struct page_set *dirty);
/* 0, -ENOMEM or the link's error, with stream->why. */
int epoch_send(const struct epoch *epoch, struct stream *stream);

/* Puts a message of an epoch aside. 0: it was one; 1: it was the last, and the epoch is whole;
 * -errno with stream->why. `sum` is got_sum before that message. */
int epoch_take(struct epoch *epoch, struct stream *stream, enum message type, uint64_t sum);
/* Makes it the session's guest. With the lock held. -errno: the session has no guest any more. */
int epoch_apply(const struct epoch *epoch, struct session *session);

#endif
