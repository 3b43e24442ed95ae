/*
 * The first and only program of the Linux guest: process 1, which the kernel starts when it is done
 * with itself.
 *
 * There is no C library: a system call is an ecall with its number in a7, arguments in a0 to a5 and
 * the result, or a negative error, in a0 (call() below). The numbers are those of Linux's generic
 * table (include/uapi/asm-generic/unistd.h); 32-bit RISC-V is so young that it has only the
 * variants with 64-bit time, and waitid instead of wait4.
 *
 * Each of the steps in start() prints a line, and checks what it sees. At the end the computer is
 * switched off: by the kernel if all is well, else with exit code 1. With a disk the lines are
 * these, but for what depends on the kernel's version, the processor and the time:
 */
// expect: init: hello from Linux on riscv32, process 1
// expect: init: 4 children, each with 64 pages copied on write; shared sum 1000
// expect: init: a child wrote to address 16 and was killed by signal 11
// expect: init: sector 0 of the disk: a line of text in the first sector of a virtual disk
// expect: init: up for ms
// expect: init: all is well, switching off
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SYS_MOUNT = 40, SYS_OPENAT = 56, SYS_CLOSE = 57, SYS_READ = 63, SYS_WRITE = 64,
    SYS_EXIT = 93, SYS_WAITID = 95, SYS_REBOOT = 142, SYS_UNAME = 160, SYS_GETPID = 172,
    SYS_MUNMAP = 215, SYS_CLONE = 220, SYS_MMAP2 = 222, SYS_CLOCK_GETTIME64 = 403,
    SYS_CLOCK_NANOSLEEP64 = 407,
};

enum { PAGE = 4096, PAGES = 64, CHILDREN = 4, SECTOR = 512 };

/* ---- system calls ------------------------------------------------------------------------- */

static long call(long number, long a, long b, long c, long d, long e, long f)
{
    register long a7 asm("a7") = number;
    register long a0 asm("a0") = a, a1 asm("a1") = b, a2 asm("a2") = c;
    register long a3 asm("a3") = d, a4 asm("a4") = e, a5 asm("a5") = f;
    asm volatile("ecall"
                 : "+r"(a0)
                 : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7)
                 : "memory");
    return a0;
}

static long call3(long number, long a, long b, long c)
{
    return call(number, a, b, c, 0, 0, 0);
}

enum { O_RDONLY = 0, O_RDWR = 2, O_SYNC = 04010000 };

static int open(const char *path, int flags)
{
    enum { AT_FDCWD = -100 };
    return (int)call(SYS_OPENAT, AT_FDCWD, (long)path, flags, 0, 0, 0);
}

static long read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return fd;
    long got = call3(SYS_READ, fd, (long)text, (long)size - 1);
    call3(SYS_CLOSE, fd, 0, 0);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static long mount(const char *what, const char *where)
{
    return call(SYS_MOUNT, (long)what, (long)where, (long)what, 0, 0, 0);
}

enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_ANONYMOUS = 32 };

/* NULL if it cannot be; `offset` in the file in pages. */
static uint32_t *map(uint32_t pages, int flags, int fd, uint32_t offset)
{
    enum { PROT_READ_WRITE = 3 };
    long at = call(SYS_MMAP2, 0, (long)(pages * PAGE), PROT_READ_WRITE, flags, fd, (long)offset);
    return (unsigned long)at > -4096ul ? NULL : (uint32_t *)at;
}

static long fork(void)
{
    enum { SIGCHLD = 17 };
    return call(SYS_CLONE, SIGCHLD, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) static void leave(int status)
{
    for (;;)
        call3(SYS_EXIT, status, 0, 0);
}

/* How a child ended: why (1 it left, 2 it was killed) and its status, or the signal. */
struct ending {
    int signal, error, why, pid, user, status, unused[26];
};

static long wait_for(long pid, struct ending *ending)
{
    enum { P_PID = 1, WEXITED = 4 };
    return call(SYS_WAITID, P_PID, pid, (long)ending, WEXITED, 0, 0);
}

struct time64 {
    int64_t seconds, nanoseconds;
};

/* Milliseconds since the kernel has started, for some weeks. */
static uint32_t uptime(void)
{
    enum { CLOCK_MONOTONIC = 1 };
    struct time64 now = {0, 0};
    call3(SYS_CLOCK_GETTIME64, CLOCK_MONOTONIC, (long)&now, 0);
    return (uint32_t)now.seconds * 1000 + (uint32_t)now.nanoseconds / 1000000;
}

static void sleep_milliseconds(uint32_t count)
{
    enum { CLOCK_MONOTONIC = 1 };
    struct time64 length = {count / 1000, count % 1000 * 1000000};
    call(SYS_CLOCK_NANOSLEEP64, CLOCK_MONOTONIC, 0, (long)&length, 0, 0, 0);
}

/* Linux cannot switch off with an exit code, the board can: by its test finisher. */
static void power_off_with(uint32_t code)
{
    enum { FINISHER_PAGE = 0x100000 / PAGE, FINISHER_FAIL = 0x3333 };
    int memory = open("/dev/mem", O_RDWR | O_SYNC);
    volatile uint32_t *finisher = map(1, MAP_SHARED, memory, FINISHER_PAGE);
    if (finisher)
        *finisher = code << 16 | FINISHER_FAIL;
}

__attribute__((noreturn)) static void power_off(void)
{
    static const uint32_t magic[] = {0xfee1dead, 0x28121969}, off = 0x4321fedc;
    for (;;)
        call3(SYS_REBOOT, (long)magic[0], (long)magic[1], (long)off);
}

/* ---- text --------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *start)
{
    while (*start && *text == *start) {
        text++;
        start++;
    }
    return !*start;
}

/* A line on its way, so that it goes out with one system call. */
static struct {
    char text[256];
    size_t length;
} line;

static void put(const char *text)
{
    while (*text && line.length < sizeof line.text - 1)
        line.text[line.length++] = *text++;
}

static void put_number(uint32_t value)
{
    char digits[11], *first = digits + sizeof digits - 1;
    *first = '\0';
    do
        *--first = (char)('0' + value % 10);
    while (value /= 10);
    put(first);
}

static void end_line(void)
{
    line.text[line.length++] = '\n';
    call3(SYS_WRITE, 1, (long)line.text, (long)line.length);
    line.length = 0;
}

static void say(const char *text)
{
    put("init: ");
    put(text);
    end_line();
}

/* Says what does not hold, and gives the answer back. */
static bool check(bool holds, const char *what)
{
    if (!holds) {
        put("init: FAILED: ");
        put(what);
        end_line();
    }
    return holds;
}

/* ---- the steps ---------------------------------------------------------------------------- */

static bool greet(void)
{
    struct {
        char system[65], node[65], release[65], version[65], machine[65], domain[65];
    } name;
    if (!check(call3(SYS_UNAME, (long)&name, 0, 0) == 0, "uname"))
        return false;
    put("init: hello from ");
    put(name.system);
    put(" ");
    put(name.release);
    put(" on ");
    put(name.machine);
    put(", process ");
    put_number((uint32_t)call3(SYS_GETPID, 0, 0, 0));
    end_line();
    return true;
}

static bool mount_all(void)
{
    return check(mount("proc", "/proc") == 0, "mount proc") &
           check(mount("devtmpfs", "/dev") == 0, "mount devtmpfs");
}

/* What the kernel knows of the processor: it has read it in the device tree. */
static bool show_processor(void)
{
    static char text[1024];
    if (!check(read_file("/proc/cpuinfo", text, sizeof text) > 0, "read /proc/cpuinfo"))
        return false;
    for (const char *at = text; *at; at++) {
        if ((at == text || at[-1] == '\n') && (starts_with(at, "isa") || starts_with(at, "mmu"))) {
            put("init: cpu ");
            for (; *at && *at != '\n'; at++)
                put((char[]){*at == '\t' ? ' ' : *at, '\0'});
            end_line();
        }
    }
    return true;
}

static void write_pattern(uint32_t *memory, uint32_t seed)
{
    for (uint32_t i = 0; i < PAGES * PAGE / sizeof *memory; i++)
        memory[i] = seed ^ i * 2654435761u;
}

static bool has_pattern(const uint32_t *memory, uint32_t seed)
{
    for (uint32_t i = 0; i < PAGES * PAGE / sizeof *memory; i++)
        if (memory[i] != (seed ^ i * 2654435761u))
            return false;
    return true;
}

/* A child sees what its parent has written, and what it writes itself is its own (private) or
 * everybody's (shared). Its exit status says whether it was so. */
__attribute__((noreturn)) static void be_child(uint32_t number, uint32_t *private,
                                               volatile uint32_t *shared)
{
    bool inherited = has_pattern(private, 0);
    write_pattern(private, number);
    shared[number] = number * 100;
    leave(inherited && has_pattern(private, number) ? (int)number : 99);
}

/* Copy on write: after a fork both processes have the same pages, read-only, until one writes. */
static bool fork_children(void)
{
    uint32_t *private = map(PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t *shared = map(PAGES, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!check(private && shared, "mmap"))
        return false;
    bool well = true;
    long pid[CHILDREN + 1];
    write_pattern(private, 0);
    for (uint32_t n = 1; n <= CHILDREN; n++) {
        pid[n] = fork();
        if (pid[n] == 0)
            be_child(n, private, shared);
        well &= check(pid[n] > 0, "fork");
    }
    uint32_t sum = 0;
    for (uint32_t n = 1; n <= CHILDREN; n++) {
        struct ending ending;
        well &= check(wait_for(pid[n], &ending) == 0, "waitid");
        well &= check(ending.why == 1 && ending.status == (int)n, "a child's memory");
        sum += shared[n];
    }
    well &= check(has_pattern(private, 0), "the parent's memory is as before");
    well &= check(sum == 1000, "shared memory");
    well &= check(call3(SYS_MUNMAP, (long)private, PAGES * PAGE, 0) == 0, "munmap");
    put("init: 4 children, each with 64 pages copied on write; shared sum ");
    put_number(sum);
    end_line();
    return well;
}

/* A child that touches what is not mapped is killed, and nobody else is. */
static bool crash_child(void)
{
    enum { KILLED = 2, DUMPED = 3, SIGSEGV = 11 };
    struct ending ending;
    long pid = fork();
    if (pid == 0) {
        *(volatile int *)16 = 1;
        leave(0);
    }
    if (!check(pid > 0 && wait_for(pid, &ending) == 0, "waitid"))
        return false;
    put("init: a child wrote to address 16 and was killed by signal ");
    put_number((uint32_t)ending.status);
    end_line();
    return check((ending.why == KILLED || ending.why == DUMPED) && ending.status == SIGSEGV,
                 "how it was killed");
}

/* The first line of the first sector. */
static bool read_disk(void)
{
    static char sector[SECTOR + 1];
    if (open("/dev/vda", O_RDONLY) < 0) {
        say("no disk");
        return true;
    }
    if (!check(read_file("/dev/vda", sector, sizeof sector) == SECTOR, "read /dev/vda"))
        return false;
    put("init: sector 0 of the disk: ");
    for (size_t i = 0; sector[i] >= ' '; i++)
        put((char[]){sector[i], '\0'});
    end_line();
    return true;
}

static bool tell_time(void)
{
    uint32_t before = uptime();
    sleep_milliseconds(20);
    uint32_t after = uptime();
    put("init: up for ");
    put_number(after);
    put(" ms");
    end_line();
    return check(after - before >= 20, "sleeping");
}

__attribute__((noreturn)) void start(void);
void start(void)
{
    bool well = greet();
    well &= mount_all();
    well &= show_processor();
    well &= fork_children();
    well &= crash_child();
    well &= read_disk();
    well &= tell_time();
    say(well ? "all is well, switching off" : "something is wrong, switching off");
    if (!well)
        power_off_with(1);
    power_off();
}

/* The kernel starts a program with its arguments on the stack and nothing in registers. */
asm(".globl _start\n"
    "_start: .option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
    "andi sp, sp, -16\n"
    "j start\n");

/* The compiler may call these two by itself, for initializers and copies. */
void *memset(void *to, int value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((volatile char *)to)[i] = (char)value;
    return to;
}

void *memcpy(void *to, const void *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}
