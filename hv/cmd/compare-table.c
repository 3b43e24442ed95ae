/*
 * `vitrine compare` as a table for people: a block for each kernel, a line for each way to run it,
 * and the means. Its form depends on what was asked for alone, never on the figures.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "hv/cmd/compare.h"

enum { CELL = 24, HEAD = 30 };

/* "1,234,567" */
static void with_commas(uint64_t n, char out[CELL + 4])
{
    char digits[CELL];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

/* "-" for what is not known. */
static void decimal(double value, int places, char out[CELL])
{
    if (value > 0)
        snprintf(out, CELL, "%.*f", places, value);
    else
        snprintf(out, CELL, "-");
}

/* "1.23 M": operations per second. */
static void rate(double value, char out[CELL])
{
    static const char *const UNITS[] = {"", " k", " M", " G"};
    int unit = 0;
    char number[CELL];
    for (; value >= 1000 && unit < 3; unit++)
        value /= 1000;
    decimal(value, value >= 100 ? 0 : value >= 10 ? 1 : 2, number);
    snprintf(out, CELL, "%.12s%s", number, value > 0 ? UNITS[unit] : "");
}

static void write_head(FILE *out, const struct subject *s)
{
    const struct outcome *result = compare_result(s);
    fprintf(out, "%s (%s): %s", s->name, compare_kind_name(s->kind), s->meaning);
    if (result)
        fprintf(out, "; %" PRIu64 " rounds, checksum %08" PRIx32, result->rounds, result->checksum);
    fprintf(out, "\n%-*s %10s %16s %9s %9s %12s %8s", HEAD, "", "time/ms", "instructions", "M/s",
            "of native", "exits", "ns/exit");
    fprintf(out, s->kind == KIND_TRAP ? " %9s\n" : "\n", "ops/s");
}

static void write_error(FILE *out, const char *head, const char *why)
{
    fprintf(out, "%-*s error: %s\n", HEAD, head, why);
}

static void write_row(FILE *out, const struct subject *s, const struct row *row)
{
    const struct outcome *o = &row->median;
    char head[64], instructions[CELL + 4] = "-", exits[CELL + 4] = "-";
    char speed[CELL], ratio[CELL], cost[CELL], operations[CELL];
    snprintf(head, sizeof head, "  %-9s %s", row->engine ? row->engine : "native",
             compare_mode_text(row->mode));
    if (*row->why) {
        write_error(out, head, row->why);
        return;
    }
    if (row->mode != MODE_NATIVE && row->mode != MODE_KVM)
        with_commas(o->instructions, instructions);
    if (row->mode == MODE_HV || row->mode == MODE_KVM)
        with_commas(o->exits, exits);
    decimal(o->seconds > 0 ? (double)o->instructions / o->seconds / 1e6 : 0, 1, speed);
    decimal(row->of_native, 3, ratio);
    decimal(row->ns_per_exit, 0, cost);
    rate(row->per_second, operations);
    fprintf(out, "%-*s %10.2f %16s %9s %9s %12s %8s", HEAD, head, o->seconds * 1e3, instructions,
            speed, ratio, exits, cost);
    if (s->kind == KIND_TRAP)
        fprintf(out, " %9s", operations);
    fputc('\n', out);
}

static void write_subject(FILE *out, const struct subject *s)
{
    write_head(out, s);
    for (unsigned i = 0; i < s->count; i++)
        write_row(out, s, &s->rows[i]);
    if (s->no_native)
        fprintf(out, "  no native program to compare with: %s is not there\n", s->no_native);
    if (s->no_kvm)
        fprintf(out, "  no x86 guest to compare with: %s is not there\n", s->no_kvm);
    if (s->kind == KIND_OTHER)
        fprintf(out, "  an ELF by its path has no native twin\n");
    fputc('\n', out);
}

/* ---- means -------------------------------------------------------------------------------- */

static bool has_kind(const struct comparison *c, enum compare_kind kind)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->subjects[i].kind == kind)
            return true;
    return false;
}

static void write_mean(FILE *out, const struct comparison *c, const struct mean *mean)
{
    char cell[CELL];
    fprintf(out, "  %-9s %-*s", mean->engine, HEAD - 12, compare_mode_text(mean->mode));
    for (int kind = 0; kind < KIND_TRAP; kind++)
        if (has_kind(c, (enum compare_kind)kind)) {
            decimal(mean->of_native[kind], 3, cell);
            fprintf(out, " %10s", cell);
        }
    decimal(mean->of_native[KIND_OTHER], 3, cell);
    fprintf(out, " %10s", cell);
    rate(mean->per_second, cell);
    if (has_kind(c, KIND_TRAP))
        fprintf(out, " %12s", cell);
    fputc('\n', out);
}

static void write_means(FILE *out, const struct comparison *c)
{
    fprintf(out, "%-*s", HEAD, "geometric means, of native");
    for (int kind = 0; kind < KIND_TRAP; kind++)
        if (has_kind(c, (enum compare_kind)kind))
            fprintf(out, " %10s", compare_kind_name((enum compare_kind)kind));
    fprintf(out, " %10s", "all");
    if (has_kind(c, KIND_TRAP))
        fprintf(out, " %12s", "traps, ops/s");
    fputc('\n', out);
    for (unsigned i = 0; i < c->mean_count; i++)
        write_mean(out, c, &c->means[i]);
    fputc('\n', out);
}

void compare_write_table(FILE *out, const struct comparison *c)
{
    bool kernels = false;
    for (unsigned i = 0; i < c->count; i++) {
        write_subject(out, &c->subjects[i]);
        kernels |= c->subjects[i].kind != KIND_OTHER;
    }
    if (kernels && c->count > 1)
        write_means(out, c);
    fprintf(out,
            "CPU time, median of %u run%s in turns; \"of native\" is native time by guest "
            "time.\n",
            c->runs, c->runs == 1 ? "" : "s");
    if (c->kvm)
        fprintf(out, "kvm runs the same C compiled for x86-64; its ns/exit is measured, the "
                     "monitor's is a difference.\n");
    if (c->no_kvm)
        fprintf(out, "No rows of kvm: /dev/kvm: %s (vitrine kvm-info tells more).\n", c->no_kvm);
}
