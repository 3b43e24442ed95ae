/* A guest that writes to its disk. See disk-writer.h. */
#include "tests/disk-writer.h"

#include "tests/small-guest.h"

#define VIRTIO 0x10001000u

enum { DESC = 0, AVAIL = 0x100, USED = 0x200, HEADER = 0x300, BLOCK = 0x400, STATUS = 0x600 };

static void describe(unsigned n, uint32_t at, uint32_t length, uint32_t flags)
{
    uint32_t *d = &guest_code[1024 + 4 * n];
    d[0] = GUEST_DATA + at;
    d[2] = length;
    d[3] = flags | (n + 1) << 16;
}

/* A device register gets a small number, or an address of the data. */
static void set_register(uint32_t reg, uint32_t value)
{
    guest_i(OP_addi, T2, 0, (int32_t)value);
    guest_store(OP_sw, T1, T2, reg);
}

static void set_address(uint32_t reg, uint32_t at)
{
    guest_lui(T2, GUEST_DATA);
    guest_i(OP_addi, T2, T2, (int32_t)at);
    guest_store(OP_sw, T1, T2, reg);
}

enum { WRITE = 1, FLUSH = 4 };

/* Sets the device up. `features`: the low half of those that are accepted; 0: none. */
static void set_up(int32_t features)
{
    guest_begin();
    describe(0, HEADER, 16, 1);
    describe(1, BLOCK, 512, 1);
    describe(2, STATUS, 1, 2);
    guest_code[1024 + HEADER / 4] = WRITE;
    guest_lui(T0, GUEST_DATA);
    guest_lui(T1, VIRTIO);
    set_register(0x70, 3);
    if (features) {
        set_register(0x24, 0);
        set_register(0x20, (uint32_t)features);
    }
    set_register(0x24, 1);
    set_register(0x20, 1); /* VIRTIO_F_VERSION_1 */
    set_register(0x70, 11);
    set_register(0x38, 8);
    set_address(0x80, DESC);
    set_address(0x90, AVAIL);
    set_address(0xa0, USED);
    set_register(0x44, 1);
    set_register(0x70, 15);
}

/* Makes the request available as number `count`, and tells the device. */
static void request(unsigned count)
{
    guest_i(OP_slli, T2, count, 16);
    guest_store(OP_sw, T0, T2, AVAIL);
    guest_store(OP_sw, T1, 0, 0x50);
}

static void next_block(unsigned blocks)
{
    guest_i(OP_addi, S0, S0, 1);
    guest_store(OP_sw, T0, S0, BLOCK);
    guest_i(OP_andi, T2, S0, (int32_t)blocks - 1);
}

void guest_disk_writer(char path[64])
{
    set_up(0);
    unsigned loop = guest_count;
    next_block(64);
    guest_store(OP_sw, T0, T2, HEADER + 8);
    request(S0);
    guest_jump(loop);
    guest_write(path);
}

static void set_type(int32_t type)
{
    guest_i(OP_addi, T2, 0, type);
    guest_store(OP_sw, T0, T2, HEADER);
}

void guest_disk_flusher(char path[64])
{
    set_up(1 << 9); /* VIRTIO_BLK_F_FLUSH */
    unsigned loop = guest_count;
    next_block(FLUSHER_CLUSTERS);
    guest_i(OP_slli, T2, T2, 7);
    guest_store(OP_sw, T0, T2, HEADER + 8);
    guest_i(OP_addi, S1, S1, 1);
    request(S1);
    guest_i(OP_andi, T2, S0, FLUSHER_WRITES - 1);
    guest_branch(OP_bne, T2, 0, loop);
    set_type(FLUSH);
    guest_i(OP_addi, S1, S1, 1);
    request(S1);
    set_type(WRITE);
    guest_lui(T2, FLUSHER_PAUSE << 12);
    unsigned wait = guest_count;
    guest_i(OP_addi, T2, T2, -1);
    guest_branch(OP_bne, T2, 0, wait);
    guest_jump(loop);
    guest_write(path);
}
