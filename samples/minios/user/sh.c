/*
 * The shell: reads a line, runs the program that is its first word, waits for it.
 *
 * It knows three words itself. There are no pipes, no quotes and no background.
 */
#include "user.h"

static void help(void)
{
    print("exit          leaves the shell\n"
          "poweroff      ends the run\n"
          "help          this\n"
          "ls            the files; all but texts are programs, type their names\n"
          "cat FILE      shows a text\n"
          "echo WORD...  says it again\n"
          "ps            the processes\n"
          "primes        counts them\n"
          "forktest, cowtest, demand, crash: look at fork, copy-on-write, demand paging, faults\n");
}

static int split(char *line, const char **argv)
{
    int argc = 0;
    while (argc < ARGS_MAX - 1) {
        while (*line == ' ' || *line == '\n')
            *line++ = '\0';
        if (!*line)
            break;
        argv[argc++] = line;
        while (*line && *line != ' ' && *line != '\n')
            line++;
    }
    argv[argc] = NULL;
    return argc;
}

static void run(const char *const *argv)
{
    int pid = fork();
    if (pid == 0) {
        exec(argv[0], argv);
        print("sh: there is no program %s\n", argv[0]);
        exit(127);
    }
    if (pid < 0)
        print("sh: cannot fork\n");
    else
        while (wait(NULL) != pid)
            ;
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    char line[LINE_SIZE + 1];
    const char *word[ARGS_MAX];
    for (;;) {
        print("$ ");
        int count = read(0, line, LINE_SIZE);
        if (count <= 0)
            return 0;
        line[count] = '\0';
        if (split(line, word) == 0)
            continue;
        if (!strcmp(word[0], "exit"))
            return 0;
        if (!strcmp(word[0], "poweroff"))
            poweroff(0);
        if (!strcmp(word[0], "help"))
            help();
        else
            run(word);
    }
}
