/*
 * A primary and a backup, a link between them that breaks where it is told to, a fence, and a run
 * that was never protected to compare with: what the tests of protection share.
 */
#ifndef VITRINE_TESTS_PROTECT_PAIR_H
#define VITRINE_TESTS_PROTECT_PAIR_H

#include <semaphore.h>

#include "hv/protect.h"
#include "tests/migrate-pair.h"

enum {
    PROTECT_STEP = 60000,   /* instructions of an epoch: the guest prints a few bytes in each */
    SLICE_STEP = 1000000,   /* of a slice: what is typed is delivered in front of one */
    PROTECT_SEEN = 1 << 18, /* bytes of output that are looked at */
};

/* Who notices a loss first is chance, unless one side is late: it does nothing then until the other
 * one has come to its end. */
enum pair_late { LATE_NOBODY, LATE_PRIMARY, LATE_BACKUP };

struct protect_pair {
    struct session *primary, *backup;
    bool fenced, one_sided; /* one_sided: the backup is not told of the fence */
    int out; /* not 0: what the primary shows is written there, too (protect_pair_init_half()) */
    struct fence fence[2]; /* the backup's, the primary's */
    char path[40];
    struct fault_plan plan; /* `source`: the primary */
    uint64_t epochs;
    bool real_time;       /* no steps: the guest runs, and is looked at between its slices */
    unsigned patience_ms; /* of the link; 0: a minute */
    enum pair_late late;
    const char *before; /* what the world has seen of hosts before the primary, so many bytes */
    size_t before_count;
    enum protect_end primary_end;
    enum backup_end backup_end;
    bool begun, runs; /* the primary has found a backup; the guest shall run */
    char primary_why[SESSION_ERROR], backup_why[SESSION_ERROR];
    unsigned calls[2]; /* on the link: the backup's, the primary's */
    sem_t ended[2];    /* if somebody is late: the backup's, the primary's */
    size_t
        shown[2]; /* bytes of output that the world has seen: of the backup's, of the primary's */
};

/* Makes the sessions, and the fence if the pair has one. Some text has been typed. */
void protect_pair_init(struct protect_pair *pair, enum session_under primary,
                       enum session_under backup);
/* One side; the other one is in another process. `path`: of the fence, an empty file at first. */
void protect_pair_init_half(struct protect_pair *pair, bool primary, const char *path);
/* Protects as the plan says; both ends have come when it returns. */
void protect_pair_run(struct protect_pair *pair);
/* One side alone, over one end of a socket, which is closed then.*/
void protect_pair_half(struct protect_pair *pair, int socket, bool primary);

/*
 * Looks at what has become of the guest: never may both sides run it, and one must unless the link
 * broke before anybody could tell; the fence says the same. The survivor goes on for `more`
 * instructions, and must then be in the state in which a run is that was never protected; the world
 * has seen what that one has printed: no byte denied, none missing, those twice that are numbered
 * so. NULL if all is well, else what is not.
 */
const char *protect_pair_check(struct protect_pair *pair, uint64_t more);
/* The same of one side, where the other one was another process, which is dead, and printed so many
 * bytes of a run's text; and had so many epochs acknowledged. */
const char *protect_pair_check_backup(struct protect_pair *pair, uint64_t more, const char *seen,
                                      size_t count);
const char *protect_pair_check_primary(struct protect_pair *pair, uint64_t more);

/*
 * The guest, whoever has it after protect_pair_run(), is protected by a third host: makes another
 * pair of both, whose `before` is what the world has seen. That stands in `seen` (PROTECT_SEEN
 * bytes) if the backup has taken over. To be run and checked like the first one, and freed before
 * it, whatever is returned: NULL, or what is not well with the first one.
 */
const char *protect_pair_next(struct protect_pair *pair, struct protect_pair *next, char *seen);
/* After that one has run: a primary from which the guest was taken still cannot run it. */
const char *protect_pair_check_left(struct protect_pair *pair);

void protect_pair_free(struct protect_pair *pair);

#endif
