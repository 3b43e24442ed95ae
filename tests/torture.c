/*
 * make torture: random programs, bare against virtual, until one parts or the time is over.
 *
 * Prints its seeds, so that what it finds can be found again: `torture 0 SEED` runs that one alone.
 * A program that parts is made shorter first: instructions are replaced by nops while it still does.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/isa.h"
#include "tests/lockstep.h"
#include "tests/random-program.h"

enum { STEPS = 4000, NOP = 0x13 };

static bool parts(struct pair *pair, const struct random_program *program, uint64_t chunk,
                  FILE *report)
{
    pair_clear(pair);
    random_program_load(program, pair->bare);
    random_program_load(program, pair->vm->machine);
    return !lockstep(pair->bare, pair->vm->machine, STEPS, chunk, report);
}

/* Halves, quarters ... single instructions become nops, if the rest still shows the difference. */
static void shrink(struct pair *pair, struct random_program *program)
{
    for (int size = PROGRAM_INSNS / 2; size; size /= 2) {
        for (int at = 0; at + size < PROGRAM_INSNS; at += size) {
            struct random_program shorter = *program;
            for (int i = at; i < at + size; i++)
                shorter.code[i] = NOP;
            if (parts(pair, &shorter, 1, NULL))
                *program = shorter;
        }
    }
}

static void print_program(const struct random_program *program)
{
    for (int i = 0; i < PROGRAM_INSNS; i++) {
        char text[64];
        if (program->code[i] == NOP)
            continue;
        isa_disassemble(0x80010000u + 4 * (uint32_t)i, program->code[i], text, sizeof text);
        printf("  %08x  %08x  %s\n", 0x80010000u + 4 * (uint32_t)i, program->code[i], text);
    }
}

static bool one(struct pair *pair, uint64_t seed)
{
    struct random_program program;
    random_program_make(&program, seed);
    if (!parts(pair, &program, 97, NULL))
        return true;
    shrink(pair, &program);
    printf("seed %llu parts; the shortest program that does:\n", (unsigned long long)seed);
    print_program(&program);
    parts(pair, &program, 1, stdout);
    return false;
}

int main(int argc, char **argv)
{
    long seconds = argc > 1 ? strtol(argv[1], NULL, 0) : 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL) << 20;
    struct machine_config config;
    struct pair pair;
    machine_config_init(&config);
    config.memory = 4u << 20;
    if (!pair_new(&pair, &config))
        return EXIT_FAILURE;
    if (argc > 2)
        return one(&pair, seed) ? EXIT_SUCCESS : EXIT_FAILURE;

    time_t end = seconds > 0 ? time(NULL) + seconds : 0;
    printf("from seed %llu on; stop with Ctrl-C\n", (unsigned long long)seed);
    for (uint64_t n = 0; !end || time(NULL) < end; n++) {
        if (n % 1000 == 0) {
            printf("\r%llu programs", (unsigned long long)n);
            fflush(stdout);
        }
        if (!one(&pair, seed + n))
            return EXIT_FAILURE;
    }
    printf("\nno program parts\n");
    pair_free(&pair);
    return EXIT_SUCCESS;
}
