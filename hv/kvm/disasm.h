/*
 * An x86 guest's instructions, by capstone: as text, and what they mean to a monitor.
 *
 * The bytes come from guest memory through our own page walk; whether they are 16-, 32- or 64-bit
 * code the processor's state says.
 *
 *     struct kvm_disasm *d = kvm_disasm_new();
 *     struct kvm_code code;
 *     kvm_code_of(&code, &memory, &regs, &sregs, width);
 *     int count = kvm_disassemble(d, &code, code.pc, insn, 10);
 *
 * Source: capstone 4; Intel SDM vol. 2 for the encodings, and as sensitive.def says.
 */
#ifndef VITRINE_KVM_DISASM_H
#define VITRINE_KVM_DISASM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "hv/kvm/memory.h"
#include "hv/kvm/walk.h"

enum { KVM_INSN_BYTES = 15, KVM_INSN_TEXT = 96 };

/* See sensitive.def. */
enum kvm_sensitivity {
    KVM_INSN_PLAIN,
    KVM_INSN_PRIVILEGED,
    KVM_INSN_IOPL,
    KVM_INSN_SILENT,
    KVM_INSN_EXITS,
};

struct kvm_insn {
    uint64_t va;    /* linear address */
    uint8_t length; /* bytes, never 0 */
    uint8_t bytes[KVM_INSN_BYTES];
    bool readable;            /* false: nothing is mapped there, `text` says why */
    bool valid;               /* false: these bytes are no instruction, `text` is ".byte 0x.." */
    char text[KVM_INSN_TEXT]; /* Intel syntax */
    enum kvm_sensitivity sensitivity;
    const char *why; /* one line if it is sensitive, else "" */
};

/* How the code that runs is to be read: filled in by kvm_code_of(), or by hand. */
struct kvm_code {
    const struct kvm_memory *memory;
    struct kvm_paging paging;
    unsigned bits; /* 16, 32 or 64 */
    uint64_t base; /* linear address of offset 0 in CS; branch targets are shown as offsets */
    uint64_t pc;   /* linear address of the next instruction */
};

struct kvm_disasm;

/* NULL: no memory. One thread at a time may use it. */
struct kvm_disasm *kvm_disasm_new(void);
/* Why it tells bytes instead of instructions: the library for it, which is loaded at the first one,
 * is not there. NULL: it is. */
const char *kvm_disasm_missing(struct kvm_disasm *disasm);
void kvm_disasm_free(struct kvm_disasm *disasm); /* NULL is allowed */

/* `width` as in kvm_paging_of(). `memory` must live as long as `code`. */
void kvm_code_of(struct kvm_code *code, const struct kvm_memory *memory,
                 const struct kvm_regs *regs, const struct kvm_sregs *sregs, unsigned width);

/* `count` instructions from linear address `va` on. Returns how many: `count`, or less where one
 * that cannot be read came, which is the last. */
int kvm_disassemble(struct kvm_disasm *disasm, const struct kvm_code *code, uint64_t va,
                    struct kvm_insn *out, int count);

/*
 * The same with up to `before` of the `count` instructions in front of `va`. Where an x86
 * instruction begins cannot be seen from its end. So starts up to 15 bytes an instruction back are
 * tried, the farthest first, and the first whose instructions meet `va` exactly is taken: x86 code
 * falls into step within a few instructions, so what stands close before `va` is nearly always
 * right. `known`: the address of an instruction at or before va, as a symbol gives it, to begin at
 * if it is near; 0: none.
 */
int kvm_disassemble_around(struct kvm_disasm *disasm, const struct kvm_code *code, uint64_t va,
                           uint64_t known, int before, struct kvm_insn *out, int count);

/* One instruction given by its bytes. False: they are none. */
bool kvm_disassemble_bytes(struct kvm_disasm *disasm, unsigned bits, uint64_t va,
                           const uint8_t *bytes, size_t count, struct kvm_insn *out);

/* "privileged", "sensitive, and does not trap" ... */
const char *kvm_sensitivity_name(enum kvm_sensitivity sensitivity);

#endif
