/* Printing for the kernel itself, character by character on the UART, and giving up. */
#include <stdarg.h>

#include "minios.h"

static void put_text(const char *text)
{
    while (*text)
        uart_put(*text++);
}

static void put_unsigned(uint32_t value)
{
    if (value >= 10)
        put_unsigned(value / 10);
    uart_put((char)('0' + value % 10));
}

static void put_hex(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        uart_put("0123456789abcdef"[value >> shift & 15]);
}

void print(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    for (; *format; format++) {
        if (*format != '%') {
            uart_put(*format);
            continue;
        }
        switch (*++format) {
        case 's': put_text(va_arg(list, const char *)); break;
        case 'c': uart_put((char)va_arg(list, int)); break;
        case 'd': put_unsigned(va_arg(list, unsigned)); break; /* the kernel has no negative ones */
        case 'x': put_hex(va_arg(list, unsigned)); break;
        default: uart_put(*format);
        }
    }
    va_end(list);
}

void panic(const char *why)
{
    print("minios: panic: %s\n", why);
    sbi_poweroff(1);
}
