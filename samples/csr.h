/*
 * Reading and writing CSRs from C, and the fields that the samples use. The numbers and names are
 * those of the privileged specification, volume II, chapter 2 and section 3.1.
 */
#ifndef SAMPLES_CSR_H
#define SAMPLES_CSR_H

#define csr_read(csr)                                                                              \
    ({                                                                                             \
        uint32_t csr_value_;                                                                       \
        __asm__ volatile("csrr %0, " #csr : "=r"(csr_value_) : : "memory");                        \
        csr_value_;                                                                                \
    })
#define csr_write(csr, value) __asm__ volatile("csrw " #csr ", %0" : : "rK"(value) : "memory")
#define csr_set(csr, bits)    __asm__ volatile("csrs " #csr ", %0" : : "rK"(bits) : "memory")
#define csr_clear(csr, bits)  __asm__ volatile("csrc " #csr ", %0" : : "rK"(bits) : "memory")

#define MSTATUS_SIE  (1u << 1)
#define MSTATUS_MIE  (1u << 3)
#define MSTATUS_SPIE (1u << 5)
#define MSTATUS_MPIE (1u << 7)
#define MSTATUS_SPP  (1u << 8)
#define MSTATUS_MPP  (3u << 11)
#define MSTATUS_MPRV (1u << 17)
#define MSTATUS_SUM  (1u << 18)
#define MSTATUS_MXR  (1u << 19)

/* Interrupts: a bit of mip and mie each, and the cause's number with its top bit set. */
enum { IRQ_SSI = 1, IRQ_MSI = 3, IRQ_STI = 5, IRQ_MTI = 7, IRQ_SEI = 9, IRQ_MEI = 11 };
#define CAUSE_INTERRUPT 0x80000000u

/* Exceptions: cause numbers, and bits of medeleg. */
enum {
    CAUSE_FETCH_MISALIGNED,
    CAUSE_FETCH_ACCESS,
    CAUSE_ILLEGAL,
    CAUSE_BREAKPOINT,
    CAUSE_LOAD_MISALIGNED,
    CAUSE_LOAD_ACCESS,
    CAUSE_STORE_MISALIGNED,
    CAUSE_STORE_ACCESS,
    CAUSE_ECALL_U,
    CAUSE_ECALL_S,
    CAUSE_ECALL_M = 11,
    CAUSE_FETCH_PAGE,
    CAUSE_LOAD_PAGE,
    CAUSE_STORE_PAGE = 15,
};

/* Sv32: satp and page-table entries, section 4.3. */
#define SATP_SV32 0x80000000u
#define SATP_ASID 22 /* shift */

#define PTE_V (1u << 0) /* valid */
#define PTE_R (1u << 1)
#define PTE_W (1u << 2)
#define PTE_X (1u << 3) /* no R, W, X: points to the next table */
#define PTE_U (1u << 4) /* user mode's; S mode only with sstatus.SUM */
#define PTE_G (1u << 5) /* in every address space */
#define PTE_A (1u << 6) /* accessed since software cleared it */
#define PTE_D (1u << 7) /* dirty: written since software cleared it */

#define PTE_OF(pa)  ((uint32_t)(pa) >> 12 << 10) /* the entry's page number for an address */
#define PTE_PA(pte) ((pte) >> 10 << 12)
#define VPN1(va)    ((uint32_t)(va) >> 22)
#define VPN0(va)    ((uint32_t)(va) >> 12 & 1023)

#endif
