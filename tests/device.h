/* What the tests of all devices share: a wire to look at, accesses, and rough handling. */
#ifndef VITRINE_TESTS_DEVICE_H
#define VITRINE_TESTS_DEVICE_H

#include "cpu/dev/device.h"

/* The far end of an irq_line. */
struct wire {
    bool level;
    unsigned risen; /* how often it went up */
};

struct irq_line wire_line(struct wire *wire);

/* A guest's access, which must be answered. */
uint32_t device_get(struct device *device, uint32_t offset, unsigned size);
void device_put(struct device *device, uint32_t offset, unsigned size, uint32_t value);

/* Repeatable random numbers. */
struct random {
    uint64_t state;
};
uint32_t random_next(struct random *random);
/* 0 .. below - 1 */
uint32_t random_below(struct random *random, uint32_t below);

/* Is the register table sound (in range, aligned, described, no two the same), and does looking at
 * each register change nothing? */
void device_check_table(struct device *device);

/* Random accesses of every size, mostly to known registers; then state that is saved must load to
 * the same digest, and damaged state must either be refused or leave a device that takes as much
 * abuse again. The caller resets the device afterwards if it goes on. */
void device_abuse(struct device *device, unsigned accesses);

uint64_t device_digest(const struct device *device);

#endif
