/*
 * What the kernel and its programs agree on: system calls, user memory, small structs.
 *
 * A system call is ECALL with its number in a7 and arguments in a0.. a2; the result comes back in
 * a0, negative for an error. The calls themselves are rows of syscall.def.
 */
#ifndef MINIOS_ABI_H
#define MINIOS_ABI_H

#include <stdint.h>

/*
 * A process sees this; between the areas nothing is mapped.
 *
 *   0x4000_0000  program: code and constants (read, execute), data (read, write)
 *   behind it    heap, grows upwards by sbrk()
 *   0x7fff_0000  stack, 15 pages, each there from its first touch on
 *   0x7fff_f000  never mapped
 */
#define USER_START 0x40000000u
#define USER_HEAP  0x50000000u /* the heap ends here at the latest */
#define USER_STACK 0x7fff0000u
#define USER_TOP   0x7ffff000u /* the end of the stack */

enum {
#define SYSCALL(number, name, arguments, meaning) SYS_##name = number,
#include "syscall.def"
#undef SYSCALL
};

enum { NAME_SIZE = 24, LINE_SIZE = 128, ARGS_MAX = 16 };

struct process_info {
    int32_t pid, parent;
    char state[12];
    char name[NAME_SIZE];
};

struct file_info {
    char name[NAME_SIZE];
    uint32_t size;
};

#endif
