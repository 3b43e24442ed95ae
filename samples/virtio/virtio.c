/*
 * Drivers for four virtio devices in one file: what a queue is, and how little a driver needs.
 *
 * A virtio device has a page of registers and some queues. A queue is three tables in the driver's
 * own memory:
 *
 *      descriptors   "here are so many bytes of memory", chained: first what the device reads, then
 *                    what it writes
 *      available     the driver's list of chains that the device may work on, and how many so far
 *      used          the device's list of chains that it is done with, and how many so far
 *
 * To ask for something the driver fills in a chain, puts its first descriptor's number into
 * `available`, counts up, and writes the queue's number to the device's NOTIFY register: the one
 * moment at which a virtual machine exits. Then it looks at `used` until the count there has moved;
 * a real driver would sleep and be woken by the interrupt.
 *
 * With "echo" in the command line it also waits for a line that is typed at the virtio console, and
 * prints it there.
 *
 * Source: Virtual I/O Device 1.1: 2.6 (queues), 3.1.1 (start of a device), 4.2.2 (registers), 5.2
 * block, 5.3 console, 5.4 entropy, 5.5 balloon.
 */
// expect: virtio: slot 2 is a console
// expect: console: hello from a queue
// expect: virtio: slot 3 is an entropy device
// expect: entropy: 16 bytes, twice, and they differ
// expect: virtio: slot 4 is a balloon
// expect: balloon: the host wants nothing back
// expect: virtio: done
#include <stdbool.h>
#include <stdint.h>

#ifdef __riscv
#include "board-riscv.h"
#else
#include "board-x86.h"
#endif
#include "queue.h"

enum { SLOT_SIZE = 0x1000, SECTOR = 512, PAGE = 4096 };

/* ---- block -------------------------------------------------------------------------------- */

enum { READ = 0, WRITE_TO = 1, FLUSH = 4 };

/* A request is three pieces: what is wanted, the data, and one byte for how it went. */
static bool block_request(struct queue *q, uint32_t type, uint64_t sector, void *data)
{
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header = {type, 0, sector};
    volatile uint8_t status = 0xff;
    describe(q, 0, &header, sizeof header, NEXT);
    if (type != FLUSH)
        describe(q, 1, data, SECTOR, type == READ ? NEXT | WRITE : NEXT);
    describe(q, 2, &status, 1, WRITE);
    if (type == FLUSH)
        q->descriptor[0].next = 2;
    request(q);
    return status == 0;
}

/* The second sector counts the runs. */
static void count_runs(struct queue *q)
{
    static uint32_t data[SECTOR / 4];
    if (!block_request(q, READ, 1, data))
        return;
    data[0]++;
    bool kept = block_request(q, WRITE_TO, 1, data) && block_request(q, FLUSH, 0, 0);
    say("block: run number ");
    say_number(data[0]);
    say(kept ? "\n" : ", which cannot be kept\n");
}

static void use_block(uint32_t device)
{
    static struct queue queue;
    static char data[SECTOR + 1];
    start(device);
    set_up(&queue, device, 0);
    go(device);
    say("block: ");
    say_number(get(device, CONFIG)); /* low half of the capacity */
    say(" sectors; the first begins with \"");
    if (!block_request(&queue, READ, 0, data))
        say("an error");
    data[32] = 0;
    for (int i = 0; i < 32; i++)
        if (data[i] < ' ' || data[i] > '~')
            data[i] = 0;
    say(data);
    say("\"\n");
    count_runs(&queue);
}

/* ---- console ------------------------------------------------------------------------------ */

static struct queue receive, transmit; /* queues 0 and 1 */

static void print(const char *text, uint32_t length)
{
    describe(&transmit, 0, text, length, 0);
    request(&transmit);
}

/* An empty buffer waits in the receive queue until somebody types. */
static void echo_line(void)
{
    static char line[80];
    uint32_t length = 0;
    while (length < sizeof line && (!length || line[length - 1] != '\n')) {
        describe(&receive, 0, line + length, (uint32_t)sizeof line - length, WRITE);
        length += request(&receive);
    }
    print("console: you typed ", 19);
    print(line, length);
}

static void use_console(uint32_t device, bool echo)
{
    static const char hello[] = "console: hello from a queue\n";
    start(device);
    set_up(&receive, device, 0);
    set_up(&transmit, device, 1);
    go(device);
    print(hello, sizeof hello - 1);
    if (echo)
        echo_line();
}

/* ---- entropy ------------------------------------------------------------------------------ */

static void use_entropy(uint32_t device)
{
    static struct queue queue;
    static uint64_t number[2][2];
    uint32_t got = 0;
    start(device);
    set_up(&queue, device, 0);
    go(device);
    for (int i = 0; i < 2; i++) {
        describe(&queue, 0, number[i], sizeof number[i], WRITE);
        got += request(&queue);
    }
    bool differ = number[0][0] != number[1][0] || number[0][1] != number[1][1];
    say("entropy: ");
    say_number(got / 2);
    say(differ ? " bytes, twice, and they differ\n" : " bytes, twice the same\n");
}

/* ---- balloon ------------------------------------------------------------------------------ */

enum { NUM_PAGES = CONFIG, ACTUAL = CONFIG + 4, GIVE_MAX = 256 };

static void use_balloon(uint32_t device)
{
    static struct queue inflate;
    static uint32_t page[GIVE_MAX];
    volatile uint32_t *word = (volatile uint32_t *)(uintptr_t)SPARE;
    start(device);
    set_up(&inflate, device, 0);
    go(device);
    uint32_t wanted = get(device, NUM_PAGES);
    if (!wanted) {
        say("balloon: the host wants nothing back\n");
        return;
    }
    *word = 42;
    uint32_t count = wanted < GIVE_MAX ? wanted : GIVE_MAX;
    for (uint32_t i = 0; i < count; i++)
        page[i] = SPARE / PAGE + i;
    describe(&inflate, 0, page, count * sizeof page[0], 0);
    request(&inflate);
    put(device, ACTUAL, count);
    say("balloon: gave back ");
    say_number(count);
    say(" pages of ");
    say_number(wanted);
    say("; what was 42 reads as ");
    say_number(*word);
    say("\n");
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void use(uint32_t slot, bool echo)
{
    static const char *const names[] = {"nothing",   "a network card",    "a disk",
                                        "a console", "an entropy device", "a balloon"};
    uint32_t device = VIRTIO_BASE + slot * SLOT_SIZE, id = get(device, DEVICE_ID);
    if (get(device, MAGIC) != 0x74726976 || id == 0 || id > BALLOON)
        return;
    say("virtio: slot ");
    say_number(slot);
    say(" is ");
    say(names[id]);
    say("\n");
    switch (id) {
    case BLOCK: use_block(device); break;
    case CONSOLE: use_console(device, echo); break;
    case ENTROPY: use_entropy(device); break;
    case BALLOON: use_balloon(device); break;
    }
}

int run(const void *information)
{
    bool echo = is_asked_for("echo", information);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        use(slot, echo);
    say("virtio: done\n");
    return 0;
}
