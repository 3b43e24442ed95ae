/*
 * System calls: a function for each row of syscall.def, and the table that finds it.
 *
 * Arguments are words from the process' registers and never trusted: addresses go through
 * vm_copy_in() and vm_copy_out(), which do what the process itself could have done, and no more.
 */
#include "minios.h"

enum { FIRST_FILE = 3 }; /* descriptors 0, 1 and 2 are the console */

typedef int (*syscall_fn)(struct process *process, const uint32_t *arg);

/* ---- processes --------------------------------------------------------------------------- */

static int sys_exit(struct process *process, const uint32_t *arg)
{
    (void)process;
    proc_exit((int)arg[0]);
}

static int sys_fork(struct process *process, const uint32_t *arg)
{
    (void)process, (void)arg;
    return proc_fork();
}

static int sys_wait(struct process *process, const uint32_t *arg)
{
    int status, pid = proc_wait(&status);
    if (pid > 0 && arg[0] && vm_copy_out(&process->space, arg[0], &status, sizeof status) != 0)
        return -1;
    return pid;
}

/* Copies argv's strings behind each other into a page of the kernel; argc, or -1. */
static int gather(struct process *process, uint32_t from, char *page, char **argv)
{
    uint32_t used = 0;
    for (int argc = 0; argc < ARGS_MAX; argc++) {
        uint32_t string;
        if (vm_copy_in(&process->space, &string, from + 4 * (uint32_t)argc, 4) != 0)
            return -1;
        if (!string)
            return argc;
        argv[argc] = page + used;
        int length = vm_copy_in_string(&process->space, page + used, string, PAGE / 2 - used);
        if (length < 0)
            return -1;
        used += (uint32_t)length + 1;
    }
    return -1;
}

static int sys_exec(struct process *process, const uint32_t *arg)
{
    char path[NAME_SIZE], *argv[ARGS_MAX];
    char *page = page_new();
    if (!page)
        return -1;
    int result = -1, argc = gather(process, arg[1], page, argv);
    if (argc >= 0 && vm_copy_in_string(&process->space, path, arg[0], sizeof path) >= 0)
        result = exec(process, path, argc, argv);
    page_drop(page);
    return result == 0 ? argc : -1;
}

static int sys_getpid(struct process *process, const uint32_t *arg)
{
    (void)arg;
    return process->pid;
}

static int sys_sbrk(struct process *process, const uint32_t *arg)
{
    struct space *space = &process->space;
    uint32_t old = space->heap_end, end = old + arg[0];
    if (end < space->heap || end > USER_HEAP)
        return -1;
    if (end < old)
        vm_shrink_heap(space, end);
    space->heap_end = end;
    return (int)old;
}

static int sys_yield(struct process *process, const uint32_t *arg)
{
    (void)process, (void)arg;
    proc_yield();
    return 0;
}

static int sys_process(struct process *process, const uint32_t *arg)
{
    struct process_info info;
    if (proc_info(arg[0], &info) != 0)
        return -1;
    return vm_copy_out(&process->space, arg[1], &info, sizeof info);
}

static int sys_slices(struct process *process, const uint32_t *arg)
{
    (void)arg;
    return (int)process->slices;
}

/* ---- console and files ------------------------------------------------------------------- */

static struct open_file *file_of(struct process *process, uint32_t descriptor)
{
    uint32_t index = descriptor - FIRST_FILE;
    return index < MAX_FILES && process->file[index].open ? &process->file[index] : NULL;
}

static int sys_write(struct process *process, const uint32_t *arg)
{
    if (arg[0] != 1 && arg[0] != 2)
        return -1;
    char piece[128];
    for (uint32_t done = 0; done < arg[2];) {
        uint32_t count = arg[2] - done < sizeof piece ? arg[2] - done : sizeof piece;
        if (vm_copy_in(&process->space, piece, arg[1] + done, count) != 0)
            return -1;
        for (uint32_t i = 0; i < count; i++)
            uart_put(piece[i]);
        done += count;
    }
    return (int)arg[2];
}

static int read_line(struct process *process, uint32_t to, uint32_t size)
{
    char line[LINE_SIZE];
    int count = console_read(line, size < sizeof line ? size : sizeof line);
    return vm_copy_out(&process->space, to, line, (uint32_t)count) == 0 ? count : -1;
}

static int sys_read(struct process *process, const uint32_t *arg)
{
    if (arg[0] == 0)
        return arg[2] > 0 ? read_line(process, arg[1], arg[2]) : 0;
    struct open_file *file = file_of(process, arg[0]);
    if (!file)
        return -1;
    char piece[256];
    uint32_t done = 0;
    while (done < arg[2]) {
        uint32_t count = arg[2] - done < sizeof piece ? arg[2] - done : sizeof piece;
        int got = fs_read(file->file, file->position, piece, count);
        if (got < 0 || vm_copy_out(&process->space, arg[1] + done, piece, (uint32_t)got) != 0)
            return -1;
        if (got == 0)
            break;
        done += (uint32_t)got;
        file->position += (uint32_t)got;
    }
    return (int)done;
}

static int sys_open(struct process *process, const uint32_t *arg)
{
    char path[NAME_SIZE];
    if (vm_copy_in_string(&process->space, path, arg[0], sizeof path) < 0)
        return -1;
    int file = fs_open(path);
    if (file < 0)
        return -1;
    for (int i = 0; i < MAX_FILES; i++) {
        if (!process->file[i].open) {
            process->file[i] = (struct open_file){.open = true, .file = file};
            return FIRST_FILE + i;
        }
    }
    return -1;
}

static int sys_close(struct process *process, const uint32_t *arg)
{
    struct open_file *file = file_of(process, arg[0]);
    if (!file)
        return -1;
    file->open = false;
    return 0;
}

static int sys_file(struct process *process, const uint32_t *arg)
{
    struct file_info info;
    if (fs_info(arg[0], &info) != 0)
        return -1;
    return vm_copy_out(&process->space, arg[1], &info, sizeof info);
}

/* ---- the machine ------------------------------------------------------------------------- */

/* 10,000 ticks are a millisecond. There is no division of 64 bits, so only 16 bits of the upper
 * half count: the answer wraps after some 20 days. */
static int sys_uptime(struct process *process, const uint32_t *arg)
{
    (void)process, (void)arg;
    uint64_t ticks = time_now();
    uint32_t high = (uint32_t)(ticks >> 16), low = (uint32_t)ticks & 0xffff;
    return (int)(high / 10000 * 65536 + (high % 10000 * 65536 + low) / 10000);
}

static int sys_freepages(struct process *process, const uint32_t *arg)
{
    (void)process, (void)arg;
    return (int)page_free_count();
}

static int sys_poweroff(struct process *process, const uint32_t *arg)
{
    (void)process;
    sbi_poweroff((int)arg[0]);
}

/* ---- dispatch ---------------------------------------------------------------------------- */

static const syscall_fn table[] = {
#define SYSCALL(number, name, arguments, meaning) [number] = sys_##name,
#include "syscall.def"
#undef SYSCALL
};

int syscall(struct process *process, const struct frame *frame)
{
    uint32_t number = frame->x[A7];
    if (number >= sizeof table / sizeof table[0] || !table[number])
        return -1;
    return table[number](process, &frame->x[A0]);
}
