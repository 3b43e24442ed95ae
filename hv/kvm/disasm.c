/*
 * Disassembly of x86 guests. See disasm.h; what is sensitive stands in sensitive.def.
 */
#include "hv/kvm/disasm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/kvm/capstone.h"
#include "hv/kvm/registers.h"

enum { MODES = 3, BEFORE_MAX = 64 };

/* A handle of capstone for each mode, and the one instruction that it writes to. */
struct kvm_disasm {
    enum { UNTRIED, THERE, MISSING } state;
    struct capstone cs;
    csh handle[MODES];
    cs_insn *insn[MODES];
};

static int index_of(unsigned bits)
{
    return bits == 16 ? 0 : bits == 32 ? 1 : 2;
}

struct kvm_disasm *kvm_disasm_new(void)
{
    return calloc(1, sizeof(struct kvm_disasm));
}

static bool open_mode(struct kvm_disasm *d, int i)
{
    static const cs_mode MODE[MODES] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    if (d->cs.cs_open(CS_ARCH_X86, MODE[i], &d->handle[i])) {
        d->handle[i] = 0;
        return false;
    }
    d->cs.cs_option(d->handle[i], CS_OPT_DETAIL, CS_OPT_ON); /* operands, for mov to cr */
    d->insn[i] = d->cs.cs_malloc(d->handle[i]);
    return d->insn[i] != NULL;
}

/* At the first instruction. */
static bool is_there(struct kvm_disasm *d)
{
    if (d->state == UNTRIED) {
        bool ok = capstone_load(&d->cs);
        for (int i = 0; i < MODES && ok; i++)
            ok = open_mode(d, i);
        d->state = ok ? THERE : MISSING;
    }
    return d->state == THERE;
}

const char *kvm_disasm_missing(struct kvm_disasm *d)
{
    return is_there(d) ? NULL : CAPSTONE_NAME " is not on this host";
}

void kvm_disasm_free(struct kvm_disasm *d)
{
    for (int i = 0; i < MODES && d; i++) {
        if (d->insn[i])
            d->cs.cs_free(d->insn[i], 1);
        if (d->handle[i])
            d->cs.cs_close(&d->handle[i]);
    }
    if (d)
        capstone_unload(&d->cs);
    free(d);
}

void kvm_code_of(struct kvm_code *code, const struct kvm_memory *memory,
                 const struct kvm_regs *regs, const struct kvm_sregs *sregs, unsigned width)
{
    *code = (struct kvm_code){.memory = memory, .bits = kvm_code_bits(sregs)};
    kvm_paging_of(&code->paging, regs, sregs, width);
    code->base = code->bits == 64 ? 0 : sregs->cs.base;
    code->pc = kvm_code_address(sregs, regs->rip);
}

/* ---- sensitive instructions ----------------------------------------------------------------- */

/* Not capstone's: told apart from other instructions `mov` by their operands. */
enum { X86_INS_MOV_CR = X86_INS_ENDING + 1, X86_INS_MOV_DR };

static const struct sensitive {
    unsigned id;
    enum kvm_sensitivity sensitivity;
    const char *why;
} SENSITIVE[] = {
#define SENSITIVE(id, kind, why) {X86_INS_##id, KVM_INSN_##kind, why},
#include "hv/kvm/sensitive.def"
};

const char *kvm_sensitivity_name(enum kvm_sensitivity sensitivity)
{
    static const char *const NAME[] = {
        [KVM_INSN_PLAIN] = "",
        [KVM_INSN_PRIVILEGED] = "privileged",
        [KVM_INSN_IOPL] = "privileged by IOPL",
        [KVM_INSN_SILENT] = "sensitive, and does not trap",
        [KVM_INSN_EXITS] = "leaves the guest",
    };
    return NAME[sensitivity];
}

static unsigned id_of(const cs_insn *insn)
{
    const cs_x86 *x86 = &insn->detail->x86;
    for (unsigned i = 0; i < x86->op_count && insn->id == X86_INS_MOV; i++) {
        if (x86->operands[i].type != X86_OP_REG)
            continue;
        x86_reg reg = x86->operands[i].reg;
        if (reg >= X86_REG_CR0 && reg <= X86_REG_CR15)
            return X86_INS_MOV_CR;
        if (reg >= X86_REG_DR0 && reg <= X86_REG_DR15)
            return X86_INS_MOV_DR;
    }
    return insn->id;
}

static void classify(const cs_insn *insn, struct kvm_insn *out)
{
    unsigned id = id_of(insn);
    for (size_t i = 0; i < sizeof SENSITIVE / sizeof *SENSITIVE; i++)
        if (SENSITIVE[i].id == id) {
            out->sensitivity = SENSITIVE[i].sensitivity;
            out->why = SENSITIVE[i].why;
        }
}

/* ---- one instruction ------------------------------------------------------------------------ */

static bool decode(struct kvm_disasm *d, unsigned bits, uint64_t va, uint64_t offset,
                   const uint8_t *bytes, size_t count, struct kvm_insn *out)
{
    int mode = index_of(bits);
    bool there = is_there(d);
    cs_insn *insn = d->insn[mode];
    const uint8_t *at = bytes;
    *out = (struct kvm_insn){.va = va, .length = 1, .readable = true, .why = ""};
    out->valid = there && d->cs.cs_disasm_iter(d->handle[mode], &at, &count, &offset, insn);
    if (out->valid) {
        out->length = (uint8_t)insn->size;
        snprintf(out->text, sizeof out->text, "%.20s%s%.70s", insn->mnemonic,
                 *insn->op_str ? " " : "", insn->op_str);
        classify(insn, out);
    } else {
        snprintf(out->text, sizeof out->text, ".byte 0x%02x", bytes[0]);
    }
    memcpy(out->bytes, bytes, out->length);
    return out->valid;
}

bool kvm_disassemble_bytes(struct kvm_disasm *d, unsigned bits, uint64_t va, const uint8_t *bytes,
                           size_t count, struct kvm_insn *out)
{
    if (count)
        return decode(d, bits, va, va, bytes, count, out);
    *out = (struct kvm_insn){.va = va, .length = 1, .why = ""};
    return false;
}

static void tell_unreadable(const struct kvm_code *code, uint64_t va, struct kvm_insn *out)
{
    struct kvm_walk w = {.access = 0};
    *out = (struct kvm_insn){.va = va, .length = 1, .why = ""};
    if (kvm_walk(&code->paging, code->memory, va, &w))
        snprintf(out->text, sizeof out->text, "(no memory at 0x%llx)", (unsigned long long)w.pa);
    else
        snprintf(out->text, sizeof out->text, "(%.*s)", KVM_INSN_TEXT - 3, w.why);
}

/* What branches show are offsets in CS; in 16-bit code they wrap at 64 KiB. */
static uint64_t offset_of(const struct kvm_code *code, uint64_t va)
{
    uint64_t offset = va - code->base;
    return code->bits == 64 ? offset : offset & UINT32_MAX;
}

/* The bytes at va as an instruction. False: there are none to be read. */
static bool disassemble_one(struct kvm_disasm *d, const struct kvm_code *code, uint64_t va,
                            struct kvm_insn *out)
{
    uint8_t bytes[KVM_INSN_BYTES];
    size_t count = kvm_walk_read(&code->paging, code->memory, va, bytes, sizeof bytes);
    if (count)
        decode(d, code->bits, va, offset_of(code, va), bytes, count, out);
    else
        tell_unreadable(code, va, out);
    return count;
}

int kvm_disassemble(struct kvm_disasm *d, const struct kvm_code *code, uint64_t va,
                    struct kvm_insn *out, int count)
{
    for (int n = 0; n < count; n++) {
        if (!disassemble_one(d, code, va, &out[n]))
            return n + 1;
        va += out[n].length;
    }
    return count > 0 ? count : 0;
}

/* ---- around --------------------------------------------------------------------------------- */

/* The bytes before va that are looked at. */
enum { WINDOW = KVM_PAGE };

/* Reads up to *span bytes before va, as many as are mapped without a gap, and sets *span to that.
 */
static void read_before(const struct kvm_code *code, uint64_t va, uint8_t *bytes, unsigned *span)
{
    unsigned in_page = va & (KVM_PAGE - 1); /* at most two pages are concerned */
    if (kvm_walk_read(&code->paging, code->memory, va - *span, bytes, *span) == *span)
        return;
    if (*span > in_page)
        *span = in_page;
    if (kvm_walk_read(&code->paging, code->memory, va - *span, bytes, *span) != *span)
        *span = 0;
}

/*
 * For each byte of the window: how many instructions lead from there to its end exactly, and where
 * the first of them ends. From the end backwards, so that each byte is disassembled once.
 */
static void find_chains(struct kvm_disasm *d, unsigned bits, const uint8_t *bytes, unsigned span,
                        uint16_t *steps, uint16_t *next)
{
    struct kvm_insn insn;
    for (unsigned at = span; at-- > 0;) {
        unsigned left = span - at;
        bool valid =
            decode(d, bits, 0, 0, bytes + at, left < KVM_INSN_BYTES ? left : KVM_INSN_BYTES, &insn);
        next[at] = (uint16_t)(at + insn.length);
        steps[at] = 0;
        if (valid && next[at] == span)
            steps[at] = 1;
        else if (valid && steps[next[at]])
            steps[at] = (uint16_t)(steps[next[at]] + 1);
    }
}

/* The address of the instruction that stands `before` instructions in front of va, or less. */
static uint64_t find_start(struct kvm_disasm *d, const struct kvm_code *code, uint64_t va,
                           uint64_t known, unsigned before)
{
    uint8_t bytes[WINDOW];
    uint16_t steps[WINDOW], next[WINDOW];
    bool is_near = known && known < va && va - known <= WINDOW;
    uint64_t wanted = is_near ? va - known : (uint64_t)before * KVM_INSN_BYTES;
    unsigned span = (unsigned)(wanted < va ? wanted : va);
    read_before(code, va, bytes, &span);
    find_chains(d, code->bits, bytes, span, steps, next);
    unsigned at = 0;
    while (at < span && !steps[at])
        at++;
    while (at < span && steps[at] > before)
        at = next[at];
    return va - span + at;
}

int kvm_disassemble_around(struct kvm_disasm *d, const struct kvm_code *code, uint64_t va,
                           uint64_t known, int before, struct kvm_insn *out, int count)
{
    if (before >= count)
        before = count - 1;
    if (before > BEFORE_MAX)
        before = BEFORE_MAX;
    if (before > 0)
        va = find_start(d, code, va, known, (unsigned)before);
    return kvm_disassemble(d, code, va, out, count);
}
