/*
 * The state of the first processor at the guest's first instruction, and the tables in memory that
 * it needs: a GDT, and page tables that map the first 4 GiB to themselves.
 *
 * Segment registers are loaded as if the guest had loaded them from the GDT that it finds; the
 * hidden parts, which KVM wants to see, are told here. Intel SDM volume 3, 3.4.3 and 26.3.1.2.
 */
#include "config.h"

#include "hv/kvm/boot_priv.h"

#include <string.h>

#include "hv/kvm/acpi.h"
#include "hv/kvm/mptable.h"

enum { CR0_PE = 1 << 0, CR0_ET = 1 << 4, CR4_PAE = 1 << 5, EFER_LME = 1 << 8, EFER_LMA = 1 << 10 };
#define CR0_PG 0x80000000u
enum { PTE_P = 1, PTE_W = 2, PTE_PS = 0x80 };
enum { TABLE = 512, LARGE_PAGE = 2 << 20 };

/* Access byte and flags of a flat descriptor; SDM volume 3, figure 3-8. */
#define FLAT(access, flags)                                                                        \
    (0x0000ffffull | (uint64_t)(access) << 40 | 0xfull << 48 | (uint64_t)(flags) << 52)
enum { ACCESS_CODE = 0x9b, ACCESS_DATA = 0x93 };
enum { FLAGS_32 = 0xc, FLAGS_64 = 0xa }; /* granularity, and D or L */

/* ---- tables in memory --------------------------------------------------------------------- */

static void put_gdt(const struct boot *b, bool is_long)
{
    uint64_t gdt[4] = {
        [BOOT_CODE / 8] = FLAT(ACCESS_CODE, is_long ? FLAGS_64 : FLAGS_32),
        [BOOT_DATA / 8] = FLAT(ACCESS_DATA, FLAGS_32),
    };
    boot_put(b, BOOT_GDT, gdt, sizeof gdt);
}

/* PML4 -> PDPT -> four directories of 512 pages of 2 MiB. SDM volume 3, 4.5. */
static void put_page_tables(const struct boot *b)
{
    uint64_t table[TABLE] = {BOOT_TABLES + KVM_PAGE + PTE_P + PTE_W};
    boot_put(b, BOOT_TABLES, table, sizeof table);
    for (unsigned i = 0; i < 4; i++)
        table[i] = BOOT_TABLES + (2 + i) * KVM_PAGE + PTE_P + PTE_W;
    boot_put(b, BOOT_TABLES + KVM_PAGE, table, sizeof table);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < TABLE; j++)
            table[j] = (uint64_t)(i * TABLE + j) * LARGE_PAGE + PTE_P + PTE_W + PTE_PS;
        boot_put(b, BOOT_TABLES + (2 + i) * KVM_PAGE, table, sizeof table);
    }
}

static void put_acpi(const struct boot *b)
{
    struct acpi acpi;
    uint32_t tables = BOOT_ACPI + ACPI_ALIGN;
    acpi_build(&acpi, b->config);
    acpi_place(&acpi, tables);
    boot_put(b, BOOT_ACPI, acpi.rsdp, sizeof acpi.rsdp);
    boot_put(b, tables, acpi.tables, acpi.size);
}

static void put_mptable(const struct boot *b)
{
    struct mptable mp;
    mptable_build(&mp, BOOT_MPTABLE, b->config);
    boot_put(b, BOOT_EBDA, mp.pointer, sizeof mp.pointer);
    boot_put(b, BOOT_MPTABLE, mp.table, mp.size);
}

void boot_start(struct boot *b, enum kvm_boot_mode mode, uint64_t entry)
{
    struct kvm_regs *r = &b->state->regs;
    *r = (struct kvm_regs){.rip = entry, .rflags = 2};
    b->state->mode = mode;
    b->state->entry = entry;
    if (mode == KVM_BOOT_PROTECTED || mode == KVM_BOOT_LONG) {
        /* As after a call: the System V ABIs want rsp + 8, esp + 4 to be multiples of 16. */
        r->rsp = BOOT_STACK - (mode == KVM_BOOT_LONG ? 8 : 4);
        put_gdt(b, mode == KVM_BOOT_LONG);
        put_acpi(b);
        put_mptable(b);
        if (mode == KVM_BOOT_LONG)
            put_page_tables(b);
    }
}

/* ---- system registers --------------------------------------------------------------------- */

static struct kvm_segment flat(uint16_t selector, bool code, bool is_long)
{
    return (struct kvm_segment){
        .limit = 0xffffffff,
        .selector = selector,
        .type = code ? 0xb : 3,
        .present = 1,
        .s = 1,
        .db = !(code && is_long),
        .l = code && is_long,
        .g = 1,
    };
}

static struct kvm_segment real(bool code)
{
    return (struct kvm_segment){
        .limit = 0xffff,
        .type = code ? 0xb : 3,
        .present = 1,
        .s = 1,
    };
}

static void set_segments(struct kvm_sregs *s, struct kvm_segment code, struct kvm_segment data)
{
    s->cs = code;
    s->ds = s->es = s->fs = s->gs = s->ss = data;
}

/* The task register must hold a busy TSS for hardware to enter the guest (SDM volume 3, 26.3.1.2);
 * this one has room for nothing, so a guest that wants to use one loads its own. */
static void set_protected(struct kvm_sregs *s, bool is_long)
{
    set_segments(s, flat(BOOT_CODE, true, is_long), flat(BOOT_DATA, false, is_long));
    s->tr = (struct kvm_segment){.limit = 0x67, .type = 0xb, .present = 1};
    s->ldt = (struct kvm_segment){.type = 2, .unusable = 1};
    s->gdt = (struct kvm_dtable){.base = BOOT_GDT, .limit = 4 * 8 - 1};
    s->idt = (struct kvm_dtable){0};
    s->cr0 = CR0_PE | CR0_ET;
    s->cr4 = s->efer = 0;
    if (is_long) {
        s->cr3 = BOOT_TABLES;
        s->cr4 = CR4_PAE;
        s->efer = EFER_LME | EFER_LMA;
        s->cr0 |= CR0_PG;
    }
}

void kvm_boot_sregs(const struct kvm_boot_state *state, struct kvm_sregs *s)
{
    switch (state->mode) {
    case KVM_BOOT_RESET: break;
    case KVM_BOOT_REAL: set_segments(s, real(true), real(false)); break;
    case KVM_BOOT_PROTECTED: set_protected(s, false); break;
    case KVM_BOOT_LONG: set_protected(s, true); break;
    }
}
