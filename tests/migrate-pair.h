/*
 * Two sessions, a link between them that breaks where it is told to, and a run that never moved to
 * compare with: what the tests of migration share.
 */
#ifndef VITRINE_TESTS_MIGRATE_PAIR_H
#define VITRINE_TESTS_MIGRATE_PAIR_H

#include "hv/migrate.h"

/* How a link ends. */
enum fault {
    FAULT_NONE,
    FAULT_CUT,  /* in the middle of a call, which fails; and for both sides from then on */
    FAULT_SLOW, /* no fault: before each of the first `call` calls the guest writes to all of its
                 * pages again; after them any downtime will do */
    FAULT_DIE,  /* as FAULT_CUT, but the whole process is killed */
    FAULT_LOSE, /* what is sent from then on never arrives, though the sender is told that it has
                   been */
};

struct fault_plan {
    enum fault fault;
    bool source;   /* at this side's end */
    unsigned call; /* at its how many'th call (send or receive), from 0 */
    unsigned part; /* FAULT_CUT: so many eighths of the call's bytes pass before */
    bool slow;     /* besides: before the source ends its first round the guest writes to all of its
                    * pages again */
};

/* One end of a socket that breaks as the plan says; breaking_link() closes it with the link. */
struct breaking {
    struct link below;
    int fd;
    bool source;
    struct fault_plan plan;
    struct pair *pair; /* whose guest is slowed down; NULL: none is */
    struct migrate_options *options;
    unsigned calls, made; /* by the plan's side; by this one */
    bool lost, cut;
};

struct breaking breaking_of(int socket, bool source, struct fault_plan plan, int patience_ms);
struct link breaking_link(struct breaking *breaking);

struct pair {
    struct session *source, *destination;
    struct fault_plan plan;
    enum migrate_end source_end, destination_end;
    char source_why[SESSION_ERROR], destination_why[SESSION_ERROR];
    bool runs;         /* as the destination was told */
    bool torn;         /* pair_check() had to recover it */
    unsigned calls[2]; /* on the link: the destination's, the source's */
};

enum pair_guest {
    PAIR_STEADY, /* writes to 32 pages in turn, prints, echoes what is typed */
    PAIR_BUSY,   /* writes to 1,024 pages in turn, as fast as it can */
};

/* The image file of a guest, made once; gone at exit. */
const char *pair_image(enum pair_guest guest);
/* A session of it; `under` may differ between the sides. */
struct session *pair_session(enum pair_guest guest, enum session_under under, const char *engine);
/* The same; what it prints is also written to this descriptor, as it is printed. */
struct session *pair_session_to(enum pair_guest guest, enum session_under under, const int *fd);

/* Migrates source to destination as the plan says; both ends have come when it returns. By
 * post-copy the destination runs the guest, if it ran, as soon as it has it. */
void pair_migrate(struct pair *pair, const struct migrate_options *options);

/*
 * Looks at what has become of the guest: exactly one session may run it, or nobody, and then the
 * source after it was taken back; that one (by post-copy: when it has been torn and recovered) goes
 * on for `more` instructions, and must then be in the state in which a run that never moved is; and
 * what both have printed must be what that has printed. NULL if all is well, else what is not.
 */
const char *pair_check(struct pair *pair, uint64_t more);

/* A migration that was torn goes on over a new link, which does not break. */
void pair_recover(struct pair *pair);
/* A destination some of whose memory is missing: it runs up to where it needs that, and says so.
 * NULL, or what is not well. */
const char *pair_check_torn(struct session *destination);

/* One side alone, over one end of a socket, which is closed then; the other is in another process.
 */
void pair_half(struct pair *pair, int socket, bool source, const struct migrate_options *options);
/* Is this session in the state in which a run that never moved is at its instruction? */
bool pair_same(struct session *session);

/* Runs a session that stands up to this instruction. */
bool pair_step_to(struct session *session, uint64_t instruction);
uint64_t pair_instructions(struct session *session);

void pair_free(struct pair *pair);

#endif
