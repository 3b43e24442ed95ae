/* Counts primes by trial division: something that computes for more than one slice. */
#include "user.h"

enum { LIMIT = 20000 };

static int is_prime(int n)
{
    for (int d = 2; d * d <= n; d++)
        if (n % d == 0)
            return 0;
    return n > 1;
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    int count = 0;
    for (int n = 0; n < LIMIT; n++)
        count += is_prime(n);
    print("primes: %d below %d\n", count, LIMIT);
    return count != 2262;
}
