/*
 * RISC-V constants that several files share: modes, CSR fields, page-table bits.
 *
 * Numbers of CSRs come from csr.def, of trap causes from cause.def, encodings from isa.def; this
 * file only has the fields inside them. Sections are those of "The RISC-V Instruction Set Manual,
 * Volume II: Privileged Architecture", 20211203 (version 1.12).
 */
#ifndef VITRINE_CPU_RV_H
#define VITRINE_CPU_RV_H

#include <stdint.h>

/* Privilege modes, section 1.2. */
enum mode { MODE_U = 0, MODE_S = 1, MODE_M = 3 };

/* mstatus, section 3.1.6; sstatus shows a part of it, section 4.1.1. */
#define MSTATUS_SIE  (1u << 1)
#define MSTATUS_MIE  (1u << 3)
#define MSTATUS_SPIE (1u << 5)
#define MSTATUS_MPIE (1u << 7)
#define MSTATUS_SPP  (1u << 8)
#define MSTATUS_MPP  (3u << 11)
#define MSTATUS_MPRV (1u << 17)
#define MSTATUS_SUM  (1u << 18)
#define MSTATUS_MXR  (1u << 19)
#define MSTATUS_TVM  (1u << 20)
#define MSTATUS_TW   (1u << 21)
#define MSTATUS_TSR  (1u << 22)

#define MSTATUS_MPP_SHIFT 11

#define MSTATUS_WRITABLE                                                                         \
    (MSTATUS_SIE | MSTATUS_MIE | MSTATUS_SPIE | MSTATUS_MPIE | MSTATUS_SPP | MSTATUS_MPP |       \
     MSTATUS_MPRV | MSTATUS_SUM | MSTATUS_MXR | MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR)
#define SSTATUS_MASK (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_SUM | MSTATUS_MXR)

/* Interrupt numbers (bits of mip and mie), section 3.1.9. */
enum {
    IRQ_SSI = 1, /* supervisor software */
    IRQ_MSI = 3,
    IRQ_STI = 5, /* supervisor timer */
    IRQ_MTI = 7,
    IRQ_SEI = 9, /* supervisor external */
    IRQ_MEI = 11,
};
#define MIP_SSIP  (1u << IRQ_SSI)
#define MIP_MSIP  (1u << IRQ_MSI)
#define MIP_STIP  (1u << IRQ_STI)
#define MIP_MTIP  (1u << IRQ_MTI)
#define MIP_SEIP  (1u << IRQ_SEI)
#define MIP_MEIP  (1u << IRQ_MEI)
#define MIP_S_ALL (MIP_SSIP | MIP_STIP | MIP_SEIP)
#define MIP_ALL   (MIP_S_ALL | MIP_MSIP | MIP_MTIP | MIP_MEIP)

#define CAUSE_INTERRUPT 0x80000000u

/* menvcfgh: Sstc's enable bit (bit 63 of menvcfg), "Sstc" section 2.1.1. */
#define MENVCFGH_STCE (1u << 31)
/* mcountinhibit and mcounteren */
#define COUNTER_CY (1u << 0)
#define COUNTER_TM (1u << 1)
#define COUNTER_IR (1u << 2)

/* satp for RV32, section 4.1.11:  | MODE 31 | ASID 30..22 | PPN 21..0 | */
#define SATP_SV32       0x80000000u
#define SATP_ASID(satp) (((satp) >> 22) & 0x1ff)
#define SATP_PPN(satp)  ((satp) & 0x3fffffu)

/* An Sv32 PTE, section 4.3.1:  | PPN[1] 31..20 | PPN[0] 19..10 | RSW 9..8 | D A G U X W R V | */
#define PTE_V (1u << 0)
#define PTE_R (1u << 1)
#define PTE_W (1u << 2)
#define PTE_X (1u << 3)
#define PTE_U (1u << 4)
#define PTE_G (1u << 5)
#define PTE_A (1u << 6)
#define PTE_D (1u << 7)

#define PTE_PPN(pte)    ((pte) >> 10)
#define PTE_IS_LEAF(pte) (((pte) & (PTE_R | PTE_W | PTE_X)) != 0)

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096u
#define PAGE_MASK  (PAGE_SIZE - 1)
#define SUPERPAGE_SIZE (4u << 20)

/* Index into the level-1 (root) or level-0 table, and the bytes below it. */
#define VPN(va, level) (((va) >> (12 + 10 * (level))) & 0x3ff)

/* The `virt` memory map: one guest file runs here and on any other `virt` machine. */
#define VIRT_FINISHER 0x00100000u
#define VIRT_RTC      0x00101000u
#define VIRT_CLINT    0x02000000u
#define VIRT_PLIC     0x0c000000u
#define VIRT_UART     0x10000000u
#define VIRT_VIRTIO   0x10001000u /* eight slots, 0x1000 apart */
#define VIRT_RAM      0x80000000u
#define VIRT_KERNEL   0x80400000u /* where an S-mode guest is loaded */

enum { VIRT_UART_IRQ = 10, VIRT_RTC_IRQ = 11, VIRT_VIRTIO_IRQ = 1, VIRT_VIRTIO_SLOTS = 8 };

#define TIMEBASE_HZ 10000000u /* mtime ticks a second, as QEMU's virt machine has it */

#endif
