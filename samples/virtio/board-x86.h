/* What virtio.c needs of an x86 board: see ../x86/pc.h and com1.h. */
#ifndef SAMPLES_VIRTIO_BOARD_H
#define SAMPLES_VIRTIO_BOARD_H

#include "com1.h"

enum { SLOTS = 5 };

#define SPARE 0x800000u /* memory that nobody uses, from 8 MiB on */

static inline void say(const char *text)
{
    com1_puts(text);
}

static inline void say_number(uint32_t number)
{
    com1_dec(number);
}

/* What is written before is seen before: x86 keeps stores in order, only the compiler does not. */
static inline void barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

/* The start information's fourth word is the address of the command line. */
static inline int is_asked_for(const char *word, const void *start_info)
{
    const uint64_t *info = start_info;
    const char *text = info && info[3] ? (const char *)info[3] : "";
    for (; *text; text++) {
        unsigned i = 0;
        while (word[i] && text[i] == word[i])
            i++;
        if (!word[i])
            return 1;
    }
    return 0;
}

int run(const void *information);

void main(const void *start_info);
void main(const void *start_info)
{
    leave((uint8_t)run(start_info));
}

#endif
