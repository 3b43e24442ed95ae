/*
 * A VM's life: descriptors, memory slots, interrupt controllers, vCPUs and their threads. See vm.h.
 *
 * The order of creation is the order of kvm_vm_init(), and KVM asks for it: interrupt controllers
 * before vCPUs (each gets a local APIC when it is made), the timer after the controllers. Memory
 * comes first of all: once there are controllers, a change of slots waits for every reader of them,
 * milliseconds.
 */
#include "config.h"

#include "hv/kvm/vm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SLOT_LOW, SLOT_HIGH, SLOT_ROM };
enum { ROM_MAX = 16 << 20, WHY = 256 };

/* Intel processors without "unrestricted guest" need guest-physical addresses for real mode: three
 * pages for a TSS, and one for a page table that maps all to itself (api.rst, KVM_SET_TSS_ADDR and
 * KVM_SET_IDENTITY_MAP_ADDR). They lie right below the largest ROM; where KVM would put the latter
 * by itself a ROM of more than 272 KiB would be in the way. */
#define IDENTITY_ADDRESS 0xfeffc000ull
#define TSS_ADDRESS      0xfeffd000u

/* `error` is negative, as always. */
static int fail_with(char *why, const char *what, int error)
{
    snprintf(why, WHY, "%s: %s", what, strerror(-error));
    return error;
}

static int fail(char *why, const char *what)
{
    return fail_with(why, what, -errno);
}

/* ---- memory ------------------------------------------------------------------------------- */

static int set_slot(struct kvm_vm *vm, unsigned slot, uint64_t gpa, uint64_t size, void *host,
                    uint32_t flags)
{
    struct kvm_userspace_memory_region region = {.slot = slot,
                                                 .flags = flags,
                                                 .guest_phys_addr = gpa,
                                                 .memory_size = size,
                                                 .userspace_addr = (uintptr_t)host};
    return size && ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static int set_ram_slots(struct kvm_vm *vm)
{
    const struct kvm_memory *m = &vm->memory;
    int error = set_slot(vm, SLOT_LOW, 0, m->low, m->host, vm->slot_flags);
    return error ? error
                 : set_slot(vm, SLOT_HIGH, KVM_HIGH_BASE, m->size - m->low, m->host + m->low,
                            vm->slot_flags);
}

int kvm_vm_set_rom(struct kvm_vm *vm, const uint8_t *bytes, size_t size)
{
    if (!size || size > ROM_MAX || size % KVM_PAGE || vm->rom)
        return -EINVAL;
    vm->rom = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vm->rom == MAP_FAILED) {
        vm->rom = NULL;
        return -ENOMEM;
    }
    vm->rom_size = size;
    memcpy(vm->rom, bytes, size);
    return set_slot(vm, SLOT_ROM, KVM_HIGH_BASE - size, size, vm->rom, KVM_MEM_READONLY);
}

int kvm_vm_log_dirty(struct kvm_vm *vm, bool on)
{
    uint32_t flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
    if (flags == vm->slot_flags)
        return 0;
    vm->slot_flags = flags;
    return set_ram_slots(vm);
}

/* One slot's log: a bit for each page. Reading it clears it (api.rst, KVM_GET_DIRTY_LOG). */
static int read_log(struct kvm_vm *vm, unsigned slot, uint64_t offset, uint64_t size,
                    void (*page)(void *context, uint64_t offset), void *context)
{
    size_t words = (size / KVM_PAGE + 63) / 64;
    if (!words)
        return 0;
    uint64_t *bits = calloc(words, sizeof *bits);
    struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bits};
    int error = bits ? 0 : -ENOMEM;
    if (!error && ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log))
        error = -errno;
    for (size_t i = 0; i < words && !error; i++)
        for (uint64_t left = bits[i]; left; left &= left - 1)
            page(context, offset + (i * 64 + (unsigned)__builtin_ctzll(left)) * KVM_PAGE);
    free(bits);
    return error;
}

int kvm_vm_dirty(struct kvm_vm *vm, void (*page)(void *context, uint64_t offset), void *context)
{
    const struct kvm_memory *m = &vm->memory;
    int error = read_log(vm, SLOT_LOW, 0, m->low, page, context);
    return error ? error : read_log(vm, SLOT_HIGH, m->low, m->size - m->low, page, context);
}

/* ---- interrupts --------------------------------------------------------------------------- */

void kvm_vm_irq(void *opaque, int line, bool level)
{
    struct kvm_vm *vm = opaque;
    struct kvm_irq_level irq = {.irq = (uint32_t)line, .level = level};
    /* It cannot fail for a line that exists. */
    int error = ioctl(vm->fd, KVM_IRQ_LINE, &irq);
    assert(!error);
    (void)error;
}

/* ---- creation ----------------------------------------------------------------------------- */

static int open_kvm(struct kvm_vm *vm, char *why)
{
    vm->kvm = vm->config.kvm_fd;
    if (vm->kvm < 0) {
        vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        vm->own_kvm = true;
    }
    if (vm->kvm < 0)
        return fail(why, "/dev/kvm");
    int version = ioctl(vm->kvm, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        if (vm->own_kvm)
            snprintf(why, WHY, "/dev/kvm: this is no KVM of API version %d", KVM_API_VERSION);
        else
            snprintf(why, WHY, "/dev/kvm: descriptor %d is none", vm->kvm);
        return -EINVAL;
    }
    return 0;
}

static int create_vm(struct kvm_vm *vm, char *why)
{
    do
        vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
    while (vm->fd < 0 && errno == EINTR);
    return vm->fd < 0 ? fail(why, "/dev/kvm: no virtual machine could be made") : 0;
}

static struct kvm_irq_routing_entry route(uint32_t line, uint32_t chip, uint32_t pin)
{
    return (struct kvm_irq_routing_entry){
        .gsi = line, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = pin}};
}

/* A PC's wires: each of the first 16 lines goes to a PIC and to the I/O APIC; line 0, the timer's, to its
 * input 2, because input 0 was taken for the PICs; line 2 is the second PIC's. The rest go to the I/O
 * APIC alone. */
static int connect_lines(struct kvm_vm *vm)
{
    enum { ENTRIES = 64 };
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entry[ENTRIES];
    } table = {0};
    uint32_t n = 0;
    for (uint32_t line = 0; line < KVM_IOAPIC_NUM_PINS; line++) {
        if (line == 2)
            continue;
        if (line < 16)
            table.entry[n++] = route(line, line < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, line % 8);
        table.entry[n++] = route(line, KVM_IRQCHIP_IOAPIC, line ? line : 2);
    }
    table.head.nr = n;
    return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table) ? -errno : 0;
}

static int create_controllers(struct kvm_vm *vm, char *why)
{
    uint64_t identity = IDENTITY_ADDRESS;
    if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) ||
        ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDRESS))
        return fail(why, "/dev/kvm: no room for real mode");
    if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) || connect_lines(vm))
        return fail(why, "/dev/kvm: no interrupt controllers");
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit))
        return fail(why, "/dev/kvm: no interval timer");
    return 0;
}

static int create_memory(struct kvm_vm *vm, char *why)
{
    int error = kvm_memory_init(&vm->memory, vm->config.memory);
    if (!error)
        error = set_ram_slots(vm);
    if (error)
        snprintf(why, WHY, "%llu MiB of guest memory: %s",
                 (unsigned long long)(vm->config.memory >> 20), strerror(-error));
    return error;
}

/* What all of them need. */
static int prepare_vcpus(struct kvm_vm *vm, char *why)
{
    int size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < 0)
        return fail(why, "/dev/kvm");
    if (size < (int)sizeof(struct kvm_run))
        return fail_with(why, "/dev/kvm: a virtual processor's shared page", -EINVAL);
    vm->run_size = (size_t)size;
    int error = kvm_cpuid_init(vm);
    return error ? fail_with(why, "/dev/kvm: CPUID", error) : 0;
}

static int create_vcpu(struct kvm_vm *vm, unsigned index, char *why)
{
    struct kvm_vcpu *v = &vm->vcpu[index];
    v->vm = vm;
    v->index = index;
    v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, index);
    if (v->fd < 0)
        return fail(why, "/dev/kvm: no virtual processor could be made");
    vm->vcpus = index + 1;
    v->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED) {
        v->run = NULL;
        return fail(why, "/dev/kvm: a virtual processor's shared page");
    }
    v->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    int error = kvm_cpuid_set(v);
    if (error)
        return fail_with(why, "/dev/kvm: CPUID", error);
    if (pthread_create(&v->thread, NULL, kvm_vcpu_thread, v)) {
        snprintf(why, WHY, "the host gives no thread");
        return -EAGAIN;
    }
    v->has_thread = true;
    return 0;
}

/* KVM has a map from IDs to local APICs, which it makes anew when one of them changes; when a vCPU's
 * APIC is made the vCPU is not on KVM's list yet. Until one of the first things that a guest mostly
 * does, to switch its APIC on, an interrupt to the last vCPU alone would go nowhere. Putting the
 * state of one back as it is counts as a change. */
static int refresh_apic_map(struct kvm_vm *vm, char *why)
{
    struct kvm_lapic_state apic;
    int fd = vm->vcpu[0].fd;
    if (ioctl(fd, KVM_GET_LAPIC, &apic) || ioctl(fd, KVM_SET_LAPIC, &apic))
        return fail(why, "/dev/kvm: a local APIC");
    return 0;
}

int kvm_vm_keep(struct kvm_vm *vm, int fd)
{
    if (fd < 0)
        return 0;
    if (vm->keeps == KVM_KEEP_MAX)
        return -ENOSPC;
    vm->keep[vm->keeps++] = fd;
    return 0;
}

static void kicked(int signal) {}

/* The handler is the same for every VM of this program, so it does not matter who installs it. */
static void install_kick(void)
{
    struct sigaction action = {.sa_handler = kicked, .sa_flags = SA_RESTART};
    sigaction(KVM_SIGNAL_KICK, &action, NULL);
}

static void init_locks(struct kvm_vm *vm)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&vm->io, NULL);
    pthread_mutex_init(&vm->lock, NULL);
    pthread_cond_init(&vm->begin, NULL);
    pthread_cond_init(&vm->parked, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int kvm_vm_init(struct kvm_vm *vm, const struct kvm_vm_config *config, char *why)
{
    *vm = (struct kvm_vm){.config = *config, .kvm = -1, .fd = -1, .memory.fd = -1};
    assert(config->vcpus >= 1 && config->vcpus <= KVM_VCPUS_MAX);
    init_locks(vm);
    install_kick();
    vm->exits = calloc(1, sizeof *vm->exits);
    int error = vm->exits ? open_kvm(vm, why) : -ENOMEM;
    if (!vm->exits)
        snprintf(why, WHY, "the host has no memory left");
    if (!error)
        error = create_vm(vm, why);
    if (!error)
        error = create_memory(vm, why);
    if (!error)
        error = create_controllers(vm, why);
    if (error)
        return error;
    error = prepare_vcpus(vm, why);
    for (unsigned i = 0; i < config->vcpus && !error; i++)
        error = create_vcpu(vm, i, why);
    return error ? error : refresh_apic_map(vm, why);
}

static void end_threads(struct kvm_vm *vm)
{
    pthread_mutex_lock(&vm->lock);
    vm->quit = true;
    pthread_cond_broadcast(&vm->begin);
    pthread_mutex_unlock(&vm->lock);
    for (unsigned i = 0; i < vm->vcpus; i++)
        if (vm->vcpu[i].has_thread)
            pthread_join(vm->vcpu[i].thread, NULL);
}

void kvm_vm_free(struct kvm_vm *vm)
{
    end_threads(vm);
    for (unsigned i = 0; i < vm->vcpus; i++) {
        if (vm->vcpu[i].run)
            munmap(vm->vcpu[i].run, vm->run_size);
        close(vm->vcpu[i].fd);
    }
    if (vm->fd >= 0)
        close(vm->fd);
    if (vm->own_kvm && vm->kvm >= 0)
        close(vm->kvm);
    if (vm->rom)
        munmap(vm->rom, vm->rom_size);
    kvm_memory_free(&vm->memory);
    free(vm->cpuid);
    free(vm->exits);
    pthread_mutex_destroy(&vm->io);
    pthread_mutex_destroy(&vm->lock);
    pthread_cond_destroy(&vm->begin);
    pthread_cond_destroy(&vm->parked);
}

/* ---- running ------------------------------------------------------------------------------ */

/*
 * The flags of a kick, and the order in which they are written:
 *
 *      kick    immediate_exit = 1     leave = true     signal
 *      arm                            leave = false    immediate_exit = 0
 *
 * A vCPU that is about to enter the guest sees immediate_exit, one that is inside gets the signal
 * (api.rst, KVM_RUN), and one that comes out sees `leave`: there is no moment in between. Of a kick
 * and an arming at the same time either the kick counts, and `leave` stays, or it is forgotten as a
 * whole; a vCPU that could not enter and would not leave cannot come of it.
 */
static void set_immediate_exit(struct kvm_vm *vm, uint8_t value)
{
    for (unsigned i = 0; i < vm->vcpus; i++)
        __atomic_store_n(&vm->vcpu[i].run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

void kvm_vm_arm(struct kvm_vm *vm)
{
    atomic_store(&vm->leave, false);
    set_immediate_exit(vm, 0);
}

void kvm_vm_kick(struct kvm_vm *vm)
{
    set_immediate_exit(vm, 1);
    atomic_store(&vm->leave, true);
    for (unsigned i = 0; i < vm->vcpus; i++)
        if (vm->vcpu[i].has_thread)
            pthread_kill(vm->vcpu[i].thread, KVM_SIGNAL_KICK);
}

void kvm_vm_stop(struct kvm_vm *vm, struct kvm_stop stop)
{
    pthread_mutex_lock(&vm->lock);
    if (vm->stop.kind == KVM_STOP_NONE)
        vm->stop = stop;
    pthread_mutex_unlock(&vm->lock);
    kvm_vm_kick(vm);
}

static struct timespec deadline(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

/* Between two runs devices belong to the caller of kvm_vm_run() alone, who holds no lock: so other
 * threads are kept out in another way. */
static void set_open(struct kvm_vm *vm, bool open)
{
    pthread_mutex_lock(&vm->io);
    vm->open = open;
    pthread_mutex_unlock(&vm->io);
    if (open && vm->begun)
        vm->begun(vm->begun_context);
}

bool kvm_vm_enter(struct kvm_vm *vm)
{
    pthread_mutex_lock(&vm->io);
    bool open = vm->open;
    if (!open)
        pthread_mutex_unlock(&vm->io);
    return open;
}

void kvm_vm_leave(struct kvm_vm *vm)
{
    pthread_mutex_unlock(&vm->io);
}

struct kvm_stop kvm_vm_run(struct kvm_vm *vm, uint64_t mask, int ms)
{
    struct timespec until = deadline(ms);
    set_open(vm, true);
    pthread_mutex_lock(&vm->lock);
    vm->stop = (struct kvm_stop){.kind = KVM_STOP_NONE};
    for (unsigned i = 0; i < vm->vcpus; i++) {
        vm->vcpu[i].go = mask >> i & 1;
        vm->busy += vm->vcpu[i].go;
    }
    pthread_cond_broadcast(&vm->begin);
    while (vm->busy && pthread_cond_timedwait(&vm->parked, &vm->lock, &until) == 0)
        ;
    if (vm->busy)
        kvm_vm_kick(vm);
    while (vm->busy)
        pthread_cond_wait(&vm->parked, &vm->lock);
    struct kvm_stop stop = vm->stop;
    pthread_mutex_unlock(&vm->lock);
    set_open(vm, false);
    return stop;
}
