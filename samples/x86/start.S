/*
 * From the monitor's entry to main() in 64-bit mode, for the guests that are about something else.
 * (longmode/boot.S does the same slowly, with every step explained.)
 *
 * Two ways in. A file with a PVH note is entered at pvh_start in 32-bit mode, ebx = hvm_start_info:
 * this monitor does so, QEMU's -kernel too. As a plain ELF64 file it is entered at _start in long
 * mode, rdi = hvm_start_info. Either way what counts from then on are our own tables: segments with
 * two for CPL 3, and the first 4 GiB mapped to themselves in pages of 2 MiB. CPL 3 may touch what
 * lies from USER_START on.
 *
 * The tables are written by the assembler, not at run time: the start takes no time for them.
 */
#include "pc.h"

#define USER_START 0x400000     /* as in guest.ld */
#define RIGHTS     (PTE_P | PTE_W | PTE_A | PTE_D)

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18              /* lengths of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad pvh_start

    .section .text.start, "ax"
    .code64
    .globl _start
_start:
    lgdt gdt_pointer(%rip)
    movl $pml4, %eax
    movq %rax, %cr3
    ljmp *far_pointer(%rip)     /* a new CS */

    .code32
pvh_start:
    movl $pml4, %eax            /* the order is the manual's: SDM volume 3, 9.8.5 */
    movl %eax, %cr3
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $MSR_EFER, %ecx
    rdmsr
    orl  $EFER_LME, %eax
    wrmsr
    movl %cr0, %eax
    orl  $CR0_PG, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    movl %ebx, %edi
    ljmp $KERNEL_CS, $in_long_mode

    .code64
in_long_mode:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
    movq %rax, %cr4             /* compilers use SSE registers at CPL 3 */
    movl $stack_end, %esp

    movl $tss, %eax             /* the descriptor of the TSS has its address in four pieces; ours */
    movw %ax, gdt + TSS_SEL + 2 /* is below 4 GiB */
    shrl $16, %eax
    movb %al, gdt + TSS_SEL + 4
    movb %ah, gdt + TSS_SEL + 7
    movl $TSS_SEL, %eax
    ltr  %ax
    call main                   /* main(start information) */
1:  hlt
    jmp  1b

    .data
    .balign 16
gdt:                            /* SDM volume 3, 3.4.5; base and limit do not count in long mode */
    .quad 0
    .quad 0x00af9b000000ffff    /* KERNEL_CS: code, L */
    .quad 0x00cf93000000ffff    /* KERNEL_DS: data */
    .quad 0x00cff3000000ffff    /* USER_DS: data, DPL 3 */
    .quad 0x00affb000000ffff    /* USER_CS: code, L, DPL 3 */
    .quad 0x0000890000000067    /* TSS_SEL: available 64-bit TSS of 104 bytes */
    .quad 0
gdt_pointer:
    .short . - gdt - 1
    .quad gdt
far_pointer:
    .long in_long_mode
    .short KERNEL_CS

    .balign 16
tss:                            /* SDM volume 3, 8.7: what counts is the stack for CPL 0 */
    .long 0
    .quad trap_stack_end
    .fill 22, 4, 0
    .short 0, 104               /* the bitmap of allowed ports lies behind the end: none is */

    .balign 4096
pml4:
    .quad pdpt + RIGHTS + PTE_U
    .fill 511, 8, 0
pdpt:
    .set n, 0
    .rept 4
    .quad directories + n * 4096 + RIGHTS + PTE_U
    .set n, n + 1
    .endr
    .fill 508, 8, 0
directories:
    .set at, 0
    .rept 2048
    .if at < USER_START
    .quad at + RIGHTS + PTE_PS
    .else
    .quad at + RIGHTS + PTE_PS + PTE_U
    .endif
    .set at, at + 0x200000
    .endr

    .bss
    .balign 16
    .space 8192
stack_end:
    .space 8192
trap_stack_end:
