/* What this host offers through KVM. See host.h. */
#include "config.h"

#include "hv/kvm/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "hv/kvm/vm.h"

/* ---- the processor and the kernel's modules ------------------------------------------------- */

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%.*s", (int)strcspn(from, "\n"), from);
}

static bool has_word(const char *line, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = line; (at = strstr(at, word)); at += length)
        if (at > line && strchr(" \t:", at[-1]) && strchr(" \n", at[length]))
            return true;
    return false;
}

static void look_at_processor(struct kvm_host *h)
{
    char line[8192];
    FILE *file = fopen("/proc/cpuinfo", "re");
    copy(h->extension, sizeof h->extension, "none that this system shows");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (value && !strncmp(line, "model name", 10))
            copy(h->processor, sizeof h->processor, value + 2);
        if (!value || strncmp(line, "flags", 5))
            continue;
        if (has_word(line, "vmx"))
            copy(h->extension, sizeof h->extension, "Intel VT-x");
        if (has_word(line, "svm"))
            copy(h->extension, sizeof h->extension, "AMD-V");
        h->virtualized = has_word(line, "hypervisor");
        break;
    }
    if (file)
        fclose(file);
}

static bool parameter_is_set(const char *path)
{
    char value[8] = "";
    FILE *file = fopen(path, "re");
    bool read = file && fgets(value, sizeof value, file);
    if (file)
        fclose(file);
    return read && (*value == 'Y' || *value == '1');
}

static void look_at_modules(struct kvm_host *h)
{
    static const struct {
        const char *folder, *name, *paging;
    } MODULES[] = {
        {"/sys/module/kvm_intel", "kvm_intel", "/sys/module/kvm_intel/parameters/ept"},
        {"/sys/module/kvm_amd", "kvm_amd", "/sys/module/kvm_amd/parameters/npt"},
        {"/sys/module/kvm_pvm", "kvm_pvm", ""},
    };
    for (size_t i = 0; i < sizeof MODULES / sizeof *MODULES; i++) {
        if (access(MODULES[i].folder, F_OK))
            continue;
        copy(h->module, sizeof h->module, MODULES[i].name);
        h->nested_paging = parameter_is_set(MODULES[i].paging);
    }
}

/* ---- access --------------------------------------------------------------------------------- */

static void refuse(struct kvm_host *h, enum kvm_access access, const char *reason,
                   const char *remedy)
{
    h->access = access;
    copy(h->reason, sizeof h->reason, reason);
    copy(h->remedy, sizeof h->remedy, remedy);
}

static void explain_open(struct kvm_host *h, int error)
{
    bool extension = strcmp(h->extension, "none that this system shows") != 0;
    if (error == EACCES || error == EPERM)
        refuse(h, KVM_REFUSED, "/dev/kvm is there, but this user may not open it",
               "join its group and log in again: sudo usermod -aG kvm \"$USER\"");
    else if (error != ENOENT && error != ENODEV && error != ENXIO)
        refuse(h, KVM_STRANGE, strerror(error), "see the kernel's log: sudo dmesg | grep -i kvm");
    else if (extension)
        refuse(h, KVM_NO_DEVICE, "there is no /dev/kvm, though the processor could",
               "load the module: sudo modprobe kvm_intel (or kvm_amd); if that fails, switch "
               "virtualization on in the firmware's setup");
    else if (h->virtualized)
        refuse(h, KVM_NO_DEVICE, "there is no /dev/kvm: this system is itself a virtual machine",
               "switch nested virtualization on in the monitor below it, or use a real computer");
    else
        refuse(h, KVM_NO_DEVICE, "there is no /dev/kvm, and the processor shows no VT-x or AMD-V",
               "switch virtualization (VT-x, SVM) on in the firmware's setup");
}

static void explain_answer(struct kvm_host *h, int fd)
{
    char reason[KVM_HOST_TEXT];
    snprintf(reason, sizeof reason, "descriptor %d is not an open /dev/kvm", fd);
    if (fd >= 0)
        refuse(h, KVM_STRANGE, reason,
               "open it for reading and writing: vitrine run GUEST --kvm-fd 3 3<>/dev/kvm");
    else
        refuse(h, KVM_STRANGE, "/dev/kvm does not answer as KVM does",
               "see what it is: ls -l /dev/kvm");
}

/* ---- capabilities --------------------------------------------------------------------------- */

static const struct {
    int capability;
    bool counts; /* its value is a number of something; else bits or a version, which is "yes" */
    const char *name, *meaning;
} FEATURES[] = {
    {KVM_CAP_NR_VCPUS, true, "vCPUs, recommended", "more than this run, but take turns"},
    {KVM_CAP_MAX_VCPUS, true, "vCPUs, at most", "of one virtual machine"},
    {KVM_CAP_NR_MEMSLOTS, true, "memory slots", "pieces of guest memory that can be mapped apart"},
    {KVM_CAP_IRQCHIP, false, "interrupt controllers",
     "PIC, I/O APIC and local APICs in the kernel: no exits"},
    {KVM_CAP_PIT2, false, "interval timer", "the PC's timer in the kernel: no exits"},
    {KVM_CAP_TSC_DEADLINE_TIMER, false, "deadline timer",
     "the local APIC's timer by the time stamp counter"},
    {KVM_CAP_IRQFD, false, "irqfd", "an interrupt by writing to a descriptor"},
    {KVM_CAP_IOEVENTFD, false, "ioeventfd",
     "a guest's doorbell rings a descriptor, without an exit to us"},
    {KVM_CAP_COALESCED_PIO, false, "coalesced access",
     "writes are collected instead of an exit each"},
    {KVM_CAP_IMMEDIATE_EXIT, false, "immediate exit",
     "a kick is never lost between looking and entering"},
    {KVM_CAP_SYNC_REGS, false, "shared registers",
     "registers come with the exit, without a system call"},
    {KVM_CAP_SET_GUEST_DEBUG, false, "guest debugging", "single steps and breakpoints"},
    {KVM_CAP_READONLY_MEM, false, "read-only memory", "ROM: writes are exits"},
    {KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, false, "manual dirty log",
     "the log of written pages, cleared in parts"},
    {KVM_CAP_DIRTY_LOG_RING, false, "dirty ring",
     "written pages in a ring, as migration wants them"},
    {KVM_CAP_XSAVE, false, "XSAVE state", "vector registers can be saved and restored"},
    {KVM_CAP_ADJUST_CLOCK, false, "clock", "the guest's clock can be saved and restored"},
    {KVM_CAP_X86_SMM, false, "system management mode", "for firmware that wants it"},
    {KVM_CAP_TSC_CONTROL, false, "TSC scaling",
     "a guest can go on under another host's time stamp frequency"},
};

static void look_at_features(struct kvm_host *h, int fd)
{
    for (size_t i = 0; i < sizeof FEATURES / sizeof *FEATURES; i++) {
        int value = ioctl(fd, KVM_CHECK_EXTENSION, FEATURES[i].capability);
        h->feature[h->features++] =
            (struct kvm_host_feature){FEATURES[i].name, FEATURES[i].meaning,
                                      value < 0                          ? 0
                                      : value > 1 && !FEATURES[i].counts ? 1
                                                                         : value};
    }
}

/* ---- measuring ------------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A guest that writes to a port for ever, in real mode at 0x1000. */
static int prepare_guest(struct kvm_vm *vm)
{
    static const uint8_t CODE[] = {0xe6, 0x80, 0xeb, 0xfc}; /* again: out 0x80, al; jmp again */
    struct kvm_regs regs = {.rip = 0x1000, .rflags = 2};
    struct kvm_sregs sregs;
    int fd = vm->vcpu[0].fd;
    if (!kvm_memory_write(&vm->memory, 0x1000, CODE, sizeof CODE) ||
        ioctl(fd, KVM_GET_SREGS, &sregs))
        return -errno;
    sregs.cs.base = sregs.cs.selector = 0;
    return ioctl(fd, KVM_SET_SREGS, &sregs) || ioctl(fd, KVM_SET_REGS, &regs) ? -errno : 0;
}

/* To the guest's next store and back. A signal (one that stops this program, say) is none of its
 * doing. */
static int one_exit(const struct kvm_vcpu *v)
{
    int error;
    do
        error = ioctl(v->fd, KVM_RUN, 0) ? -errno : 0;
    while (error == -EINTR);
    return error || v->run->exit_reason == KVM_EXIT_IO ? error : -EIO;
}

static void measure(struct kvm_host *h, int fd)
{
    enum { ROUNDS = 301 };
    struct kvm_vm vm;
    struct kvm_vm_config config = {.kvm_fd = fd, .memory = 16 << 20, .vcpus = 1};
    char why[256];
    uint64_t from = now_ns(), took[ROUNDS];
    int error = kvm_vm_init(&vm, &config, why);
    h->create_ns = now_ns() - from;
    if (!error)
        error = prepare_guest(&vm);
    for (int i = 0; i < ROUNDS && !error; i++) {
        from = now_ns();
        error = one_exit(&vm.vcpu[0]);
        took[i] = now_ns() - from;
    }
    if (error)
        refuse(h, KVM_STRANGE, "a guest of two instructions does not run",
               "see the kernel's log: sudo dmesg | grep -i kvm");
    else
        qsort(took, ROUNDS, sizeof *took, by_size);
    h->exit_ns = error ? 0 : took[ROUNDS / 2];
    kvm_vm_free(&vm);
}

void kvm_host_look(int fd, struct kvm_host *h)
{
    *h = (struct kvm_host){.access = KVM_USABLE};
    look_at_processor(h);
    look_at_modules(h);
    int kvm = fd >= 0 ? fd : open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        explain_open(h, errno);
        return;
    }
    h->api = ioctl(kvm, KVM_GET_API_VERSION, 0);
    if (h->api != KVM_API_VERSION) {
        explain_answer(h, fd);
    } else {
        look_at_features(h, kvm);
        measure(h, kvm);
    }
    if (fd < 0)
        close(kvm);
}
