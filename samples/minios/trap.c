/*
 * Why has the hart come here? Every trap of a process and every interrupt, one table.
 *
 * trap.S has saved the registers in `frame` and restores from it what this leaves there. From the
 * kernel itself only interrupts come, and only while it idles (proc.c).
 */
#include "minios.h"

void trap_init(void)
{
    csr_write(stvec, (uint32_t)trap_vector);
    csr_write(sie, 1u << IRQ_STI | 1u << IRQ_SEI);
}

static void on_timer(struct process *process)
{
    sbi_set_timer(UINT64_MAX);
    if (process) { /* the slice is over */
        process->slices++;
        proc_yield();
    }
}

static void on_system_call(struct process *process, struct frame *frame)
{
    frame->epc += 4; /* go on behind the ECALL; a child copies this too */
    int result = syscall(process, frame);
    process->frame->x[A0] = (uint32_t)result;
}

static void kill(struct process *process, const char *why)
{
    print("minios: %s is killed: %s\n", process->name, why);
    proc_exit(-1);
}

static void on_page_fault(struct process *process, enum access access, const char *name)
{
    uint32_t va = csr_read(stval);
    if (vm_fault(&process->space, va, access) == 0)
        return;
    print("minios: address 0x%x\n", va);
    kill(process, name);
}

void trap_handle(struct frame *frame)
{
    struct process *process = proc_current();
    uint32_t cause = csr_read(scause);
    bool interrupt = cause & CAUSE_INTERRUPT;
    if (!interrupt && frame->status & MSTATUS_SPP) {
        print("minios: cause %d at 0x%x, stval 0x%x\n", cause, frame->epc, csr_read(stval));
        panic("the kernel itself has trapped");
    }
    switch (cause) {
    case CAUSE_INTERRUPT | IRQ_STI: on_timer(process); break;
    case CAUSE_INTERRUPT | IRQ_SEI: plic_interrupt(); break;
    case CAUSE_ECALL_U: on_system_call(process, frame); break;
    case CAUSE_FETCH_PAGE: on_page_fault(process, ACCESS_EXECUTE, "instruction page fault"); break;
    case CAUSE_LOAD_PAGE: on_page_fault(process, ACCESS_READ, "load page fault"); break;
    case CAUSE_STORE_PAGE: on_page_fault(process, ACCESS_WRITE, "store page fault"); break;
    case CAUSE_ILLEGAL: kill(process, "illegal instruction"); break;
    default: kill(process, "unexpected trap");
    }
}
