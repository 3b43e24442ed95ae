/*
 * Copy-on-write: fork() copies no page of the data; the child's first write to a page copies that
 * one; parent and child do not see each other's writes.
 */
#include "user.h"

enum { PAGES = 32, PAGE = 4096, TABLES = 8 /* stack, tables and what else a process needs */ };

static volatile char data[PAGES * PAGE];

static int all(char value)
{
    int equal = 1;
    for (int i = 0; i < PAGES; i++)
        equal &= data[i * PAGE] == value;
    return equal;
}

static void write_all(char value)
{
    for (int i = 0; i < PAGES; i++)
        data[i * PAGE] = value;
}

/* The exit status says what the child saw: a bit for each thing that is right. */
static int child(void)
{
    int seen = all('p') ? 1 : 0;
    int before = freepages();
    write_all('c');
    if (before - freepages() == PAGES)
        seen |= 2;
    if (all('c'))
        seen |= 4;
    return seen;
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    write_all('p');
    int before = freepages();
    int pid = fork();
    if (pid == 0)
        exit(child());
    int used = before - freepages(), seen = 0;
    wait(&seen);
    print("cowtest: fork took %s\n", used < TABLES ? "no page of the data" : "TOO MUCH");
    print("cowtest: the child %s the parent's data\n", seen & 1 ? "saw" : "DID NOT SEE");
    print("cowtest: its %d writes took %s\n", PAGES, seen & 2 ? "32 pages" : "ANOTHER NUMBER");
    print("cowtest: the parent's data %s\n", all('p') && (seen & 4) ? "did not change" : "CHANGED");
    return 0;
}
