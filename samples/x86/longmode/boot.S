/*
 * From the monitor's entry to main() in 64-bit mode, in six steps.
 *
 * A PVH loader (this monitor, QEMU, Xen) reads in the note below where to enter. It leaves the
 * processor in 32-bit protected mode: flat segments, paging off, interrupts off, no stack. Long
 * mode cannot be had without paging, so page tables come first; those here map the first GiB to
 * itself, which is where the kernel lies, in pages of 2 MiB:
 *
 *      PML4              PDPT              directory
 *      0: -> PDPT        0: -> directory   0: page 0x00000000
 *      1: -              1: -              1: page 0x00200000
 *      ...               ...               ... 511: page 0x3fe00000
 *
 * vm.c adds the task's part of the address space to the same tables.
 *
 * Source: Intel SDM volume 3, 9.8.5 "Initializing IA-32e Mode", and 4.5 for the entries.
 */
#include "pc.h"

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18              /* lengths of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad pvh_start

    .section .text.start, "ax"
    .code32
    .globl pvh_start
pvh_start:
/* 1. Page tables. The PML4's entry lets CPL 3 in and the PDPT's does not: a page is CPL 3's only if
 *    every level says so. Memory of .bss is zero, so all other entries are "not present". */
    movl $pdpt + PTE_P + PTE_W + PTE_U, pml4
    movl $directory + PTE_P + PTE_W, pdpt
    movl $PTE_P + PTE_W + PTE_PS, %eax
    movl $directory, %edi
1:  movl %eax, (%edi)
    addl $8, %edi               /* the next entry, */
    addl $0x200000, %eax        /* and the next 2 MiB */
    cmpl $directory + 4096, %edi
    jb   1b

/* 2. Where the tables are, and that entries have 64 bits (PAE: physical address extension). */
    movl $pml4, %eax
    movl %eax, %cr3
    movl $CR4_PAE, %eax
    movl %eax, %cr4

/* 3. Long mode enable, in a model-specific register; and NXE: pages may be "not for execution". */
    movl $MSR_EFER, %ecx
    rdmsr
    orl  $(EFER_LME + EFER_NXE), %eax
    wrmsr

/* 4. Paging on: with it the processor is in long mode (it sets EFER.LMA), but still in a 32-bit
 *    code segment. WP: what is read-only is so for the kernel too. */
    movl %cr0, %eax
    orl  $(CR0_PG + CR0_WP), %eax
    movl %eax, %cr0

/* 5. A code segment of 64 bits. A jump is what loads CS. */
    lgdt boot_gdt_pointer
    ljmp $KERNEL_CS, $in_64_bits

/* 6. The other segments do not matter now but must be valid; then a stack, and C. */
    .code64
in_64_bits:
    movl $KERNEL_DS, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movl $stack_end, %esp
    xorl %ebp, %ebp             /* the end of every backtrace */
    call main
1:  cli
    hlt
    jmp  1b

    .section .rodata
boot_gdt:                       /* good for the jump; segment.c has the real one */
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_pointer:
    .short . - boot_gdt - 1
    .long boot_gdt

    .bss
    .balign 4096
    .globl pml4
pml4:
    .space 4096
pdpt:
    .space 4096
directory:
    .space 4096
    .space 8192
stack_end:
    .space 8192                 /* where traps from CPL 3 come in: segment.c */
    .globl trap_stack_end
trap_stack_end:
