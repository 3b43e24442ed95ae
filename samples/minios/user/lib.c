/* Stubs for the system calls, made from syscall.def, and the few functions of user.h. */
#include <stdarg.h>

#include "user.h"

/* The arguments are in a0 to a2 already: only the number is missing. */
#define SYSCALL(number, name, arguments, meaning)                                                  \
    __asm__(".section .text." #name ", \"ax\"\n"                                                   \
            ".globl " #name "\n" #name ": li a7, " #number "\n ecall\n ret\n");
#include "syscall.def"
#undef SYSCALL

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return (uint8_t)*a - (uint8_t)*b;
}

void *memset(void *to, int value, size_t count)
{
    for (char *p = to; count > 0; count--)
        *p++ = (char)value;
    return to;
}

void *memcpy(void *to, const void *from, size_t count)
{
    const char *f = from;
    for (char *t = to; count > 0; count--)
        *t++ = *f++;
    return to;
}

/* ---- printing: a line is collected, so that it is one system call ------------------------ */

struct output {
    char text[LINE_SIZE];
    unsigned count;
};

static void flush(struct output *out)
{
    write(1, out->text, out->count);
    out->count = 0;
}

static void put(struct output *out, char c)
{
    out->text[out->count++] = c;
    if (out->count == sizeof out->text)
        flush(out);
}

static void put_text(struct output *out, const char *text)
{
    while (*text)
        put(out, *text++);
}

static void put_number(struct output *out, unsigned value, unsigned radix)
{
    if (value >= radix)
        put_number(out, value / radix, radix);
    put(out, "0123456789abcdef"[value % radix]);
}

static void put_signed(struct output *out, int value)
{
    if (value < 0)
        put(out, '-');
    put_number(out, value < 0 ? -(unsigned)value : (unsigned)value, 10);
}

void print(const char *format, ...)
{
    struct output out = {.count = 0};
    va_list list;
    va_start(list, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(&out, *format);
            continue;
        }
        switch (*++format) {
        case 's': put_text(&out, va_arg(list, const char *)); break;
        case 'd': put_signed(&out, va_arg(list, int)); break;
        case 'u': put_number(&out, va_arg(list, unsigned), 10); break;
        case 'x': put_number(&out, va_arg(list, unsigned), 16); break;
        default: put(&out, *format);
        }
    }
    va_end(list);
    flush(&out);
}
