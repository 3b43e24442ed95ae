/*
 * A guest that wants to hurt its monitor: random accesses to everything that is not memory.
 *
 * Round after round it writes nonsense to ports, to device registers, to virtio devices whose rings
 * it has filled with descriptors that point anywhere, to firmware configuration's DMA. Then it ends
 * in one of five ways, of which only the first is polite. A monitor must come through all of it,
 * and tell what happened.
 *
 * The command line chooses, as in "seed=7 rounds=500 end=2"; what is not said follows from the
 * seed. The same seed does the same, whatever the devices answer. Three things it leaves alone, so
 * that the ending is the one that was chosen: ports that end the run, consoles, and its own memory
 * (so also the balloon, which takes it away).
 */
// expect: chaos: seed 1, 500 rounds, end 0
// expect: chaos: now it exits
#include <stdbool.h>

#include "com1.h"

enum { ROUNDS = 500, DEVICES = 8, DEVICE_SIZE = 0x1000, QUEUE = 16, PAGE = 4096 };

/* Random data and rings; everything that a device is told to write lies from here on. */
#define SCRATCH      0x400000u
#define SCRATCH_SIZE 0x100000u
#define RAM_END      0x4000000u /* with 64 MiB */

uint64_t chaos_seed = 1; /* a debugger may set it, instead of the command line */

static uint64_t state;

/* Marsaglia's xorshift. */
static uint64_t any(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)((any() & 0xffffffff) * limit >> 32);
}

/* ---- ports -------------------------------------------------------------------------------- */

/* Ports that a write must not touch: it would end the run, or be seen on a console. */
static const struct {
    uint16_t first, last;
} spared[] = {
    {0x64, 0x64},                           /* the keyboard controller's command: reset */
    {0x92, 0x92},                           /* reset, too */
    {0xe9, 0xe9},                           /* debug console */
    {DEBUG_CON, DEBUG_CON},                 /* the same */
    {COM1, COM1},                           /* the byte to send */
    {DEBUG_EXIT, MARK},     {0x604, 0x605}, /* ACPI: switching off */
    {0xcf9, 0xcf9},                         /* reset, as chipsets have it */
};

static bool is_spared(uint32_t port, uint32_t size)
{
    for (unsigned i = 0; i < sizeof spared / sizeof spared[0]; i++)
        if (port <= spared[i].last && port + size > spared[i].first)
            return true;
    return false;
}

static void out(uint16_t port, uint32_t size, uint32_t value)
{
    if (is_spared(port, size))
        return;
    if (size == 1)
        __asm__ volatile("outb %b0, %1" : : "a"(value), "d"(port));
    else if (size == 2)
        __asm__ volatile("outw %w0, %1" : : "a"(value), "d"(port));
    else
        __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port));
}

static void in(uint16_t port, uint32_t size)
{
    uint32_t value;
    if (size == 1)
        __asm__ volatile("inb %1, %b0" : "=a"(value) : "d"(port));
    else if (size == 2)
        __asm__ volatile("inw %1, %w0" : "=a"(value) : "d"(port));
    else
        __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(port));
}

/* Half of the time one of those where something is. */
static uint16_t any_port(void)
{
    static const uint16_t inhabited[] = {
        0x20,  0x21,  0x40,  0x43,  0x60,  0x61,  0x64,  0x70,  0x71,
        0x92,  0xa0,  0xa1,  0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe,
        0x3ff, 0x510, 0x511, 0x514, 0x518, 0x600, 0x602, 0xcf8, 0xcfc,
    };
    uint32_t pick = below(2 * sizeof inhabited / sizeof inhabited[0]);
    if (pick < sizeof inhabited / sizeof inhabited[0])
        return inhabited[pick];
    return (uint16_t)any();
}

static uint32_t any_size(uint32_t largest)
{
    return 1u << below(largest == 8 ? 4 : 3);
}

/* A virtio device: not 2, the console, and not 4, the balloon. */
static uint32_t any_device(void)
{
    static const uint8_t devices[] = {0, 1, 3, 5, 6, 7};
    return VIRTIO_BASE + devices[below(sizeof devices)] * DEVICE_SIZE;
}

static bool is_spared_device(uint64_t at)
{
    uint64_t device = (at - VIRTIO_BASE) / DEVICE_SIZE, last = (at + 7 - VIRTIO_BASE) / DEVICE_SIZE;
    return device == 2 || device == 4 || last == 2 || last == 4;
}

static void port_round(void)
{
    uint16_t port = any_port();
    uint32_t size = any_size(4);
    if (any() & 1)
        out(port, size, (uint32_t)any());
    else
        in(port, size);
}

/* The same with a whole block, up to a page: `rep outs` and `rep ins`. */
static void string_round(void)
{
    uint16_t port = any_port();
    uint64_t at = SCRATCH + below(SCRATCH_SIZE - PAGE), count = 1 + below(64);
    bool write = any() & 1;
    if (write && !is_spared(port, 1))
        __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(port) : "memory");
    else if (!write)
        __asm__ volatile("rep insb" : "+D"(at), "+c"(count) : "d"(port) : "memory");
}

/* ---- device registers in memory ----------------------------------------------------------- */

static void store(uint64_t at, uint32_t size, uint64_t value)
{
    switch (size) {
    case 1: *(volatile uint8_t *)at = (uint8_t)value; break;
    case 2: *(volatile uint16_t *)at = (uint16_t)value; break;
    case 4: *(volatile uint32_t *)at = (uint32_t)value; break;
    case 8: *(volatile uint64_t *)at = value; break;
    }
}

static void load(uint64_t at, uint32_t size)
{
    switch (size) {
    case 1: (void)*(volatile uint8_t *)at; break;
    case 2: (void)*(volatile uint16_t *)at; break;
    case 4: (void)*(volatile uint32_t *)at; break;
    case 8: (void)*(volatile uint64_t *)at; break;
    }
}

/*
 * Interrupt controllers get no value with bits 9 and 10, and the local one's command register none
 * at all: a message of that kind (SMI, NMI, INIT) would be an ending of its own.
 */
static void mmio_round(void)
{
    static const struct {
        uint32_t start, size, mask;
    } windows[] = {
        {VIRTIO_BASE, DEVICES * DEVICE_SIZE, 0xffffffff},
        {VIRTIO_BASE, 0x10000000, 0xffffffff}, /* mostly nothing */
        {0xc0000000, 0x3ec00000, 0xffffffff},  /* the same */
        {0xa0000, 0x20000, 0xffffffff},        /* a display's memory */
        {0xfec00000, 0x100, 0xfffff9ff},       /* IOAPIC */
        {0xfee00000, 0x300, 0xfffff9ff},       /* local APIC, below its command register */
    };
    uint32_t pick = below(sizeof windows / sizeof windows[0]);
    uint64_t at = windows[pick].start + below(windows[pick].size);
    uint32_t size = any_size(8);
    if (any() & 3)
        at &= -(uint64_t)size;
    if (any() & 1 && !is_spared_device(at))
        store(at, size, any() & (windows[pick].mask | (uint64_t)windows[pick].mask << 32));
    else
        load(at, size);
}

/* ---- virtio ------------------------------------------------------------------------------- */

/* Registers: Virtual I/O Device 1.2, 4.2.2. */
enum {
    FEATURES = 0x20,
    FEATURES_SEL = 0x24,
    QUEUE_SEL = 0x30,
    QUEUE_NUM = 0x38,
    QUEUE_READY = 0x44,
    NOTIFY = 0x50,
    ACKNOWLEDGE = 0x64,
    STATUS = 0x70,
    QUEUE_DESC = 0x80,
    QUEUE_DRIVER = 0x90,
    QUEUE_DEVICE = 0xa0,
    CONFIG = 0x100,
};

/* Features, each in its half: tables of descriptors, and version 1. */
enum { INDIRECT_DESC = 1 << 28, VERSION_1 = 1 << 0 };

struct descriptor { /* 2.7.5 */
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct available { /* 2.7.6 */
    uint16_t flags, index, ring[QUEUE];
};

/* Memory, the edges of memory, devices, nothing, and sums that overflow. */
static uint64_t any_address(void)
{
    switch (below(8)) {
    case 0: return RAM_END - below(64);
    case 1: return VIRTIO_BASE + below(DEVICES * DEVICE_SIZE);
    case 2: return -(uint64_t)(1 + below(PAGE));
    case 3: return any() | SCRATCH;
    default: return SCRATCH + below(SCRATCH_SIZE);
    }
}

static uint32_t any_length(void)
{
    switch (below(6)) {
    case 0: return 0;
    case 1: return (uint32_t)any();
    case 2: return UINT32_MAX - below(64);
    case 3: return 16;
    default: return below(2 * PAGE);
    }
}

/* Mostly a queue that could be one; its descriptors point anywhere, and to each other in circles.
 */
static void fill_queue(uint64_t at)
{
    struct descriptor *descriptors = (struct descriptor *)at;
    struct available *available = (struct available *)(at + PAGE);
    for (unsigned i = 0; i < QUEUE; i++) {
        descriptors[i] = (struct descriptor){
            .address = any_address(),
            .length = any_length(),
            /* 1: next, 2: for the device to write, 4: a table of descriptors */
            .flags = (uint16_t)below(below(4)   ? 4
                                     : below(4) ? 8
                                                : 65536),
            .next = (uint16_t)below(below(8) ? QUEUE : 65536),
        };
        available->ring[i] = (uint16_t)below(below(8) ? QUEUE : 65536);
    }
    available->index = (uint16_t)(below(4) ? below(QUEUE) : any());
}

static void set_address(uint64_t reg, uint64_t address)
{
    store(reg, 4, address);
    store(reg + 4, 4, address >> 32);
}

static void virtio_round(void)
{
    uint64_t device = any_device(), queue = SCRATCH + below(SCRATCH_SIZE / PAGE - 4) * PAGE;
    fill_queue(queue);
    store(device + STATUS, 4, 0);
    store(device + STATUS, 4, 3);
    store(device + FEATURES_SEL, 4, 0);
    store(device + FEATURES, 4, any() & 1 ? INDIRECT_DESC : any() & any());
    store(device + FEATURES_SEL, 4, 1);
    store(device + FEATURES, 4, VERSION_1);
    store(device + STATUS, 4, 11);
    store(device + QUEUE_SEL, 4, below(below(8) ? 3 : UINT32_MAX));
    store(device + QUEUE_NUM, 4, below(4) ? QUEUE : any());
    set_address(device + QUEUE_DESC, below(8) ? queue : any_address());
    set_address(device + QUEUE_DRIVER, below(8) ? queue + PAGE : any_address());
    set_address(device + QUEUE_DEVICE, below(8) ? queue + 2 * PAGE : any_address());
    store(device + QUEUE_READY, 4, 1);
    store(device + STATUS, 4, 15);
    store(device + CONFIG + below(64), any_size(4), any());
    for (unsigned i = below(4); i < 4; i++)
        store(device + NOTIFY, 4, below(4) ? below(3) : any());
    store(device + ACKNOWLEDGE, 4, any());
}

/* ---- the firmware's configuration, with DMA ------------------------------------------------ */

/* QEMU, docs/specs/fw_cfg.rst: big-endian, written in two halves, of which the second starts it. */
static void fw_cfg_round(void)
{
    uint32_t *command = (uint32_t *)(uint64_t)(SCRATCH + below(SCRATCH_SIZE / 16) * 16);
    uint64_t target = any_address(), at = below(4) ? (uint64_t)command : any_address();
    out(0x510, 2, below(2) ? below(0x40) : (uint32_t)any());
    for (unsigned i = below(8); i > 0; i--)
        in(0x511, 1);
    command[0] = __builtin_bswap32((uint32_t)any() & 0xffff001f); /* select, read, skip, write */
    command[1] = __builtin_bswap32(any_length());
    command[2] = __builtin_bswap32((uint32_t)(target >> 32));
    command[3] = __builtin_bswap32((uint32_t)target);
    out(0x514, 4, __builtin_bswap32((uint32_t)(at >> 32)));
    out(0x518, 4, __builtin_bswap32((uint32_t)at));
}

/* ---- endings ------------------------------------------------------------------------------ */

static void polite_end(void)
{
    leave(0);
}

/* No table for the exception, none for the fault that follows, none for the double fault. */
static void triple_fault(void)
{
    static const uint8_t nothing[10];
    __asm__ volatile("lidt %0\n ud2" : : "m"(nothing));
}

static void sleep_for_ever(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void jump_to_nowhere(void)
{
    ((void (*)(void))(uintptr_t)(VIRTIO_BASE + 0x0fff0000))();
}

static void loop_for_ever(void)
{
    for (;;)
        __asm__ volatile("");
}

static const struct {
    const char *what;
    void (*end)(void);
} endings[] = {
    {"exits", polite_end},
    {"has a triple fault", triple_fault},
    {"sleeps with interrupts off", sleep_for_ever},
    {"jumps to nowhere", jump_to_nowhere},
    {"loops", loop_for_ever},
};
enum { ENDINGS = sizeof endings / sizeof endings[0] };

/* ---- all of it ---------------------------------------------------------------------------- */

/* The number behind `key=` in the command line, else `otherwise`. */
static uint64_t option(const char *text, const char *key, uint64_t otherwise)
{
    for (; *text; text++) {
        unsigned i = 0;
        while (key[i] && text[i] == key[i])
            i++;
        if (key[i] || text[i] != '=')
            continue;
        uint64_t value = 0;
        for (text += i + 1; *text >= '0' && *text <= '9'; text++)
            value = value * 10 + (uint64_t)(*text - '0');
        return value;
    }
    return otherwise;
}

/* The UART may be in any state: 8 bits, no loop, no interrupts. */
static void mend_com1(void)
{
    outb(COM1 + 3, 3);
    outb(COM1 + 4, 3);
    outb(COM1 + 1, 0);
}

static void fill_scratch(void)
{
    uint64_t at = SCRATCH, *first = (uint64_t *)at, words = SCRATCH_SIZE / 8;
    for (unsigned i = 0; i < 512; i++) /* a page of random words, again and again */
        first[i] = any();
    at += PAGE;
    words -= 512;
    __asm__ volatile("rep movsq" : "+S"(first), "+D"(at), "+c"(words) : : "memory");
}

static void go_round(void)
{
    switch (below(8)) {
    case 0: virtio_round(); break;
    case 1: fw_cfg_round(); break;
    case 2: string_round(); break;
    case 3:
    case 4: port_round(); break;
    default: mmio_round();
    }
}

void main(const uint64_t *start);
void main(const uint64_t *start)
{
    const char *args =
        start && start[3] ? (const char *)start[3] : ""; /* hvm_start_info: cmdline */
    uint64_t seed = option(args, "seed", chaos_seed), rounds = option(args, "rounds", ROUNDS);
    uint64_t end = option(args, "end", (seed - 1) % ENDINGS) % ENDINGS;
    com1_puts("chaos: seed ");
    com1_dec((uint32_t)seed);
    com1_puts(", ");
    com1_dec((uint32_t)rounds);
    com1_puts(" rounds, end ");
    com1_dec((uint32_t)end);
    com1_putc('\n');

    state = (seed + 1) * 0x9e3779b97f4a7c15u; /* not 0, where xorshift would stay */
    fill_scratch();
    for (uint64_t i = 0; i < rounds; i++)
        go_round();

    mend_com1();
    com1_puts("chaos: now it ");
    com1_puts(endings[end].what);
    com1_putc('\n');
    endings[end].end();
}
