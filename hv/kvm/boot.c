/*
 * From a file to a guest that can start: which format it is, and what all formats share. See boot.h
 * for the formats and boot_priv.h for where things go.
 *
 * Every number in a file is distrusted. A range of memory is claimed before anything is written to
 * it, and a claim checks that the range is RAM and that nobody else has it.
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGE_MAX = 512 << 20 };

/* In the order in which they are tried. */
static const struct boot_format formats[] = {
    {"pvh", boot_is_pvh, boot_load_pvh},
    {"multiboot2", boot_is_multiboot2, boot_load_multiboot2},
    {"multiboot", boot_is_multiboot, boot_load_multiboot},
    {"elf64", boot_is_elf64, boot_load_elf64},
    {"elf32", boot_is_elf32, boot_load_elf32},
    {"bzimage", boot_is_bzimage, boot_load_bzimage},
    {"bootsector", boot_is_sector, boot_load_sector},
    {"flat16", NULL, boot_load_flat16},
    {"flat32", NULL, boot_load_flat32},
    {"flat64", NULL, boot_load_flat64},
    {"firmware", NULL, boot_load_firmware},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

const char *kvm_boot_format(unsigned n)
{
    return n < FORMATS ? formats[n].name : NULL;
}

int boot_refuse(const struct boot *b, const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(b->why, KVM_BOOT_WHY, "%.240s: %s", b->name, reason);
    return -EINVAL;
}

/* ---- memory ------------------------------------------------------------------------------- */

int boot_claim(struct boot *b, uint64_t start, uint64_t size, const char *what)
{
    if (!size)
        return 0;
    if (!kvm_memory_at(b->memory, start, size))
        return boot_refuse(b, "%s (0x%llx, %llu bytes) is outside the guest's %llu MiB of memory",
                           what, (unsigned long long)start, (unsigned long long)size,
                           (unsigned long long)b->memory->size >> 20);
    for (unsigned i = 0; i < b->claims; i++) {
        const struct boot_range *c = &b->claim[i];
        if (start - c->start < c->size || c->start - start < size)
            return boot_refuse(b, "%s (0x%llx, %llu bytes) overlaps %s", what,
                               (unsigned long long)start, (unsigned long long)size, c->what);
    }
    if (b->claims == BOOT_CLAIMS)
        return boot_refuse(b, "more than %d parts in memory", BOOT_CLAIMS);
    b->claim[b->claims++] = (struct boot_range){start, size, what};
    return 0;
}

int boot_claim_low(struct boot *b)
{
    int error = boot_claim(b, 0, BOOT_LOW_END, "the boot information below 64 KiB");
    return error ? error
                 : boot_claim(b, BOOT_ACPI, BOOT_MIB - BOOT_ACPI,
                              "the ACPI tables between 896 KiB and 1 MiB");
}

void boot_put(const struct boot *b, uint64_t at, const void *bytes, size_t count)
{
    bool done = kvm_memory_write(b->memory, at, bytes, count);
    assert(done);
    (void)done;
}

/* Whole pages are given back to the host, so that an empty .bss costs nothing: what is read from
 * them next is zero. */
void boot_clear(const struct boot *b, uint64_t at, uint64_t count)
{
    uint64_t head = -at & (KVM_PAGE - 1);
    head = head < count ? head : count;
    uint64_t whole = (count - head) & ~(uint64_t)(KVM_PAGE - 1);
    uint8_t *host = kvm_memory_at(b->memory, at, count);
    assert(host);
    memset(host, 0, head);
    if (whole && madvise(host + head, whole, MADV_REMOVE))
        memset(host + head, 0, whole);
    memset(host + head + whole, 0, count - head - whole);
}

/* ---- files -------------------------------------------------------------------------------- */

/* An open regular file and its size, or -EINVAL with a reason. */
static int open_file(const struct boot *b, size_t max, size_t *size)
{
    if (!b->name[0])
        return boot_refuse(b, "an empty file name");
    /* Not blocking: opening a FIFO must not hang. */
    int fd = open(b->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return boot_refuse(b, "%s", strerror(errno));
    struct stat st;
    int error = 0;
    if (fstat(fd, &st))
        error = boot_refuse(b, "%s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        error = boot_refuse(b, "is a directory");
    else if (!S_ISREG(st.st_mode))
        error = boot_refuse(b, "not a regular file");
    else if (st.st_size == 0)
        error = boot_refuse(b, "the file is empty");
    else if ((uint64_t)st.st_size > max)
        error = boot_refuse(b, "the file is larger than %zu %s", max >= BOOT_MIB ? max >> 20 : max,
                            max >= BOOT_MIB ? "MiB" : "bytes");
    if (error) {
        close(fd);
        return error;
    }
    *size = (size_t)st.st_size;
    return fd;
}

static uint64_t page_down(uint64_t at)
{
    return at & ~(uint64_t)(KVM_PAGE - 1);
}

static int read_bytes(const struct boot *b, int fd, uint8_t *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t got = read(fd, bytes + done, count - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return boot_refuse(b, "%s", strerror(errno));
        if (got == 0)
            return boot_refuse(b, "the file has become shorter while it was read");
        done += (size_t)got;
    }
    return 0;
}

uint8_t *boot_read_file(const struct boot *b, size_t max, size_t *count)
{
    int fd = open_file(b, max, count);
    if (fd < 0)
        return NULL;
    /* From a page on, because firmware becomes a memory slot as it is. */
    uint8_t *bytes = aligned_alloc(KVM_PAGE, page_down(*count + KVM_PAGE - 1));
    int error =
        bytes ? read_bytes(b, fd, bytes, *count) : boot_refuse(b, "the host has no memory left");
    close(fd);
    if (!error)
        return bytes;
    free(bytes);
    return NULL;
}

bool boot_read_start(const struct boot *b, uint8_t *bytes, size_t count)
{
    size_t size;
    int fd = open_file(b, SIZE_MAX, &size);
    if (fd < 0)
        return false;
    int error = size < count ? boot_refuse(b, "the file has only %zu bytes", size)
                             : read_bytes(b, fd, bytes, count);
    close(fd);
    return !error;
}

/* ---- initial RAM disk --------------------------------------------------------------------- */

/* The first address from `floor` on with room between the claims. */
static uint64_t room_above(const struct boot *b, uint64_t floor, uint64_t size)
{
    uint64_t at = page_down(floor + KVM_PAGE - 1);
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned i = 0; i < b->claims; i++) {
            const struct boot_range *c = &b->claim[i];
            if (at - c->start < c->size || c->start - at < size) {
                at = page_down(c->start + c->size + KVM_PAGE - 1);
                moved = true;
            }
        }
    }
    return at;
}

/* The last address below `limit` with room between the claims; 0: there is none. */
static uint64_t room_below(const struct boot *b, uint64_t limit, uint64_t size)
{
    uint64_t end = limit;
    for (bool moved = true; moved;) {
        if (end < size)
            return 0;
        uint64_t at = page_down(end - size);
        moved = false;
        for (unsigned i = 0; i < b->claims; i++) {
            const struct boot_range *c = &b->claim[i];
            if (at - c->start < c->size || c->start - at < size) {
                end = c->start;
                moved = true;
            }
        }
    }
    return page_down(end - size);
}

/* Complaints are about the RAM disk meanwhile, not about the image. */
int boot_initrd(struct boot *b, uint64_t floor, uint64_t limit)
{
    const char *image = b->name;
    size_t size;
    if (!b->config->initrd)
        return 0;
    b->name = b->config->initrd;
    int fd = open_file(b, IMAGE_MAX, &size);
    if (fd < 0)
        return fd;
    limit = limit && limit < b->memory->low ? limit : b->memory->low;
    uint64_t at = floor ? room_above(b, floor, size) : room_below(b, limit, size);
    int error = 0;
    if (at < BOOT_MIB || at > limit || limit - at < size)
        error = boot_refuse(b, "%zu bytes do not fit into memory beside the kernel, below 0x%llx",
                            size, (unsigned long long)limit);
    error = error ? error : boot_claim(b, at, size, "the initial RAM disk");
    error = error ? error : read_bytes(b, fd, kvm_memory_at(b->memory, at, size), size);
    close(fd);
    if (!error)
        b->initrd = (struct boot_range){at, size, "initrd"};
    b->name = image;
    return error;
}

/* ---- command line ------------------------------------------------------------------------- */

/* How a kernel learns of virtio-mmio devices without ACPI: Linux, Documentation/admin-guide/
 * kernel-parameters.txt, "virtio_mmio.device". Who gives one by hand gives them all. */
static size_t announce_devices(const struct kvm_boot_config *c, char *text, size_t used, size_t max)
{
    for (unsigned i = 0; i < c->virtio_count && used <= max; i++) {
        const struct kvm_boot_device *d = &c->virtio[i];
        bool kib = d->size % 1024 == 0;
        int more = snprintf(text + used, max + 1 - used, "%svirtio_mmio.device=%u%s@0x%llx:%d",
                            used ? " " : "", kib ? d->size / 1024 : d->size, kib ? "K" : "",
                            (unsigned long long)d->base, d->irq);
        used += (size_t)more;
    }
    return used;
}

int boot_args(struct boot *b, bool announce, size_t max)
{
    const char *args = b->config->args ? b->config->args : "";
    size_t length = strlen(args);
    max = max < KVM_BOOT_ARGS_MAX ? max : KVM_BOOT_ARGS_MAX;
    if (length > max)
        return boot_refuse(b, "a command line of %zu characters; the guest takes %zu", length, max);
    memcpy(b->args, args, length + 1);
    if (announce && !strstr(args, "virtio_mmio.device="))
        length = announce_devices(b->config, b->args, length, max);
    if (length > max)
        return boot_refuse(b, "the devices do not fit into the command line of %zu characters",
                           max);
    return 0;
}

/* ---- formats ------------------------------------------------------------------------------ */

static const struct boot_format *forced_format(const struct boot *b)
{
    for (unsigned i = 0; i < FORMATS; i++)
        if (!strcmp(formats[i].name, b->config->format))
            return &formats[i];
    return NULL;
}

static const struct boot_format *guess_format(const struct boot *b)
{
    for (unsigned i = 0; i < FORMATS; i++)
        if (formats[i].is && formats[i].is(b))
            return &formats[i];
    return NULL;
}

static int load(struct boot *b, const struct boot_format *format)
{
    b->state->format_name = format->name;
    if (boot_is_elf(b))
        b->state->symbols = b->config->image;
    return format->load(b);
}

static int load_image(struct boot *b)
{
    const struct boot_format *format = b->config->format ? forced_format(b) : NULL;
    if (b->config->format && !format)
        return boot_refuse(b, "no format is called \"%.40s\"", b->config->format);
    b->bytes = boot_read_file(b, IMAGE_MAX, &b->count);
    if (!b->bytes)
        return -EINVAL;
    format = format ? format : guess_format(b);
    int error = format ? load(b, format)
                       : boot_refuse(b, "neither a Linux kernel, nor ELF, Multiboot or a boot "
                                        "sector; a flat image needs its format");
    free(b->bytes);
    b->bytes = NULL;
    return error;
}

static int check_config(const struct boot *b)
{
    const struct kvm_boot_config *c = b->config;
    if (b->memory->low < BOOT_MIB)
        return boot_refuse(b, "a PC has at least 1 MiB of memory, not %llu KiB",
                           (unsigned long long)b->memory->size >> 10);
    if (c->cpus > KVM_BOOT_CPUS_MAX)
        return boot_refuse(b, "%u processors; at most %d are described", c->cpus,
                           KVM_BOOT_CPUS_MAX);
    if (c->virtio_count > KVM_BOOT_VIRTIO_MAX)
        return boot_refuse(b, "%u virtio devices; at most %d are described", c->virtio_count,
                           KVM_BOOT_VIRTIO_MAX);
    return 0;
}

int kvm_boot(const struct kvm_boot_config *config, const struct kvm_memory *memory,
             struct kvm_boot_state *state, char *why)
{
    const char *name = config->firmware ? config->firmware
                       : config->image  ? config->image
                                        : config->disk;
    bool firmware = config->firmware || (config->format && !strcmp(config->format, "firmware"));
    struct boot b = {
        .config = config,
        .memory = memory,
        .state = state,
        .why = why,
        .name = name ? name : "",
    };
    *state = (struct kvm_boot_state){0};
    int error = check_config(&b);
    if (error)
        return error;
    if (firmware) {
        state->format_name = "firmware";
        return boot_load_firmware(&b);
    }
    if (!config->image && config->disk) {
        state->format_name = "bootsector";
        return boot_load_disk(&b);
    }
    return load_image(&b);
}

void kvm_boot_state_free(struct kvm_boot_state *state)
{
    free(state->rom);
    state->rom = NULL;
}
