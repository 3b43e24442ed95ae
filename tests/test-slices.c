/*
 * How long the slices are in which a session runs its guest: shorter where the host is slow, so
 * that whoever asks something need not wait, and long again when it is not. The host's clock is a
 * made-up one here, and how many instructions a slice had is looked at whenever that is read.
 */
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

static struct session *start(enum session_under under, const char *engine)
{
    struct session_config config;
    char why[SESSION_ERROR];
    write_guest();
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
            {SESSION_HV, "interp"},
            {SESSION_BARE, "threaded"},
            {SESSION_HV, "auto"}};

START_TEST(test_slices)
{
    struct session *s = start(WAYS[_i].under, WAYS[_i].engine);
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
        struct session *s = start(WAYS[_i].under, WAYS[_i].engine);
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

int main(void)
{
    Suite *suite = suite_create("slices");
    TCase *tcase = tcase_create("slices");
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, test_slices, 0, sizeof WAYS / sizeof *WAYS);
    tcase_add_loop_test(tcase, test_input_in_pieces, 0, sizeof WAYS / sizeof *WAYS);
    suite_add_tcase(suite, tcase);
    return tap_run(suite);
}
