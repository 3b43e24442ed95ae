/*
 * What a program of minios can call: the system calls of syscall.def, and a little comfort.
 */
#ifndef MINIOS_USER_H
#define MINIOS_USER_H

#include <stddef.h>
#include <stdint.h>

#include "abi.h"

#define SYSCALL(number, name, arguments, meaning) int name arguments;
#include "syscall.def"
#undef SYSCALL

int main(int argc, char **argv);

size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
void *memset(void *to, int value, size_t count);
void *memcpy(void *to, const void *from, size_t count);
void print(const char *format, ...); /* %s %d %u %x, numbers of 32 bits */

#endif
