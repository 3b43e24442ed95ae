/* Demand paging: asking for memory takes none, touching it takes a page each, also to read. */
#include "user.h"

enum { MEGABYTE = 1 << 20, PAGE = 4096 };

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    int before = freepages();
    volatile char *heap = (char *)sbrk(MEGABYTE);
    print("demand: a megabyte of heap took %d pages\n", before - freepages());

    before = freepages();
    heap[0] = heap[100 * PAGE] = heap[200 * PAGE] = 1;
    print("demand: touching three places took %d pages\n", before - freepages());
    print("demand: the rest is %s\n", heap[50 * PAGE] == 0 ? "zero" : "RUBBISH");

    before = freepages();
    sbrk(-MEGABYTE);
    print("demand: giving it back freed %d pages\n", freepages() - before);
    return 0;
}
