/* MultiProcessor tables: read back as a small kernel does. */
#include "config.h"

#include "hv/kvm/mptable.h"

#include <string.h>

#include "tests/tap.h"

enum { AT = 0xe8000, HEADER = 44, INPUTS = 24, PIT_INPUT = 2, NOWHERE = 0xff };
enum { CPU, BUS, IOAPIC, INTERRUPT, LOCAL, KINDS };

static struct mptable mp;
static const struct kvm_boot_device devices[] = {
    {0xd0000000u, 4096, 5}, {0xd0001000u, 512, 23}, {0xfe000000u, 4096, 12}};

static void build(unsigned cpus, unsigned virtio_count)
{
    struct kvm_boot_config config = {.cpus = cpus, .virtio = devices, .virtio_count = virtio_count};
    mptable_build(&mp, AT, &config);
}

static unsigned half(const uint8_t *bytes)
{
    return bytes[0] | (unsigned)bytes[1] << 8;
}

static uint32_t word(const uint8_t *bytes)
{
    return half(bytes) | (uint32_t)half(bytes + 2) << 16;
}

static unsigned sum(const uint8_t *bytes, size_t count)
{
    unsigned total = 0;
    while (count--)
        total += *bytes++;
    return total & 0xff;
}

/* What the entries say. */
static struct {
    unsigned count[KINDS], boots, ioapic;
    bool cpu[256];
    unsigned input[256], flags[256]; /* of the bus's interrupts */
} found;

static void read_interrupt(const uint8_t *e)
{
    ck_assert_uint_eq(e[4], 0); /* the ISA bus */
    ck_assert_uint_eq(e[6], found.ioapic);
    ck_assert_uint_lt(e[7], INPUTS);
    ck_assert_uint_eq(found.input[e[5]], NOWHERE);
    found.input[e[5]] = e[7];
    found.flags[e[5]] = half(e + 2);
}

/* Processors are enabled, and no two have the same identifier. */
static void read_entry(const uint8_t *e)
{
    switch (e[0]) {
    case CPU:
        ck_assert(!found.cpu[e[1]] && e[3] & 1);
        found.cpu[e[1]] = true;
        found.boots += e[3] >> 1 & 1;
        break;
    case BUS: ck_assert_mem_eq(e + 2, "ISA   ", 6); break;
    case IOAPIC:
        found.ioapic = e[1];
        ck_assert(!found.cpu[e[1]] && e[3] == 1);
        ck_assert_uint_eq(word(e + 4), 0xfec00000u);
        break;
    case INTERRUPT: read_interrupt(e); break;
    }
}

/* From the pointer on. The entries are in the order of their kinds, of which only the first is 20
 * bytes. */
static void read_all(void)
{
    memset(&found, 0, sizeof found);
    for (unsigned i = 0; i < 256; i++)
        found.input[i] = NOWHERE;
    ck_assert_mem_eq(mp.pointer, "_MP_", 4);
    ck_assert_uint_eq(sum(mp.pointer, 16), 0);
    ck_assert_uint_eq(word(mp.pointer + 4), AT);
    ck_assert_uint_eq(mp.pointer[11], 0); /* no default configuration: there is a table */
    ck_assert_mem_eq(mp.table, "PCMP", 4);
    ck_assert_uint_eq(half(mp.table + 4), mp.size);
    ck_assert_uint_eq(sum(mp.table, mp.size), 0);
    ck_assert_uint_eq(word(mp.table + 36), 0xfee00000u);
    const uint8_t *e = mp.table + HEADER;
    unsigned last = CPU;
    for (unsigned n = half(mp.table + 34); n--; e += e[0] == CPU ? 20 : 8) {
        ck_assert(e < mp.table + mp.size);
        ck_assert(e[0] >= last && e[0] < KINDS);
        last = e[0];
        found.count[last]++;
        read_entry(e);
    }
    ck_assert_ptr_eq(e, mp.table + mp.size);
}

START_TEST(processors)
{
    static const unsigned counts[] = {0, 1, 2, 16, KVM_BOOT_CPUS_MAX};
    build(counts[_i], 3);
    read_all();
    unsigned cpus = counts[_i] ? counts[_i] : 1;
    ck_assert_uint_eq(found.count[CPU], cpus);
    for (unsigned i = 0; i < cpus; i++)
        ck_assert(found.cpu[i]);
    ck_assert_uint_eq(found.boots, 1);
    ck_assert_uint_eq(found.count[BUS], 1);
    ck_assert_uint_eq(found.count[IOAPIC], 1);
}
END_TEST

START_TEST(interrupts)
{
    build(1, _i);
    read_all();
    ck_assert_uint_eq(found.input[0], PIT_INPUT);
    ck_assert_uint_eq(found.input[2], NOWHERE);
    ck_assert_uint_eq(found.input[4], 4);
    ck_assert_uint_eq(found.flags[4], 0);
    ck_assert_uint_eq(found.flags[9], 0xd); /* ACPI's: level, active high */
    for (int i = 0; i < _i; i++) {
        ck_assert_uint_eq(found.input[devices[i].irq], devices[i].irq);
        ck_assert_uint_eq(found.flags[devices[i].irq], 0xd);
    }
    ck_assert_uint_eq(found.input[23], _i > 1 ? 23 : NOWHERE);
    ck_assert_uint_eq(found.count[LOCAL], 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kvm-mptable");
    TCase *tables = tcase_create("tables");
    tcase_add_loop_test(tables, processors, 0, 5);
    tcase_add_loop_test(tables, interrupts, 0, ROWS(devices) + 1);
    suite_add_tcase(suite, tables);
    return tap_run(suite);
}
