/* Numbers and strings as the bytes of a file. See bytes.h. */
#include "hv/bytes.h"

#include <string.h>

void bytes_put(struct state_buffer *b, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    state_buffer_add(b, bytes, size);
}

void bytes_put_text(struct state_buffer *b, const char *text)
{
    bytes_put(b, strlen(text), 2);
    state_buffer_add(b, text, strlen(text));
}

uint64_t bytes_take(struct bytes_reader *r, unsigned size)
{
    uint64_t value = 0;
    if (r->torn || r->count - r->at < size) {
        r->torn = true;
        return 0;
    }
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)r->bytes[r->at + i] << (8 * i);
    r->at += size;
    return value;
}

void bytes_take_text(struct bytes_reader *r, char *text, size_t size)
{
    size_t length = bytes_take(r, 2);
    if (r->torn || length >= size || r->count - r->at < length ||
        memchr(r->bytes + r->at, 0, length)) {
        r->torn = true;
        return;
    }
    memcpy(text, r->bytes + r->at, length);
    text[length] = 0;
    r->at += length;
}
