/* Quicksort of 65,536 random numbers. */
#include "bench.h"

ROUNDS(40, 1);
enum { COUNT = 1 << 16 };
static uint32_t number[COUNT];

static void sort(uint32_t *a, int low, int high)
{
    while (low < high) {
        uint32_t pivot = a[(low + high) >> 1];
        int i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t t = a[i];
                a[i++] = a[j];
                a[j--] = t;
            }
        }
        if (j - low < high - i) {
            sort(a, low, j);
            low = i;
        } else {
            sort(a, i, high);
            high = j;
        }
    }
}

uint32_t kernel(uint32_t rounds)
{
    uint32_t x = 1, sum = 0;
    int count = rounds > 1 ? COUNT : COUNT / 16;
    for (uint32_t r = 0; r < rounds; r++) {
        for (int i = 0; i < count; i++)
            number[i] = (x = next_random(x)) >> 3;
        sort(number, 0, count - 1);
        for (int i = 0; i < count; i += 64)
            sum = sum * 31 + number[i];
    }
    return sum;
}
