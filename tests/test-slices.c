/*
 * How long the slices are in which a session runs its guest: shorter where the host is slow, so
 * that whoever asks something need not wait, and long again when it is not. The host's clock is a
 * made-up one here, and how many instructions a slice had is looked at whenever that is read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hv/session_priv.h"
#include "hv/simulated_priv.h"
#include "tests/small-guest.h"
#include "tests/tap.h"

enum { MOST = 64, HALVED_MOST = 10, UART = 0x10000000 };
enum { SLOW_NS = 30000000, NEITHER_NS = 10000000, FAST_NS = 1000000 };

static char image[64];

/* The clock is read before and after each slice. */
static struct {
    struct hart *hart;
    uint64_t now, slice_ns, before;
    uint64_t length[MOST];
    unsigned reads, slices;
} clock_made_up;

static uint64_t read_clock(void)
{
    uint64_t executed = clock_made_up.hart->executed;
    if (clock_made_up.reads++ % 2 == 0) {
        clock_made_up.before = executed;
    } else {
        clock_made_up.now += clock_made_up.slice_ns;
        if (clock_made_up.slices < MOST)
            clock_made_up.length[clock_made_up.slices++] = executed - clock_made_up.before;
    }
    return clock_made_up.now;
}

/* Counts, and looks for a byte now and then: the sum of each times the count tells when it came. */
static void write_guest(void)
{
    guest_begin();
    guest_lui(A0, UART);
    guest_i(OP_addi, T0, T0, 1);
    guest_i(OP_andi, T1, T0, 63);
    guest_branch(OP_bne, T1, 0, 1);
    guest_i(OP_lbu, T1, A0, 0);
    guest_r(OP_mul, T1, T1, T0);
    guest_r(OP_add, T2, T2, T1);
    guest_jump(1);
    guest_write(image);
}

static struct session *start(void (*write)(void), enum session_under under, const char *engine)
{
    struct session_config config;
    char why[SESSION_ERROR];
    write();
    session_config_init(&config);
    config.image = image;
    config.memory = 8 << 20;
    config.under = under;
    config.engine = engine;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    struct simulated *simulated = s->backend;
    session_enter(s);
    memset(&clock_made_up, 0, sizeof clock_made_up);
    clock_made_up.hart = &simulated->guest->hart;
    simulated->host_ns = read_clock;
    session_leave(s);
    return s;
}

/* Runs so many instructions while each slice takes so long. How many slices that were; the last was
 * cut short where the run ended. */
static unsigned run(struct session *s, uint64_t slice_ns, uint64_t count)
{
    session_enter(s);
    clock_made_up.slice_ns = slice_ns;
    clock_made_up.slices = 0;
    session_leave(s);
    ck_assert_int_eq(session_step(s, count), 0);
    ck_assert_int_eq(session_wait(s, -1), 0);
    return clock_made_up.slices;
}

static const struct {
    enum session_under under;
    const char *engine;
} WAYS[] = {{SESSION_BARE, "interp"},
            {SESSION_BARE, "threaded"},
            {SESSION_HV, "interp"},
            {SESSION_HV, "auto"}};

START_TEST(test_slices)
{
    struct session *s = start(write_guest, WAYS[_i].under, WAYS[_i].engine);
    const uint64_t *length = clock_made_up.length;
    ck_assert_uint_eq(run(s, FAST_NS, 3000000), clock_made_up.slices);
    uint64_t whole = length[0], least = whole >> HALVED_MOST;
    ck_assert_uint_ge(clock_made_up.slices, 3);
    ck_assert_uint_eq(length[1], whole);
    ck_assert_uint_eq(length[2], whole);

    unsigned slices = run(s, SLOW_NS, 2 * whole + 20 * least); /* each is halved, up to a point */
    ck_assert_uint_gt(slices, HALVED_MOST + 10);
    for (unsigned i = 0; i < HALVED_MOST + 10; i++)
        ck_assert_uint_eq(length[i], i < HALVED_MOST ? whole >> i : least);

    slices = run(s, NEITHER_NS, 10 * least); /* they stay as short as they are */
    ck_assert_uint_eq(slices, 10);
    for (unsigned i = 0; i < slices; i++)
        ck_assert_uint_eq(length[i], least);

    slices = run(s, FAST_NS, 4 * whole); /* and grow again */
    ck_assert_uint_gt(slices, HALVED_MOST + 1);
    for (unsigned i = 0; i < HALVED_MOST; i++)
        ck_assert_uint_eq(length[i], whole >> (HALVED_MOST - i));
    ck_assert_uint_eq(length[HALVED_MOST], whole);
    session_free(s);
    unlink(image);
}
END_TEST

/* Where what is typed arrives is up to the guest, not to the host's speed. */
START_TEST(test_input_in_pieces)
{
    uint64_t digest[2];
    for (int slow = 0; slow < 2; slow++) {
        struct session *s = start(write_guest, WAYS[_i].under, WAYS[_i].engine);
        run(s, FAST_NS, 3000000);
        uint64_t whole = clock_made_up.length[0];
        unsigned pieces = run(s, slow ? SLOW_NS : FAST_NS, 5 * whole);
        ck_assert_uint_eq(pieces > 20, slow);
        /* More than the receiver holds: the rest waits for the guest, and for the next slice. */
        ck_assert_uint_eq(session_input(s, (const uint8_t *)"twenty-four letters more", 24), 24);
        run(s, slow ? SLOW_NS : FAST_NS, 7 * whole + whole / 3);
        digest[slow] = session_digest(s);
        session_free(s);
        unlink(image);
    }
    ck_assert_uint_eq(digest[0], digest[1]);
}
END_TEST

/* ---- a file that is larger than the queue --------------------------------------------------- */

enum { QUEUES = 3, FILE_SIZE = QUEUES * INPUT_QUEUE + 1000, LOOKS = 0x4000 };
enum { PLIC = 0x0c000000, PLIC_S = 0x0c002000, FINISHER = 0x100000 };

/* Sleeps until a byte comes; but where the queue has been emptied it goes on looking for long. Its
 * sum tells each byte, and after how many looks it came. */
static void write_reader(void)
{
    enum { TAKE = 13, SIE_CSRW_T0 = 0x10429073, WFI = 0x10500073 };
    guest_begin();
    guest_lui(A0, UART);
    guest_i(OP_addi, T0, 0, 1);
    guest_store(OP_sb, A0, T0, 1); /* the receiver interrupts */
    guest_lui(T1, PLIC);
    guest_store(OP_sw, T1, T0, 40); /* source 10 has priority 1 */
    guest_lui(T1, PLIC_S);
    guest_i(OP_addi, T2, 0, 1 << 10);
    guest_store(OP_sw, T1, T2, 0x80);
    guest_i(OP_addi, T0, 0, 1 << 9);
    guest_word(SIE_CSRW_T0);
    guest_lui(T0, LOOKS);
    unsigned take = guest_count + 1, look = take + TAKE;
    guest_jump(look);

    guest_i(OP_lbu, T1, A0, 0);
    guest_r(OP_add, A7, A7, S0);
    guest_i(OP_slli, T2, A7, 5);
    guest_r(OP_sub, A7, T2, A7);
    guest_r(OP_add, A7, A7, T1);
    guest_i(OP_addi, S1, S1, 1);
    guest_i(OP_addi, S0, 0, 0);
    guest_i(OP_addi, T1, T1, -'\n');
    guest_branch(OP_bne, T1, 0, look);
    guest_lui(T1, FINISHER);
    guest_lui(T2, 0x5000);
    guest_i(OP_addi, T2, T2, 0x555);
    guest_store(OP_sw, T1, T2, 0);
    ck_assert_uint_eq(guest_count, look);

    guest_i(OP_lbu, T1, A0, 5);
    guest_i(OP_andi, T1, T1, 1);
    guest_branch(OP_bne, T1, 0, take);
    guest_i(OP_addi, S0, S0, 1);
    guest_i(OP_slli, T1, S1, 16);
    guest_branch(OP_bne, T1, 0, look + 7);
    guest_branch(OP_bltu, S0, T0, look);
    guest_word(WFI);
    guest_jump(look);
    guest_write(image);
}

/* Its only newline is the last byte. */
static FILE *make_file(void)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    for (int i = 1; i < FILE_SIZE; i++)
        fputc(' ' + i * 7 % 91, file);
    fputc('\n', file);
    ck_assert_int_eq(fflush(file), 0);
    rewind(file);
    return file;
}

/* What is left of a guest that has read the file to its end. */
static uint64_t read_file(unsigned way, uint64_t slice_ns)
{
    struct view_status status;
    struct session *s = start(write_reader, WAYS[way].under, WAYS[way].engine);
    FILE *file = make_file();
    clock_made_up.slice_ns = slice_ns;
    ck_assert_int_eq(session_input_file(s, fileno(file)), 0);
    fclose(file);
    ck_assert_int_eq(session_run(s), 0);
    ck_assert_int_eq(session_wait(s, -1), 0);
    session_status(s, &status);
    ck_assert_int_eq(status.stop, STOPPED_POWEROFF);
    ck_assert_uint_eq(clock_made_up.hart->x[S1], FILE_SIZE);
    uint64_t digest = session_digest(s);
    session_free(s);
    unlink(image);
    return digest;
}

START_TEST(test_input_of_a_file)
{
    const uint64_t digest = read_file(_i / 2 * 2, FAST_NS); /* of the first of two engines */
    if (_i % 2)
        ck_assert_uint_eq(read_file((unsigned)_i, FAST_NS), digest);
    ck_assert_uint_eq(read_file((unsigned)_i, SLOW_NS), digest);
}
END_TEST

/* What is no regular file is a person's, and comes when it comes. */
START_TEST(test_no_file)
{
    int ends[2];
    struct session *s = start(write_reader, SESSION_BARE, "interp");
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(session_input_file(s, ends[0]), -EINVAL);
    ck_assert_int_eq(session_input_file(s, -1), -EBADF);
    session_free(s);
    unlink(image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slices");
    TCase *tcase = tcase_create("slices");
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, test_slices, 0, sizeof WAYS / sizeof *WAYS);
    tcase_add_loop_test(tcase, test_input_in_pieces, 0, sizeof WAYS / sizeof *WAYS);
    tcase_add_loop_test(tcase, test_input_of_a_file, 0, sizeof WAYS / sizeof *WAYS);
    tcase_add_test(tcase, test_no_file);
    suite_add_tcase(suite, tcase);
    return tap_run(suite);
}
