/* Sessions of x86 guests: the same door, the host's processor behind it. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "cpu/event.h"
#include "hv/session.h"
#include "tests/kvm-guest.h"

enum { LONG_MS = 300000 };

static struct session *s;
static char image[] = "/tmp/vitrine-test-kvm.XXXXXX";
static struct session_config config;

static void write_image(const void *code, size_t size)
{
    FILE *file = fopen(image, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(code, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void open_guest(const char *format, const void *code, size_t size)
{
    char why[SESSION_ERROR] = "";
    write_image(code, size);
    config.boot_format = format;
    s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
}

static void setup(void)
{
    int fd = mkstemp(image);
    ck_assert_int_ge(fd, 0);
    close(fd);
    session_config_init(&config);
    config.under = SESSION_KVM;
    config.image = image;
    config.memory = 8 << 20;
    s = NULL;
}

static void teardown(void)
{
    session_free(s);
    unlink(image);
    strcpy(image + strlen(image) - 6, "XXXXXX");
}

static struct view_status wait_for(enum session_stop stop)
{
    struct view_status status;
    ck_assert_int_eq(session_wait(s, LONG_MS), 0);
    session_status(s, &status);
    ck_assert_msg(status.stop == stop, "%d: %s\n%s", status.stop, status.text, status.detail);
    return status;
}

static struct view_status run_to_stop(enum session_stop stop)
{
    ck_assert_int_eq(session_run(s), 0);
    return wait_for(stop);
}

static uint64_t reg(const char *name)
{
    static struct view_registers all;
    session_view_registers(s, &all);
    for (unsigned i = 0; i < all.count; i++)
        if (!strcmp(all.reg[i].name, name))
            return all.reg[i].value;
    ck_abort_msg("no register %s", name);
    return 0;
}

static const char *output(void)
{
    static char text[256];
    size_t count = session_output(s, (uint8_t *)text, sizeof text - 1);
    text[count] = 0;
    return text;
}

/* ---- guests, flat16 at 0:7c00 -------------------------------------------------------------- */

#define OUT_EXIT(code)                                                                             \
    0xba, 0x01, 0x05, 0xb0, code, 0xee /* mov dx, 0x501; mov al, code; out dx, al */

static const uint8_t hello[] = {
    0xba,        0xf8, 0x03, 0xb0, 'H', 0xee, 0xb0, 'i', 0xee, /* COM1: "Hi" */
    OUT_EXIT(7), 0xf4,
};

/* Counts in bx up to 0x1000, over and over; each time a word of memory. */
static const uint8_t counter[] = {
    0x31, 0xdb,             /* 7c00: xor bx, bx */
    0x43,                   /* 7c02: inc bx */
    0x81, 0xfb, 0x00, 0x10, /* 7c03: cmp bx, 0x1000 */
    0x75, 0xf9,             /* 7c07: jne 7c02 */
    0xff, 0x06, 0x00, 0x90, /* 7c09: inc word [0x9000] */
    0xeb, 0xf1,             /* 7c0d: jmp 7c00 */
};

/* The same in 32 bits at 1 MiB. */
static const uint8_t counter32[] = {
    0x31, 0xdb,                         /* 100000: xor ebx, ebx */
    0x43,                               /* 100002: inc ebx */
    0x81, 0xfb, 0x00, 0x10, 0x00, 0x00, /* 100003: cmp ebx, 0x1000 */
    0x75, 0xf7,                         /* 100009: jne 100002 */
    0xff, 0x05, 0x00, 0x90, 0x00, 0x00, /* 10000b: inc dword [0x9000] */
    0xeb, 0xed,                         /* 100011: jmp 100000 */
};

START_TEST(runs_to_its_end)
{
    open_guest("flat16", hello, sizeof hello);
    struct view_status status = run_to_stop(STOPPED_POWEROFF);
    ck_assert_int_eq(status.exit_code, 7);
    ck_assert_int_eq(status.state, SESSION_ENDED);
    ck_assert_int_eq(status.isa, ISA_X86);
    ck_assert(!status.counted && status.under_monitor);
    ck_assert_uint_eq(status.exits, 3);
    ck_assert_uint_gt(status.exit_ns, 0);
    ck_assert_str_eq(output(), "Hi");
    ck_assert_int_eq(session_run(s), -ESHUTDOWN);
    for (int again = 0; again < 3; again++) {
        ck_assert_int_eq(session_reset(s), 0);
        run_to_stop(STOPPED_POWEROFF);
        ck_assert_str_eq(output(), "Hi");
    }
}
END_TEST

/* Each access to a device is an exit and what it was for, in the order of the exit log. */
START_TEST(exits_are_events)
{
    static const uint32_t ports[] = {0x3f8, 0x3f8, 0x501}, values[] = {'H', 'i', 7};
    struct event events[16];
    uint64_t dropped;
    open_guest("flat16", hello, sizeof hello);
    session_events_mask(s, EVENT_BIT(EVENT_EXIT) | EVENT_BIT(EVENT_DEVICE_WRITE));
    run_to_stop(STOPPED_POWEROFF);
    ck_assert_int_eq(session_events(s, events, 16, &dropped), 6);
    ck_assert_uint_eq(dropped, 0);
    for (int i = 0; i < 3; i++) {
        const struct event *exit = &events[2 * i], *access = exit + 1;
        ck_assert_uint_eq(exit->type, EVENT_EXIT);
        ck_assert_uint_eq(exit->a, KVM_EXIT_IO);
        ck_assert_uint_eq(exit->c, ports[i]);
        ck_assert_uint_gt(exit->d, 0);
        ck_assert_uint_eq(access->type, EVENT_DEVICE_WRITE);
        ck_assert_uint_eq(access->a, ports[i]);
        ck_assert_uint_eq(access->b, values[i]);
        ck_assert_uint_eq(access->c, 1);
        ck_assert_uint_eq(access->pc, exit->pc);
    }
    session_events_mask(s, 0);
    ck_assert_int_eq(session_reset(s), 0);
    run_to_stop(STOPPED_POWEROFF);
    ck_assert_int_eq(session_events(s, events, 16, &dropped), 0);
}
END_TEST

/* What a viewer needs beside the texts: an access as numbers, the mode, the levels of tables. */
START_TEST(tells_viewers_of_an_exit_and_of_the_mode)
{
    static struct view_registers all;
    static struct view_table table;
    struct view_exit exit[3];
    struct view_translation t;
    open_guest("flat16", hello, sizeof hello);
    session_view_registers(s, &all);
    ck_assert_str_eq(all.mode, "real mode");
    session_translate(s, 0x7c00, 'x', &t);
    ck_assert_int_eq(t.isa, ISA_X86);
    ck_assert_uint_eq(t.levels, 0);
    run_to_stop(STOPPED_POWEROFF);
    ck_assert_int_eq(session_exits(s, 0, exit, 3), 3);
    ck_assert_int_eq(exit[0].access, 'w');
    ck_assert_uint_eq(exit[0].tval, 0x3f8);
    ck_assert_uint_eq(exit[0].size, 1);
    ck_assert_uint_eq(exit[0].data, 'H');
    ck_assert_str_eq(exit[0].device, "uart");
    session_free(s);
    open_guest("flat64", hello, sizeof hello);
    session_translate(s, 0x100000, 'x', &t);
    ck_assert_uint_eq(t.levels, 4);
    session_view_table(s, VIEW_GUEST_TABLE, &table);
    ck_assert_int_eq(table.isa, ISA_X86);
    ck_assert_uint_eq(table.levels, 4);
}
END_TEST

START_TEST(steps_instruction_by_instruction)
{
    static const uint64_t places[] = {0x7c03, 0x7c05, 0x7c06, 0x7c08, 0x7c09, 0x7c0c, 0x7c0e};
    open_guest("flat16", hello, sizeof hello);
    for (int i = 0; i < ROWS(places); i++) {
        ck_assert_int_eq(session_step(s, 1), 0);
        wait_for(STOPPED_STEP);
        ck_assert_uint_eq(reg("rip"), places[i]);
    }
    ck_assert_str_eq(output(), "Hi");
    ck_assert_int_eq(session_reset(s), 0);
    ck_assert_int_eq(session_step(s, 5), 0);
    wait_for(STOPPED_STEP);
    ck_assert_uint_eq(reg("rip"), 0x7c09);
}
END_TEST

START_TEST(disassembles_around_the_pc)
{
    struct view_insn insn[8];
    open_guest("flat16", counter, sizeof counter);
    ck_assert_int_eq(session_run_to(s, 0x7c09), 0);
    wait_for(STOPPED_STEP);
    ck_assert_uint_eq(reg("rbx"), 0x1000);
    int count = session_disassemble_pc(s, 2, insn, 5);
    ck_assert_int_eq(count, 5);
    ck_assert_uint_eq(insn[0].va + insn[0].length, insn[1].va);
    ck_assert_uint_eq(insn[1].va + insn[1].length, insn[2].va);
    ck_assert_uint_eq(insn[2].va, 0x7c09);
    ck_assert_uint_eq(insn[2].length, 4);
    ck_assert_str_eq(insn[2].text, "inc word ptr [0x9000]");
}
END_TEST

/* Four in the debug registers, the others as int3; all are met in order, and memory looks as the
 * guest wrote it. */
START_TEST(meets_breakpoints)
{
    static const uint64_t places[] = {0x100000, 0x100011, 0x10000b, 0x100009, 0x100003, 0x100002};
    static const uint64_t met[] = {0x100002, 0x100003, 0x100009, 0x100002, 0x100003, 0x100009};
    struct view_memory memory;
    open_guest("flat32", counter32, sizeof counter32);
    for (int i = 0; i < ROWS(places); i++) {
        struct session_break point = {.kind = BREAK_EXECUTE, .address = places[i]};
        ck_assert_int_gt(session_break_add(s, &point), 0);
    }
    for (int i = 0; i < ROWS(met); i++) {
        run_to_stop(STOPPED_BREAKPOINT);
        ck_assert_uint_eq(reg("rip"), met[i]);
        session_view_memory(s, true, 0x100000, sizeof counter32, &memory);
        ck_assert(!memcmp(memory.data, counter32, sizeof counter32));
    }
}
END_TEST

/* Where addresses are a segment's base and an offset, a breakpoint is met at their sum. */
START_TEST(steps_end_at_breakpoints)
{
    static const uint8_t far[] = {
        0xea, 0x05, 0x00, 0xc0, 0x07, /* 7c00: jmp 07c0:0005 */
        0x43, 0x43, 0x43,             /* 7c05: inc bx, three times */
        0xeb, 0xfe,                   /* 7c08: jmp . */
    };
    struct session_break point = {.kind = BREAK_EXECUTE, .address = 0x7c07};
    open_guest("flat16", far, sizeof far);
    ck_assert_int_gt(session_break_add(s, &point), 0);
    ck_assert_int_eq(session_step(s, 20), 0);
    wait_for(STOPPED_BREAKPOINT);
    ck_assert_uint_eq(reg("rip"), 7);
    ck_assert_uint_eq(reg("rbx"), 2);
    ck_assert_int_eq(session_step(s, 20), 0);
    wait_for(STOPPED_STEP);
    ck_assert_uint_eq(reg("rip"), 8);
}
END_TEST

START_TEST(refuses_what_the_processor_cannot_watch)
{
    struct session_break point = {.kind = BREAK_WRITE, .address = 0x9001, .length = 2};
    open_guest("flat16", counter, sizeof counter);
    ck_assert_int_eq(session_break_add(s, &point), -EINVAL);
    point.physical = true;
    ck_assert_int_eq(session_break_add(s, &point), -ENOTSUP);
    point.physical = false;
    for (int i = 0; i < 4; i++) {
        point.address = 0x9000 + 2 * (unsigned)i;
        ck_assert_int_gt(session_break_add(s, &point), 0);
    }
    point.address = 0xa000;
    ck_assert_int_eq(session_break_add(s, &point), -ENOSPC);
}
END_TEST

START_TEST(answers_while_it_runs)
{
    open_guest("flat16", counter, sizeof counter);
    ck_assert_int_eq(session_run(s), 0);
    for (int i = 0; i < 50; i++) {
        uint64_t rip = reg("rip");
        ck_assert(rip >= 0x7c00 && rip < 0x7c00 + sizeof counter);
    }
    ck_assert_int_eq(session_run(s), -EBUSY);
    ck_assert_int_eq(session_pause(s), 0);
    wait_for(STOPPED_PAUSE);
}
END_TEST

START_TEST(registers_and_memory_can_be_written)
{
    static const uint8_t bytes[] = {0x34, 0x12};
    struct view_memory memory;
    open_guest("flat16", counter, sizeof counter);
    ck_assert_int_eq(session_write_register64(s, "rip", 0x7c09), 0);
    ck_assert_int_eq(session_write_register64(s, "nobody", 0), -ENOENT);
    ck_assert_int_eq(session_write_memory(s, true, 0x9000, bytes, 2), 0);
    ck_assert_int_eq(session_write_memory(s, true, 0x7fffff, bytes, 2), -EFAULT);
    ck_assert_int_eq(session_step(s, 1), 0);
    wait_for(STOPPED_STEP);
    session_view_memory(s, false, 0x9000, 2, &memory);
    ck_assert_uint_eq(memory.data[0], 0x35);
    ck_assert_uint_eq(memory.data[1], 0x12);
}
END_TEST

START_TEST(snapshots_go_back)
{
    char why[SESSION_ERROR] = "";
    struct view_snapshot list[4];
    struct view_memory before, after;
    open_guest("flat16", counter, sizeof counter);
    ck_assert_int_eq(session_run_to(s, 0x7c0d), 0);
    wait_for(STOPPED_STEP);
    int first = session_snapshot(s, "first", why);
    ck_assert_msg(first > 0, "%s", why);
    uint64_t digest = session_digest(s);
    session_view_memory(s, true, 0x9000, 2, &before);
    ck_assert_int_eq(session_run(s), 0);
    ck_assert_int_eq(session_snapshot(s, "running", why), -EBUSY);
    while (session_view_memory(s, true, 0x9000, 2, &after), !memcmp(before.data, after.data, 2))
        ;
    session_pause(s);
    wait_for(STOPPED_PAUSE);
    int second = session_snapshot(s, "second", why);
    ck_assert_int_gt(second, first);
    ck_assert_uint_ne(session_digest(s), digest);
    ck_assert_int_eq(session_restore(s, first, why), 0);
    ck_assert_uint_eq(session_digest(s), digest);
    ck_assert_uint_eq(reg("rip"), 0x7c0d);
    ck_assert_int_eq(session_snapshots(s, list, 4), 2);
    ck_assert(list[0].current && list[1].parent == first && list[1].pages > 0);
    ck_assert_str_eq(list[1].name, "second");
    ck_assert_int_eq(session_restore(s, 99, why), -ENOENT);
    ck_assert_int_eq(session_snapshot_delete(s, second), 0);
    ck_assert_int_eq(session_snapshot_delete(s, second), -ENOENT);
    ck_assert_int_eq(session_snapshots(s, list, 4), 1);
}
END_TEST

/* The counter writes to the page at 0x9000, and to no other. */
START_TEST(layers_answer)
{
    static struct view_layers v;
    char why[SESSION_ERROR] = "";
    open_guest("flat16", counter, sizeof counter);
    session_view_layers(s, false, 0x9000, &v);
    ck_assert(!v.present);
    ck_assert_int_eq(session_run_to(s, 0x7c0d), 0);
    wait_for(STOPPED_STEP);
    int first = session_snapshot(s, "first", why);
    ck_assert_int_gt(first, 0);
    session_view_layers(s, false, 0x7c00, &v);
    ck_assert(v.present && v.there);
    ck_assert_uint_eq(v.count, 3);
    ck_assert(v.layer[0].asked && v.layer[1].asked && v.layer[2].answered);
    ck_assert_str_eq(v.layer[1].name, "first");
    ck_assert_int_eq(session_step(s, 1), 0); /* over the jump back */
    wait_for(STOPPED_STEP);
    ck_assert_int_eq(session_run_to(s, 0x7c0d), 0);
    wait_for(STOPPED_STEP);
    session_view_layers(s, false, 0x9000, &v);
    ck_assert(v.layer[0].answered && v.layer[0].pages >= 1);
    ck_assert_int_gt(session_snapshot(s, "second", why), 0);
    session_view_layers(s, false, 0x9001, &v);
    ck_assert_uint_eq(v.count, 4);
    ck_assert(!v.layer[0].answered && v.layer[1].answered && !v.layer[2].asked);
    ck_assert_int_eq(session_restore(s, first, why), 0);
    session_view_layers(s, false, 0x9000, &v);
    ck_assert_uint_eq(v.count, 3);
    ck_assert_str_eq(v.layer[1].beside, "second");
    session_view_layers(s, false, 1ull << 40, &v);
    ck_assert(v.present && !v.there);
    ck_assert_uint_eq(v.asked, 0);
    session_view_layers(s, true, 0, &v);
    ck_assert(!v.present);
}
END_TEST

START_TEST(tells_why_a_vcpu_was_given_up)
{
    /* flat32: an IDT of no entries, and then an exception */
    static const uint8_t fault[] = {
        0x0f, 0x01, 0x1d, 0x10, 0x00, 0x10, 0x00,             /* lidt [0x100010] */
        0x0f, 0x0b, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, /* ud2 */
        0,    0,    0,    0,    0,    0,
    };
    open_guest("flat32", fault, sizeof fault);
    struct view_status status = run_to_stop(STOPPED_SHUTDOWN);
    ck_assert_int_eq(status.state, SESSION_ENDED);
    ck_assert_msg(strstr(status.text, "triple fault"), "%s", status.text);
    ck_assert_str_ne(status.detail, "");
    ck_assert_uint_eq(reg("rip"), 0x100007);
}
END_TEST

START_TEST(sleep_without_end_is_a_stop)
{
    static const uint8_t halt[] = {0xfa, 0xf4}; /* cli; hlt */
    open_guest("flat16", halt, sizeof halt);
    run_to_stop(STOPPED_IDLE);
}
END_TEST

/* The second one has been sent an INIT and waits for a SIPI, which nobody can send any more. */
START_TEST(sleep_of_two_without_end_is_a_stop)
{
    static const uint8_t halt[] = {
        0xc7, 0x05, 0x10, 0x03, 0xe0, 0xfe, 0, 0,    0, 1, /* mov dword [0xfee00310], 1 << 24 */
        0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0, 0x45, 0, 0, /* mov dword [0xfee00300], 0x4500 */
        0xfa, 0xf4,                                        /* cli; hlt */
    };
    config.cpus = 2;
    open_guest("flat32", halt, sizeof halt);
    run_to_stop(STOPPED_IDLE);
}
END_TEST

/* KVM's clock, in the guest's memory at 0x9000, has a flag for a pause: Linux,
 * Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW. */
START_TEST(a_guest_with_a_clock_hears_of_pauses)
{
    enum { CLOCK = 0x9000, FLAGS = 29, STOPPED = 2 };
    static const uint8_t code[] = {
        0xb9, 0x01, 0x4d, 0x56, 0x4b, /* mov ecx, 0x4b564d01 */
        0xb8, 0x01, 0x90, 0x00, 0x00, /* mov eax, 0x9001: there, and on */
        0x31, 0xd2,                   /* xor edx, edx */
        0x0f, 0x30,                   /* wrmsr */
        0x90, 0xeb, 0xfd,             /* nop; jmp nop */
    };
    struct view_memory memory;
    open_guest("flat32", code, sizeof code);
    ck_assert_int_eq(session_run_to(s, 0x10000e), 0);
    wait_for(STOPPED_STEP);
    for (int i = 0; i < 2; i++) { /* the first that begins with a clock, and one more */
        ck_assert_int_eq(session_step(s, 1), 0);
        wait_for(STOPPED_STEP);
    }
    session_view_memory(s, true, CLOCK, FLAGS + 1, &memory);
    ck_assert_uint_eq(memory.data[FLAGS] & STOPPED, STOPPED);
}
END_TEST

START_TEST(sees_which_pages_are_written)
{
    static struct view_dirty dirty;
    open_guest("flat16", counter, sizeof counter);
    session_view_dirty(s, &dirty);
    ck_assert(dirty.present);
    ck_assert_uint_eq(dirty.memory, 8 << 20);
    ck_assert_int_eq(session_run_to(s, 0x7c0d), 0);
    wait_for(STOPPED_STEP);
    session_view_dirty(s, &dirty);
    ck_assert_uint_eq(dirty.pages_per_cell, 1);
    ck_assert_uint_eq(dirty.heat[9], 255);
    ck_assert_uint_ge(dirty.dirty_now, 1);
    session_view_dirty(s, &dirty);
    ck_assert_uint_eq(dirty.heat[9], 127);
}
END_TEST

START_TEST(typed_bytes_arrive)
{
    /* Echoes what COM1 receives; "q" ends. */
    static const uint8_t echo[] = {
        0xba,        0xfd, 0x03, 0xec,       /* wait: mov dx, 0x3fd; in al, dx */
        0xa8,        0x01, 0x74, 0xfb,       /* test al, 1; jz 7c03 */
        0xba,        0xf8, 0x03, 0xec, 0xee, /* mov dx, 0x3f8; in al, dx; out dx, al */
        0x3c,        'q',  0x75, 0xef,       /* cmp al, 'q'; jne wait */
        OUT_EXIT(0),
    };
    open_guest("flat16", echo, sizeof echo);
    ck_assert_int_eq(session_run(s), 0);
    ck_assert_uint_eq(session_input(s, (const uint8_t *)"hello q", 7), 7);
    wait_for(STOPPED_POWEROFF);
    ck_assert_str_eq(output(), "hello q");
}
END_TEST

static const struct {
    const char *what;
    uint64_t memory;
    unsigned cpus;
    const char *format, *expected;
} refused[] = {
    {"too little memory", 4096, 1, "flat16", "1 MiB"},
    {"no multiple of a page", (8 << 20) + 1, 1, "flat16", "multiple of 4 KiB"},
    {"no vCPU", 8 << 20, 0, "flat16", "vCPUs"},
    {"too many vCPUs", 8 << 20, 65, "flat16", "vCPUs"},
    {"no such format", 8 << 20, 1, "tape", "tape"},
    {"not of that format", 8 << 20, 1, "bzimage", "vitrine-test-kvm"},
};

START_TEST(refuses_bad_configurations)
{
    char why[SESSION_ERROR] = "";
    write_image(hello, sizeof hello);
    config.memory = refused[_i].memory;
    config.cpus = refused[_i].cpus;
    config.boot_format = refused[_i].format;
    ck_assert_ptr_null(session_new(&config, why));
    ck_assert_msg(strstr(why, refused[_i].expected), "%s: %s", refused[_i].what, why);
    ck_assert_ptr_null(strchr(why, '\n'));
}
END_TEST

int main(void)
{
    if (kvm_is_missing())
        return 0;
    Suite *suite = suite_create("kvm-session");
    TCase *tests = tcase_create("session");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, runs_to_its_end);
    tcase_add_test(tests, exits_are_events);
    tcase_add_test(tests, tells_viewers_of_an_exit_and_of_the_mode);
    tcase_add_test(tests, steps_instruction_by_instruction);
    tcase_add_test(tests, disassembles_around_the_pc);
    tcase_add_test(tests, meets_breakpoints);
    tcase_add_test(tests, steps_end_at_breakpoints);
    tcase_add_test(tests, refuses_what_the_processor_cannot_watch);
    tcase_add_test(tests, answers_while_it_runs);
    tcase_add_test(tests, registers_and_memory_can_be_written);
    tcase_add_test(tests, snapshots_go_back);
    tcase_add_test(tests, layers_answer);
    tcase_add_test(tests, tells_why_a_vcpu_was_given_up);
    tcase_add_test(tests, sleep_without_end_is_a_stop);
    tcase_add_test(tests, sleep_of_two_without_end_is_a_stop);
    tcase_add_test(tests, a_guest_with_a_clock_hears_of_pauses);
    tcase_add_test(tests, sees_which_pages_are_written);
    tcase_add_test(tests, typed_bytes_arrive);
    tcase_add_loop_test(tests, refuses_bad_configurations, 0, ROWS(refused));
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
