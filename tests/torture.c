/*
 * make torture: random programs in two ways of running them, engine A against engine B, bare or below
 * the monitor, drawn by lot, until one parts or the time is over.
 *
 * Prints its seeds, so that what it finds can be found again: `torture 0 SEED` runs that program
 * alone in all ways. A program that parts is made shorter first: instructions are replaced by nops
 * while it still does.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/isa.h"
#include "tests/lockstep.h"
#include "tests/random-program.h"

enum { STEPS = 20000, LONG_STEPS = 4000000, LONG_ONE_IN = 256, PER_PAIR = 256, NOP = 0x13 };

struct trial {
    struct lanes *lanes;
    struct schedule schedule;
    struct random_program program;
};

static bool parts(struct trial *trial, const struct random_program *program, FILE *report)
{
    lanes_clear(trial->lanes);
    for (unsigned i = 0; i < trial->lanes->count; i++)
        random_program_load(program, trial->lanes->lane[i].machine);
    return !lanes_run(trial->lanes, &trial->schedule, report);
}

/* Halves, quarters ... single instructions become nops, if the rest still shows the difference. */
static void shrink(struct trial *trial)
{
    for (int size = PROGRAM_INSNS / 2; size; size /= 2) {
        for (int at = 0; at + size < PROGRAM_INSNS; at += size) {
            struct random_program shorter = trial->program;
            for (int i = at; i < at + size; i++)
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

static void make(struct trial *trial, uint64_t seed)
{
    static const uint64_t chunk[] = {1, 3, 97, 1000, 65536, 0, 0, 0};
    bool is_long = seed % LONG_ONE_IN == LONG_ONE_IN - 1;
    random_program_make_as(&trial->program, seed, is_long ? PROGRAM_LONG : 0);
    trial->schedule = (struct schedule){.total = is_long ? LONG_STEPS : STEPS,
                                        .chunk = is_long ? 65536 : chunk[seed % 8],
                                        .seed = seed};
}

static bool one(struct lanes *lanes, uint64_t seed)
{
    static struct trial trial;
    trial.lanes = lanes;
    make(&trial, seed);
    if (!parts(&trial, &trial.program, NULL))
        return true;
    printf("\nseed %llu parts; making it shorter ...\n", (unsigned long long)seed);
    fflush(stdout);
    shorten_run(&trial);
    shrink(&trial);
    shorten_run(&trial);
    printf("the shortest program that does:\n");
    print_program(&trial.program);
    parts(&trial, &trial.program, stdout);
    return false;
}

static struct machine_config config_for(uint64_t lot)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = 4u << 20;
    config.misaligned_trap = lot % 5 == 3;
    config.ad_trap = lot % 5 == 4;
    return config;
}

/* Every way of running a program against the specification, in every configuration. */
static bool replay(uint64_t seed)
{
    bool equal = true;
    for (uint64_t lot = 2; lot < 5; lot++) {
        struct machine_config config = config_for(lot);
        struct lanes lanes;
        printf("%s:", lot == 2 ? "default" : lot == 3 ? "misaligned accesses trap" : "A and D trap");
        equal = lanes_new(&lanes, &config) && one(&lanes, seed) && equal;
        printf(equal ? " equal\n" : "\n");
        lanes_free(&lanes);
    }
    return equal;
}

/* Some programs in two ways drawn by lot. */
static bool some(uint64_t seed, time_t end)
{
    struct machine_config config = config_for(random_next(&(uint64_t){seed}) >> 8);
    unsigned ways = 0;
    while (engine_at(ways / 2))
        ways++;
    uint64_t lots = seed;
    unsigned first = random_below(&lots, ways), second = random_below(&lots, ways - 1);
    struct lanes lanes;
    if (!lanes_new_two(&lanes, &config, first, second + (second >= first))) {
        printf("no memory for two machines\n");
        return false;
    }
    printf("\r%s - %s: from seed %llu on    ", lanes.lane[0].name, lanes.lane[1].name,
           (unsigned long long)seed);
    fflush(stdout);
    bool equal = true;
    for (uint64_t n = 0; n < PER_PAIR && equal && (!end || time(NULL) < end); n++)
        equal = one(&lanes, seed + n);
    lanes_free(&lanes);
    return equal;
}

int main(int argc, char **argv)
{
    long seconds = argc > 1 ? strtol(argv[1], NULL, 0) : 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL) << 20;
    if (argc > 2)
        return replay(seed) ? EXIT_SUCCESS : EXIT_FAILURE;
    time_t end = seconds > 0 ? time(NULL) + seconds : 0;
    printf("from seed %llu on; stop with Ctrl-C\n", (unsigned long long)seed);
    for (; !end || time(NULL) < end; seed += PER_PAIR)
        if (!some(seed, end))
            return EXIT_FAILURE;
    printf("\nno program parts\n");
    return EXIT_SUCCESS;
}
