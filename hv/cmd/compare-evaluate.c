/*
 * What the figures of `vitrine compare` say: results that differ, medians, ratios, costs, means.
 *
 * A ratio is native time by guest time, so 1 is native speed and .5 half of it. Means of ratios are
 * geometric. The cost of an exit is what the monitor's run takes longer than the bare one, divided
 * by the exits; with few exits that would be noise, so it is left out. Under KVM it is measured.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hv/cmd/compare.h"

enum { EXITS_LEAST = 1000 }; /* fewer have no cost that could be measured */

const struct outcome *compare_result(const struct subject *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct row *row = &s->rows[i];
        if (row->count && !*row->why && row->outcomes[0].has_line)
            return &row->outcomes[0];
    }
    return NULL;
}

/* ---- are the results the same ------------------------------------------------------------- */

static void check_outcome(struct row *row, const struct outcome *o, const struct outcome *wanted,
                          const char *whose, bool must_have_line)
{
    if (!o->has_line && must_have_line)
        snprintf(row->why, sizeof row->why, "printed no line \"NAME rounds N checksum XXXXXXXX\"");
    else if (!o->has_line || !wanted)
        return;
    else if (o->rounds != wanted->rounds)
        snprintf(row->why, sizeof row->why, "did %" PRIu64 " rounds, but %s did %" PRIu64,
                 o->rounds, whose, wanted->rounds);
    else if (o->checksum != wanted->checksum)
        snprintf(row->why, sizeof row->why, "checksum %08" PRIx32 " differs from %s's %08" PRIx32,
                 o->checksum, whose, wanted->checksum);
}

/* The first row, which is the native one if there is one, tells what is right. */
static void check_results(struct subject *s)
{
    const struct outcome *wanted = compare_result(s);
    bool native = s->rows[0].mode == MODE_NATIVE && !*s->rows[0].why && s->rows[0].count &&
                  wanted == &s->rows[0].outcomes[0];
    for (unsigned i = 0; i < s->count; i++)
        for (unsigned k = 0; k < s->rows[i].count && !*s->rows[i].why; k++)
            check_outcome(&s->rows[i], &s->rows[i].outcomes[k], wanted,
                          native ? "native" : "the first", s->kind != KIND_OTHER);
}

/* ---- figures of a row --------------------------------------------------------------------- */

static int by_seconds(const void *a, const void *b)
{
    double x = ((const struct outcome *)a)->seconds, y = ((const struct outcome *)b)->seconds;
    return (x > y) - (x < y);
}

static void take_median(struct row *row)
{
    if (*row->why || !row->count)
        return;
    qsort(row->outcomes, row->count, sizeof *row->outcomes, by_seconds);
    row->median = row->outcomes[row->count / 2];
}

/* The bare run of the same program in the same engine. */
static const struct row *bare_twin(const struct subject *s, const struct row *row)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct row *other = &s->rows[i];
        if ((other->mode == MODE_S || other->mode == MODE_BARE) && !*other->why &&
            !strcmp(other->engine, row->engine))
            return other;
    }
    return NULL;
}

static double cost_of_exit(const struct row *row, const struct row *bare)
{
    if (!bare || row->median.exits < EXITS_LEAST)
        return 0;
    return fmax(0, (row->median.seconds - bare->median.seconds) * 1e9 / (double)row->median.exits);
}

static void compute_row(const struct subject *s, struct row *row)
{
    const struct row *native = &s->rows[0];
    double seconds = row->median.seconds;
    if (*row->why || seconds <= 0)
        return;
    if (native->mode == MODE_NATIVE && !*native->why)
        row->of_native = native->median.seconds / seconds;
    if (s->kind == KIND_TRAP)
        row->per_second = (double)row->median.rounds / seconds;
    if (row->mode == MODE_HV)
        row->ns_per_exit = cost_of_exit(row, bare_twin(s, row));
    if (row->mode == MODE_KVM && row->median.exits)
        row->ns_per_exit = (double)row->median.exit_ns / (double)row->median.exits;
}

/* ---- means -------------------------------------------------------------------------------- */

/* Every engine's rows in the order in which kernels have them. */
static void name_means(struct comparison *c)
{
    static const enum compare_mode ORDER[] = {MODE_M, MODE_S, MODE_HV};
    for (unsigned e = 0; e < c->engine_count; e++)
        for (unsigned m = 0; m < sizeof ORDER / sizeof *ORDER; m++)
            c->means[c->mean_count++] = (struct mean){.engine = c->engines[e], .mode = ORDER[m]};
    if (c->kvm)
        c->means[c->mean_count++] = (struct mean){.engine = compare_kvm, .mode = MODE_KVM};
}

static const struct row *row_for(const struct subject *s, const struct mean *mean)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->rows[i].engine && s->rows[i].mode == mean->mode &&
            !strcmp(s->rows[i].engine, mean->engine))
            return &s->rows[i];
    return NULL;
}

static double geometric(double sum_of_logs, unsigned count)
{
    return count ? exp(sum_of_logs / count) : 0;
}

static void compute_mean(const struct comparison *c, struct mean *mean)
{
    double logs[KINDS] = {0}, rates = 0;
    unsigned counts[KINDS] = {0}, rate_count = 0;
    for (unsigned i = 0; i < c->count; i++) {
        const struct subject *s = &c->subjects[i];
        const struct row *row = row_for(s, mean);
        if (row && row->of_native > 0) {
            logs[s->kind] += log(row->of_native);
            logs[KIND_OTHER] += log(row->of_native);
            counts[s->kind]++;
            counts[KIND_OTHER]++;
        }
        if (row && row->per_second > 0) {
            rates += log(row->per_second);
            rate_count++;
        }
    }
    for (int kind = 0; kind < KINDS; kind++)
        mean->of_native[kind] = geometric(logs[kind], counts[kind]);
    mean->per_second = geometric(rates, rate_count);
}

bool compare_evaluate(struct comparison *c)
{
    bool fine = true;
    for (unsigned i = 0; i < c->count; i++) {
        struct subject *s = &c->subjects[i];
        check_results(s);
        for (unsigned k = 0; k < s->count; k++)
            take_median(&s->rows[k]);
        for (unsigned k = 0; k < s->count; k++)
            compute_row(s, &s->rows[k]);
        for (unsigned k = 0; k < s->count; k++)
            fine &= !*s->rows[k].why;
    }
    name_means(c);
    for (unsigned i = 0; i < c->mean_count; i++)
        compute_mean(c, &c->means[i]);
    return fine;
}
