/*
 * What hv/kvm costs beside the bare system calls. Prints one JSON object; bench.py makes a table of
 * it.
 *
 *      exit        a guest's write to a port and back: through the whole monitor, and in a loop
 *                  of nothing but KVM_RUN on the same virtual machine; in turns, medians
 *                  of processor time
 *
 *      start       from nothing to the guest's first instruction
 *
 *      snapshot    freeze, and restore to the first instruction, for 64 MiB of which the guest
 *                  writes some
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "hv/kvm/confine.h"
#include "hv/kvm/layers.h"
#include "hv/kvm/state.h"

enum { ROUNDS = 15, EXITS = 20000, PORT = 0x80, MEMORY = 64 << 20 };

static const uint8_t FLOOD[] = {0xe6, PORT, 0xeb, 0xfc}; /* again: out PORT, al; jmp again */
/* Real mode: writes a word to each page of the second 64 KiB, 16 pages; then a port. */
static const uint8_t TOUCH[] = {
    0xb8, 0x00, 0x10, 0x8e, 0xd8, /* again: mov ax, 0x1000; mov ds, ax */
    0x31, 0xdb,                   /* xor bx, bx */
    0xff, 0x07,                   /* next: inc word [bx] */
    0x81, 0xc3, 0x00, 0x10,       /* add bx, 0x1000 */
    0x75, 0xf8,                   /* jnz next */
    0xe6, PORT, 0xeb, 0xed,       /* out PORT, al; jmp again */
};

static void check(int error, const char *what)
{
    if (error < 0) {
        fprintf(stderr, "kvm bench: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Of all threads: what others do on the computer meanwhile does not count. */
static uint64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

/* ---- a port that ends the run after so many writes ------------------------------------------ */

static struct kvm_vm vm;
static uint64_t writes_left;

static bool port_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    return false;
}

static bool port_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    if (--writes_left == 0)
        kvm_vm_stop(&vm, (struct kvm_stop){.kind = KVM_STOP_POWEROFF});
    return true;
}

static const struct device_ops OPS = {.read = port_read, .write = port_write};
static struct device port = {.name = "port", .base = PORT, .size = 1, .ops = &OPS};

static void begin(const uint8_t *code, size_t size)
{
    char why[256] = "";
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = 0x1000, .rflags = 2};
    struct kvm_vm_config config = {
        .kvm_fd = -1, .memory = MEMORY, .vcpus = 1, .confine = kvm_confine};
    if (kvm_vm_init(&vm, &config, why)) {
        fprintf(stderr, "kvm bench: %s\n", why);
        exit(1);
    }
    bus_plug(&vm.ports, &port);
    kvm_memory_write(&vm.memory, 0x1000, code, size);
    check(ioctl(vm.vcpu[0].fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    sregs.cs.base = sregs.cs.selector = 0;
    check(ioctl(vm.vcpu[0].fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    check(ioctl(vm.vcpu[0].fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void run(uint64_t writes)
{
    writes_left = writes;
    kvm_vm_arm(&vm);
    if (kvm_vm_run(&vm, 1, 60000).kind != KVM_STOP_POWEROFF) {
        fprintf(stderr, "kvm bench: the guest has stopped\n");
        exit(1);
    }
}

/* ---- figures -------------------------------------------------------------------------------- */

static double monitor_round(void)
{
    uint64_t from = cpu_ns();
    run(EXITS);
    return (double)(cpu_ns() - from) / EXITS;
}

static double bare_round(void)
{
    vm.vcpu[0].run->immediate_exit = 0;
    uint64_t from = cpu_ns();
    for (int i = 0; i < EXITS; i++)
        check(ioctl(vm.vcpu[0].fd, KVM_RUN, 0), "KVM_RUN");
    return (double)(cpu_ns() - from) / EXITS;
}

static void measure_exits(void)
{
    double ours[ROUNDS], bare[ROUNDS], ratio[ROUNDS];
    begin(FLOOD, sizeof FLOOD);
    monitor_round();
    for (int i = 0; i < ROUNDS; i++) {
        ours[i] = monitor_round();
        bare[i] = bare_round();
        ratio[i] = ours[i] / bare[i];
    }
    kvm_vm_free(&vm);
    printf("{\"exit_ns\":%.0f,\"bare_exit_ns\":%.0f,\"exit_ratio\":%.3f", median(ours, ROUNDS),
           median(bare, ROUNDS), median(ratio, ROUNDS));
}

static void measure_start(void)
{
    double took[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t from = now_ns();
        begin(FLOOD, sizeof FLOOD);
        run(1);
        took[i] = (double)(now_ns() - from) / 1e6;
        kvm_vm_free(&vm);
    }
    printf(",\"start_ms\":%.3f", median(took, ROUNDS));
}

static void measure_snapshots(void)
{
    double freeze[ROUNDS], restore[ROUNDS];
    begin(TOUCH, sizeof TOUCH);
    struct kvm_layers *layers = kvm_layers_new(&vm);
    struct state_buffer state = {0};
    run(1);
    for (uint64_t at = 1 << 20; at < MEMORY; at += KVM_PAGE) /* memory that is really there */
        memset(vm.memory.host + at, (int)(at >> 12), 64);
    check(kvm_layers_freeze(layers), "freeze");
    for (int i = 0; i < ROUNDS; i++) {
        run(1);
        uint64_t from = now_ns();
        int id = kvm_layers_freeze(layers);
        check(id, "freeze");
        state_buffer_free(&state);
        check(kvm_state_save(&vm, &state), "save");
        freeze[i] = (double)(now_ns() - from) / 1e6;
        run(4);
        from = now_ns();
        size_t at = 0;
        check(kvm_layers_restore(layers, id), "restore");
        check(kvm_state_load(&vm, state.bytes, state.count, &at), "load");
        run(1);
        restore[i] = (double)(now_ns() - from) / 1e6;
    }
    printf(",\"snapshot_ms\":%.3f,\"restore_ms\":%.3f}\n", median(freeze, ROUNDS),
           median(restore, ROUNDS));
    state_buffer_free(&state);
    kvm_layers_free(layers);
    kvm_vm_free(&vm);
}

int main(void)
{
    measure_exits();
    measure_start();
    measure_snapshots();
    return 0;
}
