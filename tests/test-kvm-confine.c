/* What a vCPU's thread holds and may do: its descriptors, and the system calls that fail. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "hv/kvm/confine.h"
#include "hv/session.h"
#include "tests/kvm-guest.h"

enum { PORT = 0x80, VCPUS = 3, LONG_MS = 300000 };

static struct kvm_vm vm;

/* ---- a guest that writes to a port, and what is called then ---------------------------------- */

static void (*on_write)(uint32_t value);

static bool port_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    return false;
}

static bool port_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    on_write(value);
    return true;
}

static const struct device_ops OPS = {.read = port_read, .write = port_write};
static struct device port = {.name = "port", .base = PORT, .size = 1, .ops = &OPS};

static void start(int kvm_fd, unsigned vcpus)
{
    char why[256] = "";
    struct kvm_vm_config config = {
        .kvm_fd = kvm_fd, .memory = 2 << 20, .vcpus = vcpus, .confine = kvm_confine};
    ck_assert_msg(kvm_vm_init(&vm, &config, why) == 0, "%s", why);
    ck_assert_int_eq(bus_plug(&vm.ports, &port), 0);
}

/* Writes `value` to the port once; the run ends with that exit. */
static void write_port(uint8_t value)
{
    const uint8_t code[] = {0xb0, value, 0xe6, PORT, 0xeb, 0xfe}; /* mov al; out; jmp . */
    guest_real_mode(&vm, code, sizeof code);
    kvm_vm_arm(&vm);
    atomic_store(&vm.exit_wanted, true);
    ck_assert_int_eq(kvm_vm_run(&vm, UINT64_MAX, LONG_MS).kind, KVM_STOP_EXIT);
}

/* ---- system calls ---------------------------------------------------------------------------- */

static int open_file(void)
{
    return open("/etc/passwd", O_RDONLY);
}

static int make_file(void)
{
    return memfd_create("x", 0);
}

static int read_something(void)
{
    char byte;
    return (int)read(STDOUT_FILENO, &byte, 1);
}

static int make_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int make_pipe(void)
{
    int ends[2];
    return pipe(ends);
}

static int copy_descriptor(void)
{
    return dup(STDERR_FILENO);
}

static int start_program(void)
{
    char name[] = "true", *const arguments[] = {name, NULL};
    return execve("/bin/true", arguments, NULL);
}

/* Without vfork(2)'s sharing, by the call itself: the C library's wrapper would clean up. */
static int make_process(void)
{
    return (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static int signal_others(void)
{
    return kill(1, 0);
}

static int signal_a_thread_of_others(void)
{
    return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static int trace_others(void)
{
    return (int)ptrace(PTRACE_ATTACH, 1, NULL, NULL);
}

static int change_identity(void)
{
    return prctl(PR_SET_KEEPCAPS, 1);
}

static int map_code(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? -1 : 0;
}

static int make_code(void)
{
    static _Alignas(4096) uint8_t page[4096];
    return mprotect(page, sizeof page, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int make_vm(void)
{
    return ioctl(vm.kvm, KVM_CREATE_VM, 0);
}

static int make_vcpu(void)
{
    return ioctl(vm.fd, KVM_CREATE_VCPU, 63);
}

/* The guest's memory map is what keeps it out of the program's own memory. */
static int map_into_guest(void)
{
    struct kvm_userspace_memory_region region = {.slot = 9, .guest_phys_addr = 0xe0000000u};
    return ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int type_into_terminal(void)
{
    char c = 'x';
    return ioctl(STDERR_FILENO, TIOCSTI, &c);
}

static const struct {
    const char *what;
    int (*call)(void);
} FORBIDDEN[] = {
    {"open", open_file},
    {"memfd_create", make_file},
    {"read", read_something},
    {"socket", make_socket},
    {"pipe", make_pipe},
    {"dup", copy_descriptor},
    {"execve", start_program},
    {"clone", make_process},
    {"kill", signal_others},
    {"tgkill", signal_a_thread_of_others},
    {"ptrace", trace_others},
    {"prctl", change_identity},
    {"mmap, PROT_EXEC", map_code},
    {"mprotect, PROT_EXEC", make_code},
    {"KVM_CREATE_VM", make_vm},
    {"KVM_CREATE_VCPU", make_vcpu},
    {"KVM_SET_USER_MEMORY_REGION", map_into_guest},
    {"TIOCSTI", type_into_terminal},
};

static int result[ROWS(FORBIDDEN)], failure[ROWS(FORBIDDEN)];

/* On the vCPU's thread, as a guest that has broken out of a device would. */
static void try_call(uint32_t n)
{
    errno = 0;
    result[n] = FORBIDDEN[n].call();
    failure[n] = errno;
}

START_TEST(forbidden_calls_fail)
{
    start(-1, 1);
    on_write = try_call;
    write_port((uint8_t)_i);
    ck_assert_msg(result[_i] == -1 && failure[_i] == EPERM, "%s: %d, %s", FORBIDDEN[_i].what,
                  result[_i], strerror(failure[_i]));
    write_port((uint8_t)_i); /* and the guest goes on */
    ck_assert_uint_eq(vm.exits->count[KVM_EXIT_IO], 2);
    kvm_vm_free(&vm);
}
END_TEST

/* The filter is a thread's, not the program's. */
START_TEST(others_may_do_it)
{
    int fd;
    start(-1, 1);
    on_write = try_call;
    write_port(0);
    ck_assert_int_eq(failure[0], EPERM);
    fd = open_file();
    ck_assert_int_ge(fd, 0);
    close(fd);
    kvm_vm_free(&vm);
}
END_TEST

/* ---- descriptors ----------------------------------------------------------------------------- */

/* Descriptors of the threads whose names begin with `name`: how many threads, and for each
 * descriptor in how many of them it is. */
struct held {
    unsigned threads, by[1024];
};

static void count_descriptors(const char *thread, struct held *held)
{
    char path[512];
    snprintf(path, sizeof path, "/proc/self/task/%s/fd", thread);
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    held->threads++;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            held->by[atoi(entry->d_name) % 1024]++;
    closedir(folder);
}

static bool is_called(const char *thread, const char *name)
{
    char path[512], text[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", thread);
    FILE *file = fopen(path, "r");
    bool read = file && fgets(text, sizeof text, file);
    if (file)
        fclose(file);
    return read && !strncmp(text, name, strlen(name));
}

static struct held descriptors_of(const char *name)
{
    struct held held = {0};
    DIR *folder = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && is_called(entry->d_name, name))
            count_descriptors(entry->d_name, &held);
    closedir(folder);
    return held;
}

static struct held seen;

static void do_nothing(uint32_t value) {}

static unsigned all_of(const struct held *held)
{
    unsigned all = 0;
    for (int fd = 0; fd < 1024; fd++)
        all += held->by[fd];
    return all;
}

START_TEST(threads_hold_what_they_were_given)
{
    int before = open("/etc/passwd", O_RDONLY), disk = memfd_create("disk", 0);
    int counter = eventfd(0, 0);
    start(-1, VCPUS);
    ck_assert_int_eq(kvm_vm_keep(&vm, disk), 0);
    ck_assert_int_eq(kvm_vm_keep(&vm, counter), 0);
    ck_assert_int_eq(kvm_vm_keep(&vm, -1), 0);
    on_write = do_nothing;
    write_port(0);
    int after = open("/etc/passwd", O_RDONLY);
    write_port(0);
    seen = descriptors_of("vCPU");
    ck_assert_uint_eq(seen.threads, VCPUS);
    const int everybody[] = {vm.fd, vm.memory.fd, disk, counter, STDOUT_FILENO, STDERR_FILENO};
    for (int i = 0; i < ROWS(everybody); i++)
        ck_assert_uint_eq(seen.by[everybody[i]], VCPUS);
    for (int i = 0; i < VCPUS; i++)
        ck_assert_uint_eq(seen.by[vm.vcpu[i].fd], 1);
    ck_assert_uint_eq(all_of(&seen), VCPUS * (ROWS(everybody) + 1));
    ck_assert_uint_eq(seen.by[before] + seen.by[after] + seen.by[vm.kvm], 0);
    ck_assert(fcntl(before, F_GETFD) >= 0 && fcntl(vm.kvm, F_GETFD) >= 0); /* ours are as before */
    kvm_vm_free(&vm);
}
END_TEST

START_TEST(there_is_an_end_to_keeping)
{
    start(-1, 1);
    for (int i = 0; i < KVM_KEEP_MAX; i++)
        ck_assert_int_eq(kvm_vm_keep(&vm, STDOUT_FILENO), 0);
    ck_assert_int_eq(kvm_vm_keep(&vm, STDOUT_FILENO), -ENOSPC);
    on_write = do_nothing;
    write_port(0); /* repetitions do no harm */
    kvm_vm_free(&vm);
}
END_TEST

/* The whole of a session: its own descriptors, those of the test and the image are not there. */
START_TEST(a_session_gives_no_more)
{
    static const uint8_t code[] = {0xb0, '!', 0xe6, 0xe9, 0xeb, 0xfa}; /* prints without end */
    char image[] = "/tmp/vitrine-test-kvm-confine.XXXXXX", why[SESSION_ERROR] = "";
    int file = mkstemp(image), counter = eventfd(0, 0);
    struct session_config config;
    ck_assert_int_eq(write(file, code, sizeof code), sizeof code);
    session_config_init(&config);
    config.under = SESSION_KVM;
    config.image = image;
    config.boot_format = "flat16";
    config.cpus = 2;
    config.output_fd = counter;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    ck_assert_int_eq(session_step_exit(s), 0);
    ck_assert_int_eq(session_wait(s, LONG_MS), 0);
    ck_assert_int_eq(session_run(s), 0);
    seen = descriptors_of("vCPU");
    session_free(s);
    unlink(image);
    ck_assert_uint_eq(seen.threads, 2);
    ck_assert_uint_eq(seen.by[STDOUT_FILENO], 2);
    ck_assert_uint_eq(seen.by[counter], 2);
    ck_assert_uint_eq(seen.by[file], 0);
    ck_assert_uint_eq(all_of(&seen), 2 * 6); /* stdout, stderr, counter, VM, vCPU, memory */
}
END_TEST

/* ---- /dev/kvm from elsewhere ------------------------------------------------------------------
 */

START_TEST(kvm_is_handed_over)
{
    int fd = open("/dev/kvm", O_RDWR);
    if (geteuid() == 0) /* a user who may not open it */
        ck_assert(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    start(fd, 1);
    ck_assert_int_eq(vm.kvm, fd);
    on_write = try_call;
    write_port(0);
    ck_assert_int_eq(failure[0], EPERM);
    kvm_vm_free(&vm);
    ck_assert_int_eq(ioctl(fd, KVM_GET_API_VERSION, 0), KVM_API_VERSION); /* it stays ours */
    close(fd);
}
END_TEST

int main(void)
{
    if (kvm_is_missing())
        return 0;
    Suite *suite = suite_create("kvm-confine");
    TCase *tests = tcase_create("confine");
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, forbidden_calls_fail, 0, ROWS(FORBIDDEN));
    tcase_add_test(tests, others_may_do_it);
    tcase_add_test(tests, threads_hold_what_they_were_given);
    tcase_add_test(tests, there_is_an_end_to_keeping);
    tcase_add_test(tests, a_session_gives_no_more);
    tcase_add_test(tests, kvm_is_handed_over);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
