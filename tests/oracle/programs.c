/*
 * oracle/programs COUNT [SEED]: random programs as bytes on stdout, for a guest that runs them one
 * after the other (guest.c) on this machine and on one that others have written.
 *
 * Only programs that end by themselves are taken. The format, in words: how many; and for each its
 * seed, how many pieces of memory, and for each piece its address, its words, and these.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/machine.h"
#include "cpu/isa.h"
#include "tests/random-program.h"

enum { LIMIT = 2000000, PIECES = 10, AT_COUNTDOWN = 0xc04 };

static void put_word(uint32_t word)
{
    fwrite(&word, sizeof word, 1, stdout);
}

static void put_piece(void *count, uint32_t pa, const void *bytes, size_t size)
{
    put_word(pa);
    put_word((uint32_t)(size / 4));
    fwrite(bytes, size, 1, stdout);
    ++*(unsigned *)count;
}

static bool strayed; /* a page table where there is no memory: machines differ in the fault's cause */

static void see_csr(void *context, const struct event *e)
{
    if (e->a == CSR_SATP && e->c & SATP_SV32 && (e->c & 0x003ffffc) != (VIRT_RAM + 0x80000) >> 12)
        strayed = true;
}

static bool ends(struct machine *m, const struct random_program *program)
{
    int32_t left = 0;
    machine_clear(m);
    strayed = false;
    random_program_load(program, m);
    for (unsigned n = 0; n < LIMIT / 1000 && left >= 0; n++) {
        machine_run(m, 1000);
        ram_read(&m->ram, VIRT_RAM + AT_COUNTDOWN, &left, sizeof left);
    }
    return left < 0 && !strayed;
}

int main(int argc, char **argv)
{
    char why[MACHINE_ERROR];
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    uint32_t seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 1;
    struct machine_config config;
    machine_config_init(&config);
    config.memory = 8 << 20;
    struct machine *m = machine_new(&config, why);
    if (!m || !count) {
        fprintf(stderr, "%s\n", m ? "how many?" : why);
        return 2;
    }
    events_observe(&m->events, EVENT_BIT(EVENT_CSR), see_csr, NULL);
    machine_debug_changed(m);
    put_word(count);
    for (unsigned done = 0; done < count; seed++) {
        static struct random_program program;
        unsigned pieces = 0;
        random_program_make_as(&program, seed, PROGRAM_UNTIMED);
        if (!ends(m, &program))
            continue;
        put_word(seed);
        put_word(PIECES);
        random_program_write(&program, put_piece, &pieces);
        if (pieces != PIECES)
            abort();
        done++;
    }
    machine_free(m);
    return fflush(stdout) || ferror(stdout) ? 2 : 0;
}
