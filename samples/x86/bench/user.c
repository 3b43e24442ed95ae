/* What runs at CPL 3: the kernel of the comparison, then its result through the door. */
#include "bench.h"
#include "door.h"

/* The entry is aligned as if it had been called, which is 8 off: System V ABI for x86-64, 3.2.2. */
enum { STACK = 256 << 10 };
static char stack[STACK] __attribute__((aligned(16)));
char *const user_stack = stack + STACK - 8;

__attribute__((noreturn)) void user(void);
void user(void)
{
    uint32_t checksum = kernel(kernel_rounds);
    __asm__ volatile("int %0" : : "i"(DOOR), "D"(kernel_rounds), "S"(checksum));
    __builtin_unreachable();
}
