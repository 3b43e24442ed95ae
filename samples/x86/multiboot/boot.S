/*
 * A kernel that any Multiboot loader starts: GRUB, QEMU's -kernel, this monitor.
 *
 * The loader looks for a header in the first 8 KiB (version 1) or 32 KiB (version 2) of the file.
 * Then it loads the ELF file's segments, and enters the kernel in 32-bit protected mode with paging
 * off, a magic number in eax and the address of what it knows in ebx. There is no stack.
 *
 * Built twice, with and without MULTIBOOT2, for the two versions of the header.
 */
    .section .header, "a"
#ifdef MULTIBOOT2               /* Multiboot Specification 2.0, section 3.1 */
    .balign 8
header:
    .long 0xe85250d6
    .long 0                     # for i386 in protected mode
    .long header_end - header
    .long 0x100000000 - (0xe85250d6 + header_end - header) # so that the sum is 0
    .short 0, 0                 # the tag that ends the list of tags
    .long 8
header_end:
#else                           /* Multiboot Specification 0.6.96, section 3.1 */
#define FLAGS 3                 /* modules on page boundaries; tell the memory */
    .balign 4
    .long 0x1badb002
    .long FLAGS
    .long -(0x1badb002 + FLAGS)
#endif

    .code32
    .text
    .globl _start
_start:
    movl $stack_end, %esp
    pushl $0                    # a return address that ends every backtrace
    popfl                       # all flags 0, interrupts off
    pushl %ebx                  # main(magic, information)
    pushl %eax
    call main
1:  hlt
    jmp  1b

    .bss
    .balign 16
    .space 4096
stack_end:
