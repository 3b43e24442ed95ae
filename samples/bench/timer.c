/* Timer interrupts, taken in M mode, while U mode waits for them to be enough. */
#include "bench.h"
#include "paged.h"

ROUNDS(300000, 500);
uint32_t timer_interval = 20; /* of mtime: 2 us */

uint32_t kernel(uint32_t rounds)
{
    while (ticks < rounds)
        ;
    return rounds * 2654435761u;
}
