/*
 * Everything at once: kicks, stops, interrupts, pauses, steps, questions and snapshots from several
 * threads, while one to four vCPUs run.
 *
 * Each test does a fixed number of things and then ends. What it finds is a run that does not end
 * (a kick that was lost: the test's time runs out), registers in the middle of an instruction, or
 * exits that were not counted.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "hv/kvm/confine.h"
#include "hv/kvm/layers.h"
#include "hv/kvm/state.h"
#include "hv/session.h"
#include "tests/device.h"
#include "tests/kvm-guest.h"

enum { PORT = 0x80, VCPUS_MAX = 4, FOR_EVER_MS = 3600 * 1000, TEST_SECONDS = 600 };

static struct kvm_vm vm;

/* ---- a device that counts, and stops the run when it is told to ------------------------------ */

static uint64_t accesses, accesses_left;

static bool counted(void)
{
    accesses++;
    if (accesses_left && --accesses_left == 0)
        kvm_vm_stop(&vm, (struct kvm_stop){.kind = KVM_STOP_POWEROFF, .code = 7});
    return true;
}

static bool port_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = 0;
    return counted();
}

static bool port_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    return counted();
}

static const struct device_ops OPS = {.read = port_read, .write = port_write};
static struct device port = {.name = "port", .base = PORT, .size = 4, .ops = &OPS};

/* ---- guests ---------------------------------------------------------------------------------- */

/* All in real mode, from GUEST_CODE on, without end. */
static const struct guest {
    const char *name;
    uint8_t code[24];
    bool exits;
} GUESTS[] = {
    {"a loop", {0x90, 0xeb, 0xfd}, false},            /* again: nop; jmp again */
    {"output", {0xe6, PORT, 0xeb, 0xfc}, true},       /* again: out PORT, al; jmp again */
    {"input", {0xe4, PORT, 0xeb, 0xfc}, true},        /* again: in al, PORT; jmp again */
    {"halted", {0xf4, 0xeb, 0xfd}, false},            /* again: hlt; jmp again */
    {"strings",                                       /* again: mov dx, PORT; mov cx, 0xffff; */
     {0xba, PORT, 0x00, 0xb9, 0xff, 0xff, 0x31, 0xf6, /* xor si, si; rep outsb; jmp again */
      0xf3, 0x6e, 0xeb, 0xf4},
     true},
};

static void put_vcpu(unsigned index)
{
    struct kvm_sregs sregs;
    struct kvm_mp_state runs = {.mp_state = KVM_MP_STATE_RUNNABLE};
    struct kvm_regs regs = {.rip = GUEST_CODE, .rflags = 2, .rsp = 0x8000};
    int fd = vm.vcpu[index].fd;
    ck_assert_int_eq(ioctl(fd, KVM_GET_SREGS, &sregs), 0);
    sregs.cs.base = sregs.cs.selector = 0;
    ck_assert_int_eq(ioctl(fd, KVM_SET_SREGS, &sregs), 0);
    ck_assert_int_eq(ioctl(fd, KVM_SET_REGS, &regs), 0);
    ck_assert_int_eq(ioctl(fd, KVM_SET_MP_STATE, &runs), 0);
}

static void start(const struct guest *guest, unsigned vcpus)
{
    char why[256] = "";
    struct kvm_vm_config config = {
        .kvm_fd = -1, .memory = 2 << 20, .vcpus = vcpus, .confine = kvm_confine};
    ck_assert_msg(kvm_vm_init(&vm, &config, why) == 0, "%s", why);
    ck_assert_int_eq(bus_plug(&vm.ports, &port), 0);
    ck_assert(kvm_memory_write(&vm.memory, GUEST_CODE, guest->code, sizeof guest->code));
    for (unsigned i = 0; i < vcpus; i++)
        put_vcpu(i);
    accesses = accesses_left = 0;
}

/* Each loop test runs with each guest on 1..VCPUS_MAX vCPUs. */
enum { WAYS = ROWS(GUESTS) * VCPUS_MAX };

static const struct guest *start_way(int way)
{
    const struct guest *guest = &GUESTS[way / VCPUS_MAX];
    start(guest, 1 + (unsigned)way % VCPUS_MAX);
    return guest;
}

/* Between two runs no vCPU is in an access that it has not finished. */
static void check_registers(const struct guest *guest)
{
    for (unsigned i = 0; i < vm.vcpus; i++) {
        struct kvm_regs regs;
        ck_assert_int_eq(ioctl(vm.vcpu[i].fd, KVM_GET_REGS, &regs), 0);
        ck_assert(!vm.vcpu[i].unfinished);
        ck_assert_msg(regs.rip >= GUEST_CODE && regs.rip < GUEST_CODE + sizeof guest->code,
                      "%s: vCPU %u at 0x%llx", guest->name, i, regs.rip);
    }
}

/* ---- one kick for each run, at any moment ---------------------------------------------------- */

enum { RUNS = 150, LATEST = 4000 };

static atomic_int armed;
static atomic_bool over;

/* Kicks once for each run that was armed: before it begins, while it does, or later. */
static void *kick_once_a_run(void *context)
{
    struct random random = {(uintptr_t)context};
    for (int run = 1; run <= RUNS; run++) {
        while (atomic_load(&armed) < run)
            ;
        for (volatile uint32_t wait = random_below(&random, LATEST); wait; wait--)
            ;
        kvm_vm_kick(&vm);
    }
    return NULL;
}

START_TEST(no_kick_is_lost)
{
    pthread_t kicker;
    const struct guest *guest = start_way(_i);
    atomic_store(&armed, 0);
    ck_assert_int_eq(pthread_create(&kicker, NULL, kick_once_a_run, (void *)(uintptr_t)(_i + 1)),
                     0);
    for (int run = 1; run <= RUNS; run++) {
        kvm_vm_arm(&vm);
        atomic_store(&armed, run);
        ck_assert_int_eq(kvm_vm_run(&vm, UINT64_MAX, FOR_EVER_MS).kind, KVM_STOP_NONE);
        check_registers(guest);
    }
    pthread_join(kicker, NULL);
    ck_assert_uint_eq(vm.exits->total,
                      vm.exits->count[KVM_EXIT_IO] + vm.exits->count[KVM_EXIT_INTR]);
    kvm_vm_free(&vm);
}
END_TEST

/* ---- storms ---------------------------------------------------------------------------------- */

enum { STORM_THREADS = 3, STORM_RUNS = 60 };

static void *storm(void *context)
{
    struct random random = {(uintptr_t)context};
    while (!atomic_load(&over)) {
        if (random_below(&random, 2))
            kvm_vm_irq(&vm, (int)random_below(&random, 24), random_below(&random, 2));
        else
            kvm_vm_kick(&vm);
        sched_yield();
    }
    return NULL;
}

/* While the log holds all exits, their elements are all accesses. */
static void check_log(void)
{
    uint64_t elements = 0;
    if (vm.exits->total > KVM_EXIT_LOG)
        return;
    for (uint64_t n = 0; n < vm.exits->total; n++)
        if (vm.exits->ring[n].reason == KVM_EXIT_IO)
            elements += vm.exits->ring[n].count;
    ck_assert_uint_eq(elements, accesses);
}

/* Runs that end by themselves, by a kick or by the clock, all at the same time. Whatever it was:
 * each access was made once and counted once. */
START_TEST(storms_of_kicks_and_interrupts)
{
    pthread_t thread[STORM_THREADS];
    struct random random = {(unsigned)_i + 1};
    const struct guest *guest = start_way(_i);
    atomic_store(&over, false);
    for (int i = 0; i < STORM_THREADS; i++)
        ck_assert_int_eq(
            pthread_create(&thread[i], NULL, storm, (void *)(uintptr_t)(i + 100 * _i + 1)), 0);
    for (int run = 0; run < STORM_RUNS; run++) {
        accesses_left = random_below(&random, 40);
        uint64_t mask = 1 + random_below(&random, 15);
        kvm_vm_arm(&vm);
        struct kvm_stop stop = kvm_vm_run(&vm, mask, (int)random_below(&random, 3));
        ck_assert_msg(stop.kind == KVM_STOP_NONE ||
                          (stop.kind == KVM_STOP_POWEROFF && stop.code == 7),
                      "%s: stop %d", guest->name, stop.kind);
        check_registers(guest);
    }
    atomic_store(&over, true);
    for (int i = 0; i < STORM_THREADS; i++)
        pthread_join(thread[i], NULL);
    ck_assert(guest->exits || !accesses);
    check_log();
    kvm_vm_free(&vm);
}
END_TEST

/* ---- snapshots in between ---------------------------------------------------------------------
 */

enum { SNAPSHOT_ROUNDS = 25 };

/* Goes back to one state again and again, from runs that were torn off anywhere. */
START_TEST(snapshots_between_torn_runs)
{
    pthread_t kicker;
    const struct guest *guest = start_way(_i);
    struct state_buffer state = {0};
    struct kvm_layers *layers = kvm_layers_new(&vm);
    ck_assert_ptr_nonnull(layers);
    atomic_store(&over, false);
    ck_assert_int_eq(pthread_create(&kicker, NULL, storm, (void *)(uintptr_t)(_i + 1)), 0);
    kvm_vm_arm(&vm);
    kvm_vm_run(&vm, UINT64_MAX, 1);
    int id = kvm_layers_freeze(layers);
    ck_assert_int_ge(id, 0);
    ck_assert_int_eq(kvm_state_save(&vm, &state), 0);
    for (int round = 0; round < SNAPSHOT_ROUNDS; round++) {
        size_t at = 0;
        kvm_vm_arm(&vm);
        kvm_vm_run(&vm, UINT64_MAX, 1);
        ck_assert_int_eq(kvm_layers_restore(layers, id), 0);
        ck_assert_int_eq(kvm_state_load(&vm, state.bytes, state.count, &at), 0);
        check_registers(guest);
    }
    atomic_store(&over, true);
    pthread_join(kicker, NULL);
    state_buffer_free(&state);
    kvm_layers_free(layers);
    kvm_vm_free(&vm);
}
END_TEST

/* ---- sessions: every command and question from its own thread -------------------------------- */

enum { SESSION_THREADS = 4, SESSION_ACTIONS = 120 };

/* 32-bit, at 1 MiB: wakes the other vCPUs, which read port 0x71 for ever, and goes on with both
 * that and the debug console. */
static const uint8_t SMP_GUEST[] = {
    0xc7, 0x05, 0x00, 0x80, 0x00, 0x00, 0xe4, 0x71, 0xeb, 0xfc, /* mov [0x8000], their code */
    0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x00, 0x45, 0x0c, 0x00, /* mov [ICR], INIT to all others */
    0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x08, 0x46, 0x0c, 0x00, /* mov [ICR], start at 0x8000 */
    0xe4, 0x71,                                                 /* again: in al, 0x71 */
    0xb0, 0x2e, 0xe6, 0xe9,                                     /* mov al, '.'; out 0xe9, al */
    0xff, 0x05, 0x00, 0x90, 0x00, 0x00,                         /* inc dword [0x9000] */
    0xeb, 0xf2,                                                 /* jmp again */
};

static struct session *s;
static struct session_config config;
static char image[] = "/tmp/vitrine-test-kvm-race.XXXXXX";

static bool is_one_of(int error, int a, int b, int c)
{
    return error >= 0 || error == a || error == b || error == c;
}

static void command(struct random *random)
{
    char why[SESSION_ERROR] = "";
    int error = 0, id;
    unsigned which = random_below(random, 9);
    switch (which) {
    case 0: error = session_run(s); break;
    case 1: error = session_pause(s); break;
    case 2: error = session_step(s, 1 + random_below(random, 40)); break;
    case 3: error = session_step_exit(s); break;
    case 4: error = session_run_to(s, 0x100000 + random_below(random, sizeof SMP_GUEST)); break;
    case 5: error = session_set_vcpu(s, random_below(random, config.cpus)); break;
    case 6: error = session_snapshot(s, "x", why); break;
    case 7:
        id = session_snapshot(s, "y", why);
        error = id < 0 ? id : session_restore(s, id, why);
        break;
    case 8: error = session_reset(s); break;
    }
    ck_assert_msg(is_one_of(error, -EBUSY, -ESHUTDOWN, -ENOSPC), "command %u: %s %s", which,
                  strerror(-error), why);
}

static void question(struct random *random)
{
    struct view_status status;
    struct view_translation translation;
    struct view_exit exits[4];
    struct view_insn insn[4];
    static const struct session_break point = {.kind = BREAK_EXECUTE, .address = 0x10001e};
    int id;
    switch (random_below(random, 7)) {
    case 0: session_status(s, &status); break;
    case 1: session_translate(s, random_next(random), 'r', &translation); break;
    case 2: session_exits(s, 0, exits, 4); break;
    case 3: session_disassemble_pc(s, 1, insn, 4); break;
    case 4: session_input(s, (const uint8_t *)"abc", 3); break;
    case 5: session_digest(s); break;
    case 6:
        id = session_break_add(s, &point);
        ck_assert_msg(is_one_of(id, -ENOSPC, -EINVAL, 0), "%s", strerror(-id));
        if (id > 0)
            ck_assert_int_eq(session_break_remove(s, id), 0);
        break;
    }
}

static void *use_session(void *context)
{
    struct random random = {(uintptr_t)context};
    for (int i = 0; i < SESSION_ACTIONS; i++) {
        if (random_below(&random, 2))
            command(&random);
        else
            question(&random);
    }
    return NULL;
}

static void open_session(unsigned vcpus)
{
    char why[SESSION_ERROR] = "";
    int fd = mkstemp(image);
    ck_assert_int_eq(write(fd, SMP_GUEST, sizeof SMP_GUEST), sizeof SMP_GUEST);
    close(fd);
    session_config_init(&config);
    config.under = SESSION_KVM;
    config.image = image;
    config.boot_format = "flat32";
    config.memory = 4 << 20;
    config.cpus = vcpus;
    s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
}

static void close_session(void)
{
    session_free(s);
    unlink(image);
    strcpy(image + strlen(image) - 6, "XXXXXX");
}

/* Afterwards it is as good as new. */
static void check_session(void)
{
    struct view_status status;
    session_pause(s);
    ck_assert_int_eq(session_wait(s, FOR_EVER_MS), 0);
    session_status(s, &status);
    ck_assert_int_ne(status.state, SESSION_RUNNING);
    ck_assert_int_ne(status.stop, STOPPED_STUCK);
}

START_TEST(everybody_asks_a_session)
{
    pthread_t thread[SESSION_THREADS];
    open_session(1 + (unsigned)_i % VCPUS_MAX);
    for (int i = 0; i < SESSION_THREADS; i++)
        ck_assert_int_eq(
            pthread_create(&thread[i], NULL, use_session, (void *)(uintptr_t)(10 * _i + i + 1)), 0);
    for (int i = 0; i < SESSION_THREADS; i++)
        pthread_join(thread[i], NULL);
    check_session();
    close_session();
}
END_TEST

/* It may end at any moment, also while it runs. */
START_TEST(sessions_end_while_they_run)
{
    for (int i = 0; i < 10; i++) {
        open_session(1 + (unsigned)i % VCPUS_MAX);
        ck_assert_int_eq(session_run(s), 0);
        if (i % 3 == 0)
            session_pause(s);
        close_session();
    }
}
END_TEST

int main(void)
{
    if (kvm_is_missing())
        return 0;
    Suite *suite = suite_create("kvm-race");
    TCase *tests = tcase_create("race");
    tcase_set_timeout(tests, TEST_SECONDS);
    tcase_add_loop_test(tests, no_kick_is_lost, 0, WAYS);
    tcase_add_loop_test(tests, storms_of_kicks_and_interrupts, 0, WAYS);
    tcase_add_loop_test(tests, snapshots_between_torn_runs, 0, WAYS);
    tcase_add_loop_test(tests, everybody_asks_a_session, 0, VCPUS_MAX);
    tcase_add_test(tests, sessions_end_while_they_run);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
