/*
 * Fuzzes the virtio block device: the input is what the guest's memory holds where the rings are,
 * and a list of accesses to the registers.
 *
 * First byte: how many accesses follow, of five bytes each (register and direction, value). The
 * rest is laid into memory from the rings on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/dev/virtio-blk.h"
#include "cpu/ram.h"

enum { MEMORY = 1 << 20, SECTORS = 16, ACCESS = 5 };
#define RAM 0x80000000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool sound)
{
    if (!sound)
        abort();
}

static struct disk *make_disk(void)
{
    char path[64], why[DISK_ERROR];
    int fd = memfd_create("disk", 0);
    require(fd >= 0 && ftruncate(fd, SECTORS * DISK_SECTOR) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct disk *disk = disk_open(path, false, why);
    require(disk);
    close(fd);
    return disk;
}

static void put(struct device *device, uint32_t offset, uint32_t value)
{
    require(device->ops->write(device->self, offset, 4, value));
}

/* As a driver would do it, so that the input's accesses begin at a device that runs. */
static void start(struct device *device)
{
    static const uint32_t setup[][2] = {
        {0x070, 0}, {0x070, 3}, {0x024, 1}, {0x020, 1}, {0x070, 11}, {0x030, 0}, {0x038, 8},
        {0x080, RAM + 0x100}, {0x090, RAM}, {0x0a0, RAM + 0x40}, {0x044, 1}, {0x070, 15},
    };
    for (unsigned i = 0; i < sizeof setup / sizeof setup[0]; i++)
        put(device, setup[i][0], setup[i][1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct disk *disk;
    struct ram ram;
    struct irq_line nobody = {0};
    size_t accesses = count ? bytes[0] % 32 : 0;
    if (count < 1 + accesses * ACCESS)
        return 0;
    if (!disk)
        disk = make_disk();
    require(ram_init(&ram, RAM, MEMORY) == 0);
    struct virtio_blk *blk = virtio_blk_new(ram_dma(&ram), nobody, disk);
    require(blk);
    struct device *device = virtio_blk_device(blk);

    size_t rest = count - 1 - accesses * ACCESS;
    ram_write(&ram, RAM, bytes + 1 + accesses * ACCESS, rest < MEMORY ? rest : MEMORY);
    start(device);
    put(device, 0x050, 0);
    for (size_t i = 0; i < accesses; i++) {
        const uint8_t *a = bytes + 1 + i * ACCESS;
        uint32_t value, offset = (a[0] & 0x7fu) * 4;
        memcpy(&value, a + 1, sizeof value);
        device->ops->peek(device->self, offset, 4);
        if (a[0] & 0x80)
            put(device, offset, value);
        else
            require(device->ops->read(device->self, offset, 4, &value));
    }
    put(device, 0x050, 0);
    virtio_blk_free(blk);
    ram_free(&ram);
    return 0;
}
