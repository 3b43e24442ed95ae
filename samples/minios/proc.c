/*
 * Processes: the table, the scheduler, sleeping and waking, fork, exit, wait.
 *
 * Each process has a kernel stack of its own on which its system calls run. The scheduler is one
 * more thread, on the boot stack: it picks the next RUNNABLE process in turn, switches to it, and
 * is switched back to when that yields, sleeps or ends. Nobody to run: the hart waits in WFI, with
 * the timer off, until a device has something.
 */
#include "minios.h"

static struct process table[MAX_PROCESSES];
static struct process *current;
static struct context scheduler;
static int next_pid = 1;

struct process *proc_current(void)
{
    return current;
}

/* ---- scheduling -------------------------------------------------------------------------- */

/* WFI ends when an interrupt is pending, also while interrupts are off: so none is missed between
 * the look at the table and here. Then they are let in for a moment. */
static void idle(void)
{
    vm_use(NULL);
    sbi_set_timer(UINT64_MAX);
    __asm__ volatile("wfi" : : : "memory");
    csr_set(sstatus, MSTATUS_SIE);
    csr_clear(sstatus, MSTATUS_SIE);
}

static struct process *next_in_turn(void)
{
    static unsigned last;
    for (unsigned i = 1; i <= MAX_PROCESSES; i++) {
        struct process *process = &table[(last + i) % MAX_PROCESSES];
        if (process->state == RUNNABLE) {
            last = (unsigned)(process - table);
            return process;
        }
    }
    return NULL;
}

void proc_scheduler(void)
{
    for (;;) {
        struct process *process = next_in_turn();
        if (!process) {
            idle();
            continue;
        }
        process->state = RUNNING;
        current = process;
        vm_use(&process->space);
        sbi_set_timer(time_now() + SLICE);
        context_switch(&scheduler, &process->context);
        current = NULL;
    }
}

static void leave(enum state state)
{
    current->state = state;
    context_switch(&current->context, &scheduler);
}

void proc_yield(void)
{
    leave(RUNNABLE);
}

void proc_sleep(const void *channel)
{
    current->channel = channel;
    leave(SLEEPING);
    current->channel = NULL;
}

void proc_wakeup(const void *channel)
{
    for (struct process *p = table; p < table + MAX_PROCESSES; p++)
        if (p->state == SLEEPING && p->channel == channel)
            p->state = RUNNABLE;
}

/* ---- coming and going -------------------------------------------------------------------- */

/* A row of the table with a kernel stack, set up so that it begins in `start`. */
static struct process *new_process(void (*start)(void))
{
    for (struct process *p = table; p < table + MAX_PROCESSES; p++) {
        if (p->state != FREE)
            continue;
        memset(p, 0, sizeof *p);
        p->stack = page_new();
        if (!p->stack)
            return NULL;
        p->pid = next_pid++;
        p->frame = (struct frame *)(p->stack + PAGE) - 1;
        p->context.ra = (uint32_t)start;
        p->context.sp = (uint32_t)p->frame;
        return p;
    }
    return NULL;
}

static void clear(struct process *process)
{
    if (process->stack)
        page_drop(process->stack);
    memset(process, 0, sizeof *process);
}

/* The first process: it runs in the kernel until it has a program. */
static void begin_init(void)
{
    char *argv[] = {(char *)"init", NULL};
    if (exec(current, "init", 1, argv) != 0)
        panic("there is no init");
    current->frame->x[A0] = 1;
    __asm__ volatile("mv sp, %0\n\tj trap_return" : : "r"(current->frame) : "memory");
    __builtin_unreachable();
}

void proc_start_init(void)
{
    struct process *init = new_process(begin_init);
    if (!init || vm_new(&init->space) != 0)
        panic("no memory for init");
    init->state = RUNNABLE;
}

int proc_fork(void)
{
    struct process *child = new_process(trap_return);
    if (!child)
        return -1;
    if (vm_fork(&child->space, &current->space) != 0) {
        clear(child);
        return -1;
    }
    *child->frame = *current->frame;
    child->frame->x[A0] = 0;
    memcpy(child->file, current->file, sizeof child->file);
    string_copy(child->name, current->name, sizeof child->name);
    child->parent = current;
    child->state = RUNNABLE;
    return child->pid;
}

/* What is left afterwards, a row and the stack under our feet, is wait()'s to clear. */
void proc_exit(int status)
{
    if (current->pid == 1)
        panic("init has ended");
    vm_use(NULL);
    vm_free(&current->space);
    for (struct process *p = table; p < table + MAX_PROCESSES; p++)
        if (p->parent == current)
            p->parent = table; /* orphans are init's, which is the first row */
    current->status = status;
    proc_wakeup(table);
    proc_wakeup(current->parent);
    leave(ZOMBIE);
    __builtin_unreachable();
}

/* The pid of a child that has ended, 0 if all still live, -1 if there is none. */
static int reap(int *status)
{
    int result = -1;
    for (struct process *p = table; p < table + MAX_PROCESSES; p++) {
        if (p->state == FREE || p->parent != current)
            continue;
        if (p->state == ZOMBIE) {
            int pid = p->pid;
            *status = p->status;
            clear(p);
            return pid;
        }
        result = 0;
    }
    return result;
}

int proc_wait(int *status)
{
    int pid;
    while ((pid = reap(status)) == 0)
        proc_sleep(current);
    return pid;
}

int proc_info(unsigned index, struct process_info *info)
{
    static const char *const states[] = {
        [FREE] = "free",         [RUNNABLE] = "runnable", [RUNNING] = "running",
        [SLEEPING] = "sleeping", [ZOMBIE] = "zombie",
    };
    if (index >= MAX_PROCESSES)
        return -1;
    const struct process *p = &table[index];
    memset(info, 0, sizeof *info);
    if (p->state == FREE)
        return 0;
    info->pid = p->pid;
    info->parent = p->parent ? p->parent->pid : 0;
    string_copy(info->state, states[p->state], sizeof info->state);
    string_copy(info->name, p->name, sizeof info->name);
    return 0;
}
