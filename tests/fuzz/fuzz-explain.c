/*
 * Fuzzes what tells a person about a vCPU: disassembler, registers in words, exits, and why KVM has
 * given a vCPU up.
 *
 * The input is a processor's registers, what KVM says of an exit, and memory: all three as a guest
 * can make them. Texts end, have one line and fit.
 * Parts: cpu/state.c hv/kvm/memory.c hv/kvm/walk.c hv/kvm/capstone.c hv/kvm/disasm.c
 * Parts: hv/kvm/explain.c hv/kvm/registers.c hv/kvm/triple-fault.c
 * Packages: capstone
 */
#include "config.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "hv/kvm/explain.h"
#include "hv/kvm/registers.h"
#include "tests/fuzz/guarded.h"

enum { MEMORY = 32 << 10, LOW = 16 << 10, INSNS = 8, DATA_OFFSET = 4096, RUN = 2 * 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

/* What the input begins with. Guest memory follows. */
struct given {
    uint8_t wild, width, before, unused;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    uint8_t exit[256]; /* the beginning of struct kvm_run */
    struct kvm_debugregs debug;
    struct kvm_fpu fpu;
    uint64_t msr[KVM_CPU_MSRS];
    uint8_t data[16];
};

static struct kvm_memory memory;
static struct kvm_disasm *disasm;

static void check_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    require(length < size);
    for (size_t i = 0; i < length; i++)
        require((unsigned char)text[i] >= ' ' && text[i] != 127);
}

static void check_insn(const struct kvm_insn *insn, uint64_t va)
{
    require(insn->va == va && insn->length >= 1 && insn->length <= KVM_INSN_BYTES);
    require(insn->why != NULL && kvm_sensitivity_name(insn->sensitivity));
    check_text(insn->text, sizeof insn->text);
}

static void check_code(const struct kvm_code *code, uint64_t va, int before)
{
    struct kvm_insn insn[INSNS];
    int count = kvm_disassemble(disasm, code, va, insn, INSNS);
    require(count >= 1 && count <= INSNS);
    for (int i = 0; i < count; i++) {
        check_insn(&insn[i], va);
        va += insn[i].length;
    }
    count = kvm_disassemble_around(disasm, code, code->pc, 0, before, insn, INSNS);
    require(count >= 1 && count <= INSNS);
    for (int i = 1; i < count; i++)
        check_insn(&insn[i], insn[i - 1].va + insn[i - 1].length);
}

static void check_registers(struct kvm_cpu_state *cpu)
{
    struct kvm_register list[KVM_REGISTERS_MAX], one;
    char mode[64];
    int count = kvm_registers_list(cpu, list, KVM_REGISTERS_MAX);
    require(count > 0 && count <= KVM_REGISTERS_MAX);
    for (int i = 0; i < count; i++) {
        check_text(list[i].text, sizeof list[i].text);
        require(kvm_register_read(cpu, list[i].name, &one) && one.value == list[i].value);
    }
    kvm_mode_text(&cpu->regs, &cpu->sregs, mode, sizeof mode);
    check_text(mode, sizeof mode);
    for (int i = 0; i < count; i++) {
        int error = kvm_register_write(cpu, list[i].name, cpu->msr[0], cpu->msr[1]);
        require(error == 0 || error == -ENOENT || error == -ERANGE);
    }
    unsigned bits = kvm_code_bits(&cpu->sregs);
    require(bits == 16 || bits == 32 || bits == 64);
}

/* KVM's own part of the page is sound: it says where the data of a port access is. */
static void check_exit(struct kvm_run *run, const struct kvm_cpu_state *cpu, unsigned width)
{
    struct kvm_explanation explanation;
    char text[KVM_EXPLAIN_TEXT];
    if (run->exit_reason == KVM_EXIT_IO) {
        static const uint8_t SIZES[] = {1, 2, 4, 4};
        run->io.size = SIZES[run->io.size & 3];
        run->io.count = 1 + run->io.count % (DATA_OFFSET / 4);
        run->io.data_offset = DATA_OFFSET;
    } else if (run->exit_reason == KVM_EXIT_MMIO) {
        run->mmio.len = 1 + run->mmio.len % 8;
    }
    kvm_exit_text(run, text, sizeof text);
    check_text(text, sizeof text);
    kvm_explain(run, &cpu->regs, &cpu->sregs, &memory, width, disasm, &explanation);
    require(explanation.count >= 1 && explanation.count <= KVM_EXPLAIN_LINES);
    for (int i = 0; i < explanation.count; i++)
        check_text(explanation.line[i], KVM_EXPLAIN_TEXT);
}

/* Most registers point into the memory, so that there is something to be found. */
static void tame(struct kvm_cpu_state *cpu, uint8_t wild)
{
    __u64 *const address[] = {&cpu->regs.rip,       &cpu->regs.rsp,      &cpu->sregs.cr3,
                              &cpu->sregs.idt.base, &cpu->sregs.cs.base, &cpu->sregs.gdt.base};
    for (unsigned i = 0; i < sizeof address / sizeof *address; i++)
        if (!(wild >> i & 1))
            *address[i] %= LOW;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static _Alignas(struct kvm_run) uint8_t page[RUN];
    struct kvm_run *run = (struct kvm_run *)page;
    struct given g = {0};
    struct kvm_code code;
    if (!memory.host) {
        memory = guarded_memory(MEMORY, LOW);
        disasm = kvm_disasm_new();
        require(disasm != NULL);
    }
    memcpy(&g, bytes, count < sizeof g ? count : sizeof g);
    size_t rest = count < sizeof g ? 0 : count - sizeof g;
    memset(memory.host, 0, MEMORY);
    memcpy(memory.host, bytes + count - rest, rest < MEMORY ? rest : MEMORY);
    memcpy(page, g.exit, sizeof g.exit);
    memcpy(page + DATA_OFFSET, g.data, sizeof g.data);
    run->exit_reason %= KVM_EXIT_HYPERCALL + 40;
    struct kvm_cpu_state cpu = {
        .regs = g.regs, .sregs = g.sregs, .debug = g.debug, .fpu = g.fpu, .msr_there = ~0ull};
    memcpy(cpu.msr, g.msr, sizeof cpu.msr);
    tame(&cpu, g.wild);
    kvm_code_of(&code, &memory, &cpu.regs, &cpu.sregs, g.width);
    check_code(&code, code.pc, g.before % INSNS);
    check_exit(run, &cpu, g.width);
    check_registers(&cpu);
    return 0;
}

/* ---- a vCPU to begin with ---------------------------------------------------------------------
 */

/* In real, protected and long mode; the code is at 0x100, a table that maps all as it is at 0x1000.
 */
static size_t good_vcpu(uint8_t *bytes, unsigned seed)
{
    enum { CODE = 0x100, TABLE = 0x1000, STACK = 0x3000 };
    static const uint32_t REASON[] = {KVM_EXIT_SHUTDOWN, KVM_EXIT_INTERNAL_ERROR,
                                      KVM_EXIT_FAIL_ENTRY, KVM_EXIT_IO, KVM_EXIT_MMIO};
    static const uint8_t INSN[] = {0x0f, 0x0b, 0xf4, 0xe6, 0x80, 0xcc, 0x0f, 0x22, 0xd8, 0x9d};
    const uint64_t entry[] = {0x2007, 0x87};
    struct given g = {.width = 40, .before = 2, .regs = {.rip = CODE, .rsp = STACK, .rflags = 2}};
    struct kvm_run run = {.exit_reason = REASON[seed % 5]};
    unsigned mode = seed / 5 % 3;
    g.sregs.cs =
        (struct kvm_segment){.present = 1, .s = 1, .type = 11, .db = mode == 1, .l = mode == 2};
    g.sregs.cr0 = mode == 0 ? 0 : mode == 1 ? 1 : 0x80000001;
    g.sregs.cr3 = TABLE;
    g.sregs.cr4 = mode == 2 ? 0x20 : 0;
    g.sregs.efer = mode == 2 ? 0xd00 : 0;
    g.sregs.idt.limit = 0xfff;
    memcpy(g.exit, &run, sizeof g.exit);
    memcpy(bytes, &g, sizeof g);
    memset(bytes + sizeof g, 0, STACK);
    memcpy(bytes + sizeof g + CODE, INSN, sizeof INSN);
    memcpy(bytes + sizeof g + TABLE, &entry[0], sizeof *entry);
    memcpy(bytes + sizeof g + 2 * TABLE, &entry[1], sizeof *entry);
    return sizeof g + STACK;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    enum { ROOM = sizeof(struct given) + 0x3000 };
    if ((count < sizeof(struct given) || seed % 64 == 0) && max >= ROOM)
        count = good_vcpu(bytes, seed / 64);
    return LLVMFuzzerMutate(bytes, count, max);
}
