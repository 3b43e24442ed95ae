/*
 * Sessions: what the command, the window and the debugger stub rely on. Each test is run bare and
 * under the monitor, on a small program that is put together here.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/event.h"
#include "cpu/isa.h"
#include "hv/session.h"
#include "tests/tap.h"

/* ---- a guest ------------------------------------------------------------------------------ */

#define BASE 0x80400000u /* a flat image, S mode */
#define DATA 0x80500000u
#define UART 0x10000000u

static uint32_t i_type(enum insn_op op, unsigned rd, unsigned rs1, int32_t imm)
{
    return isa_rows[op].match | rd << 7 | rs1 << 15 | (uint32_t)imm << 20;
}

static uint32_t store(enum insn_op op, unsigned rs1, unsigned rs2, int32_t imm)
{
    uint32_t u = (uint32_t)imm;
    return isa_rows[op].match | (u & 31) << 7 | rs1 << 15 | rs2 << 20 | (u >> 5 & 127) << 25;
}

static uint32_t jump(unsigned rd, int32_t offset)
{
    uint32_t u = (uint32_t)offset;
    return 0x6f | rd << 7 | (u >> 12 & 255) << 12 | (u >> 11 & 1) << 20 | (u >> 1 & 1023) << 21 |
           (u >> 20 & 1) << 31;
}

enum { RA = 1, SP = 2, T0 = 5, T1 = 6, T2 = 7, S0 = 8, A0 = 10, A7 = 17 };

/* Counts in S0, calls a function that stores the count, prints a dot; for ever. */
enum { LOOP = 4, CALL = LOOP + 1, AFTER_CALL = CALL + 1, ECALL = 9, FUNCTION = 12, STORE = 13 };

static void make_counter(uint32_t code[16])
{
    uint32_t program[16] = {
        [0] = DATA | T0 << 7 | 0x37,                  /* lui t0, DATA */
        [1] = UART | T1 << 7 | 0x37,                  /* lui t1, UART */
        [2] = i_type(OP_addi, S0, 0, 0),
        [3] = i_type(OP_addi, T2, 0, '.'),
        [LOOP] = i_type(OP_addi, S0, S0, 1),
        [CALL] = jump(RA, (FUNCTION - CALL) * 4),
        [AFTER_CALL] = store(OP_sb, T1, T2, 0),       /* to the UART: emulated under the monitor */
        [7] = i_type(OP_addi, A7, 0, 0x10),           /* SBI base */
        [8] = i_type(OP_addi, A0, 0, 0),
        [ECALL] = isa_rows[OP_ecall].match,
        [10] = i_type(OP_lw, T2 + 21, T0, 4),
        [11] = jump(0, (LOOP - 11) * 4),
        [FUNCTION] = i_type(OP_addi, 0, 0, 0),
        [STORE] = store(OP_sw, T0, S0, 0),
        [14] = i_type(OP_jalr, 0, RA, 0),
    };
    memcpy(code, program, sizeof program);
}

static char image[] = "/tmp/test-session-XXXXXX.bin";

static void write_image(const uint32_t *code, size_t words)
{
    strcpy(image, "/tmp/test-session-XXXXXX.bin");
    int fd = mkstemps(image, 4);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, code, 4 * words), (ssize_t)(4 * words));
    close(fd);
}

static struct session *start_with(struct session_config *config, const uint32_t *code, size_t words)
{
    char why[SESSION_ERROR];
    write_image(code, words);
    config->image = image;
    config->memory = 16u << 20;
    struct session *s = session_new(config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

/* Check's loop index chooses: 0 bare, 1 under the monitor. */
static struct session *start(int under)
{
    struct session_config config;
    uint32_t code[16];
    session_config_init(&config);
    config.under = under ? SESSION_HV : SESSION_BARE;
    make_counter(code);
    return start_with(&config, code, 16);
}

static void finish(struct session *s)
{
    session_free(s);
    unlink(image);
}

static struct view_status status_of(struct session *s)
{
    struct view_status status;
    session_status(s, &status);
    return status;
}

static uint32_t pc_of(struct session *s)
{
    static struct view_hart hart;
    session_view_hart(s, status_of(s).under_monitor ? VIEW_VIRTUAL : VIEW_REAL, &hart);
    return hart.pc;
}

static void wait_stop(struct session *s, enum session_stop wanted)
{
    ck_assert_int_eq(session_wait(s, 300000), 0);
    ck_assert_int_eq(status_of(s).stop, wanted);
}

static void step(struct session *s, uint64_t count)
{
    ck_assert_int_eq(session_step(s, count), 0);
    wait_stop(s, STOPPED_STEP);
}

/* ---- stepping ----------------------------------------------------------------------------- */

START_TEST(test_steps_are_exact)
{
    struct session *s = start(_i);
    static const unsigned counts[] = {1, 1, 2, 5, 100, 12345, 200001};
    uint64_t total = 0;
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        step(s, counts[i]);
        total += counts[i];
        ck_assert_uint_eq(status_of(s).instructions, total);
    }
    finish(s);
}
END_TEST

START_TEST(test_step_over)
{
    struct session *s = start(_i);
    step(s, CALL);
    ck_assert_uint_eq(pc_of(s), BASE + 4 * CALL);
    ck_assert_int_eq(session_step_over(s), 0);
    wait_stop(s, STOPPED_STEP);
    ck_assert_uint_eq(pc_of(s), BASE + 4 * AFTER_CALL);
    ck_assert_uint_eq(status_of(s).instructions, CALL + 4);
    ck_assert_int_eq(session_run_to(s, BASE + 4 * ECALL), 0);
    wait_stop(s, STOPPED_STEP);
    ck_assert_int_eq(session_step_over(s), 0); /* an ecall is stepped over, too */
    wait_stop(s, STOPPED_STEP);
    ck_assert_uint_eq(pc_of(s), BASE + 4 * (ECALL + 1));
    finish(s);
}
END_TEST

START_TEST(test_step_to_exit)
{
    struct session *s = start(_i);
    for (uint64_t n = 1; n <= 5; n++) {
        struct view_exit exit;
        ck_assert_int_eq(session_step_exit(s), 0);
        wait_stop(s, STOPPED_EXIT);
        ck_assert_uint_eq(status_of(s).exits, n);
        ck_assert_int_eq(session_exits(s, n - 1, &exit, 1), 1);
        ck_assert_uint_eq(exit.seq, n);
        ck_assert(exit.action[0] != 0);
    }
    finish(s);
}
END_TEST

/* ---- breakpoints and watchpoints ---------------------------------------------------------- */

static int add_point(struct session *s, unsigned kind, bool physical, uint32_t address)
{
    struct session_break point = {.kind = kind, .physical = physical, .address = address,
                                  .length = 4};
    int id = session_break_add(s, &point);
    ck_assert_int_gt(id, 0);
    return id;
}

START_TEST(test_breakpoints)
{
    struct session *s = start(_i % 2);
    int id = add_point(s, BREAK_EXECUTE, _i / 2, BASE + 4 * STORE);
    uint64_t before = 0;
    for (int n = 0; n < 3; n++) { /* going on leaves it, and comes back after a round */
        ck_assert_int_eq(session_run(s), 0);
        wait_stop(s, STOPPED_BREAKPOINT);
        ck_assert_uint_eq(pc_of(s), BASE + 4 * STORE);
        if (n)
            ck_assert_uint_eq(status_of(s).instructions - before, 11);
        before = status_of(s).instructions;
    }
    ck_assert_int_eq(session_break_remove(s, id), 0);
    ck_assert_int_eq(session_break_remove(s, id), -ENOENT);
    step(s, 1000);
    finish(s);
}
END_TEST

START_TEST(test_watchpoints)
{
    static const struct {
        unsigned kind;
        bool physical;
        uint32_t address;
        unsigned insn; /* behind which it must stop */
    } cases[] = {
        {BREAK_WRITE, false, DATA, STORE},
        {BREAK_WRITE, true, DATA, STORE},
        {BREAK_READ, false, DATA + 4, 10},
        {BREAK_READ, true, DATA + 4, 10},
        {BREAK_WRITE, false, UART, AFTER_CALL},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session *s = start(_i);
        add_point(s, cases[i].kind, cases[i].physical, cases[i].address);
        for (int n = 0; n < 2; n++) {
            ck_assert_int_eq(session_run(s), 0);
            wait_stop(s, STOPPED_WATCHPOINT);
            ck_assert_uint_eq(status_of(s).watch_address, cases[i].address);
            uint32_t next = cases[i].insn + 1;
            ck_assert_uint_eq(pc_of(s), BASE + 4 * next);
        }
        finish(s);
    }
}
END_TEST

START_TEST(test_point_errors)
{
    struct session *s = start(_i);
    struct session_break bad = {.kind = 0, .address = BASE};
    ck_assert_int_eq(session_break_add(s, &bad), -EINVAL);
    bad = (struct session_break){.kind = BREAK_READ, .address = 0xfffffffc, .length = 8};
    ck_assert_int_eq(session_break_add(s, &bad), -EINVAL);
    for (int i = 0; i < SESSION_BREAKS; i++)
        add_point(s, BREAK_EXECUTE, false, 0x1000 + 4 * (uint32_t)i);
    bad = (struct session_break){.kind = BREAK_READ, .address = BASE};
    ck_assert_int_eq(session_break_add(s, &bad), -ENOSPC);
    ck_assert_int_eq(session_run_to(s, BASE + 4 * STORE), 0); /* one more for ourselves */
    wait_stop(s, STOPPED_STEP);
    finish(s);
}
END_TEST

/* ---- running, pausing, ending ------------------------------------------------------------- */

START_TEST(test_pause_and_reset)
{
    struct session *s = start(_i);
    uint64_t fresh = session_digest(s);
    ck_assert_int_eq(session_run(s), 0);
    ck_assert_int_eq(session_run(s), -EBUSY);
    ck_assert_int_eq(session_reset(s), -EBUSY);
    ck_assert_int_eq(session_wait(s, 20), -ETIMEDOUT);
    ck_assert_int_eq(session_pause(s), 0);
    wait_stop(s, STOPPED_PAUSE);
    ck_assert(session_digest(s) != fresh);
    ck_assert_int_eq(session_reset(s), 0);
    ck_assert(session_digest(s) == fresh);
    ck_assert_uint_eq(status_of(s).exits, 0);
    finish(s);
}
END_TEST

START_TEST(test_pauses_change_nothing)
{
    struct session *a = start(_i);
    step(a, 500000);
    uint64_t straight = session_digest(a);
    finish(a);

    struct session *s = start(_i);
    for (int i = 0; i < 20; i++) {
        static struct view_devices devices;
        static struct view_table table;
        static struct view_tlb tlb;
        struct view_translation t;
        step(s, 20000 + (i % 2 ? 1 : -1) * 37);
        session_view_devices(s, &devices);
        session_view_table(s, VIEW_SHADOW_TABLE, &table);
        session_view_tlb(s, &tlb);
        session_translate(s, DATA, 'w', &t);
        session_run_to(s, BASE + 4 * LOOP); /* stops within a round, then makes up for it */
        wait_stop(s, STOPPED_STEP);
        uint64_t wanted = (uint64_t)(i + 1) * 25000, now = status_of(s).instructions;
        ck_assert_uint_lt(now, wanted);
        step(s, wanted - now);
    }
    ck_assert_uint_eq(status_of(s).instructions, 500000);
    ck_assert(session_digest(s) == straight);
    finish(s);
}
END_TEST

/* Engines changed while the guest runs: it ends as it does in one. */
START_TEST(test_engines_change_nothing)
{
    enum { INSNS = 20000000, PIECES = 10 };
    static const char *const names[] = {"auto", "interp", "threaded", "jit"};
    struct session *a = start(_i);
    ck_assert_int_eq(session_set_engine(a, "auto"), 0);
    step(a, INSNS);
    uint64_t straight = session_digest(a);
    finish(a);

    struct session *s = start(_i);
    ck_assert_int_eq(session_set_engine(s, "steam"), -ENOENT);
    ck_assert_str_eq(status_of(s).engine, "interp");
    for (unsigned piece = 0, changes = 0; piece < PIECES; piece++) {
        ck_assert_int_eq(session_step(s, INSNS / PIECES), 0);
        do {
            int error = session_set_engine(s, names[changes++ % 4]); /* jit is not everywhere */
            ck_assert(error == 0 || error == -ENOENT);
        } while (session_wait(s, 1) == -ETIMEDOUT);
        wait_stop(s, STOPPED_STEP);
    }
    ck_assert_uint_eq(status_of(s).instructions, INSNS);
    ck_assert(session_digest(s) == straight);
    finish(s);
}
END_TEST

START_TEST(test_limit_is_exact)
{
    struct session_config config;
    uint32_t code[16];
    session_config_init(&config);
    config.under = _i ? SESSION_HV : SESSION_BARE;
    config.max_instructions = 123457;
    make_counter(code);
    struct session *s = start_with(&config, code, 16);
    ck_assert_int_eq(session_run(s), 0);
    wait_stop(s, STOPPED_LIMIT);
    ck_assert_uint_eq(status_of(s).instructions, 123457);
    finish(s);
}
END_TEST

START_TEST(test_the_end)
{
    struct session_config config;
    session_config_init(&config);
    config.under = _i ? SESSION_HV : SESSION_BARE;
    const uint32_t off[] = {0x00100000 | T0 << 7 | 0x37, /* lui t0, finisher */
                            0x00073000 | T1 << 7 | 0x37, i_type(OP_addi, T1, T1, 0x333),
                            store(OP_sw, T0, T1, 0), jump(0, 0)};
    struct session *s = start_with(&config, off, 5);
    ck_assert_int_eq(session_run(s), 0);
    wait_stop(s, STOPPED_POWEROFF);
    ck_assert_int_eq(status_of(s).exit_code, 7);
    ck_assert_int_eq(session_run(s), -ESHUTDOWN);
    ck_assert_int_eq(session_step(s, 1), -ESHUTDOWN);
    ck_assert_int_eq(session_reset(s), 0);
    step(s, 1);
    finish(s);
}
END_TEST

/* ---- console ------------------------------------------------------------------------------ */

START_TEST(test_output_and_sleep)
{
    struct session_config config;
    uint8_t bytes[16];
    session_config_init(&config);
    config.under = _i ? SESSION_HV : SESSION_BARE;
    const uint32_t greet[] = {UART | T1 << 7 | 0x37, i_type(OP_addi, T2, 0, 'h'),
                              store(OP_sb, T1, T2, 0), i_type(OP_addi, T2, 0, 'i'),
                              store(OP_sb, T1, T2, 0), isa_rows[OP_wfi].match, jump(0, 0)};
    struct session *s = start_with(&config, greet, 7);
    ck_assert_int_eq(session_run(s), 0);
    ck_assert_int_eq(session_wait(s, 100), -ETIMEDOUT); /* it waits for input */
    session_input_end(s);
    wait_stop(s, STOPPED_IDLE);
    ck_assert_uint_eq(session_output(s, bytes, sizeof bytes), 2);
    ck_assert(!memcmp(bytes, "hi", 2));
    finish(s);
}
END_TEST

/* ---- many at once ------------------------------------------------------------------------- */

static atomic_bool done;

static void *ask(void *argument)
{
    struct session *s = argument;
    struct view_insn insn[8];
    struct view_exit *exits = calloc(64, sizeof *exits);
    while (!atomic_load(&done)) {
        struct view_status status = status_of(s);
        session_disassemble_pc(s, 2, insn, 8);
        session_exits(s, status.exits > 64 ? status.exits - 64 : 0, exits, 64);
    }
    free(exits);
    return NULL;
}

START_TEST(test_questions_while_running)
{
    struct session *s = start(_i);
    pthread_t thread[2];
    atomic_store(&done, false);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, ask, s), 0);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(session_run(s), 0);
        usleep(2000);
        session_pause(s);
        wait_stop(s, STOPPED_PAUSE);
    }
    atomic_store(&done, true);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    finish(s);
}
END_TEST

START_TEST(test_events)
{
    struct session *s = start(_i);
    static struct event event[8192];
    uint64_t dropped;
    ck_assert_int_eq(session_events(s, event, 10, &dropped), 0);
    session_events_mask(s, EVENT_BIT(EVENT_INSN));
    step(s, 2000);
    int count = session_events(s, event, 8192, &dropped);
    /* Every instruction but the ecalls, which do not retire. */
    int ecalls = 0;
    for (int i = 0; i < count; i++)
        ecalls += event[i].pc == BASE + 4 * (ECALL + 1);
    ck_assert_int_ge(count + ecalls, 1999);
    ck_assert_int_le(count + ecalls, 2001);
    ck_assert_uint_eq(dropped, 0);
    step(s, 200000);
    session_events(s, event, 1, &dropped);
    ck_assert_uint_gt(dropped, 0); /* counted, and the machine was not held up */
    finish(s);
}
END_TEST

/* ---- what every kind of guest answers ----------------------------------------------------- */

static const struct view_register *find_register(const struct view_registers *list,
                                                 const char *name)
{
    for (unsigned i = 0; i < list->count; i++)
        if (!strcmp(list->reg[i].name, name))
            return &list->reg[i];
    ck_abort_msg("no register %s", name);
}

/* The list says what the hart says, and what is written by name is there. */
START_TEST(test_registers_by_name)
{
    static struct view_registers list;
    static struct view_hart hart;
    struct session *s = start(_i);
    step(s, 3);
    ck_assert_int_eq(session_write_register64(s, "s0", 0x12345678), 0);
    ck_assert_int_eq(session_write_register64(s, "x6", 7), 0);
    ck_assert_int_eq(session_write_register64(s, "sscratch", 9), 0);
    ck_assert_int_eq(session_write_register64(s, "s0", 1ull << 32), -EINVAL);
    ck_assert_int_eq(session_write_register64(s, "rax", 0), -ENOENT);
    session_view_registers(s, &list);
    session_view_hart(s, _i ? VIEW_VIRTUAL : VIEW_REAL, &hart);
    ck_assert_uint_eq(list.count, 33 + hart.csr_count);
    for (unsigned i = 0; i < 32; i++) {
        ck_assert_uint_eq(list.reg[i].value, hart.x[i]);
        ck_assert_int_eq(list.reg[i].changed, hart.x_changed >> i & 1);
    }
    ck_assert_uint_eq(find_register(&list, "pc")->value, hart.pc);
    ck_assert_uint_eq(find_register(&list, "s0")->value, 0x12345678);
    ck_assert_uint_eq(find_register(&list, "t1")->value, 7);
    ck_assert_uint_eq(find_register(&list, "sscratch")->value, 9);
    ck_assert_str_eq(find_register(&list, "sscratch")->group, "csr");
    finish(s);
}
END_TEST

START_TEST(test_instructions_have_bytes)
{
    struct session *s = start(_i);
    struct view_insn insn[2];
    ck_assert_int_eq(session_disassemble(s, BASE + 4 * LOOP, insn, 2), 2);
    for (int i = 0; i < 2; i++) {
        uint32_t word;
        memcpy(&word, insn[i].bytes, sizeof word);
        ck_assert_uint_eq(insn[i].length, 4);
        ck_assert_uint_eq(word, insn[i].word);
        ck_assert(insn[i].readable && insn[i].bytes[4] == 0);
    }
    finish(s);
}
END_TEST

/* An RV32 guest ends at 4 GiB, whatever the interface could say. */
START_TEST(test_large_addresses)
{
    struct session *s = start(_i);
    uint64_t address;
    struct session_break far = {.kind = BREAK_EXECUTE, .address = 1ull << 32 | BASE};
    ck_assert_int_eq(session_break_add(s, &far), -EINVAL);
    ck_assert_int_eq(session_run_to(s, 1ull << 32 | BASE), -EINVAL);
    ck_assert_int_eq(session_lookup(s, "0x100000000", &address), -ENOENT);
    ck_assert_int_eq(session_lookup(s, "0xffffffff", &address), 0);
    ck_assert_uint_eq(address, UINT32_MAX);
    step(s, 1);
    finish(s);
}
END_TEST

/* One hart, no log of pages written, no way back: all said, and nothing hurt. */
START_TEST(test_what_there_is_not)
{
    static struct view_dirty dirty;
    struct view_snapshot snapshot;
    char why[SESSION_ERROR] = "";
    struct session *s = start(_i);
    struct view_status status = status_of(s);
    ck_assert_int_eq(status.isa, ISA_RV32);
    ck_assert_uint_eq(status.vcpus, 1);
    ck_assert_uint_eq(status.vcpu, 0);
    ck_assert(status.counted);
    ck_assert_int_eq(session_set_vcpu(s, 0), 0);
    ck_assert_int_eq(session_set_vcpu(s, 1), -EINVAL);
    dirty.present = true;
    session_view_dirty(s, &dirty);
    ck_assert(!dirty.present);
    ck_assert_int_eq(session_restore(s, 1, why), -ENOENT);
    ck_assert(why[0] != 0);
    ck_assert_int_eq(session_snapshots(s, &snapshot, 1), 0);
    ck_assert_int_eq(session_snapshot_delete(s, 1), -ENOENT);
    ck_assert_int_eq(session_step_back(s, 1), -ENOTSUP);
    finish(s);
}
END_TEST

START_TEST(test_bad_configurations)
{
    char why[SESSION_ERROR];
    struct session_config config;
    session_config_init(&config);
    ck_assert(session_new(&config, why) == NULL);
    config.image = "/nowhere/guest.elf";
    ck_assert(session_new(&config, why) == NULL);
    ck_assert(strstr(why, "/nowhere/guest.elf") != NULL);
    config.memory = 5u << 20;
    ck_assert(session_new(&config, why) == NULL);
    config.memory = 16u << 20;
    config.engine = "warp";
    ck_assert(session_new(&config, why) == NULL);
    ck_assert(strstr(why, "warp") != NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tc = tcase_create("bare and under the monitor");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, test_steps_are_exact, 0, 2);
    tcase_add_loop_test(tc, test_step_over, 0, 2);
    tcase_add_loop_test(tc, test_step_to_exit, 0, 2);
    tcase_add_loop_test(tc, test_breakpoints, 0, 4);
    tcase_add_loop_test(tc, test_watchpoints, 0, 2);
    tcase_add_loop_test(tc, test_point_errors, 0, 2);
    tcase_add_loop_test(tc, test_pause_and_reset, 0, 2);
    tcase_add_loop_test(tc, test_pauses_change_nothing, 0, 2);
    tcase_add_loop_test(tc, test_engines_change_nothing, 0, 2);
    tcase_add_loop_test(tc, test_limit_is_exact, 0, 2);
    tcase_add_loop_test(tc, test_the_end, 0, 2);
    tcase_add_loop_test(tc, test_output_and_sleep, 0, 2);
    tcase_add_loop_test(tc, test_questions_while_running, 0, 2);
    tcase_add_loop_test(tc, test_events, 0, 2);
    tcase_add_loop_test(tc, test_registers_by_name, 0, 2);
    tcase_add_loop_test(tc, test_instructions_have_bytes, 0, 2);
    tcase_add_loop_test(tc, test_large_addresses, 0, 2);
    tcase_add_loop_test(tc, test_what_there_is_not, 0, 2);
    tcase_add_test(tc, test_bad_configurations);
    suite_add_tcase(suite, tc);
    return tap_run(suite);
}
