/*
 * The kernel's own header: what each file offers to the others, in the reading order of README.md.
 *
 * One hart, and interrupts are off wherever the kernel runs, save for one place in the idle loop.
 * So kernel code is never interrupted and needs no locks; it gives up the processor only in
 * proc_sleep() and proc_yield(). Physical and kernel addresses are the same numbers.
 */
#ifndef MINIOS_H
#define MINIOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "csr.h"
#include "virt.h"

enum { PAGE = 4096, MAX_PROCESSES = 16, MAX_FILES = 8, MAX_SEGMENTS = 4 };

#define KERNEL_START 0x80400000u
#define SLICE        100000u /* 10 ms at 10 MHz */

#define MMIO8(address)  (*(volatile uint8_t *)(uintptr_t)(address))
#define MMIO32(address) (*(volatile uint32_t *)(uintptr_t)(address))

struct process;

/* string.c */
void *memset(void *to, int value, size_t count);
void *memcpy(void *to, const void *from, size_t count);
int strcmp(const char *a, const char *b);
void string_copy(char *to, const char *from, size_t size); /* always ends with a zero byte */

/* print.c: %s %c %d %x, numbers of 32 bits, without sign; %x has eight digits */
void print(const char *format, ...);
void panic(const char *why) __attribute__((noreturn));

/* uart.c */
void uart_init(void);
void uart_put(char c);
char uart_get(void);       /* sleeps until there is one */
void uart_interrupt(void); /* takes what has arrived */

/* console.c: lines of text on the UART */
int console_read(char *to, uint32_t size);

/* fdt.c */
uint32_t fdt_memory_end(const void *tree); /* one past RAM; 0 if the tree does not say */

/* page.c: pages of memory, counted */
void page_init(uint32_t start, uint32_t end);
void *page_new(void); /* zeroed, one user; NULL if memory is full */
void page_share(void *page);
void page_drop(void *page); /* free when nobody uses it any more */
unsigned page_users(const void *page);
unsigned page_free_count(void);

/* vm.c: address spaces. A fault that cannot be helped is -1. */
enum access { ACCESS_READ = PTE_R, ACCESS_WRITE = PTE_W, ACCESS_EXECUTE = PTE_X };

struct segment { /* a part of the program, loaded from its file when it is touched */
    uint32_t va, memory_size, file_size, offset;
    uint32_t rights; /* PTE_R, PTE_W, PTE_X */
};

struct space {
    uint32_t *root;
    int file; /* of the program */
    int segments;
    struct segment segment[MAX_SEGMENTS];
    uint32_t heap, heap_end;
};

void vm_init(uint32_t memory_end);
void vm_use(const struct space *space); /* NULL: the kernel's own */
int vm_fault(struct space *space, uint32_t va, enum access access);
int vm_new(struct space *space);
int vm_map(struct space *space, uint32_t va, void *page, uint32_t rights);
int vm_fork(struct space *to, struct space *from);
void vm_shrink_heap(struct space *space, uint32_t end);
void vm_free(struct space *space);
int vm_copy_out(struct space *space, uint32_t va, const void *from, uint32_t count);
int vm_copy_in(struct space *space, void *to, uint32_t va, uint32_t count);
int vm_copy_in_string(struct space *space, char *to, uint32_t va, uint32_t size);

/* trap.S, trap.c */
struct frame { /* what a trap saves; trap.S knows the layout */
    uint32_t x[32];
    uint32_t epc, status;
    uint32_t unused[2];
};

enum { SP = 2, A0 = 10, A1 = 11, A2 = 12, A7 = 17 };

void trap_init(void);
void trap_handle(struct frame *frame);
void trap_vector(void);
void trap_return(void);

/* proc.c */
struct context { /* what a function call preserves; switch.S knows the layout */
    uint32_t ra, sp, s[12];
};

enum state { FREE, RUNNABLE, RUNNING, SLEEPING, ZOMBIE };

struct open_file {
    bool open;
    int file;
    uint32_t position;
};

struct process {
    int pid;
    enum state state;
    struct process *parent;
    const void *channel; /* SLEEPING: what it waits for */
    int status;          /* ZOMBIE: for its parent */
    unsigned slices;     /* how often the timer took the processor away */
    char name[NAME_SIZE];
    uint8_t *stack;      /* the kernel's, for this process: one page */
    struct frame *frame; /* at the top of it: the user's registers */
    struct context context;
    struct space space;
    struct open_file file[MAX_FILES]; /* descriptor 3 + index */
};

void context_switch(struct context *save, const struct context *load); /* switch.S */
struct process *proc_current(void); /* NULL in the scheduler and during start-up */
void proc_start_init(void);
void proc_scheduler(void) __attribute__((noreturn));
void proc_yield(void);
void proc_sleep(const void *channel);
void proc_wakeup(const void *channel);
int proc_fork(void);
void proc_exit(int status) __attribute__((noreturn));
int proc_wait(int *status);
int proc_info(unsigned index, struct process_info *info);

/* exec.c */
int exec(struct process *process, const char *path, int argc, char *const *argv);

/* syscall.c */
int syscall(struct process *process, const struct frame *frame);

/* plic.c */
void plic_init(void);
void plic_enable(int source, void (*handler)(void));
void plic_interrupt(void);

/* virtio.c: the disk, in blocks of 4096 bytes */
uint32_t disk_init(void); /* how many blocks; 0: no disk */
int disk_read(uint32_t block, void *page);

/* fs.c: a file is its index in the directory */
void fs_init(void);
int fs_open(const char *name);
int fs_read(int file, uint32_t position, void *to, uint32_t count);
int fs_info(unsigned index, struct file_info *info);

/* sbi.c: requests to the firmware */
void sbi_set_timer(uint64_t when);
void sbi_poweroff(int status) __attribute__((noreturn));
uint64_t time_now(void);

#endif
