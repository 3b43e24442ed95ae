/* The process table: number, parent's number, state, program. */
#include "user.h"

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct process_info info;
    print("pid parent state name\n");
    for (unsigned i = 0; process(i, &info) == 0; i++)
        if (info.pid)
            print("%d %d %s %s\n", info.pid, info.parent, info.state, info.name);
    return 0;
}
