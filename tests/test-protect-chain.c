/*
 * A guest that outlives two hosts: A is protected by B, and whoever has it then by C. It goes on in
 * one place, and nothing that the world has seen of any of the three is denied.
 */
#include "config.h"

#include "tests/protect-chain.h"
#include "tests/tap.h"

enum { MORE = 50000, IN_EPOCHS = 50, POINTS = 8, CALLS = 64 };

static void check_chain(struct protect_chain *c)
{
    const char *wrong = protect_chain_run(c, MORE);
    ck_assert_msg(
        !wrong,
        "%s: call %u of side %d, then %u of %d; parts %u, %u; faults %d, %d; late %d, %d; "
        "fence %d (%s)",
        wrong, c->plan[0].call, c->plan[0].source, c->plan[1].call, c->plan[1].source,
        c->plan[0].part, c->plan[1].part, c->plan[0].fault, c->plan[1].fault, c->late[0],
        c->late[1], c->fenced, c->why);
}

/* Each link is cut when epochs have arrived. Bit 0: with a fence; 1, 2: the primary of the first,
 * of the second link is the one that notices late, so that the backup takes over. */
START_TEST(test_two_losses)
{
    struct protect_chain c = {.fenced = _i & 1};
    for (int link = 0; link < 2; link++) {
        c.plan[link] = (struct fault_plan){FAULT_CUT, false, IN_EPOCHS, 0};
        c.late[link] = _i & (2 << link) ? LATE_PRIMARY : LATE_BACKUP;
    }
    check_chain(&c);
    for (int link = 0; link < 2; link++) {
        ck_assert_uint_gt(c.calls[link], IN_EPOCHS);
        /* Without a fence a primary can never be the first: it does not know, and stands. */
        ck_assert_int_eq(c.taken[link], !c.fenced || c.late[link] == LATE_PRIMARY);
    }
}
END_TEST

START_TEST(test_in_order)
{
    struct protect_chain c = {.fenced = _i};
    check_chain(&c);
    ck_assert(!c.taken[0] && !c.taken[1]);
}
END_TEST

static uint64_t state;

static unsigned next(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

/* Some of the points of tests/faults/chain.c, and parts that are not there. */
START_TEST(test_points)
{
    state = (uint64_t)_i;
    for (int n = 0; n < POINTS; n++) {
        struct protect_chain c = {.fenced = next(2)};
        for (int link = 0; link < 2; link++) {
            enum fault fault = next(4) ? FAULT_CUT : FAULT_LOSE;
            c.plan[link] = (struct fault_plan){fault, next(2), next(CALLS), next(8)};
            c.late[link] = next(2) ? LATE_PRIMARY : LATE_BACKUP;
        }
        check_chain(&c);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protect-chain");
    TCase *tests = tcase_create("tests");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test_in_order, 0, 2);
    tcase_add_loop_test(tests, test_two_losses, 0, 8);
    tcase_add_loop_test(tests, test_points, 1, 9);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
