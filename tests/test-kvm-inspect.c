/* Looking into a vCPU: its registers, its instructions, its symbols. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu/symbols.h"
#include "hv/kvm/disasm.h"
#include "hv/kvm/registers.h"
#include "tests/kvm-probe.h"
#include "tests/tap.h"

enum { MEMORY = 2 << 20, WIDTH = 40, CODE = KVM_PROBE_CODE, PML4 = 0x1000 };

static struct kvm_memory memory;
static struct kvm_disasm *disasm;

static void setup(void)
{
    ck_assert_int_eq(kvm_memory_init(&memory, MEMORY), 0);
    disasm = kvm_disasm_new();
    ck_assert_ptr_nonnull(disasm);
}

static void teardown(void)
{
    kvm_disasm_free(disasm);
    kvm_memory_free(&memory);
}

/* ---- registers ------------------------------------------------------------------------------ */

static struct kvm_cpu_state some_state(void)
{
    struct kvm_cpu_state cpu = {.msr_there = (1ull << KVM_CPU_MSRS) - 1};
    cpu.regs.rflags = 0x3246;
    cpu.sregs.cr0 = 0x80010001;
    cpu.sregs.efer = 0xd01;
    cpu.sregs.cs = (struct kvm_segment){
        .selector = 0x33, .limit = ~0u, .type = 11, .present = 1, .s = 1, .dpl = 3, .l = 1, .g = 1};
    cpu.sregs.ss = (struct kvm_segment){
        .selector = 0x2b, .limit = ~0u, .type = 3, .present = 1, .s = 1, .dpl = 3, .db = 1, .g = 1};
    cpu.sregs.tr = (struct kvm_segment){
        .selector = 0x40, .base = 0x8000, .limit = 0x67, .type = 11, .present = 1};
    cpu.sregs.ds.unusable = 1;
    cpu.sregs.gdt = (struct kvm_dtable){.base = 0x6000, .limit = 0x4f};
    cpu.sregs.apic_base = 0xfee00900;
    cpu.msr[KVM_MSR_SLOT_star] = 0x23000800000000;
    cpu.msr[KVM_MSR_SLOT_pat] = 0x0007040600070406;
    cpu.fpu.fsw = 6 << 11;
    cpu.fpu.ftwx = 0x40; /* st0 is full, the rest is empty */
    long double value = -1.5;
    memcpy(cpu.fpu.fpr[0], &value, 10);
    cpu.fpu.mxcsr = 0x1f80;
    return cpu;
}

static const struct {
    const char *name;
    enum kvm_register_group group;
    unsigned bits;
    uint64_t value, high;
    const char *text;
} TOLD[] = {
    {"rax", KVM_GROUP_GENERAL, 64, 0, 0, ""},
    {"rflags", KVM_GROUP_GENERAL, 64, 0x3246, 0, "PF ZF IF IOPL=3"},
    {"CS", KVM_GROUP_SEGMENT, 16, 0x33, 0,
     "base 0x0, limit 0xffffffff, 64-bit code, readable, DPL 3"},
    {"ss", KVM_GROUP_SEGMENT, 16, 0x2b, 0, "base 0x0, limit 0xffffffff, data, writable, DPL 3"},
    {"ds", KVM_GROUP_SEGMENT, 16, 0, 0, "not usable"},
    {"tr", KVM_GROUP_SEGMENT, 16, 0x40, 0x8000, "base 0x8000, limit 0x67, busy 64-bit TSS, DPL 0"},
    {"gdtr", KVM_GROUP_SEGMENT, 64, 0x6000, 0x4f, "base 0x6000, limit 0x4f"},
    {"cr0", KVM_GROUP_CONTROL, 64, 0x80010001, 0, "PE WP PG"},
    {"efer", KVM_GROUP_CONTROL, 64, 0xd01, 0, "SCE LME LMA NXE"},
    {"apic_base", KVM_GROUP_MSR, 64, 0xfee00900, 0, "at 0xfee00000, on, the boot processor"},
    {"star", KVM_GROUP_MSR, 64, 0x23000800000000, 0, "syscall to CS 0x8, sysret to CS 0x33"},
    {"pat", KVM_GROUP_MSR, 64, 0x0007040600070406, 0, "WB WT UC- UC WB WT UC- UC"},
    {"fsw", KVM_GROUP_FPU, 16, 0x3000, 0, "TOP=6"},
    {"st0", KVM_GROUP_FPU, 80, 0xc000000000000000, 0xbfff, "-1.5"},
    {"st1", KVM_GROUP_FPU, 80, 0, 0, "empty"},
    {"mxcsr", KVM_GROUP_SSE, 32, 0x1f80, 0, "IM DM ZM OM UM PM"},
};

START_TEST(registers_are_told)
{
    struct kvm_cpu_state cpu = some_state();
    struct kvm_register reg;
    ck_assert(kvm_register_read(&cpu, TOLD[_i].name, &reg));
    ck_assert_int_eq(reg.group, TOLD[_i].group);
    ck_assert_uint_eq(reg.bits, TOLD[_i].bits);
    ck_assert_uint_eq(reg.value, TOLD[_i].value);
    ck_assert_uint_eq(reg.high, TOLD[_i].high);
    ck_assert_str_eq(reg.text, TOLD[_i].text);
}
END_TEST

/* Every row: its name is its own, and what is written is read. */
START_TEST(registers_by_name)
{
    struct kvm_cpu_state cpu = some_state();
    struct kvm_register list[KVM_REGISTERS_MAX], reg;
    int count = kvm_registers_list(&cpu, list, KVM_REGISTERS_MAX);
    ck_assert_int_gt(count, 80);
    for (int i = 0; i < count; i++) {
        uint64_t mask = list[i].bits < 64 ? (1ull << list[i].bits) - 1 : ~0ull;
        uint64_t value = 0x123456789abcdef0 & mask;
        bool is_table = list[i].bits == 64 && list[i].group == KVM_GROUP_SEGMENT;
        uint64_t high = list[i].bits == 128 ? 0xfedcba9876543210 : list[i].bits == 80 ? 0x4001 : 0;
        if (is_table)
            high = 0xfff;
        ck_assert_int_eq(kvm_register_write(&cpu, list[i].name, value, high), 0);
        ck_assert(kvm_register_read(&cpu, list[i].name, &reg));
        ck_assert_ptr_eq(reg.name, list[i].name); /* not one of the same name */
        ck_assert_uint_eq(reg.value, value);
        if (high)
            ck_assert_uint_eq(reg.high, high);
        if (list[i].bits < 64)
            ck_assert_int_eq(kvm_register_write(&cpu, list[i].name, mask + 1, 0), -ERANGE);
        ck_assert_uint_gt(strlen(list[i].meaning), 5);
    }
    ck_assert_int_eq(kvm_register_write(&cpu, "st0", 0, 0x10000), -ERANGE);
    ck_assert_int_eq(kvm_register_write(&cpu, "idtr", 0, 0x10000), -ERANGE);
    ck_assert_int_eq(kvm_register_write(&cpu, "x7", 0, 0), -ENOENT);
    ck_assert(!kvm_register_read(&cpu, "", &reg));
    ck_assert_int_eq(kvm_registers_list(&cpu, list, 3), 3);

    cpu.msr_there = 0;
    ck_assert(!kvm_register_read(&cpu, "lstar", &reg));
    ck_assert_int_eq(kvm_register_write(&cpu, "lstar", 0, 0), -ENOENT);
    ck_assert_int_eq(kvm_registers_list(&cpu, list, KVM_REGISTERS_MAX), count - KVM_CPU_MSRS);
}
END_TEST

START_TEST(odd_registers)
{
    struct kvm_cpu_state cpu = {0};
    struct kvm_register reg;
    ck_assert_int_eq(kvm_register_write(&cpu, "ds", 0x1234, 0), 0);
    ck_assert_uint_eq(cpu.sregs.ds.base, 0x12340); /* real mode */
    cpu.sregs.cr0 = 1;
    ck_assert_int_eq(kvm_register_write(&cpu, "ds", 0x10, 0), 0);
    ck_assert_uint_eq(cpu.sregs.ds.base, 0x12340);
    ck_assert_uint_eq(cpu.changed, KVM_CPU_SREGS);

    /* an encoding that no x87 makes, and an infinity */
    memset(&cpu.fpu, 0, sizeof cpu.fpu);
    cpu.fpu.ftwx = 0xff;
    ck_assert_int_eq(kvm_register_write(&cpu, "st7", 1, 0x4000), 0);
    ck_assert(kvm_register_read(&cpu, "st7", &reg));
    ck_assert_str_eq(reg.text, "not a valid encoding");
    ck_assert_int_eq(kvm_register_write(&cpu, "st7", 1ull << 63, 0x7fff), 0);
    ck_assert(kvm_register_read(&cpu, "st7", &reg));
    ck_assert_str_eq(reg.text, "inf");
}
END_TEST

static const struct {
    uint64_t cr0, efer, rflags;
    unsigned l, db, dpl, bits;
    const char *text;
} MODE[] = {
    {0x10, 0, 2, 0, 0, 0, 16, "real mode"},
    {0x10, 0, 2, 0, 0, 3, 16, "real mode"},
    {0x10, 0, 2, 0, 1, 0, 32, "real mode, 32-bit code"},
    {0x11, 0, 2, 0, 0, 0, 16, "protected mode, 16 bit, CPL 0"},
    {0x11, 0, 2, 0, 1, 3, 32, "protected mode, 32 bit, CPL 3"},
    {0x80000011, 0, 0x20002, 0, 0, 3, 16, "virtual 8086 mode"},
    {0x80000011, 0x100, 2, 0, 1, 0, 32, "protected mode, 32 bit, CPL 0"},
    {0x80000011, 0x500, 2, 1, 0, 0, 64, "long mode, 64 bit, CPL 0"},
    {0x80000011, 0x500, 2, 1, 0, 3, 64, "long mode, 64 bit, CPL 3"},
    {0x80000011, 0x500, 2, 0, 1, 3, 32, "compatibility mode, 32 bit, CPL 3"},
    {0x80000011, 0x500, 2, 0, 0, 3, 16, "compatibility mode, 16 bit, CPL 3"},
};

START_TEST(modes)
{
    struct kvm_regs regs = {.rflags = MODE[_i].rflags};
    struct kvm_sregs s = {.cr0 = MODE[_i].cr0, .efer = MODE[_i].efer};
    char text[64];
    s.cs.l = (uint8_t)MODE[_i].l;
    s.cs.db = (uint8_t)MODE[_i].db;
    s.cs.base = 0xffff0000;
    s.ss.dpl = (uint8_t)MODE[_i].dpl;
    kvm_mode_text(&regs, &s, text, sizeof text);
    ck_assert_str_eq(text, MODE[_i].text);
    ck_assert_uint_eq(kvm_code_bits(&s), MODE[_i].bits);
    ck_assert_uint_eq(kvm_code_address(&s, 0xfff0), MODE[_i].bits == 64 ? 0xfff0 : 0xfffffff0);
}
END_TEST

/* ---- instructions --------------------------------------------------------------------------- */

static struct kvm_code flat(unsigned bits)
{
    return (struct kvm_code){
        .memory = &memory, .paging = {.width = WIDTH}, .bits = bits, .pc = CODE};
}

static const struct {
    unsigned bits, length;
    const char *bytes, *text;
    enum kvm_sensitivity sensitivity;
} INSN[] = {
    {64, 3, "\x48\x89\xd8", "mov rax, rbx", KVM_INSN_PLAIN},
    {64, 10, "\x48\xb8\xf0\xde\xbc\x9a\x78\x56\x34\x12", "movabs rax, 0x123456789abcdef0",
     KVM_INSN_PLAIN},
    {64, 3, "\x0f\x22\xd8", "mov cr3, rax", KVM_INSN_PRIVILEGED},
    {64, 3, "\x0f\x20\xc0", "mov rax, cr0", KVM_INSN_PRIVILEGED},
    {32, 3, "\x0f\x21\xf8", "mov eax, dr7", KVM_INSN_PRIVILEGED},
    {64, 1, "\xf4", "hlt", KVM_INSN_PRIVILEGED},
    {64, 2, "\x0f\x30", "wrmsr", KVM_INSN_PRIVILEGED},
    {64, 3, "\x0f\x01\xf8", "swapgs", KVM_INSN_PRIVILEGED},
    {64, 3, "\x0f\x01\xd0", "xgetbv", KVM_INSN_PLAIN},
    {16, 5, "\x0f\x01\x16\x00\x06", "lgdt [0x600]", KVM_INSN_PRIVILEGED},
    {16, 1, "\xfa", "cli", KVM_INSN_IOPL},
    {16, 2, "\xe6\x70", "out 0x70, al", KVM_INSN_IOPL},
    {32, 1, "\xed", "in eax, dx", KVM_INSN_IOPL},
    {64, 2, "\xf3\x6e", "rep outsb dx, byte ptr [rsi]", KVM_INSN_IOPL},
    {64, 1, "\x9c", "pushfq", KVM_INSN_SILENT},
    {32, 1, "\x9d", "popfd", KVM_INSN_SILENT},
    {64, 3, "\x0f\x01\x08", "sidt [rax]", KVM_INSN_SILENT},
    {64, 3, "\x0f\x01\xe0", "smsw eax", KVM_INSN_SILENT},
    {64, 2, "\x48\xcf", "iretq", KVM_INSN_SILENT},
    {64, 2, "\x0f\xa2", "cpuid", KVM_INSN_EXITS},
    {64, 2, "\xf3\x90", "pause", KVM_INSN_EXITS},
    {64, 3, "\x0f\x01\xc1", "vmcall", KVM_INSN_EXITS},
    {64, 1, "\x06", ".byte 0x06", KVM_INSN_PLAIN}, /* push es is no instruction there */
    {32, 1, "\x06", "push es", KVM_INSN_PLAIN},
};

START_TEST(instructions)
{
    struct kvm_insn insn, same;
    struct kvm_code code = flat(INSN[_i].bits);
    ck_assert(kvm_memory_write(&memory, CODE, INSN[_i].bytes, INSN[_i].length));
    ck_assert_int_eq(kvm_disassemble(disasm, &code, CODE, &insn, 1), 1);
    ck_assert_str_eq(insn.text, INSN[_i].text);
    ck_assert_uint_eq(insn.length, INSN[_i].length);
    ck_assert_mem_eq(insn.bytes, INSN[_i].bytes, INSN[_i].length);
    ck_assert_int_eq(insn.sensitivity, INSN[_i].sensitivity);
    ck_assert_int_eq(*insn.why != 0, INSN[_i].sensitivity != KVM_INSN_PLAIN);
    ck_assert_int_eq(insn.valid, INSN[_i].text[0] != '.');
    ck_assert_int_eq(kvm_disassemble_bytes(disasm, INSN[_i].bits, CODE,
                                           (const uint8_t *)INSN[_i].bytes, INSN[_i].length, &same),
                     insn.valid);
    ck_assert_str_eq(insn.text, same.text);
}
END_TEST

/* Branches in a segment with a base show offsets in it. */
START_TEST(segments_with_a_base)
{
    struct kvm_code code = flat(16);
    struct kvm_insn insn;
    struct kvm_regs regs = {.rip = 0x10, .rflags = 2};
    struct kvm_sregs sregs = {.cs.base = 0xf000, .cs.selector = 0xf00};
    kvm_memory_write(&memory, 0xf010, "\xeb\xfe", 2); /* jmp to itself */
    kvm_code_of(&code, &memory, &regs, &sregs, WIDTH);
    ck_assert_uint_eq(code.pc, 0xf010);
    ck_assert_int_eq(kvm_disassemble(disasm, &code, code.pc, &insn, 1), 1);
    ck_assert_uint_eq(insn.va, 0xf010);
    ck_assert_str_eq(insn.text, "jmp 0x10");
}
END_TEST

/* The end of memory, and of what is mapped. */
START_TEST(instructions_that_cannot_be_read)
{
    struct kvm_code code = flat(64);
    struct kvm_insn insn[4];
    memset(memory.host + MEMORY - 2, 0x90, 2);
    ck_assert_int_eq(kvm_disassemble(disasm, &code, MEMORY - 2, insn, 4), 3);
    ck_assert(insn[1].readable && !insn[2].readable && insn[2].length == 1);
    ck_assert_str_eq(insn[2].text, "(no memory at 0x200000)");
    memory.host[MEMORY - 1] = 0x0f; /* cut off */
    ck_assert_int_eq(kvm_disassemble(disasm, &code, MEMORY - 1, insn, 1), 1);
    ck_assert_str_eq(insn[0].text, ".byte 0x0f");
    code.paging = (struct kvm_paging){.mode = KVM_PAGING_4_LEVEL, .cr3 = PML4, .width = WIDTH};
    ck_assert_int_eq(kvm_disassemble(disasm, &code, 0x5000, insn, 4), 1);
    ck_assert_str_eq(insn[0].text, "(level 4 entry (PML4 table) is not present)");
    ck_assert_int_eq(kvm_disassemble_around(disasm, &code, 0x5000, 0, 3, insn, 4), 1);
    ck_assert_int_eq(kvm_disassemble_around(disasm, &code, 0, 0, 3, insn, 4), 1);
}
END_TEST

static const uint8_t PROGRAM[] = {
    0x55,                                  /* 0 push rbp */
    0x48, 0x89, 0xe5,                      /* 1 mov rbp, rsp */
    0x48, 0xc7, 0xc0, 0x3c, 0,    0, 0,    /* 4 mov rax, 60 */
    0x48, 0x8b, 0x84, 0x24, 8,    1, 0, 0, /* 11 mov rax, [rsp + 0x108] */
    0x0f, 0xb6, 0x44, 0x18, 0x10,          /* 19 movzx eax, byte [rax + rbx + 16] */
    0xe8, 0x10, 0x90, 0,    0,             /* 24 call */
    0x31, 0xc0,                            /* 29 xor eax, eax */
    0xc3,                                  /* 31 ret */
};
static const unsigned START[] = {0, 1, 4, 11, 19, 24, 29, 31};

START_TEST(around)
{
    struct kvm_code code = flat(64);
    struct kvm_insn insn[16];
    memset(memory.host + CODE - 256, 0x90, 256);
    kvm_memory_write(&memory, CODE, PROGRAM, sizeof PROGRAM);
    for (int at = 1; at < ROWS(START); at++)
        for (int before = 0; before <= at; before++) {
            int count = kvm_disassemble_around(disasm, &code, CODE + START[at], 0, before, insn, 8);
            ck_assert_int_eq(count, 8);
            for (int i = 0; i <= before; i++)
                ck_assert_uint_eq(insn[i].va, CODE + START[at - before + i]);
        }

    /* A known start wins over what stands before it: data here that would swallow the beginning. */
    memset(memory.host + CODE - 256, 0xb8, 256);
    ck_assert_int_gt(kvm_disassemble_around(disasm, &code, CODE + 11, CODE, 3, insn, 8), 4);
    ck_assert_uint_eq(insn[0].va, CODE);
    ck_assert_uint_eq(insn[3].va, CODE + 11);

    /* Nothing leads there: va comes first. */
    memset(memory.host + CODE - 256, 0x06, 256);
    kvm_disassemble_around(disasm, &code, CODE, 0, 3, insn, 8);
    ck_assert_uint_eq(insn[0].va, CODE);
    ck_assert_int_eq(kvm_disassemble_around(disasm, &code, CODE, 0, 3, insn, 0), 0);
}
END_TEST

/* Any bytes, anywhere: the rows go on without a gap, and the one asked for is among them. */
START_TEST(around_anything)
{
    static const unsigned BITS[] = {16, 32, 64};
    struct kvm_insn insn[40];
    srandom(1);
    for (int round = 0; round < 300; round++) {
        struct kvm_code code = flat(BITS[round % 3]);
        for (int i = 0; i < 4096; i++)
            memory.host[i] = (uint8_t)random();
        uint64_t va = (uint64_t)random() % 3000;
        int before = (int)(random() % 40);
        int count = kvm_disassemble_around(disasm, &code, va, (uint64_t)random() % 4 * 100, before,
                                           insn, 40);
        bool found = false;
        ck_assert_int_eq(count, 40);
        for (int i = 0; i < count; i++) {
            found |= insn[i].va == va;
            ck_assert(i == 0 || insn[i].va == insn[i - 1].va + insn[i - 1].length);
        }
        ck_assert(found);
    }
}
END_TEST

/* ---- symbols -------------------------------------------------------------------------------- */

/* 64-bit ELF files are read like the simulated computer's: this program is one. */
START_TEST(symbols_of_64_bits)
{
    struct symbols *s = symbols_load("/proc/self/exe", true);
    uint64_t address, again;
    const char *file;
    char text[64];
    int line;
    ck_assert_ptr_nonnull(s);
    ck_assert(symbols_lookup(s, "main", &address));
    ck_assert(symbols_lookup(s, "main+4", &again));
    ck_assert_uint_eq(again, address + 4);
    ck_assert(symbols_text(s, address, text, sizeof text));
    ck_assert_str_eq(text, "main");
    ck_assert(!symbols_text(s, again, text, sizeof text));
    ck_assert_str_eq(text, "main+0x4");
    if (symbols_line(s, address, &file, &line)) /* built with -g */
        ck_assert_ptr_nonnull(strstr(file, "test-kvm-inspect.c"));
    ck_assert(!symbols_lookup(s, "nobody", &address));
    ck_assert(!symbols_lookup(NULL, "main", &address));
    ck_assert(!symbols_text(NULL, 0, text, sizeof text));
    symbols_free(s);
    ck_assert_ptr_null(symbols_load("/dev/null", true));
    ck_assert_ptr_null(symbols_load("/nowhere", true));
}
END_TEST

/* ---- with a real vCPU ----------------------------------------------------------------------- */

START_TEST(real_registers)
{
    static const struct {
        const char *name;
        uint64_t value, high;
    } WRITTEN[] = {
        {"rax", 0x1122334455667788, 0},
        {"rip", 0x8000, 0},
        {"rflags", 0x246, 0},
        {"fs_base", 0x7f0000001000, 0},
        {"dr0", 0x401000, 0},
        {"lstar", 0xffffffff81000000, 0},
        {"xmm9", 1, 2},
        {"mxcsr", 0x1f81, 0},
        {"st3", 1ull << 63, 0x4000},
        {"cr2", 0x123000, 0},
        {"pat", 0x0007040600070406, 0},
        {"sysenter_eip", 0x1000, 0},
    };
    struct kvm_probe probe = kvm_probe_new(MEMORY, 0);
    struct kvm_cpu_state cpu, back;
    struct kvm_register reg;
    ck_assert_int_eq(kvm_cpu_state_get(probe.vcpu, &cpu), 0);
    kvm_probe_long_mode(&probe.memory, &cpu.regs, &cpu.sregs);
    cpu.changed = KVM_CPU_REGS | KVM_CPU_SREGS;
    for (int i = 0; i < ROWS(WRITTEN); i++)
        ck_assert_int_eq(
            kvm_register_write(&cpu, WRITTEN[i].name, WRITTEN[i].value, WRITTEN[i].high), 0);
    ck_assert_int_eq(kvm_cpu_state_set(probe.vcpu, &cpu), 0);
    ck_assert_uint_eq(cpu.changed, 0);
    ck_assert_uint_eq(cpu.msr_changed, 0);
    ck_assert_int_eq(kvm_cpu_state_get(probe.vcpu, &back), 0);
    for (int i = 0; i < ROWS(WRITTEN); i++) {
        ck_assert(kvm_register_read(&back, WRITTEN[i].name, &reg));
        ck_assert_msg(reg.value == WRITTEN[i].value && reg.high == WRITTEN[i].high,
                      "%s is 0x%llx 0x%llx", reg.name, (unsigned long long)reg.value,
                      (unsigned long long)reg.high);
    }
    /* what no processor can have is refused, by KVM */
    ck_assert_int_eq(kvm_register_write(&cpu, "cr0", 0x80000000, 0), 0);
    ck_assert_int_eq(kvm_cpu_state_set(probe.vcpu, &cpu), -EINVAL);
    ck_assert_int_eq(kvm_cpu_state_get(-1, &cpu), -EBADF);
    kvm_probe_free(&probe);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("looking into x86 guests");
    TCase *hand = tcase_create("by hand");
    tcase_add_checked_fixture(hand, setup, teardown);
    tcase_add_loop_test(hand, registers_are_told, 0, ROWS(TOLD));
    tcase_add_test(hand, registers_by_name);
    tcase_add_test(hand, odd_registers);
    tcase_add_loop_test(hand, modes, 0, ROWS(MODE));
    tcase_add_loop_test(hand, instructions, 0, ROWS(INSN));
    tcase_add_test(hand, segments_with_a_base);
    tcase_add_test(hand, instructions_that_cannot_be_read);
    tcase_add_test(hand, around);
    tcase_add_test(hand, around_anything);
    tcase_add_test(hand, symbols_of_64_bits);
    suite_add_tcase(suite, hand);
    if (kvm_probe_can()) {
        TCase *kvm = tcase_create("with a vCPU");
        tcase_add_checked_fixture(kvm, setup, teardown);
        tcase_add_test(kvm, real_registers);
        suite_add_tcase(suite, kvm);
    }
    return tap_run(suite);
}
