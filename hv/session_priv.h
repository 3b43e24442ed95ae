/* Inside of a session, shared by session.c (thread and control), session-io.c (console,
 * breakpoints, events) and session-ask.c (questions). What its guest runs on is behind `ops`, see
 * hv/backend.h. */
#ifndef VITRINE_HV_SESSION_PRIV_H
#define VITRINE_HV_SESSION_PRIV_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "hv/backend.h"

enum { INPUT_QUEUE = 65536, OUTPUT_RING = 1u << 20, EVENT_RING = 65536 };

struct session {
    struct session_config config; /* strings are our own copies */
    const struct backend_ops *ops;
    void *backend;

    pthread_t worker;
    bool has_worker;
    pthread_mutex_t lock;      /* guards all below, and the backend between two slices */
    pthread_cond_t wake;       /* to the worker: there is something to do */
    pthread_cond_t calm;       /* to the worker: nobody waits for the lock any more */
    pthread_mutex_t wait_lock; /* guards `running`; taken inside `lock`, never round it */
    pthread_cond_t stopped;    /* to session_wait(): `running` has changed */
    bool running;              /* state == SESSION_RUNNING, for those who wait */
    atomic_int waiting;        /* callers that want the lock */
    atomic_bool quit, pause_wanted;

    enum session_state state;
    enum session_stop stop;
    char text[VIEW_TEXT];
    int exit_code;
    uint64_t watch_address;
    char watch_access;
    uint64_t stops;

    uint8_t *input;
    size_t input_head, input_count;
    bool input_ended;
    struct input_file { /* what the queue is filled from when it is empty */
        int fd;         /* our own; < 0: there is none */
        off_t at;
        bool more; /* it was not read to its end */
    } file;
    uint64_t typed;                 /* bytes, ever */
    struct input_record *input_log; /* what was delivered, and when: for replay */
    size_t input_logged, input_log_size;

    struct session_break points[SESSION_BREAKS];
    int point_count, next_id;

    /* These two are written by whoever runs the guest; their locks are taken last. */
    pthread_mutex_t output_lock;
    uint8_t *output; /* ring, if nobody takes output by callback */
    size_t output_head, output_count;

    struct held_output { /* what was printed and may not be seen yet: hv/protect.h */
        bool on, lost;   /* lost: the host had no memory for some */
        uint8_t *bytes;
        size_t count, size;
    } held;

    pthread_mutex_t events_lock;
    struct event *events; /* ring, once a mask was set */
    atomic_uint events_mask;
    unsigned events_head, events_count;
    uint64_t events_dropped;

    struct snapshot_dir *kept;  /* where snapshots are files; NULL: they are in memory only */
    struct snapshot_peer *peer; /* which of those files are in memory, too */
    int peers;
    struct view_migration migration;
    struct view_protection protection;
    bool moving;     /* a migration or a protection is under way */
    bool standing;   /* ... and the guest is being handed over: nobody runs or changes it */
    bool recovering; /* ... and that one goes on which was torn off, or has ended in doubt */
    /* It runs here, and the rest of its memory is coming: migrate-arrive.c. */
    struct arrival *arrival;
    uint64_t moved_token; /* it runs elsewhere: its memory follows by this name; 0: none does */
    uint64_t shown; /* bytes of the console's text that the world has seen; with output_lock */
    atomic_uint throttle; /* percent of the time that the guest is kept from running */

    double napped;      /* host time of the present slice that the guest did not run */
    double seconds;     /* host time spent in slices since `rate_from` */
    uint64_t rate_from; /* instruction count */
    double mips;
};

/* Every question begins and ends with these: the worker stands between two slices meanwhile. */
void session_enter(struct session *session);
void session_leave(struct session *session);

/* The file by which people know the guest: image, firmware or disk. */
const char *session_guest_name(const struct session_config *config);

/* A snapshot in a file and the same one in memory. */
struct snapshot_peer {
    int file, memory; /* their ids */
};

/* ---- session-snapshot.c, for session-files.c ------------------------------------------------ */

/* May a snapshot be touched now? `has`: the backend knows how. 0, or -errno with `why`. */
int session_check_snapshots(struct session *session, bool has, char *why);
/* Of this file; NULL: it is in no memory. */
struct snapshot_peer *session_peer(struct session *session, int file);
/* It is in memory no longer. */
void session_forget_peer(struct session *session, struct snapshot_peer *peer);

/* The machine is another one than before: what belonged to the old one goes. With the lock held. */
void session_start_anew(struct session *session, const char *text);

/* May somebody change the guest now? Not while it is handed over to another host. With the lock
 * held. 0 or -EBUSY. */
static inline int session_changeable(const struct session *session)
{
    return session->standing ? -EBUSY : 0;
}

/* Does the guest run elsewhere, or may it? With the lock held. */
bool session_is_away(const struct session *session);
/* It does from now on. With the lock held. */
void session_moved(struct session *session, const char *text);

/* ---- output held back: session-io.c -------------------------------------------------------- */

/* What the guest prints is kept from now on. Returns the number of the first byte of that. */
uint64_t session_hold_output(struct session *session);
/* Takes what is kept, which the caller frees; -ENOMEM: some of it is lost. */
int session_take_held(struct session *session, uint8_t **bytes, size_t *count);
/* The world sees this now, whatever is kept. */
void session_show(struct session *session, const uint8_t *bytes, size_t count);
/* Shows all that is kept, and keeps no longer. -ENOMEM: some of it is lost. */
int session_unhold_output(struct session *session);

/* The guest has ended where it ran before. With the lock held. */
void session_ended_there(struct session *session, enum session_stop why, int exit_code,
                         const char *text);

/* Drops what was printed and not taken, and what was typed and not delivered. With the lock held.
 */
void session_clear_console(struct session *session);
/* Nothing more of the file of session_input_file() is typed. */
void session_drop_file(struct session *session);

#endif
