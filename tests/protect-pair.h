/*
 * A primary and a backup, a link between them that breaks where it is told to, a fence, and a run
 * that was never protected to compare with: what the tests of protection share.
 */
#ifndef VITRINE_TESTS_PROTECT_PAIR_H
#define VITRINE_TESTS_PROTECT_PAIR_H

#include "hv/protect.h"
#include "tests/migrate-pair.h"

enum {
    PROTECT_STEP = 60000, /* instructions of an epoch: the guest prints a few bytes in each */
    SLICE_STEP = 1000000, /* of a slice: what is typed is delivered in front of one */
};

struct protect_pair {
    struct session *primary, *backup;
    bool fenced, one_sided; /* one_sided: the backup is not told of the fence */
    int out; /* not 0: what the primary shows is written there, too (protect_pair_init_half()) */
    struct fence fence[2]; /* the backup's, the primary's */
    char path[40];
    struct fault_plan plan; /* `source`: the primary */
    uint64_t epochs;
    bool real_time;       /* no steps: the guest runs, and is looked at between its slices */
    unsigned patience_ms; /* of the link; 0: 10 s */
    enum protect_end primary_end;
    enum backup_end backup_end;
    bool runs;
    char primary_why[SESSION_ERROR], backup_why[SESSION_ERROR];
    unsigned calls[2]; /* on the link: the backup's, the primary's */
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

void protect_pair_free(struct protect_pair *pair);

#endif
