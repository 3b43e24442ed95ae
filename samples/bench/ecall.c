/* ecall from U to S and back, by the shortest handler. */
#include "bench.h"
#include "paged.h"

ROUNDS(1000000, 2000);

uint32_t kernel(uint32_t rounds)
{
    uint32_t count = 0;
    while (count < rounds)
        count = call(CALL_NOTHING, count, 0);
    return count * 2654435761u;
}
