/*
 * Traps: the table of entries, and who deals with what.
 *
 * Source: Intel SDM volume 3, table 6-1 (vectors) and figure 6-8 (gates).
 */
#include "longmode.h"

enum { VECTORS = SYSCALL + 1, FIRST_IRQ = 32, TIMER = FIRST_IRQ + 0 };
enum { INVALID_OPCODE = 6, PAGE_FAULT = 14 };

static const char *const exceptions[] = {
    [0] = "divide error",        [3] = "breakpoint",   [INVALID_OPCODE] = "invalid instruction",
    [8] = "double fault",        [12] = "stack fault", [13] = "general protection",
    [PAGE_FAULT] = "page fault",
};
enum { EXCEPTIONS = sizeof exceptions / sizeof exceptions[0] };

/* ---- the interrupt descriptor table ------------------------------------------------------- */

struct gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};

enum { INTERRUPT_GATE = 0x8e, FOR_CPL3 = 0x60 }; /* interrupts stay off in the handler */

static struct gate idt[VECTORS];
extern char trap_entries[VECTORS][16]; /* trap.S */

void traps_load(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof idt - 1, (uintptr_t)idt};

    for (unsigned v = 0; v < VECTORS; v++) {
        uintptr_t entry = (uintptr_t)trap_entries[v];
        idt[v] = (struct gate){
            .offset_low = (uint16_t)entry,
            .selector = KERNEL_CS,
            .type = INTERRUPT_GATE,
            .offset_mid = (uint16_t)(entry >> 16),
            .offset_high = (uint32_t)(entry >> 32),
        };
    }
    idt[SYSCALL].type |= FOR_CPL3; /* the only one that CPL 3 may ask for by `int` */
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* ---- system calls ------------------------------------------------------------------------- */

/* A task may not make the kernel read what the task could not. */
static uint64_t sys_write(uint64_t text, uint64_t length)
{
    if (text < USER_START || text >= USER_END || length > USER_END - text)
        return (uint64_t)-1;
    for (uint64_t i = 0; i < length; i++)
        com1_putc(((const char *)text)[i]); /* may fault: the page comes then */
    return length;
}

static void system_call(struct frame *f)
{
    switch (f->rax) {
    case SYS_EXIT: task_end((int)f->rdi);
    case SYS_WRITE: f->rax = sys_write(f->rdi, f->rsi); break;
    case SYS_TICKS: f->rax = ticks; break;
    default: f->rax = (uint64_t)-1;
    }
}

/*
 * Some backends of KVM run CPL 3 natively, without the processor's virtualization. There `int`
 * cannot reach the guest's table, and comes as an invalid instruction. So: is it our `int`, and
 * nothing else? (0xcd is its first byte.) On hardware this is never true.
 */
static bool is_system_call(const struct frame *f)
{
    const uint8_t *code = (const uint8_t *)f->rip;
    return f->vector == INVALID_OPCODE && (f->cs & 3) == 3 && code[0] == 0xcd && code[1] == SYSCALL;
}

/* ---- all traps ---------------------------------------------------------------------------- */

static uint64_t fault_address(void)
{
    uint64_t address;
    __asm__ volatile("movq %%cr2, %0" : "=r"(address));
    return address;
}

/* An exception that nobody expects ends the task. In the kernel it is a mistake of ours. */
static void give_up(const struct frame *f)
{
    const char *name = f->vector < EXCEPTIONS ? exceptions[f->vector] : 0;
    com1_puts(name ? name : "exception");
    com1_puts((f->cs & 3) == 3 ? " at CPL 3: the task is ended\n" : " in the kernel\n");
    if ((f->cs & 3) != 3)
        leave(1);
    task_end(-(int)f->vector);
}

void trap(struct frame *f);
void trap(struct frame *f)
{
    if (f->vector == TIMER) {
        timer_interrupt();
    } else if (f->vector == SYSCALL) {
        system_call(f);
    } else if (is_system_call(f)) {
        f->rip += 2; /* behind the instruction, where `int` would have left it */
        system_call(f);
    } else if (f->vector != PAGE_FAULT || !vm_fault(fault_address(), f->error)) {
        give_up(f);
    }
}
