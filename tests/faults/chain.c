/*
 * One host after the other, broken at every point: A is protected by B, and whoever has the guest
 * after that by C. The first link is cut at each call of each side, and the second one at each
 * STRIDE'th call of each of its sides, the first of which moves on each time; either side may be
 * the one that notices late. tests/test-protect-chain.c does a part of it.
 *
 *     chain [STRIDE]
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/protect-chain.h"

enum { MORE = 20000, STRIDE = 16 };

static int points, failed, taken, twice;

static void report(const struct protect_chain *c, const char *wrong)
{
    points++;
    taken += c->taken[0] || c->taken[1];
    twice += c->taken[0] && c->taken[1];
    failed += wrong != NULL;
    if (wrong)
        printf("# call %u of %s, then %u of %s, part %u, then %u, fault %d, then %d, %s late, then "
               "%s, %s fence: %s (%s)\n",
               c->plan[0].call, c->plan[0].source ? "A" : "B", c->plan[1].call,
               c->plan[1].source ? "the second" : "C", c->plan[0].part, c->plan[1].part,
               c->plan[0].fault, c->plan[1].fault, c->late[0] == LATE_PRIMARY ? "A" : "B",
               c->late[1] == LATE_PRIMARY ? "the second" : "C", c->fenced ? "with a" : "without",
               wrong, c->why);
}

/* Each call of the second link in its turn. false: the first one has no such call. */
static bool each_second(struct protect_chain c, unsigned stride)
{
    for (int side = 0; side < 2; side++) {
        c.plan[1].source = side;
        c.plan[1].call = c.plan[0].call % stride;
        bool was = true;
        for (; was; c.plan[1].call += stride) {
            report(&c, protect_chain_run(&c, MORE));
            was = c.calls[1] > c.plan[1].call;
        }
    }
    return c.calls[0] > c.plan[0].call;
}

/* Bit 0: which side of the first link breaks; 1, 2: who is late; 3: there is a fence; 4: what is
 * sent is lost. */
static void each_first(unsigned way, unsigned stride)
{
    enum fault fault = way & 16 ? FAULT_LOSE : FAULT_CUT;
    struct protect_chain c = {
        .fenced = way & 8,
        .plan = {{fault, way & 1, 0, 4}, {fault, 0, 0, way & 7}},
        .late = {way & 2 ? LATE_PRIMARY : LATE_BACKUP, way & 4 ? LATE_PRIMARY : LATE_BACKUP},
    };
    while (each_second(c, stride))
        c.plan[0].call++;
}

int main(int argc, char **argv)
{
    enum { WAYS = 32 };
    unsigned stride = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : STRIDE;
    if (!stride)
        stride = STRIDE;
    printf("1..%d\n", WAYS);
    for (unsigned way = 0; way < WAYS; way++) {
        int before = failed;
        each_first(way, stride);
        printf("%sok %u - %s, %s of the first link, %s late, then %s, %s fence (%d points so far; "
               "%d times somebody has taken over, %d times both)\n",
               failed > before ? "not " : "", way + 1, way & 16 ? "bytes lost" : "cut",
               way & 1 ? "primary" : "backup", way & 2 ? "primary" : "backup",
               way & 4 ? "primary" : "backup", way & 8 ? "with a" : "without", points, taken,
               twice);
        fflush(stdout);
    }
    return failed != 0;
}
