/* What virtio.c needs of the `virt` machine: see ../virt.h and uart.h. */
#ifndef SAMPLES_VIRTIO_BOARD_H
#define SAMPLES_VIRTIO_BOARD_H

#include "uart.h"

enum { SLOTS = 8 };

#define VIRTIO_BASE 0x10001000u
#define SPARE       (RAM + 0x800000u) /* memory that nobody uses */

static inline void say(const char *text)
{
    uart_puts(text);
}

static inline void say_number(uint32_t number)
{
    uart_dec(number);
}

/* What is written before is seen before. */
static inline void barrier(void)
{
    __asm__ volatile("fence" : : : "memory");
}

/* The command line stands in the device tree as plain text, and this is all we want to know of
 * that. Its second word is its size, with the most significant byte first. */
static inline int is_asked_for(const char *word, const void *device_tree)
{
    const uint8_t *text = device_tree;
    uint32_t size = (uint32_t)text[4] << 24 | text[5] << 16 | text[6] << 8 | text[7];
    for (; size; size--, text++) {
        uint32_t i = 0;
        while (i < size && word[i] && text[i] == (uint8_t)word[i])
            i++;
        if (!word[i])
            return 1;
    }
    return 0;
}

int run(const void *information);

int main(uint32_t hart, const void *device_tree);
int main(uint32_t hart, const void *device_tree)
{
    (void)hart;
    return run(device_tree);
}

#endif
