/* Why KVM gave a vCPU up, in words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/kvm/explain.h"
#include "hv/kvm/registers.h"
#include "tests/kvm-probe.h"
#include "tests/tap.h"

enum {
    MEMORY = 2 << 20,
    WIDTH = 40,
    CODE = KVM_PROBE_CODE,
    IDT = KVM_PROBE_IDT,
    TSS = KVM_PROBE_TSS,
    HANDLER = KVM_PROBE_HANDLER
};

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

static void put(struct kvm_memory *m, uint64_t at, uint64_t value)
{
    ck_assert(kvm_memory_write(m, at, &value, 8));
}

/* ---- explanations --------------------------------------------------------------------------- */

START_TEST(exit_names)
{
    static const int KNOWN[] = {KVM_EXIT_UNKNOWN,
                                KVM_EXIT_EXCEPTION,
                                KVM_EXIT_IO,
                                KVM_EXIT_HYPERCALL,
                                KVM_EXIT_DEBUG,
                                KVM_EXIT_HLT,
                                KVM_EXIT_MMIO,
                                KVM_EXIT_IRQ_WINDOW_OPEN,
                                KVM_EXIT_SHUTDOWN,
                                KVM_EXIT_FAIL_ENTRY,
                                KVM_EXIT_INTR,
                                KVM_EXIT_SET_TPR,
                                KVM_EXIT_TPR_ACCESS,
                                KVM_EXIT_NMI,
                                KVM_EXIT_INTERNAL_ERROR,
                                KVM_EXIT_SYSTEM_EVENT,
                                KVM_EXIT_IOAPIC_EOI,
                                KVM_EXIT_HYPERV,
                                KVM_EXIT_X86_RDMSR,
                                KVM_EXIT_X86_WRMSR,
                                KVM_EXIT_DIRTY_RING_FULL};
    for (int i = 0; i < ROWS(KNOWN); i++)
        ck_assert_int_eq(kvm_exit_nth((unsigned)i), KNOWN[i]);
    ck_assert_str_eq(kvm_exit_name(KVM_EXIT_IO), "port I/O");
    ck_assert_str_eq(kvm_exit_name(99), "unknown exit");
    for (unsigned i = 0; kvm_exit_nth(i) >= 0; i++) {
        ck_assert_uint_lt(strlen(kvm_exit_name((uint32_t)kvm_exit_nth(i))), 24); /* view_exit */
        ck_assert_uint_lt(strlen(kvm_exit_meaning((uint32_t)kvm_exit_nth(i))), 96);
    }
}
END_TEST

START_TEST(exit_texts)
{
    union {
        struct kvm_run run;
        uint8_t bytes[8192];
    } u = {.run = {.exit_reason = KVM_EXIT_IO}};
    struct kvm_run *run = &u.run;
    char text[96];
    run->io.direction = KVM_EXIT_IO_OUT;
    run->io.size = 2;
    run->io.port = 0x3f8;
    run->io.count = 1;
    run->io.data_offset = 4096;
    u.bytes[4096] = 0x41;
    kvm_exit_text(run, text, sizeof text);
    ck_assert_str_eq(text, "out to port 0x3f8, 2 bytes: 0x41");
    run->io.direction = KVM_EXIT_IO_IN;
    run->io.count = 512;
    kvm_exit_text(run, text, sizeof text);
    ck_assert_str_eq(text, "in from port 0x3f8, 2 bytes, 512 times");
    run->exit_reason = KVM_EXIT_MMIO;
    run->mmio.phys_addr = 0xfee00020;
    run->mmio.len = 4;
    run->mmio.is_write = 0;
    kvm_exit_text(run, text, sizeof text);
    ck_assert_str_eq(text, "read of 4 bytes at 0xfee00020");
    run->exit_reason = 77;
    kvm_exit_text(run, text, sizeof text);
    ck_assert_str_eq(text, "exit 77");
    run->exit_reason = KVM_EXIT_HLT;
    kvm_exit_text(run, text, sizeof text);
    ck_assert_str_eq(text, "hlt");
}
END_TEST

/* What is broken before a triple fault, the code, and words that the lines must have. */
static const struct {
    const char *broken;
    const char *code;
    unsigned cpl;
    const char *lines[4];
} TRIPLE[] = {
    {"idt limit",
     "\x0f\x0b",
     0,
     {"ud2", "began with #UD", "#UD invalid opcode (vector 6) cannot be delivered: the IDT ends",
      "#DF double fault (vector 8) cannot be delivered: the IDT ends"}},
    {"gates",
     "\xf4",
     3,
     {"hlt", "began with #GP general protection: hlt is not allowed at CPL 3",
      "(vector 13) cannot be delivered: its IDT entry is not present", "(vector 8) cannot"}},
    {"gates", "\x0f\x01\xcb", 3, {"stac", "began with #UD", "not allowed at CPL 3", ""}},
    {"selectors",
     "\xcd\x03",
     0,
     {"int 3", "#BP breakpoint: int 3 asks", "its selector 0x10 is", ""}},
    {"far selectors", "\x0f\x0b", 0, {"", "", "lies beyond the GDT", ""}},
    {"stack",
     "\x0f\x0b",
     0,
     {"", "", "(vector 6) cannot be delivered: its stack at 0x40000000: level 2 entry",
      "vector 8"}},
    {"tss stack", "\xfa", 3, {"", "cli is not allowed at CPL 3", "its stack at 0x40000000", ""}},
    {"handlers", "\x0f\x0b", 0, {"", "", "its handler at 0x50009000: level 2 entry", ""}},
    {"idt base", "\x0f\x0b", 0, {"", "", "its IDT entry at 0x40000060 is not in memory", ""}},
    {"rip", "", 0, {"level 3 entry", "#PF page fault: the instruction cannot be fetched", "", ""}},
    {"cr2", "\x48\x89\x18", 0, {"mov qword ptr [rax], rbx", "CR2 is 0x40000000: level 3", "", ""}},
    {"nothing", "\x0f\x05", 3, {"syscall", "cannot be seen", "has a present handler", ""}},
};

static void break_it(const char *what, struct kvm_regs *regs, struct kvm_sregs *s)
{
    uint64_t gate = (uint64_t)HANDLER | 0x8e0000080000, upper = 0;
    put(&memory, 0x3000 + 8, 0); /* 2 MiB and beyond: nothing */
    if (!strcmp(what, "idt limit"))
        s->idt.limit = 0;
    if (!strcmp(what, "gates"))
        gate = 0;
    if (!strcmp(what, "selectors"))
        gate = (uint64_t)HANDLER | 0x8e0000100000;
    if (!strcmp(what, "far selectors"))
        gate = (uint64_t)HANDLER | 0x8e0000500000;
    if (!strcmp(what, "stack"))
        regs->rsp = 0x40000000;
    if (!strcmp(what, "tss stack"))
        put(&memory, TSS + 4, 0x40000000);
    if (!strcmp(what, "handlers"))
        gate |= 0x5000ull << 48;
    if (!strcmp(what, "idt base"))
        s->idt.base = 0x40000000;
    if (!strcmp(what, "rip"))
        regs->rip = 0x40000000;
    if (!strcmp(what, "cr2"))
        s->cr2 = 0x40000000;
    if (!strcmp(what, "handlers")) /* only level 2 is missing there */
        put(&memory, 0x2000 + 8, 0x4007);
    for (unsigned i = 0; i < 32; i++) {
        put(&memory, IDT + 16 * i, gate);
        put(&memory, IDT + 16 * i + 8, upper);
    }
}

static bool has_line(const struct kvm_explanation *e, const char *words)
{
    for (int i = 0; i < e->count; i++)
        if (strstr(e->line[i], words))
            return true;
    return false;
}

START_TEST(triple_faults)
{
    struct kvm_run run = {.exit_reason = KVM_EXIT_SHUTDOWN};
    struct kvm_regs regs;
    struct kvm_sregs s = {0};
    struct kvm_explanation e;
    kvm_probe_long_mode(&memory, &regs, &s);
    s.ss.dpl = (uint8_t)TRIPLE[_i].cpl;
    kvm_memory_write(&memory, CODE, TRIPLE[_i].code, strlen(TRIPLE[_i].code));
    break_it(TRIPLE[_i].broken, &regs, &s);
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert_ptr_nonnull(strstr(e.line[0], "triple fault"));
    for (int i = 0; i < ROWS(TRIPLE[_i].lines); i++)
        ck_assert_msg(has_line(&e, TRIPLE[_i].lines[i]), "%s: no \"%s\" in\n%s\n%s\n%s\n%s\n%s",
                      TRIPLE[_i].broken, TRIPLE[_i].lines[i], e.line[1], e.line[2], e.line[3],
                      e.line[4], e.line[5]);
    ck_assert_int_eq(has_line(&e, "kernels reset a PC"), !strcmp(TRIPLE[_i].broken, "idt limit"));
    /* in the last three, delivery itself would work */
    ck_assert_int_eq(has_line(&e, "that looks right"), _i >= ROWS(TRIPLE) - 3);
}
END_TEST

START_TEST(shutdown_without_state)
{
    struct kvm_run run = {.exit_reason = KVM_EXIT_SHUTDOWN};
    struct kvm_regs regs = {.rip = 0xfff0, .rflags = 2};
    struct kvm_sregs s = {.cr0 = 0x60000010, .cs = {.base = 0xffff0000, .selector = 0xf000}};
    struct kvm_explanation e;
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "AMD-V"));
    s.idt.limit = 3;
    regs.rip = 0x100;
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "the interrupt table at 0x0 has limit 0x3"));
}
END_TEST

START_TEST(internal_errors)
{
    struct kvm_run run = {.exit_reason = KVM_EXIT_INTERNAL_ERROR};
    struct kvm_regs regs;
    struct kvm_sregs s = {0};
    struct kvm_explanation e;
    kvm_probe_long_mode(&memory, &regs, &s);
    kvm_memory_write(&memory, CODE, "\x90", 1);
    run.emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "at 0x10000 in long mode, 64 bit, CPL 0: nop   bytes 90"));
    ck_assert(has_line(&e, "VT-x or AMD-V"));

    /* KVM's own copy of the bytes, with a size to be distrusted */
    run.emulation_failure.ndata = 4;
    run.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
    run.emulation_failure.insn_size = 15;
    memcpy(run.emulation_failure.insn_bytes, "\x0f\x01\xca", 3);
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "clac   bytes 0f 01 ca"));
    run.emulation_failure.insn_size = 255;
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "nop"));

    regs.rip = MEMORY + 0x1000;
    put(&memory, 0x3008, 0x200087);
    run.emulation_failure.ndata = 0;
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "jumped to a wrong address"));

    run.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
    run.internal.ndata = 1000;
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "an exit while an event was being delivered (suberror 3)"));
    ck_assert(has_line(&e, "KVM's own data: 0x"));
}
END_TEST

START_TEST(failed_entries)
{
    struct kvm_run run = {.exit_reason = KVM_EXIT_FAIL_ENTRY};
    struct kvm_regs regs;
    struct kvm_sregs s = {0};
    struct kvm_explanation e;
    kvm_probe_long_mode(&memory, &regs, &s);
    run.fail_entry.hardware_entry_failure_reason = 0x80000021;
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "the guest's state is not valid (0x80000021)"));
    ck_assert(has_line(&e, "no rule"));
    regs.rflags = 0;
    s.tr.unusable = 1;
    run.fail_entry.hardware_entry_failure_reason = 0xffffffff;
    kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
    ck_assert(has_line(&e, "AMD-V"));
    ck_assert(has_line(&e, "bit 1 of RFLAGS"));
    ck_assert(has_line(&e, "TR must hold a TSS"));
    ck_assert(!has_line(&e, "no rule"));
}
END_TEST

/* Whatever the state and the memory are, the lines end. */
START_TEST(explains_anything)
{
    static const unsigned REASONS[] = {KVM_EXIT_SHUTDOWN, KVM_EXIT_INTERNAL_ERROR,
                                       KVM_EXIT_FAIL_ENTRY, KVM_EXIT_DEBUG, 1000};
    struct kvm_explanation e;
    srandom(2);
    for (int round = 0; round < 2000; round++) {
        struct kvm_run run;
        struct kvm_regs regs;
        struct kvm_sregs s;
        memset(&run, (int)random(), sizeof run);
        kvm_probe_long_mode(&memory, &regs, &s);
        uint8_t *bytes[] = {(uint8_t *)&regs, (uint8_t *)&s, (uint8_t *)&run, memory.host};
        size_t sizes[] = {sizeof regs, sizeof s, sizeof run, 0x12000};
        for (int i = 0; i < 40; i++) {
            unsigned which = (unsigned)random() % 4;
            bytes[which][(size_t)random() % sizes[which]] = (uint8_t)random();
        }
        run.exit_reason = REASONS[round % ROWS(REASONS)];
        kvm_explain(&run, &regs, &s, &memory, WIDTH, disasm, &e);
        ck_assert_int_ge(e.count, 1);
        for (int i = 0; i < e.count; i++)
            ck_assert_uint_gt(strlen(e.line[i]), 4);
    }
}
END_TEST

/* ---- with a real vCPU ---------------------------------------------------------------------- */

static struct kvm_explanation run_into(const char *code, size_t count, unsigned *reason)
{
    struct kvm_probe probe = kvm_probe_new(MEMORY, 0);
    struct kvm_cpu_state cpu;
    struct kvm_explanation e;
    ck_assert_int_eq(kvm_cpu_state_get(probe.vcpu, &cpu), 0);
    kvm_probe_long_mode(&probe.memory, &cpu.regs, &cpu.sregs);
    cpu.sregs.idt.limit = 0;
    cpu.changed = KVM_CPU_REGS | KVM_CPU_SREGS;
    ck_assert_int_eq(kvm_cpu_state_set(probe.vcpu, &cpu), 0);
    ck_assert(kvm_memory_write(&probe.memory, CODE, code, count));
    *reason = kvm_probe_run(&probe);
    ck_assert_int_eq(kvm_cpu_state_get(probe.vcpu, &cpu), 0);
    kvm_explain(probe.run, &cpu.regs, &cpu.sregs, &probe.memory, WIDTH, disasm, &e);
    kvm_probe_free(&probe);
    return e;
}

START_TEST(real_triple_fault)
{
    unsigned reason;
    struct kvm_explanation e = run_into("\x90\x0f\x0b", 3, &reason);
    ck_assert_uint_eq(reason, KVM_EXIT_SHUTDOWN);
    bool told =
        has_line(&e, "ud2") && has_line(&e, "#UD invalid opcode (vector 6) cannot be delivered");
    ck_assert_msg(told || has_line(&e, "AMD-V keeps none"), "%s\n%s\n%s", e.line[1], e.line[2],
                  e.line[3]);
}
END_TEST

/* cmpxchg16b and fwait are beyond KVM's emulator; where the processor runs them, hlt comes next. */
START_TEST(real_emulation_failure)
{
    unsigned reason;
    struct kvm_explanation e = run_into("\x9b\xf4", 2, &reason);
    if (reason != KVM_EXIT_INTERNAL_ERROR) {
        ck_assert_uint_eq(reason, KVM_EXIT_HLT);
        printf("# left out: an emulation failure, because this KVM does not emulate\n");
        return;
    }
    ck_assert_msg(has_line(&e, "wait   bytes 9b") && has_line(&e, "VT-x"), "%s\n%s\n%s", e.line[1],
                  e.line[2], e.line[3]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("what KVM gave up");
    TCase *hand = tcase_create("by hand");
    tcase_add_checked_fixture(hand, setup, teardown);
    tcase_add_test(hand, exit_names);
    tcase_add_test(hand, exit_texts);
    tcase_add_loop_test(hand, triple_faults, 0, ROWS(TRIPLE));
    tcase_add_test(hand, shutdown_without_state);
    tcase_add_test(hand, internal_errors);
    tcase_add_test(hand, failed_entries);
    tcase_add_test(hand, explains_anything);
    suite_add_tcase(suite, hand);
    if (kvm_probe_can()) {
        TCase *kvm = tcase_create("with a vCPU");
        tcase_add_checked_fixture(kvm, setup, teardown);
        tcase_add_test(kvm, real_triple_fault);
        tcase_add_test(kvm, real_emulation_failure);
        suite_add_tcase(suite, kvm);
    }
    return tap_run(suite);
}
