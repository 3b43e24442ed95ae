/* Shows files, one after the other. */
#include "user.h"

static int show(const char *name)
{
    char text[512];
    int fd = open(name), count;
    if (fd < 0) {
        print("cat: there is no file %s\n", name);
        return 1;
    }
    while ((count = read(fd, text, sizeof text)) > 0)
        write(1, text, (unsigned)count);
    close(fd);
    if (count < 0)
        print("cat: cannot read %s\n", name);
    return count < 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= show(argv[i]);
    return failed;
}
