/*
 * What stands between power-on and an x86 guest's first instruction.
 *
 * kvm_boot() looks at a file, loads it into the guest's memory together with what its boot protocol
 * promises (memory map, command line, modules, tables of the firmware that is not there), and says
 * in which state the first processor must start. It touches nothing but that memory: whoever has
 * the virtual processor applies the state.
 *
 *      struct kvm_boot_state state;
 *      error = kvm_boot(&config, &memory, &state, why);
 *      ...
 *      ioctl(vcpu, KVM_GET_SREGS, &sregs);         of a fresh or reset vCPU
 *      kvm_boot_sregs(&state, &sregs);
 *      ioctl(vcpu, KVM_SET_SREGS, &sregs);
 *      ioctl(vcpu, KVM_SET_REGS, &state.regs);
 *      if (state.rom) ... a read-only slot of it at state.rom_base ...
 *      ... when the virtual machine is gone:
 *      kvm_boot_state_free(&state);
 *
 * It may be called again on the same memory, to start the guest anew: what it needs to be zero it
 * clears.
 *
 * The formats, by the name that forces one:
 *
 *      name         what                                      starts in
 *      bzimage      Linux, protocol 2.06 or newer             long mode (or protected, without
 *                                                             XLF_KERNEL_64); rsi = zero page
 *      pvh          ELF with the note PHYS32_ENTRY            protected; ebx = hvm_start_info
 *      elf64        other ELF64                               long; rdi = hvm_start_info,
 *                                                             rsi = Linux's zero page
 *      elf32        other ELF32                               protected; ebx = hvm_start_info
 *      multiboot    Multiboot 1 header; ELF or the addresses  protected; eax = 0x2badb002,
 *                   in the header                             ebx = information
 *      multiboot2   Multiboot 2 header, likewise              protected; eax = 0x36d76289,
 *                                                             ebx = information
 *      bootsector   512 bytes that end in 55 aa, the rest     real; 0:7c00, dl = 0x80
 *                   of the file (to 64 KiB) is not loaded
 *      flat16       any bytes, at 0x7c00                      real; 0:7c00, dl = 0x80
 *      flat32       any bytes, at 1 MiB                       protected; ebx = hvm_start_info
 *      flat64       any bytes, at 1 MiB                       long; as elf64
 *      firmware     config->firmware at the top of 4 GiB      as a processor is reset
 *
 * Flat files and "firmware" are never guessed from a file; an ELF file takes the first of pvh,
 * multiboot2, multiboot, elf64 or elf32 that fits.
 *
 * Long mode here: the first 4 GiB are mapped to themselves in pages of 2 MiB, writable and
 * executable for CPL 0; protected mode: no paging; both: flat segments (code 0x10, data 0x18),
 * interrupts off, no IDT, and a stack of 12 KiB whose top is so aligned that a C function can be
 * the entry. What the protocols pass lies below 64 KiB (boot_priv.h has the map) and is RAM in the
 * memory map: the guest copies what it wants to keep.
 *
 * Sources: Linux Documentation/arch/x86/boot.rst and zero-page.rst; Xen docs/misc/pvh.pandoc;
 * Multiboot Specification 0.6.96 and 2.0; Intel SDM volume 3, 9.1 and 9.8.
 */
#ifndef VITRINE_KVM_BOOT_H
#define VITRINE_KVM_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "cpu/dev/disk.h"
#include "hv/kvm/dev/fwcfg.h"
#include "hv/kvm/memory.h"

enum {
    KVM_BOOT_WHY = 512,       /* bytes of a reason */
    KVM_BOOT_ARGS_MAX = 4095, /* characters of a command line */
    KVM_BOOT_CPUS_MAX = 254,  /* local APIC identifiers 0..253: 254 is the IOAPIC's, 255 is all */
    KVM_BOOT_VIRTIO_MAX = 32,
};

/* A virtio-mmio device: where its registers are and which input of the IOAPIC it interrupts by. */
struct kvm_boot_device {
    uint64_t base; /* below 4 GiB, a multiple of 4 KiB */
    uint32_t size; /* bytes */
    int irq;       /* 0..23 */
};

struct kvm_boot_config {
    const char *image;    /* path; not looked at with `firmware` */
    const char *initrd;   /* path, NULL: none. The only module for Multiboot */
    const char *args;     /* command line, NULL: empty */
    const char *disk;     /* path of the first disk: without an image its boot sector is loaded */
    struct disk *disk_image; /* the same, open; NULL: it is opened, as a raw image */
    const char *format;   /* one of the names above, NULL: find out */
    const char *firmware; /* path of a BIOS image; makes the format "firmware" */
    unsigned cpus;        /* 1..KVM_BOOT_CPUS_MAX; 0 is taken for 1 */
    /* To be announced, at most KVM_BOOT_VIRTIO_MAX. */
    const struct kvm_boot_device *virtio;
    unsigned virtio_count;
};

enum kvm_boot_mode {
    KVM_BOOT_RESET,     /* as the processor comes out of reset: kvm_boot_sregs() changes nothing */
    KVM_BOOT_REAL,      /* 16-bit, all segments 0 */
    KVM_BOOT_PROTECTED, /* 32-bit, flat segments, no paging */
    KVM_BOOT_LONG,      /* 64-bit, first 4 GiB mapped to themselves */
};

struct kvm_boot_state {
    const char *format_name; /* as in the list above */
    enum kvm_boot_mode mode;
    struct kvm_regs regs; /* for KVM_SET_REGS, all of it */
    uint64_t entry;       /* guest-physical address of the first instruction */
    uint64_t low, high;   /* first and last + 1 address of the image itself; 0, 0 for firmware */
    const char *symbols;  /* config->image if it is ELF, which may have symbols; else NULL */
    uint8_t *rom;         /* firmware that belongs at rom_base, read-only: owned, begins at a host
                           * page, so that a slot can consist of it; NULL: none */
    uint32_t rom_size;    /* a multiple of 4 KiB; rom_base + rom_size is 4 GiB */
    uint64_t rom_base;
};

/* Loads what `config` says and fills in `state`. 0, or -EINVAL (and no `rom`) with one line in
 * `why` (KVM_BOOT_WHY bytes) that names the file and the reason. Memory may have been written then.
 * The strings of `config` must live as long as `state`. */
int kvm_boot(const struct kvm_boot_config *config, const struct kvm_memory *memory,
             struct kvm_boot_state *state, char *why);
void kvm_boot_state_free(struct kvm_boot_state *state);

/* Changes what KVM_GET_SREGS gave for a vCPU as it comes out of reset into what the guest's entry
 * needs. Model-specific registers, the FPU and the local APIC stay as reset leaves them. */
void kvm_boot_sregs(const struct kvm_boot_state *state, struct kvm_sregs *sregs);

/* Fills fw_cfg with what firmware asks for: sizes, processors, memory map, ACPI tables, and that
 * INT 10h prints on COM1, as there is no display. Once, for a guest with firmware. 0, or -errno of
 * fwcfg_add(). */
int kvm_boot_fwcfg(const struct kvm_boot_config *config, const struct kvm_memory *memory,
                   struct fwcfg *fwcfg);

/* The n-th name that `format` may have, NULL after the last. */
const char *kvm_boot_format(unsigned n);

#endif
