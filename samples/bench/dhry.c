/* Everyday work in small pieces: records copied and linked, strings compared, calls, sums. */
#include "bench.h"

ROUNDS(1000000, 5000);

struct record {
    struct record *next;
    uint32_t kind, count;
    char name[24];
};
static struct record pool[16];
static const char words[4][24] = {"some everyday program", "some everyday problem",
                                  "another one", "another once more"};

static int compare(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a - *b;
}

static void copy_name(char *to, const char *from)
{
    while ((*to++ = *from++))
        ;
}

static uint32_t weigh(const struct record *r, uint32_t by)
{
    switch (r->kind & 3) {
    case 0: return r->count + by;
    case 1: return r->count * 3 - by;
    case 2: return by % (r->count | 1);
    default: return r->count ^ by;
    }
}

uint32_t kernel(uint32_t rounds)
{
    uint32_t sum = 0;
    for (int i = 0; i < 16; i++) {
        pool[i].next = &pool[(i * 5 + 1) % 16];
        copy_name(pool[i].name, words[i & 3]);
    }
    struct record *r = pool;
    for (uint32_t n = 0; n < rounds; n++) {
        struct record *next = r->next;
        struct record saved = *next;
        next->kind = n;
        next->count = r->count + 1;
        if (compare(r->name, next->name) < 0)
            copy_name(next->name, words[n & 3]);
        else
            sum += saved.count;
        sum += weigh(next, n) + weigh(&saved, sum);
        r = next;
    }
    return sum;
}
