/* A kernel as a program of the host. The argument is the number of rounds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : kernel_rounds;
    if (rounds == 0)
        return 2;
    printf("%s rounds %" PRIu32 " checksum %08" PRIx32 "\n", NAME, rounds, kernel(rounds));
    return 0;
}
