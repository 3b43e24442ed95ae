/*
 * The page-table walk of an x86 guest, done by us: from a linear address to a guest-physical one,
 * with every entry on the way kept for a viewer.
 *
 * All of x86's formats: paging off, 32-bit paging (4 KiB pages, 4 MiB pages with PSE and PSE-36),
 * PAE, 4-level and 5-level paging. The walk only looks: it sets no accessed or dirty bits and reads
 * nothing but the guest's memory, so it may be asked about any address at any time. The guest has
 * written the tables and may have written anything: every table address is checked.
 *
 *     struct kvm_paging paging;
 *     kvm_paging_of(&paging, &regs, &sregs, 40);
 *     struct kvm_walk walk = {.access = 'w', .user = paging.user};
 *     if (kvm_walk(&paging, &memory, va, &walk))
 *         ... walk.pa
 *     else
 *         ... walk.why, "level 2 entry (page directory) is not present"
 *
 * Left out: protection keys, shadow-stack pages, linear-address masking, and the translation
 * caches: hardware may go on using an entry that the guest has changed without a flush. PAE's four
 * page-directory-pointer entries are read from memory, while hardware uses those that it loaded
 * with CR3.
 *
 * Source: Intel SDM vol. 3A, chapter 4 "Paging"; sections are cited in walk.c.
 */
#ifndef VITRINE_KVM_WALK_H
#define VITRINE_KVM_WALK_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/kvm/memory.h"

/* The bits of an entry. */
enum {
    X86_PTE_P = 1 << 0,   /* present */
    X86_PTE_RW = 1 << 1,  /* writing is allowed */
    X86_PTE_US = 1 << 2,  /* user mode is allowed */
    X86_PTE_PWT = 1 << 3, /* cache: write through */
    X86_PTE_PCD = 1 << 4, /* cache: disabled */
    X86_PTE_A = 1 << 5,   /* accessed */
    X86_PTE_D = 1 << 6,   /* dirty (leaf) */
    X86_PTE_PS = 1 << 7,  /* a large page (levels 2 and 3; in level 1 this is PAT) */
    X86_PTE_G = 1 << 8,   /* global (leaf) */
};
#define X86_PTE_XD (1ull << 63) /* execute disable */

/* The bits of a page fault's error code, section 4.7. */
enum {
    X86_PF_P = 1 << 0,    /* the entry was present: it is about rights or reserved bits */
    X86_PF_W = 1 << 1,    /* the access was a write */
    X86_PF_U = 1 << 2,    /* ... in user mode */
    X86_PF_RSVD = 1 << 3, /* an entry has a reserved bit set */
    X86_PF_I = 1 << 4,    /* the access was an instruction fetch */
};

enum { X86_GP = 13, X86_PF = 14 };

enum kvm_paging_mode {
    KVM_PAGING_OFF,
    KVM_PAGING_32,
    KVM_PAGING_PAE,
    KVM_PAGING_4_LEVEL,
    KVM_PAGING_5_LEVEL,
};

enum { KVM_WALK_LEVELS = 5, KVM_WALK_TEXT = 128 };

/* What a translation depends on beside the address: filled in by kvm_paging_of(), or by hand. */
struct kvm_paging {
    enum kvm_paging_mode mode;
    uint64_t cr3;
    unsigned width; /* MAXPHYADDR, bits of a physical address: 32..52 */
    bool pse;       /* CR4.PSE: 4 MiB pages in 32-bit paging */
    bool huge;      /* 1 GiB pages are there (CPUID 80000001h, EDX bit 26) */
    bool nxe;       /* EFER.NXE: XD means execute disable; without it the bit is reserved */
    bool wp;        /* CR0.WP: read-only holds for the supervisor, too */
    bool smep;      /* CR4.SMEP: the supervisor fetches no instructions from user pages */
    bool smap;      /* CR4.SMAP: the supervisor reads and writes user pages only with ac */
    bool ac;        /* RFLAGS.AC */
    bool user;      /* CPL is 3 */
};

/* One entry that was looked at. */
struct kvm_walk_step {
    uint8_t level;      /* 5 .. 1; 1 is the page table */
    uint8_t entry_size; /* bytes: 4 or 8 */
    uint16_t index;     /* of the entry in its table */
    uint64_t table;     /* guest-physical address of the table */
    uint64_t at;        /* ... and of the entry */
    uint64_t entry;     /* as read */
    bool leaf;          /* it holds a page, not a table */
    /* What this entry and those above it allow together: */
    bool writable, user, executable;
};

/* A walk and what came of it. Fill in `access` and `user`; kvm_walk() does the rest. */
struct kvm_walk {
    char access; /* 'r', 'w', 'x'; 0: where is it? No rights are checked. */
    bool user;   /* the access is a user-mode access */

    bool ok;
    uint64_t pa;                                  /* of the byte, if ok */
    uint64_t page_size;                           /* bytes, if ok; 0: paging is off */
    bool writable, user_page, executable, global; /* if ok: what all levels together allow */
    uint64_t leaf;                                /* the last entry, if ok; 0: paging is off */
    int vector;              /* if not ok: X86_PF, X86_GP, or -1: no processor would ask this */
    uint32_t error_code;     /* of the page fault */
    char why[KVM_WALK_TEXT]; /* if not ok: the reason, one line */
    uint8_t steps;
    struct kvm_walk_step step[KVM_WALK_LEVELS];
};

/* A run of pages that are mapped alike. */
struct kvm_region {
    uint64_t va, pa;
    uint64_t size;      /* bytes */
    uint64_t page_size; /* 0: paging is off */
    bool writable, user, executable, global;
};

/* `width` is the guest's MAXPHYADDR (CPUID 80000008h, EAX bits 7:0). 1 GiB pages are taken as
 * there. */
void kvm_paging_of(struct kvm_paging *paging, const struct kvm_regs *regs,
                   const struct kvm_sregs *sregs, unsigned width);

/* Translates the linear address `va`. Returns walk->ok. */
bool kvm_walk(const struct kvm_paging *paging, const struct kvm_memory *memory, uint64_t va,
              struct kvm_walk *walk);

/* Lists what is mapped from linear address `from` on, in order, as at most `max` regions, and
 * returns how many there are. *next is 0 if that was all, else the address to go on from. The work
 * is bounded, because tables can point to themselves: one call may return few regions, even none,
 * and a *next. */
int kvm_walk_regions(const struct kvm_paging *paging, const struct kvm_memory *memory,
                     uint64_t from, struct kvm_region *out, int max, uint64_t *next);

/* Copies between guest memory at a linear address and `bytes`, whatever the rights. Returns how
 * many bytes were copied: less than `count` if a page is not mapped or not RAM. */
size_t kvm_walk_read(const struct kvm_paging *paging, const struct kvm_memory *memory, uint64_t va,
                     void *bytes, size_t count);
size_t kvm_walk_write(const struct kvm_paging *paging, const struct kvm_memory *memory, uint64_t va,
                      const void *bytes, size_t count);

/* "32-bit paging", "4-level paging" ... */
const char *kvm_paging_name(enum kvm_paging_mode mode);
/* "page directory", "PML4 table" ... of a level of that mode. */
const char *kvm_paging_table_name(enum kvm_paging_mode mode, unsigned level);
/* Levels of tables: 0 (paging off) to 5. */
unsigned kvm_paging_levels(enum kvm_paging_mode mode);

#endif
