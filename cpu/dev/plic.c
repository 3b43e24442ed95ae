/*
 * PLIC: the platform-level interrupt controller ("RISC-V PLIC Specification" 1.0), two contexts:
 * 0 = M mode, 1 = S mode of hart 0.
 *
 * Sources are levels. A source becomes pending while its wire is high and it is not being served;
 * claiming takes the pending one of highest priority (lowest number first) whatever the threshold,
 * completing lets it become pending again if the wire is still high. A wire that falls before it
 * was claimed takes its request back.
 *
 *   0x000000  priority of source n at 4 n
 *   0x001000  pending bits
 *   0x002000  enable bits, 0x80 a context
 *   0x200000  threshold, +4 claim/complete, 0x1000 a context
 */
#include "cpu/dev/plic.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/rv.h"

enum {
    CONTEXTS = 2, WORDS = PLIC_SOURCES / 32, MAX_PRIORITY = 7,
    PENDING = 0x1000, ENABLE = 0x2000, ENABLE_STEP = 0x80,
    CONTEXT = 0x200000, CONTEXT_STEP = 0x1000,
};

struct plic {
    struct device device;
    void (*set_line)(void *context, unsigned number, bool level);
    void *context;
    uint32_t priority[PLIC_SOURCES];
    uint32_t level[WORDS];    /* the wires */
    uint32_t serving[WORDS];  /* claimed, not yet completed */
    uint32_t enable[CONTEXTS * WORDS];
    uint32_t threshold[CONTEXTS];
};

static const struct device_register registers[] = {
    {"PRIORITY1", 4 * 1, 4, "rw", "priority of source 1, virtio-mmio slot 0; 0: never"},
    {"PRIORITY10", 4 * 10, 4, "rw", "priority of source 10, the UART"},
    {"PRIORITY11", 4 * 11, 4, "rw", "priority of source 11, the RTC"},
    {"PENDING", PENDING, 4, "r", "sources 0 to 31 that wait to be served"},
    {"ENABLE_M", ENABLE, 4, "rw", "sources 0 to 31 that M mode wants"},
    {"ENABLE_S", ENABLE + ENABLE_STEP, 4, "rw", "sources 0 to 31 that S mode wants"},
    {"THRESHOLD_M", CONTEXT, 4, "rw", "M mode wants only priorities above this"},
    {"CLAIM_M", CONTEXT + 4, 4, "rw", "read: claim a source for M mode; write: complete it"},
    {"THRESHOLD_S", CONTEXT + CONTEXT_STEP, 4, "rw", "S mode wants only priorities above this"},
    {"CLAIM_S", CONTEXT + CONTEXT_STEP + 4, 4, "rw", "read: claim for S mode; write: complete it"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct plic, device, "wiring"),
    STATE_NOT(struct plic, set_line, "wiring"),
    STATE_NOT(struct plic, context, "wiring"),
    STATE(struct plic, U32, priority),
    STATE(struct plic, U32, level),
    STATE(struct plic, U32, serving),
    STATE(struct plic, U32, enable),
    STATE(struct plic, U32, threshold),
};
static const struct state_table table = STATE_TABLE("plic", struct plic, 1, fields);

static uint32_t pending_word(const struct plic *p, uint32_t n)
{
    return p->level[n] & ~p->serving[n];
}

/* The most urgent source that waits for a context, of a priority above `above`; 0: none. */
static uint32_t best(const struct plic *p, uint32_t c, uint32_t above)
{
    uint32_t found = 0;
    for (uint32_t n = 0; n < WORDS; n++) {
        uint32_t ready = pending_word(p, n) & p->enable[c * WORDS + n];
        while (ready) {
            uint32_t source = n * 32 + (uint32_t)__builtin_ctz(ready);
            ready &= ready - 1;
            if (p->priority[source] > above) {
                above = p->priority[source];
                found = source;
            }
        }
    }
    return found;
}

static void update(struct plic *p)
{
    p->set_line(p->context, IRQ_MEI, best(p, 0, p->threshold[0]) != 0);
    p->set_line(p->context, IRQ_SEI, best(p, 1, p->threshold[1]) != 0);
}

static uint32_t claim(struct plic *p, uint32_t c)
{
    uint32_t source = best(p, c, 0);
    p->serving[source / 32] |= source ? 1u << source % 32 : 0;
    update(p);
    return source;
}

static void complete(struct plic *p, uint32_t c, uint32_t source)
{
    if (source < PLIC_SOURCES && p->enable[c * WORDS + source / 32] >> source % 32 & 1)
        p->serving[source / 32] &= ~(1u << source % 32);
    update(p);
}

/* The word behind an offset that is plain storage, or NULL. */
static uint32_t *storage(struct plic *p, uint32_t offset)
{
    if (offset < 4 * PLIC_SOURCES)
        return &p->priority[offset / 4];
    uint32_t c = (offset - ENABLE) / ENABLE_STEP, word = (offset - ENABLE) % ENABLE_STEP / 4;
    if (offset >= ENABLE && c < CONTEXTS && word < WORDS)
        return &p->enable[c * WORDS + word];
    c = (offset - CONTEXT) / CONTEXT_STEP;
    if (offset >= CONTEXT && c < CONTEXTS && (offset - CONTEXT) % CONTEXT_STEP == 0)
        return &p->threshold[c];
    return NULL;
}

/* Is this a claim/complete register, and of which context? */
static bool is_claim(uint32_t offset, uint32_t *c)
{
    *c = (offset - CONTEXT) / CONTEXT_STEP;
    return offset >= CONTEXT && *c < CONTEXTS && (offset - CONTEXT) % CONTEXT_STEP == 4;
}

static uint32_t plic_peek(const void *self, uint32_t offset, unsigned size)
{
    struct plic *p = (struct plic *)self;
    uint32_t c;
    if (offset >= PENDING && offset < PENDING + 4 * WORDS)
        return pending_word(p, (offset - PENDING) / 4);
    if (is_claim(offset, &c))
        return best(p, c, 0);
    const uint32_t *word = storage(p, offset);
    return word ? *word : 0;
}

static bool plic_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    uint32_t c;
    if (size != 4)
        return false;
    *value = is_claim(offset, &c) ? claim(self, c) : plic_peek(self, offset, size);
    return true;
}

static bool plic_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct plic *p = self;
    uint32_t c, *word = storage(p, offset);
    if (size != 4)
        return false;
    if (is_claim(offset, &c)) {
        complete(p, c, value);
        return true;
    }
    if (!word)
        return true;
    bool is_enable = offset >= ENABLE && offset < CONTEXT;
    *word = is_enable ? value : value & MAX_PRIORITY;
    p->priority[0] = 0; /* source 0 does not exist */
    p->enable[0] &= ~1u;
    p->enable[WORDS] &= ~1u;
    update(p);
    return true;
}

static void plic_reset(void *self)
{
    struct plic *p = self;
    memset(p->priority, 0, sizeof p->priority);
    memset(p->level, 0, sizeof p->level);
    memset(p->serving, 0, sizeof p->serving);
    memset(p->enable, 0, sizeof p->enable);
    memset(p->threshold, 0, sizeof p->threshold);
}

static void pull(void *opaque, int source, bool level)
{
    struct plic *p = opaque;
    uint32_t bit = 1u << source % 32, *word = &p->level[source / 32];
    uint32_t old = *word;
    *word = level ? old | bit : old & ~bit;
    if (*word != old)
        update(p);
}

static const struct device_ops ops = {plic_read, plic_write, plic_peek, plic_reset, free};

struct plic *plic_new(void (*set_line)(void *context, unsigned number, bool level), void *context)
{
    struct plic *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->set_line = set_line;
    p->context = context;
    p->device = (struct device){
        .name = "plic",
        .about = "platform-level interrupt controller: devices' wires to external interrupts",
        .size = 0x600000,
        .ops = &ops,
        .self = p,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, p},
    };
    return p;
}

struct device *plic_device(struct plic *plic)
{
    return &plic->device;
}

struct irq_line plic_input(struct plic *plic, int source)
{
    return (struct irq_line){pull, plic, source};
}
