/* Inside of a session, shared by session.c (thread and control), session-io.c
 * (console, breakpoints) and session-view.c (questions). */
#ifndef VITRINE_HV_SESSION_PRIV_H
#define VITRINE_HV_SESSION_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "cpu/isa.h"
#include "cpu/machine.h"
#include "hv/session.h"
#include "hv/vm.h"

enum { INPUT_QUEUE = 65536, OUTPUT_RING = 1u << 20, EVENT_RING = 65536, TRAP_LOG = 4096 };

/* What the present command waits for, besides stops that end any run. */
struct goal {
    uint64_t target;  /* guest instruction count; UINT64_MAX: none */
    bool exit;        /* the next exit (bare: trap) */
    bool exit_seen;
    bool point;       /* the temporary breakpoint `at` */
    bool same_frame;  /* it counts only in this mode, address space, and not deeper in the stack */
    uint32_t at, satp, sp;
    uint8_t mode;
};

struct input_record {
    uint64_t instruction;
    uint8_t byte;
};

struct session {
    struct session_config config; /* strings are our own copies */
    struct machine *computer; /* the hardware below the monitor; NULL on a bare session */
    struct vmm vmm;
    struct vm *vm;
    struct machine *guest;    /* the guest's machine, real or virtual */

    pthread_t worker;
    bool has_worker;
    pthread_mutex_t lock;     /* guards all below, and the machines between two slices */
    pthread_cond_t wake;      /* to the worker: there is something to do */
    pthread_cond_t calm;      /* to the worker: nobody waits for the lock any more */
    pthread_mutex_t wait_lock; /* guards `running`; taken inside `lock`, never the other way round */
    pthread_cond_t stopped;   /* to session_wait(): `running` has changed */
    bool running;             /* state == SESSION_RUNNING, for those who wait */
    atomic_int waiting;       /* callers that want the lock */
    bool quit, pause_wanted;

    enum session_state state;
    enum session_stop stop;
    char text[VIEW_TEXT];
    int exit_code;
    struct machine_break watch;
    uint64_t stops;
    struct goal goal;
    struct hart before_real, before_virtual; /* when the last command began, for "changed" */

    uint8_t *input;
    size_t input_head, input_count;
    bool input_ended;
    struct input_record *input_log; /* what was delivered, and when: for replay */
    size_t input_logged, input_log_size;
    uint8_t *output;                /* ring, if nobody takes output by callback */
    size_t output_head, output_count;

    struct session_break points[SESSION_BREAKS];
    int point_count, next_id;

    struct view_exit *traps;        /* bare: ring of the traps taken */
    uint64_t trap_count;
    uint64_t trap_last;             /* instruction count at the newest */
    uint64_t trap_kind[2][CAUSE_COUNT]; /* exceptions, interrupts */

    struct event *events;           /* ring, once a mask was set */
    uint32_t events_mask;
    unsigned events_head, events_count;
    uint64_t events_dropped;

    double seconds;                 /* host time spent in slices since `rate_from` */
    uint64_t rate_from;             /* instruction count */
    double mips;
};

/* Every question begins and ends with these: the worker stands between two slices meanwhile. */
void session_enter(struct session *session);
void session_leave(struct session *session);

/* Puts the breakpoints and the goal's temporary one into the machine. With the lock held. */
void session_load_points(struct session *session);

#endif
