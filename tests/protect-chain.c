/* One host after the other. See protect-chain.h. */
#include "config.h"

#include "tests/protect-chain.h"

#include <stdio.h>

static void run_link(struct protect_chain *chain, struct protect_pair *pair, int link)
{
    pair->plan = chain->plan[link];
    pair->late = chain->late[link];
    protect_pair_run(pair);
    chain->calls[link] = pair->calls[pair->plan.source];
    chain->taken[link] = pair->backup_end == BACKUP_TAKEN;
    snprintf(chain->why, sizeof chain->why, "%.190s; %.190s", pair->primary_why, pair->backup_why);
}

const char *protect_chain_run(struct protect_chain *chain, uint64_t more)
{
    static char seen[PROTECT_SEEN];
    struct protect_pair first = {.fenced = chain->fenced}, second = {0};
    protect_pair_init(&first, SESSION_HV, SESSION_HV);
    run_link(chain, &first, 0);
    const char *wrong = protect_pair_next(&first, &second, seen);
    if (!wrong) {
        run_link(chain, &second, 1);
        wrong = protect_pair_check(&second, more);
        wrong = wrong ? wrong : protect_pair_check_left(&first);
    }
    protect_pair_free(&second);
    protect_pair_free(&first);
    return wrong;
}
