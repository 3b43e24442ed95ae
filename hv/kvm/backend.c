/*
 * The KVM backend of a session: an x86 guest's life. See hv/backend.h.
 *
 * The start-up order is that of make(): the virtual machine, the devices on its board, the image in
 * its memory, the first vCPU's registers. Reset does the last two again on the same machine.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cpu/symbols.h"
#include "hv/kvm/backend_priv.h"
#include "hv/kvm/boot.h"
#include "hv/kvm/confine.h"

/* ---- loading -------------------------------------------------------------------------------- */

static int set_registers(struct kvm_backend *b, const struct kvm_boot_state *boot)
{
    struct kvm_sregs sregs;
    int fd = b->vm.vcpu[0].fd;
    if (ioctl(fd, KVM_GET_SREGS, &sregs))
        return -errno;
    kvm_boot_sregs(boot, &sregs);
    return ioctl(fd, KVM_SET_SREGS, &sregs) || ioctl(fd, KVM_SET_REGS, &boot->regs) ? -errno : 0;
}

static struct kvm_boot_config boot_config(const struct kvm_backend *b)
{
    const struct session_config *c = b->config;
    struct kvm_boot_config config = {
        .image = c->image,
        .initrd = c->initrd,
        .args = c->kernel_args,
        .format = c->boot_format,
        .firmware = c->firmware,
        .disk = c->disk,
        .disk_image = kvm_board_disk(b->board),
        .cpus = c->cpus,
    };
    config.virtio = kvm_board_announce(b->board, &config.virtio_count);
    return config;
}

/* Firmware asks for what a loader would have told the guest. */
static int tell_firmware(struct kvm_backend *b, char *why)
{
    struct kvm_boot_config config = boot_config(b);
    int error =
        config.firmware ? kvm_boot_fwcfg(&config, &b->vm.memory, kvm_board_fwcfg(b->board)) : 0;
    if (error)
        snprintf(why, SESSION_ERROR, "%s: its tables: %s", config.firmware, strerror(-error));
    return error;
}

/* Puts the image into memory and the first vCPU in front of it. */
static int load_image(struct kvm_backend *b, char *why)
{
    const struct session_config *c = b->config;
    struct kvm_boot_config config = boot_config(b);
    struct kvm_boot_state boot;
    int error = kvm_boot(&config, &b->vm.memory, &boot, why);
    if (error)
        return error;
    if (boot.rom && !b->vm.rom) {
        error = kvm_vm_set_rom(&b->vm, boot.rom, boot.rom_size);
        if (error)
            snprintf(why, SESSION_ERROR, "%s: %s", c->firmware, strerror(-error));
    }
    if (!error && set_registers(b, &boot)) {
        error = -errno;
        snprintf(why, SESSION_ERROR, "the vCPU refuses its first state: %s", strerror(errno));
    }
    snprintf(b->format, sizeof b->format, "%s", boot.format_name);
    kvm_boot_state_free(&boot);
    return error;
}

static void load_symbols(struct kvm_backend *b)
{
    b->symbols = b->config->image ? symbols_load(b->config->image, true) : NULL;
}

int kvm_backend_reset(void *self, char *why)
{
    struct kvm_backend *b = self;
    kvm_memory_clear(&b->vm.memory);
    int error = kvm_backend_load(b, &b->initial);
    if (error)
        snprintf(why, SESSION_ERROR, "the reset has failed: %s", strerror(-error));
    else
        error = load_image(b, why);
    memset(b->vm.exits, 0, sizeof *b->vm.exits);
    b->detail[0] = 0;
    b->has_before = false;
    b->dirty_total = 0;
    b->vcpu = 0;
    return error;
}

/* ---- making --------------------------------------------------------------------------------- */

static void print_debug(struct kvm_backend *b)
{
    if (b->debug_count)
        session_console(b->session, b->debug, b->debug_count);
    b->debug_count = 0;
}

/* A line of the debug ports that waited for the end of one of the console's comes behind it. */
static void console_out(void *context, const uint8_t *bytes, size_t count)
{
    struct kvm_backend *b = context;
    session_console(b->session, bytes, count);
    b->in_line = count ? bytes[count - 1] != '\n' : b->in_line;
    if (!b->in_line && b->debug_count && b->debug[b->debug_count - 1] == '\n')
        print_debug(b);
}

void kvm_backend_flush_debug(struct kvm_backend *b, bool over)
{
    if (over || (b->debug_count == b->debug_seen && !b->in_line))
        print_debug(b);
    b->debug_seen = b->debug_count;
}

/* Firmware writes there and on the serial port at the same time, the same letters even. Line by
 * line that can be read, and in no line of the console's. */
static void debug_out(void *context, const uint8_t *bytes, size_t count)
{
    struct kvm_backend *b = context;
    for (size_t i = 0; i < count; i++) {
        b->debug[b->debug_count++] = bytes[i];
        if ((bytes[i] == '\n' && !b->in_line) || b->debug_count == DEBUG_BYTES)
            print_debug(b);
    }
}

static int check(const struct session_config *c, char *why)
{
    const uint64_t least = 1 << 20, most = 1ull << 40;
    if (!c->image && !c->firmware && !c->disk)
        snprintf(why, SESSION_ERROR, "no guest is named");
    else if (c->memory < least || c->memory > most || c->memory % KVM_PAGE)
        snprintf(why, SESSION_ERROR,
                 "memory of %llu bytes: it must be a multiple of 4 KiB from 1 MiB to 1 TiB",
                 (unsigned long long)c->memory);
    else if (c->cpus < 1 || c->cpus > KVM_VCPUS_MAX)
        snprintf(why, SESSION_ERROR, "%u vCPUs: it must be 1 to %d", c->cpus, KVM_VCPUS_MAX);
    else
        return 0;
    return -EINVAL;
}

static int make(struct kvm_backend *b, char *why)
{
    const struct session_config *c = b->config;
    struct kvm_vm_config vm = {
        .kvm_fd = c->kvm_fd,
        .memory = c->memory,
        .vcpus = c->cpus,
        .confine = c->no_seccomp ? NULL : kvm_confine,
    };
    struct kvm_board_config board = {
        .disk = c->disk,
        .disk_readonly = c->disk_readonly,
        .disk_open = session_disk_open(c),
        .net = c->net,
        .virtio_console = c->virtio_console,
        .balloon_pages = c->balloon_pages,
        .console = console_out,
        .debug = debug_out,
        .context = b,
    };
    b->has_vm = true;
    int error = kvm_vm_init(&b->vm, &vm, why);
    if (!error) {
        b->board = kvm_board_new(&b->vm, &board, why);
        error = b->board ? 0 : -EINVAL;
    }
    if (!error)
        error = kvm_vm_keep(&b->vm, c->output_fd); /* the first of them: there is room */
    if (error)
        return error;
    b->width = kvm_cpuid_width(&b->vm);
    b->layers = kvm_layers_new(&b->vm);
    b->disasm = kvm_disasm_new();
    error = b->layers && b->disasm ? kvm_backend_save(b, &b->initial) : -ENOMEM;
    if (error)
        snprintf(why, SESSION_ERROR, "the first state cannot be kept: %s", strerror(-error));
    if (!error)
        error = tell_firmware(b, why);
    return error ? error : load_image(b, why);
}

static void destroy(void *self)
{
    struct kvm_backend *b = self;
    if (!b)
        return;
    kvm_backend_end_disk(b); /* session_write_disk() tells of failures */
    /* Devices first: their threads raise interrupts in the VM. The vCPUs are parked. */
    kvm_board_free(b->board);
    kvm_backend_forget_snapshots(b);
    kvm_layers_free(b->layers);
    if (b->has_vm)
        kvm_vm_free(&b->vm);
    symbols_free(b->symbols);
    kvm_disasm_free(b->disasm);
    state_buffer_free(&b->initial);
    free(b);
}

static void *create(const struct session_config *config, struct session *session, char *why)
{
    if (check(config, why))
        return NULL;
    struct kvm_backend *b = calloc(1, sizeof *b);
    if (!b) {
        snprintf(why, SESSION_ERROR, "the host has no memory left");
        return NULL;
    }
    b->config = config;
    b->session = session;
    b->software_kvm = access("/sys/module/kvm_pvm", F_OK) == 0;
    if (make(b, why)) {
        destroy(b);
        return NULL;
    }
    load_symbols(b);
    return b;
}

static int set_vcpu(void *self, unsigned index)
{
    struct kvm_backend *b = self;
    if (index >= b->vm.vcpus)
        return -EINVAL;
    b->vcpu = index;
    b->has_before = false;
    return 0;
}

static int set_balloon(void *self, uint32_t pages)
{
    struct kvm_backend *b = self;
    kvm_board_set_balloon(b->board, pages);
    return 0;
}

static struct disk *disk_image(void *self)
{
    struct kvm_backend *b = self;
    return kvm_board_disk(b->board);
}

const struct backend_ops backend_kvm = {
    .create = create,
    .destroy = destroy,
    .reset = kvm_backend_reset,
    .begin = kvm_backend_begin,
    .slice = kvm_backend_slice,
    .kick = kvm_backend_kick,
    .points = kvm_backend_points,
    .events_mask = kvm_backend_events_mask,
    .set_vcpu = set_vcpu,
    .set_balloon = set_balloon,
    .status = kvm_backend_status,
    .view_registers = kvm_backend_view_registers,
    .disassemble = kvm_backend_disassemble,
    .disassemble_pc = kvm_backend_disassemble_pc,
    .translate = kvm_backend_translate,
    .view_table = kvm_backend_view_table,
    .view_memory = kvm_backend_view_memory,
    .view_dirty = kvm_backend_view_dirty,
    .write_memory = kvm_backend_write_memory,
    .write_register64 = kvm_backend_write_register64,
    .exits = kvm_backend_exits,
    .exit_stats = kvm_backend_exit_stats,
    .view_devices = kvm_backend_view_devices,
    .digest = kvm_backend_digest,
    .digest_all = kvm_backend_digest,
    .lookup = kvm_backend_lookup,
    .symbol = kvm_backend_symbol,
    .snapshot = kvm_backend_snapshot,
    .restore = kvm_backend_restore,
    .snapshots = kvm_backend_snapshots,
    .snapshot_delete = kvm_backend_snapshot_delete,
    .view_layers = kvm_backend_view_layers,
    .write_disk = kvm_backend_write_disk,
    .forget_past = kvm_backend_forget_past,
    .disk_image = disk_image,
    .keep_files = kvm_backend_keep_files,
    .save = kvm_backend_save_file,
    .load = kvm_backend_load_file,
    .move = &kvm_backend_move,
};
