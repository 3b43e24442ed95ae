/* Inside of the simulated backend, shared by simulated.c (life, run, stops) and simulated-view.c
 * (answers, and the table that holds all of it together). */
#ifndef VITRINE_HV_SIMULATED_PRIV_H
#define VITRINE_HV_SIMULATED_PRIV_H

#include "cpu/isa.h"
#include "cpu/machine.h"
#include "hv/backend.h"
#include "hv/trap-log.h"
#include "hv/vm.h"

/* What the present command waits for, besides stops that end any run. */
struct goal {
    uint64_t target; /* guest instruction count; UINT64_MAX: none */
    bool exit;       /* the next exit (bare: trap) */
    bool exit_seen;
    bool point;      /* the temporary breakpoint `at` */
    bool same_frame; /* it counts only in this mode, address space, and not deeper in the stack */
    uint32_t at, satp, sp;
    uint8_t mode;
};

struct simulated {
    struct session *session;
    const struct session_config *config;
    struct machine *computer; /* the hardware below the monitor; NULL on a bare session */
    struct vmm vmm;
    struct vm *vm;
    struct machine *guest; /* the guest's machine, real or virtual */

    struct goal goal;
    bool sleepy;                             /* a paced guest that sleeps most of the time */
    struct hart before_real, before_virtual; /* when the last command began, for "changed" */
    uint32_t events_mask;

    struct session_break points[SESSION_BREAKS];
    int point_count;

    struct trap_log traps; /* bare: instead of exits */
    struct simulated_move *move; /* while the guest is moved to another host: simulated-move.c */
};

extern const struct backend_move simulated_move;

/* ---- simulated.c: the functions of struct backend_ops --------------------------------------- */

void *simulated_create(const struct session_config *config, struct session *session, char *why);
void simulated_destroy(void *self);
int simulated_reset(void *self, char *why);
int simulated_begin(void *self, const struct backend_command *command);
bool simulated_slice(void *self, struct backend_stop *stop);
int simulated_points(void *self, const struct session_break *points, int count);
uint64_t simulated_instructions(void *self);
void simulated_events_mask(void *self, uint32_t mask);
int simulated_set_engine(void *self, const char *name);

#endif
