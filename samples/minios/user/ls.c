/* The names of all files. */
#include "user.h"

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct file_info info;
    for (unsigned i = 0; file(i, &info) == 0; i++)
        print("%s\n", info.name);
    return 0;
}
