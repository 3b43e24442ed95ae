/* A kernel alone on the machine, in M mode, without paging. */
#include "print.h"
#include "uart.h"

int main(void)
{
    print(uart_putc, kernel_rounds, kernel(kernel_rounds));
    return 0;
}
