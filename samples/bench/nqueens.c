/* Eleven queens on a board, recursively. */
#include "bench.h"

ROUNDS(11, 6); /* the board's size */
static int column[16];

static int is_safe(int row, int at)
{
    for (int r = 0; r < row; r++) {
        int d = column[r] - at;
        if (d == 0 || d == row - r || d == r - row)
            return 0;
    }
    return 1;
}

static uint32_t place(int size, int row)
{
    uint32_t solutions = 0;
    if (row == size)
        return 1;
    for (int at = 0; at < size; at++) {
        if (!is_safe(row, at))
            continue;
        column[row] = at;
        solutions += place(size, row + 1);
    }
    return solutions;
}

uint32_t kernel(uint32_t rounds)
{
    return place((int)(rounds & 15), 0) * 2654435761u;
}
