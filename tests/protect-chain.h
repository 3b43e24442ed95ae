/*
 * A guest that outlives two hosts: A is protected by B; whoever has it then is protected by C. Both
 * links may break.
 */
#ifndef VITRINE_TESTS_PROTECT_CHAIN_H
#define VITRINE_TESTS_PROTECT_CHAIN_H

#include "tests/protect-pair.h"

struct protect_chain {
    bool fenced;
    struct fault_plan plan[2]; /* for the link to B, and the one to C */
    enum pair_late late[2];
    unsigned calls[2]; /* that the plan's side made, on each */
    bool taken[2];     /* B has taken over; C has */
    char why[400];     /* what both sides of the last link said */
};

/* Does all that; the last one goes on for so many instructions. NULL, or what is not well (see
 * protect_pair_check()). */
const char *protect_chain_run(struct protect_chain *chain, uint64_t more);

#endif
