/*
 * qemu-img as the judge of many states of an image. `qemu-img check` looks at metadata only, so of
 * all states that have the same metadata and length it is asked once.
 */
#ifndef VITRINE_TESTS_QCOW2_JUDGE_H
#define VITRINE_TESTS_QCOW2_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/storage-trace.h"

struct judge {
    char path[256]; /* where qemu-img finds the state */
    size_t every;   /* it is asked of each n-th state that it has not seen; 0: of none */
    size_t judged, distinct, states;
    uint64_t *seen; /* digests, a hash table */
};

/* Allocates. `folder` is there. */
void judge_init(struct judge *judge, const char *folder, size_t every);
void judge_free(struct judge *judge);
/* Exit status of `qemu-img check`, 0: clean, 3: leaks; 0 if it was not asked. */
int judge_ask(struct judge *judge, const struct bytes *image);

/* Runs a command without its output; its exit status, or -1. */
int run_quietly(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool have_qemu_img(void);

#endif
