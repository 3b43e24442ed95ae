/*
 * Numbers and strings as the bytes of a file. Numbers are little-endian; a string is a u16 count and
 * its bytes, without a 0.
 */
#ifndef VITRINE_HV_BYTES_H
#define VITRINE_HV_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/state.h"

/* `size`: bytes of the number, 1 to 8. Without memory the buffer has `failed` afterwards. */
void bytes_put(struct state_buffer *buffer, uint64_t value, unsigned size);
void bytes_put_text(struct state_buffer *buffer, const char *text);

/* Where one reads. What is asked for beyond the end is 0, and `torn` from then on. */
struct bytes_reader {
    const uint8_t *bytes;
    size_t count, at;
    bool torn;
};

uint64_t bytes_take(struct bytes_reader *reader, unsigned size);
/* Torn also if it does not fit into `size` bytes, or has a 0 in it; `text` is unchanged then. */
void bytes_take_text(struct bytes_reader *reader, char *text, size_t size);

#endif
