/* Counts, and makes no system call, until the timer has taken the processor from it once. */
#include "user.h"

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    volatile unsigned number = 0;
    unsigned before = 0;
    while (slices() == 0) {
        for (int i = 0; i < 20000; i++)
            number++;
        if (number <= before)
            return 1; /* somebody else has written into our memory */
        before = number;
    }
    return 0;
}
