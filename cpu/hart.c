/* A hart's state: its table and its reset. See hart.h; CSRs are in csr.c, traps in trap.c. */
#include "cpu/hart.h"

static const struct state_field hart_fields[] = {
    STATE(struct hart, U32, x),
    STATE(struct hart, U32, pc),
    STATE(struct hart, U8, mode),
    STATE(struct hart, BOOL, waiting),
    STATE(struct hart, U64, executed),
    STATE(struct hart, U64, trapped),
    STATE(struct hart, U32, mstatus),
    STATE(struct hart, U32, medeleg),
    STATE(struct hart, U32, mideleg),
    STATE(struct hart, U32, mie),
    STATE(struct hart, U32, mip),
    STATE(struct hart, U32, mtvec),
    STATE(struct hart, U32, mscratch),
    STATE(struct hart, U32, mepc),
    STATE(struct hart, U32, mcause),
    STATE(struct hart, U32, mtval),
    STATE(struct hart, U32, mcounteren),
    STATE(struct hart, U32, mcountinhibit),
    STATE(struct hart, U32, menvcfg),
    STATE(struct hart, U32, menvcfgh),
    STATE(struct hart, U32, stvec),
    STATE(struct hart, U32, sscratch),
    STATE(struct hart, U32, sepc),
    STATE(struct hart, U32, scause),
    STATE(struct hart, U32, stval),
    STATE(struct hart, U32, scounteren),
    STATE(struct hart, U32, senvcfg),
    STATE(struct hart, U32, satp),
    STATE(struct hart, BOOL, seip_software),
    STATE(struct hart, BOOL, seip_line),
    STATE(struct hart, U64, cycle_offset),
    STATE(struct hart, U64, instret_offset),
    STATE(struct hart, U8, pmp.config),
    STATE(struct hart, U32, pmp.address),
    STATE(struct hart, BOOL, reserved),
    STATE(struct hart, U32, reservation),
    STATE_NOT(struct hart, clock, "has a table of its own"),
    STATE(struct hart, U32, id),
    STATE_NOT(struct hart, attention, "a hint to the engine; true after a load"),
};
const struct state_table hart_state = STATE_TABLE("hart", struct hart, 1, hart_fields);

void hart_reset(struct hart *hart, uint32_t pc)
{
    uint32_t id = hart->id;
    struct clock clock = hart->clock;
    clock_reset(&clock);
    *hart = (struct hart){
        .pc = pc,
        .mode = MODE_M,
        .clock = clock,
        .id = id,
        .attention = true,
    };
}
