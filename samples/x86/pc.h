/*
 * What a PC in a virtual machine has, for assembly and C: ports, interrupts, selectors, flags.
 *
 * Only what the samples use. The first part is as old as the PC; the second are conventions of
 * virtual machines: real computers have nothing there, and ignore the writes.
 */
#ifndef SAMPLES_X86_PC_H
#define SAMPLES_X86_PC_H

#define COM1     0x3f8 /* 16550A: the first register takes a byte to send */
#define COM1_LSR (COM1 + 5)
#define LSR_THRE 0x20 /* it can take the next byte */
#define COM1_IRQ 4
#define PIC1     0x20 /* two interrupt controllers, 8259A: command, and data at + 1 */
#define PIC2     0xa0
#define PIT      0x40 /* 8254 timer: channel 0 is IRQ 0 */
#define PIT_MODE 0x43
#define PIT_HZ   1193182 /* it counts at this rate */

#define DEBUG_EXIT 0x501 /* a byte that is written ends the run: the exit code */
#define MARK       0x502 /* a byte that is written marks a moment for those who measure */
#define DEBUG_CON  0x402 /* a byte that is written is printed, without any device's state */

#define VIRTIO_BASE 0xd0000000 /* registers of the virtio-mmio devices, 4 KiB for each */

/* Control registers, EFER and page-table entries: Intel SDM volume 3, 2.2.1, 2.5, 4.5. */
#define CR0_PE         (1 << 0)
#define CR0_MP         (1 << 1)
#define CR0_WP         (1 << 16)
#define CR0_PG         (1 << 31)
#define CR4_PAE        (1 << 5)
#define CR4_OSFXSR     (1 << 9)  /* SSE instructions are allowed, */
#define CR4_OSXMMEXCPT (1 << 10) /* and their exceptions known */
#define MSR_EFER       0xc0000080
#define EFER_LME       (1 << 8)
#define EFER_NXE       (1 << 11)
#define PTE_P          0x001 /* present */
#define PTE_W          0x002 /* writable */
#define PTE_U          0x004 /* for CPL 3 too */
#define PTE_A          0x020 /* accessed */
#define PTE_D          0x040 /* dirty */
#define PTE_PS         0x080 /* a large page, not a table */
#define RFLAGS_IF      0x200

/* Selectors in the tables of start.S. */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_DS   0x1b
#define USER_CS   0x23
#define TSS_SEL   0x28

#endif
