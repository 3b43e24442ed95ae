/* Three processes that do what they must not: each is killed, and nobody else is hurt. */
#include "user.h"

static void write_to_nothing(void)
{
    *(volatile int *)16 = 1;
}

static void read_the_kernel(void)
{
    (void)*(volatile int *)0x80400000;
}

static void use_an_instruction_of_the_kernel(void)
{
    __asm__ volatile("csrw satp, zero");
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    static void (*const deeds[])(void) = {write_to_nothing, read_the_kernel,
                                          use_an_instruction_of_the_kernel};
    int killed = 0;
    for (unsigned i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        if (fork() == 0) {
            deeds[i]();
            exit(0);
        }
        int status;
        wait(&status);
        killed += status == -1;
    }
    print("crash: %d of 3 were killed\n", killed);
    return 0;
}
