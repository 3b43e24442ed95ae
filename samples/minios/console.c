/*
 * Lines of text from the UART: echo, backspace, Ctrl-U, and Ctrl-D as the end of the input.
 *
 * A character is echoed when the reader comes to it, not when it arrives. So what appears on the
 * console does not depend on when somebody typed: a session is the same text whether it comes
 * from a person or from a pipe.
 */
#include "minios.h"

enum { CTRL_D = 4, BACKSPACE = 8, CTRL_U = 21, DELETE = 127 };

static void rub_out(void)
{
    uart_put('\b');
    uart_put(' ');
    uart_put('\b');
}

/* One line with its newline, at most `size` characters; 0 at the end of the input. */
int console_read(char *to, uint32_t size)
{
    uint32_t count = 0;
    for (;;) {
        char c = uart_get();
        if (c == '\r')
            c = '\n';
        if (c == '\n' && count < size) {
            uart_put(c);
            to[count++] = c;
            return (int)count;
        }
        if (c == CTRL_D && count == 0)
            return 0;
        if ((c == BACKSPACE || c == DELETE) && count > 0) {
            count--;
            rub_out();
        } else if (c == CTRL_U) {
            for (; count > 0; count--)
                rub_out();
        } else if (c >= ' ' && c < DELETE && count + 1 < size) { /* keep room for the newline */
            uart_put(c);
            to[count++] = c;
        }
    }
}
