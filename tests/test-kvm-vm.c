/* A virtual machine on KVM: runs, exits, kicks, halts, interrupts, dirty pages, stops. */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "hv/kvm/confine.h"

#include "tests/kvm-guest.h"

enum { PORT = 0x80, MMIO = 0xd0000000, LONG_MS = 300000, FOR_EVER_MS = 3600 * 1000 };

/* ---- a device that remembers ---------------------------------------------------------------- */

struct latch {
    struct device device;
    uint32_t value, offset, reads, writes;
    unsigned size;
};

static bool latch_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    struct latch *l = self;
    l->reads++;
    *value = l->value + offset;
    return true;
}

static bool latch_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct latch *l = self;
    l->writes++;
    l->offset = offset;
    l->size = size;
    l->value = value;
    return true;
}

static uint32_t latch_peek(const void *self, uint32_t offset, unsigned size)
{
    return ((const struct latch *)self)->value;
}

static const struct device_ops latch_ops = {latch_read, latch_write, latch_peek, NULL, NULL};

static struct kvm_vm vm;
static struct latch port, window;

static void plug(struct bus *bus, struct latch *latch, uint32_t base, uint32_t size)
{
    *latch = (struct latch){
        .device = {.name = "latch", .base = base, .size = size, .ops = &latch_ops, .self = latch}};
    ck_assert_int_eq(bus_plug(bus, &latch->device), 0);
}

static void start(unsigned vcpus)
{
    char why[256] = "";
    struct kvm_vm_config config = {.kvm_fd = -1, .memory = 2 << 20, .vcpus = vcpus};
    ck_assert_msg(kvm_vm_init(&vm, &config, why) == 0, "%s", why);
    plug(&vm.ports, &port, PORT, 4);
    plug(&vm.mmio, &window, MMIO, 0x1000);
}

static void setup(void)
{
    start(1);
}

static void teardown(void)
{
    kvm_vm_free(&vm);
}

static struct kvm_stop run(void)
{
    kvm_vm_arm(&vm);
    return kvm_vm_run(&vm, 1, LONG_MS);
}

/* ---- tests ---------------------------------------------------------------------------------- */

START_TEST(ports_reach_devices)
{
    static const uint8_t code[] = {
        0xb0, 0x41,           /* mov al, 0x41 */
        0xe6, PORT,           /* out PORT, al */
        0xe4, PORT + 1,       /* in al, PORT+1 */
        0xa2, 0x00,     0x20, /* mov [0x2000], al */
        0xe5, 0x90,           /* in ax, 0x90: nobody there */
        0xa3, 0x02,     0x20, /* mov [0x2002], ax */
        0xf4,                 /* hlt, with interrupts off */
    };
    uint8_t seen[4];
    guest_real_mode(&vm, code, sizeof code);
    kvm_vm_arm(&vm);
    struct kvm_stop stop = kvm_vm_run(&vm, 1, 200);
    ck_assert_int_eq(stop.kind, KVM_STOP_NONE);
    ck_assert_uint_eq(port.value, 0x41);
    ck_assert_uint_eq(port.writes, 1);
    ck_assert_uint_eq(port.reads, 1);
    ck_assert(kvm_memory_read(&vm.memory, 0x2000, seen, sizeof seen));
    ck_assert_uint_eq(seen[0], 0x42);
    ck_assert_uint_eq(seen[2], 0xff);
    ck_assert_uint_eq(seen[3], 0xff);
    ck_assert_uint_eq(vm.exits->count[KVM_EXIT_IO], 3);
    ck_assert_uint_eq(vm.exits->ring[0].address, PORT);
    ck_assert_uint_eq(vm.exits->ring[0].value, 0x41);
    ck_assert_ptr_eq(vm.exits->ring[0].device, &port.device);
    ck_assert(vm.exits->ring[0].write && !vm.exits->ring[1].write);
}
END_TEST

START_TEST(memory_reaches_devices)
{
    static const uint8_t code[] = {
        0xbb, 0x04, 0x00, 0x00, 0xd0,       /* mov ebx, MMIO + 4 */
        0xc7, 0x03, 0x78, 0x56, 0x34, 0x12, /* mov dword [ebx], 0x12345678 */
        0x8b, 0x43, 0x04,                   /* mov eax, [ebx + 4] */
        0xa3, 0x00, 0x20, 0x00, 0x00,       /* mov [0x2000], eax */
        0xeb, 0xfe,                         /* jmp . */
    };
    uint32_t seen;
    guest_protected_mode(&vm, code, sizeof code);
    kvm_vm_arm(&vm);
    kvm_vm_run(&vm, 1, 200);
    ck_assert_uint_eq(window.offset, 4);
    ck_assert_uint_eq(window.value, 0x12345678);
    ck_assert_uint_eq(window.size, 4);
    ck_assert(kvm_memory_read(&vm.memory, 0x2000, &seen, sizeof seen));
    ck_assert_uint_eq(seen, 0x12345678 + 8);
}
END_TEST

/* A kick before the run, and one during it, both end it; and the register state is whole. */
START_TEST(kicks_are_not_lost)
{
    static const uint8_t code[] = {0xe4, PORT, 0xeb, 0xfc}; /* again: in al, PORT; jmp again */
    guest_real_mode(&vm, code, sizeof code);
    kvm_vm_arm(&vm);
    kvm_vm_kick(&vm);
    kvm_vm_run(&vm, 1, FOR_EVER_MS); /* longer than a test may take */
    for (int i = 0; i < 50 || port.reads <= 50; i++) {
        port.value = 0x55;
        kvm_vm_arm(&vm);
        kvm_vm_run(&vm, 1, 1);
        struct kvm_regs regs = guest_regs(&vm);
        ck_assert(regs.rip == GUEST_CODE || regs.rip == GUEST_CODE + 2);
    }
    ck_assert_uint_eq(guest_regs(&vm).rax & 0xff, 0x55);
}
END_TEST

START_TEST(triple_fault_is_a_stop)
{
    static const uint8_t code[] = {0x0f, 0x0b}; /* ud2, and the IDT is empty */
    guest_protected_mode(&vm, code, sizeof code);
    struct kvm_sregs sregs = guest_sregs(&vm);
    sregs.idt.limit = 0;
    ck_assert_int_eq(ioctl(vm.vcpu[0].fd, KVM_SET_SREGS, &sregs), 0);
    ck_assert_int_eq(run().kind, KVM_STOP_SHUTDOWN);
    ck_assert_int_eq(run().kind, KVM_STOP_SHUTDOWN);
}
END_TEST

static void count_page(void *context, uint64_t offset)
{
    uint64_t *pages = context;
    pages[offset / KVM_PAGE / 64] |= 1ull << (offset / KVM_PAGE % 64);
}

START_TEST(dirty_pages_are_logged)
{
    static const uint8_t code[] = {
        0xc6, 0x05, 0x00, 0x50, 0x00, 0x00, 1, /* mov byte [0x5000], 1 */
        0xc6, 0x05, 0xff, 0x9f, 0x00, 0x00, 1, /* mov byte [0x9fff], 1 */
        0xeb, 0xfe,                            /* jmp . */
    };
    uint64_t pages[(2 << 20) / KVM_PAGE / 64] = {0};
    guest_protected_mode(&vm, code, sizeof code);
    ck_assert_int_eq(kvm_vm_log_dirty(&vm, true), 0);
    kvm_vm_arm(&vm);
    kvm_vm_run(&vm, 1, 100);
    ck_assert_int_eq(kvm_vm_dirty(&vm, count_page, pages), 0);
    ck_assert_uint_eq(pages[0], 1u << 5 | 1u << 9);
    memset(pages, 0, sizeof pages);
    ck_assert_int_eq(kvm_vm_dirty(&vm, count_page, pages), 0);
    ck_assert_uint_eq(pages[0], 0);
}
END_TEST

START_TEST(single_steps)
{
    static const uint8_t code[] = {0x40, 0x40, 0x40, 0xeb, 0xfb}; /* inc eax, three times; again */
    struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP};
    guest_protected_mode(&vm, code, sizeof code);
    ck_assert_int_eq(ioctl(vm.vcpu[0].fd, KVM_SET_GUEST_DEBUG, &debug), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        ck_assert_int_eq(run().kind, KVM_STOP_DEBUG);
        ck_assert_uint_eq(guest_regs(&vm).rax, i);
        ck_assert_uint_eq(guest_regs(&vm).rip, GUEST_CODE + i);
    }
}
END_TEST

START_TEST(int3_reaches_the_guest)
{
    static const uint8_t code[] = {0xcc, 0xeb, 0xfe}; /* int3; jmp . */
    static const uint8_t handler[] = {0xb0, 0x33, 0xe6,
                                      PORT, 0xeb, 0xfe}; /* out PORT, 0x33; jmp . */
    uint16_t vector[2] = {0x1800, 0};
    guest_real_mode(&vm, code, sizeof code);
    ck_assert(kvm_memory_write(&vm.memory, 3 * 4, vector, sizeof vector));
    ck_assert(kvm_memory_write(&vm.memory, 0x1800, handler, sizeof handler));
    kvm_vm_arm(&vm);
    kvm_vm_run(&vm, 1, 200);
    ck_assert_uint_eq(port.value, 0x33);
}
END_TEST

static int opened = -2, sent = -2;

/* In a vCPU's thread: what a guest that has broken out would try. */
static bool probe_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    opened = open("/etc/passwd", O_RDONLY) < 0 ? -errno : 0;
    sent = socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? -errno : 0;
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ((struct latch *)self)->value = code == MAP_FAILED;
    return true;
}

START_TEST(vcpu_threads_are_confined)
{
    static const uint8_t code[] = {0xe6, PORT, 0xe6, PORT, 0xf4};
    struct device_ops ops = latch_ops;
    char why[256] = "";
    struct kvm_vm_config config = {
        .kvm_fd = -1, .memory = 2 << 20, .vcpus = 1, .confine = kvm_confine};
    teardown();
    ck_assert_msg(kvm_vm_init(&vm, &config, why) == 0, "%s", why);
    plug(&vm.ports, &port, PORT, 4);
    ops.write = probe_write;
    port.device.ops = &ops;
    guest_real_mode(&vm, code, sizeof code);
    kvm_vm_arm(&vm);
    kvm_vm_run(&vm, 1, 300);
    ck_assert_int_eq(opened, -EPERM);
    ck_assert_int_eq(sent, -EPERM);
    ck_assert_uint_eq(port.value, 1);
    ck_assert_uint_eq(vm.exits->count[KVM_EXIT_IO], 2);
    ck_assert_int_ge(open("/etc/passwd", O_RDONLY), 0); /* this thread may */
}
END_TEST

/* A device's thread, which does nothing but come and go. */
static struct {
    atomic_bool between, over; /* two runs; all of them */
    atomic_uint inside, outside, begun;
    bool wrong; /* under `io` */
} visits;

static void *visit(void *unused)
{
    while (!atomic_load(&visits.over)) {
        if (!kvm_vm_enter(&vm)) {
            atomic_fetch_add(&visits.outside, 1);
            continue;
        }
        visits.wrong |= atomic_load(&visits.between);
        atomic_fetch_add(&visits.inside, 1);
        kvm_vm_leave(&vm);
    }
    return NULL;
}

static void count_begun(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

START_TEST(threads_of_devices_come_in_during_runs_only)
{
    static const uint8_t code[] = {0xe6, PORT, 0xeb, 0xfc}; /* 1: out PORT, al; jmp 1b */
    enum { RUNS = 50, RUN_MS = 2 };
    pthread_t thread;
    guest_real_mode(&vm, code, sizeof code);
    ck_assert(!kvm_vm_enter(&vm));
    vm.begun = count_begun;
    vm.begun_context = &visits.begun;
    atomic_store(&visits.between, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, visit, NULL), 0);
    for (unsigned i = 1; i <= RUNS; i++) {
        unsigned inside = atomic_load(&visits.inside), outside = atomic_load(&visits.outside);
        atomic_store(&visits.between, false);
        do {
            kvm_vm_arm(&vm);
            kvm_vm_run(&vm, 1, RUN_MS);
        } while (atomic_load(&visits.inside) == inside);
        atomic_store(&visits.between, true);
        while (atomic_load(&visits.outside) == outside)
            sched_yield();
        ck_assert_uint_ge(atomic_load(&visits.begun), i);
    }
    atomic_store(&visits.over, true);
    pthread_join(thread, NULL);
    ck_assert(!visits.wrong);
}
END_TEST

START_TEST(what_cannot_be_made)
{
    char why[256] = "";
    struct kvm_vm other;
    struct kvm_vm_config config = {
        .kvm_fd = open("/dev/null", O_RDWR), .memory = 1 << 20, .vcpus = 1};
    ck_assert_int_ne(kvm_vm_init(&other, &config, why), 0);
    ck_assert_str_ne(why, "");
    kvm_vm_free(&other);
    close(config.kvm_fd);
    config = (struct kvm_vm_config){.kvm_fd = -1, .memory = 1ull << 62, .vcpus = 1};
    ck_assert_int_ne(kvm_vm_init(&other, &config, why), 0);
    ck_assert_ptr_nonnull(strstr(why, "guest memory"));
    kvm_vm_free(&other);
}
END_TEST

int main(void)
{
    if (kvm_is_missing())
        return 0;
    Suite *suite = suite_create("kvm-vm");
    TCase *tests = tcase_create("vm");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, ports_reach_devices);
    tcase_add_test(tests, memory_reaches_devices);
    tcase_add_test(tests, kicks_are_not_lost);
    tcase_add_test(tests, triple_fault_is_a_stop);
    tcase_add_test(tests, dirty_pages_are_logged);
    tcase_add_test(tests, single_steps);
    tcase_add_test(tests, int3_reaches_the_guest);
    tcase_add_test(tests, vcpu_threads_are_confined);
    tcase_add_test(tests, threads_of_devices_come_in_during_runs_only);
    tcase_add_test(tests, what_cannot_be_made);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
