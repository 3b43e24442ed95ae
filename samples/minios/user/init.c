/*
 * The first process: shows that two processes share the processor, then keeps a shell running.
 *
 * The counters print nothing themselves, so that the console does not depend on who was faster.
 */
#include "user.h"

static void start(const char *program, const char *argument)
{
    const char *argv[] = {program, argument, NULL};
    if (fork() == 0) {
        exec(program, argv);
        print("init: cannot start %s\n", program);
        exit(1);
    }
}

static void two_counters(void)
{
    start("count", "A");
    start("count", "B");
    int good = 0, status;
    while (wait(&status) > 0)
        good += status == 0;
    print("init: %d counters ran side by side, the timer interrupted each\n", good);
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    two_counters();
    print("init: type help\n");
    start("sh", NULL);
    while (wait(NULL) > 0) /* the shell, and orphans */
        ;
    print("init: nobody is left\n");
    return poweroff(0);
}
