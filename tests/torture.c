/*
 * make torture: random programs in two ways of running them, engine A against engine B, bare or below
 * the monitor, drawn by lot, until one parts or the time is over.
 *
 * Prints its seeds, so that what it finds can be found again: `torture 0 SEED` runs that program
 * alone in all ways, `torture SECONDS SEED` goes on as it did from that seed. A program that parts is made shorter first: instructions are replaced by nops
 * while it still does.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/isa.h"
#include "tests/lockstep.h"
#include "tests/random-program.h"

enum { STEPS = 20000, LONG_STEPS = 4000000, LONG_ONE_IN = 256, PER_PAIR = 256, LAST = 100, NOP = 0x13 };

/* A program to be run in some lanes: new ones, in which `history` programs with the seeds before it
 * have run already, since an engine may remember something of them that it should not. */
struct trial {
    struct machine_config config;
    unsigned first, second; /* ways, by index of lanes_new(); equal: all ways */
    uint64_t history;
    struct schedule schedule;
    struct random_program program;
};

static bool new_lanes(struct lanes *lanes, const struct trial *trial)
{
    return trial->first == trial->second
               ? lanes_new(lanes, &trial->config)
               : lanes_new_two(lanes, &trial->config, trial->first, trial->second);
}

static bool run_one(struct lanes *lanes, const struct random_program *program,
                    const struct schedule *schedule, FILE *report)
{
    lanes_clear(lanes);
    for (unsigned i = 0; i < lanes->count; i++)
        random_program_load(program, lanes->lane[i].machine);
    return lanes_run(lanes, schedule, report);
}

static void make(struct random_program *program, struct schedule *schedule, uint64_t seed)
{
    static const uint64_t chunk[] = {1, 3, 97, 1000, 65536, 0, 0, 0};
    bool is_long = seed % LONG_ONE_IN == LONG_ONE_IN - 1;
    random_program_make_as(program, seed, is_long ? PROGRAM_LONG : 0);
    *schedule = (struct schedule){.total = is_long ? LONG_STEPS : STEPS,
                                  .chunk = is_long ? 65536 : chunk[seed % 8],
                                  .seed = seed};
}

static bool parts(const struct trial *trial, const struct random_program *program, FILE *report)
{
    struct lanes lanes;
    bool equal = true;
    if (new_lanes(&lanes, trial)) {
        for (uint64_t back = trial->history; back > 0; back--) {
            struct random_program earlier;
            struct schedule schedule;
            make(&earlier, &schedule, program->seed - back);
            run_one(&lanes, &earlier, &schedule, NULL);
        }
        equal = run_one(&lanes, program, &trial->schedule, report);
    }
    lanes_free(&lanes);
    return !equal;
}

/* Without its fence, what a change of a table means would depend on what a TLB happens to keep. */
static bool must_stay(uint32_t word)
{
    struct insn i = isa_decode(word);
    return i.op == OP_sfence_vma || ((i.op == OP_lui || i.op == OP_addi) && i.rd >= 28);
}

/* Halves, quarters ... single instructions become nops, if the rest still shows the difference. */
static void shrink(struct trial *trial)
{
    for (int size = PROGRAM_INSNS / 2; size; size /= 2) {
        for (int at = 0; at + size < PROGRAM_INSNS; at += size) {
            struct random_program shorter = trial->program;
            for (int i = at; i < at + size; i++)
                if (!must_stay(shorter.code[i]))
                    shorter.code[i] = NOP;
            if (memcmp(&shorter, &trial->program, sizeof shorter) && parts(trial, &shorter, NULL))
                trial->program = shorter;
        }
    }
}

/* The fewest instructions after which the difference shows. */
static void shorten_run(struct trial *trial)
{
    uint64_t low = 0, high = trial->schedule.total;
    while (low + 1 < high) {
        trial->schedule.total = low + (high - low) / 2;
        if (parts(trial, &trial->program, NULL))
            high = trial->schedule.total;
        else
            low = trial->schedule.total;
    }
    trial->schedule.total = high;
}

static void print_program(const struct random_program *program)
{
    for (uint32_t i = 0; i < PROGRAM_INSNS; i++) {
        char text[64];
        if (program->code[i] == NOP)
            continue;
        isa_disassemble(PROGRAM_CODE + 4 * i, program->code[i], text, sizeof text);
        printf("  %08x  %08x  %s\n", PROGRAM_CODE + 4 * i, program->code[i], text);
    }
}

/* What would be fetched there; 0: nothing could. */
static uint32_t word_at(struct machine *m, uint32_t pc)
{
    struct walk walk = {.context = mmu_context(m, ACCESS_FETCH), .access = ACCESS_FETCH,
                        .look_only = true};
    uint32_t word = 0;
    if (mmu_walk(m, pc, &walk))
        ram_read(&m->ram, walk.pa, &word, sizeof word);
    return word;
}

/* The reference's last instructions before the difference shows. */
static void print_way(const struct trial *trial)
{
    char why[MACHINE_ERROR];
    struct machine *m = machine_new(&trial->config, why);
    uint64_t total = trial->schedule.total, first = total > LAST ? total - LAST : 0;
    if (!m)
        return;
    random_program_load(&trial->program, m);
    machine_run(m, first);
    for (uint64_t n = first; n < total && m->stop == STOP_NONE; n++) {
        char text[64];
        uint32_t pc = m->hart.pc, mode = m->hart.mode, satp = m->hart.satp;
        uint64_t trapped = m->hart.trapped;
        isa_disassemble(pc, word_at(m, pc), text, sizeof text);
        machine_run(m, 1);
        printf("  %6llu %c %08x %08x  %-32s%s\n", (unsigned long long)n, "US?M"[mode], satp, pc,
               text, m->hart.trapped > trapped ? isa_cause_name(m->cause) : "");
    }
    machine_free(m);
}

/* It has parted after `history` others: how few of them will do? */
static bool find_history(struct trial *trial, uint64_t history)
{
    for (uint64_t enough = 0; enough <= history; enough = enough ? 2 * enough : 1) {
        trial->history = enough < history ? enough : history;
        if (parts(trial, &trial->program, NULL))
            return true;
    }
    trial->history = history;
    return parts(trial, &trial->program, NULL);
}

static void explain(struct trial *trial, uint64_t history)
{
    printf("\nseed %llu parts, the %llu. in these lanes; making it shorter ...\n",
           (unsigned long long)trial->program.seed, (unsigned long long)history + 1);
    fflush(stdout);
    if (!find_history(trial, history)) {
        printf("it does not part again: something outside the machine has a part in it\n");
        return;
    }
    shorten_run(trial);
    shrink(trial);
    shorten_run(trial);
    if (trial->history)
        printf("it parts only if the %llu programs before it have run first\n",
               (unsigned long long)trial->history);
    printf("the shortest program that does:\n");
    print_program(&trial->program);
    printf("its last instructions in the specification (mode, satp, pc):\n");
    print_way(trial);
    parts(trial, &trial->program, stdout);
}

static void config_for(struct machine_config *config, uint64_t lot)
{
    machine_config_init(config);
    config->memory = 4u << 20;
    config->misaligned_trap = lot % 5 == 3;
    config->ad_trap = lot % 5 == 4;
}

/* Every way of running a program against the specification, in every configuration. */
static bool replay(uint64_t seed)
{
    static const char *const name[] = {"default", "misaligned accesses trap", "A and D trap"};
    static struct trial trial;
    bool equal = true;
    for (unsigned i = 0; i < 3; i++) {
        config_for(&trial.config, 2 + i);
        make(&trial.program, &trial.schedule, seed);
        bool now = !parts(&trial, &trial.program, NULL);
        printf("%s: %s\n", name[i], now ? "equal" : "parts");
        if (!now)
            explain(&trial, 0);
        equal = equal && now;
    }
    return equal;
}

/* PER_PAIR programs in two ways drawn by lot. */
static bool some(uint64_t seed, time_t end)
{
    static struct trial trial;
    struct lanes lanes;
    uint64_t lots = seed;
    unsigned ways = 0;
    while (engine_at(ways / 2))
        ways++;
    config_for(&trial.config, random_below(&lots, 5));
    trial.first = random_below(&lots, ways);
    trial.second = random_below(&lots, ways - 1);
    trial.second += trial.second >= trial.first;
    if (!new_lanes(&lanes, &trial)) {
        printf("\nno memory for two machines\n");
        return false;
    }
    printf("from seed %llu: %s, %s\n", (unsigned long long)seed, lanes.lane[0].name,
           lanes.lane[1].name);
    fflush(stdout);
    bool equal = true;
    for (uint64_t n = 0; n < PER_PAIR && equal && (!end || time(NULL) < end); n++) {
        make(&trial.program, &trial.schedule, seed + n);
        equal = run_one(&lanes, &trial.program, &trial.schedule, NULL);
        if (!equal)
            explain(&trial, n);
    }
    lanes_free(&lanes);
    return equal;
}

int main(int argc, char **argv)
{
    long seconds = argc > 1 ? strtol(argv[1], NULL, 0) : 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL) << 20;
    if (argc > 2 && !seconds)
        return replay(seed) ? EXIT_SUCCESS : EXIT_FAILURE;
    time_t end = seconds > 0 ? time(NULL) + seconds : 0;
    seed -= seed % PER_PAIR;
    printf("random programs in two ways each; stop with Ctrl-C\n");
    for (; !end || time(NULL) < end; seed += PER_PAIR)
        if (!some(seed, end))
            return EXIT_FAILURE;
    printf("no program parts\n");
    return EXIT_SUCCESS;
}
