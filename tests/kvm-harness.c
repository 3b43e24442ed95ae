/* See kvm-harness.h. */
#include "config.h"

#include "tests/kvm-harness.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum { PORT_CONSOLE = 0x402, PORT_E9 = 0xe9, PORT_COM1 = 0x3f8, PORT_EXIT = 0x501 };
enum { CPUID_MAX = 256 };

static struct kvm_run *running; /* for the alarm */

bool harness_available(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    int vm = ioctl(fd, KVM_CREATE_VM, 0);
    close(fd);
    if (vm < 0)
        return false;
    close(vm);
    return true;
}

static int control(int fd, unsigned long request, const char *name, uintptr_t argument)
{
    int value = ioctl(fd, request, argument);
    ck_assert_msg(value >= 0, "%s: %s", name, strerror(errno));
    return value;
}
#define CONTROL(fd, request, argument) control(fd, request, #request, (uintptr_t)(argument))

static void add_slot(struct harness *h, unsigned slot, unsigned flags, uint64_t at, uint64_t size,
                     const void *host)
{
    struct kvm_userspace_memory_region region = {slot, flags, at, size, (uintptr_t)host};
    CONTROL(h->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void set_cpuid(struct harness *h)
{
    size_t size = sizeof(struct kvm_cpuid2) + CPUID_MAX * sizeof(struct kvm_cpuid_entry2);
    struct kvm_cpuid2 *cpuid = calloc(1, size);
    cpuid->nent = CPUID_MAX;
    CONTROL(h->kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
    CONTROL(h->vcpu, KVM_SET_CPUID2, cpuid);
    free(cpuid);
}

void harness_open(struct harness *h, uint64_t memory)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    memset(h, 0, sizeof *h);
    h->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(h->kvm, 0);
    h->vm = CONTROL(h->kvm, KVM_CREATE_VM, 0);
    CONTROL(h->vm, KVM_SET_TSS_ADDR, 0xfeffc000);
    CONTROL(h->vm, KVM_CREATE_IRQCHIP, 0);
    CONTROL(h->vm, KVM_CREATE_PIT2, &pit);
    ck_assert_int_eq(kvm_memory_init(&h->memory, memory), 0);
    add_slot(h, 0, 0, 0, h->memory.low, h->memory.host);
    if (h->memory.size > h->memory.low)
        add_slot(h, 1, 0, KVM_HIGH_BASE, h->memory.size - h->memory.low,
                 h->memory.host + h->memory.low);
    h->vcpu = CONTROL(h->vm, KVM_CREATE_VCPU, 0);
    h->run_size = (size_t)CONTROL(h->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    h->run = mmap(NULL, h->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, h->vcpu, 0);
    ck_assert_ptr_ne(h->run, MAP_FAILED);
    set_cpuid(h);
}

void harness_close(struct harness *h)
{
    munmap(h->run, h->run_size);
    close(h->vcpu);
    close(h->vm);
    close(h->kvm);
    kvm_memory_free(&h->memory);
    kvm_boot_state_free(&h->state);
}

void harness_boot(struct harness *h, const struct kvm_boot_config *config)
{
    struct kvm_boot_state *state = &h->state;
    struct kvm_sregs sregs;
    char why[KVM_BOOT_WHY] = "";
    int error = kvm_boot(config, &h->memory, state, why);
    ck_assert_msg(error == 0, "%s", why);
    CONTROL(h->vcpu, KVM_GET_SREGS, &sregs);
    kvm_boot_sregs(state, &sregs);
    CONTROL(h->vcpu, KVM_SET_SREGS, &sregs);
    CONTROL(h->vcpu, KVM_SET_REGS, &state->regs);
    if (state->rom)
        add_slot(h, 2, KVM_MEM_READONLY, state->rom_base, state->rom_size, state->rom);
}

/* ---- ports -------------------------------------------------------------------------------- */

static struct device *device_at(struct device *const *window, unsigned windows, uint64_t at)
{
    for (unsigned i = 0; i < windows; i++)
        if (at - window[i]->base < window[i]->size)
            return window[i];
    return NULL;
}

static uint32_t port_in(struct harness *h, uint16_t port, unsigned size)
{
    struct device *d = device_at(h->port, h->ports, port);
    uint32_t value;
    if (d && d->ops->read(d->self, port - d->base, size, &value))
        return value;
    return UINT32_MAX;
}

static void print(struct harness *h, uint32_t byte)
{
    if (h->output_count < HARNESS_OUTPUT - 1)
        h->output[h->output_count++] = (char)byte;
}

/* true: that was the end. */
static bool port_out(struct harness *h, uint16_t port, unsigned size, uint32_t value)
{
    struct device *d = device_at(h->port, h->ports, port);
    if (d) {
        d->ops->write(d->self, port - d->base, size, value);
    } else if (port == PORT_CONSOLE || port == PORT_E9 || port == PORT_COM1) {
        print(h, value);
    } else if (port == PORT_EXIT) {
        h->code = (int)value;
        return true;
    }
    return false;
}

static bool serve_io(struct harness *h)
{
    struct kvm_run *r = h->run;
    uint8_t *data = (uint8_t *)r + r->io.data_offset;
    bool end = false;
    for (unsigned i = 0; i < r->io.count; i++, data += r->io.size) {
        uint32_t value = 0;
        if (r->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, r->io.size);
            end |= port_out(h, r->io.port, r->io.size, value);
        } else {
            value = port_in(h, r->io.port, r->io.size);
            memcpy(data, &value, r->io.size);
        }
    }
    return end;
}

/* In words of up to 4 bytes, as the devices take them. */
static void serve_mmio(struct harness *h)
{
    struct kvm_run *r = h->run;
    struct device *d = device_at(h->mmio, h->mmios, r->mmio.phys_addr);
    unsigned size = r->mmio.len < 4 ? r->mmio.len : 4;
    for (unsigned i = 0; i < r->mmio.len; i += size) {
        uint32_t value = UINT32_MAX, offset = d ? (uint32_t)r->mmio.phys_addr - d->base + i : 0;
        if (r->mmio.is_write) {
            memcpy(&value, r->mmio.data + i, size);
            if (d)
                d->ops->write(d->self, offset, size, value);
        } else {
            if (d && !d->ops->read(d->self, offset, size, &value))
                value = UINT32_MAX;
            memcpy(r->mmio.data + i, &value, size);
        }
    }
}

/* ---- running ------------------------------------------------------------------------------ */

static void on_alarm(int number)
{
    running->immediate_exit = 1;
}

static void set_alarm(struct harness *h, unsigned milliseconds)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {
        .it_value = {milliseconds / 1000, milliseconds % 1000 * 1000},
        .it_interval = {milliseconds ? 1 : 0, 0},
    };
    running = h->run;
    h->run->immediate_exit = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static enum harness_end failed(struct harness *h)
{
    h->reason = h->run->exit_reason;
    h->detail = h->reason == KVM_EXIT_INTERNAL_ERROR ? h->run->internal.suberror : 0;
    return h->reason == KVM_EXIT_SHUTDOWN ? HARNESS_SHUTDOWN : HARNESS_FAILED;
}

enum harness_end harness_run(struct harness *h, unsigned milliseconds)
{
    enum harness_end end = HARNESS_TIMEOUT;
    set_alarm(h, milliseconds);
    for (;;) {
        if (ioctl(h->vcpu, KVM_RUN, 0) < 0) {
            if (errno == EINTR && !h->run->immediate_exit)
                continue;
            break;
        }
        if (h->run->exit_reason == KVM_EXIT_MMIO) {
            serve_mmio(h);
        } else if (h->run->exit_reason != KVM_EXIT_IO) {
            end = failed(h);
            break;
        } else if (serve_io(h)) {
            end = HARNESS_EXIT;
            break;
        }
        if (h->stop) {
            end = HARNESS_STOP;
            break;
        }
    }
    set_alarm(h, 0);
    h->output[h->output_count] = 0;
    return end;
}

static void wire_set(void *opaque, int number, bool level)
{
    struct kvm_irq_level line = {.irq = (uint32_t)number, .level = level};
    struct harness *h = opaque;
    CONTROL(h->vm, KVM_IRQ_LINE, &line);
}

struct irq_line harness_irq(struct harness *h, int number)
{
    return (struct irq_line){wire_set, h, number};
}

struct kvm_regs harness_regs(const struct harness *h)
{
    struct kvm_regs regs;
    CONTROL(h->vcpu, KVM_GET_REGS, &regs);
    return regs;
}
