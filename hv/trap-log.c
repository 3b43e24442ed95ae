/* The traps of a bare guest. See trap-log.h. */
#include "hv/trap-log.h"

#include <stdlib.h>
#include <string.h>

static const struct state_field fields[] = {
    STATE_NOT(struct trap_log, record, "an array, kept page by page"),
    STATE(struct trap_log, U64, count),
    STATE(struct trap_log, U64, last),
    STATE(struct trap_log, U64, kind),
};
const struct state_table trap_log_state = STATE_TABLE("traps", struct trap_log, 1, fields);

bool trap_log_init(struct trap_log *log)
{
    log->record = calloc(TRAP_LOG, sizeof *log->record);
    return log->record;
}

void trap_log_free(struct trap_log *log)
{
    free(log->record);
}

void trap_log_clear(struct trap_log *log)
{
    log->count = log->last = 0;
    memset(log->kind, 0, sizeof log->kind);
}

void trap_log_add(struct trap_log *log, const struct machine *m, const struct event *e)
{
    const struct hart *h = &m->hart;
    bool called_firmware = m->firmware && e->a == CAUSE_ECALL_S;
    uint32_t pc = called_firmware ? h->pc : e->d == MODE_M ? h->mepc : h->sepc;
    uint64_t seq = ++log->count;
    log->record[seq % TRAP_LOG] = (struct exit_record){
        .seq = seq,
        .instruction = h->executed,
        .since = h->executed - log->last,
        .pc = pc,
        .insn = m->insn,
        .mode = (uint8_t)e->c,
        .reason = (uint8_t)(e->a & 31),
        .cause = e->a,
        .tval = e->b,
    };
    log->last = h->executed;
    log->kind[e->a >> 31][e->a & (CAUSE_COUNT - 1)]++;
}
