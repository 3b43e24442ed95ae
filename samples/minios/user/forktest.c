/*
 * fork() and wait(): children with results, more children than there is room for, and whether all
 * memory comes back.
 */
#include "user.h"

enum { CHILDREN = 5 };

static void results(void)
{
    for (int i = 1; i <= CHILDREN; i++)
        if (fork() == 0)
            exit(i * i);
    int sum = 0, status;
    while (wait(&status) > 0)
        sum += status;
    print("forktest: %d children brought %d\n", CHILDREN, sum);
}

/* Each child waits for its turn to end, so that they are alive together. */
static void too_many(void)
{
    int forked = 0, ended = 0;
    for (;;) {
        int pid = fork();
        if (pid == 0) {
            yield();
            exit(0);
        }
        if (pid < 0)
            break;
        forked++;
    }
    while (wait(NULL) > 0)
        ended++;
    print("forktest: then forked until it failed, %s children ended\n",
          ended == forked && forked > 0 ? "all" : "NOT ALL");
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    results();
    int before = freepages();
    too_many();
    print("forktest: memory is %s\n", freepages() == before ? "back" : "LOST");
    return 0;
}
