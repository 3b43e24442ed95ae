/* `vitrine control`: one command for a running `vitrine run --control`, and its answer. */
#include "config.h"

#include <string.h>

#include "hv/cmd/ask.h"
#include "hv/cmd/cmd.h"

void cmd_control_help(FILE *out)
{
    fputs("\nCOMMAND is one of\n"
          "  status              what the guest does, its migration, its protection (default)\n"
          "  pause, resume       the guest\n"
          "  protect ADDRESS     protect the guest by a `vitrine backup` there from now on\n"
          "  unprotect           end that, in order\n"
          "  migrate ADDRESS     as `vitrine migrate SESSION ADDRESS`\n"
          "  take-back           go on here, if it was in doubt where the guest is\n"
          "  quit                end the run\n"
          "--json belongs to status; --fence, --epoch and --patience to protect; --secret to\n"
          "protect and migrate. Exit status: 0, 1 it was refused, 2 nobody was asked.\n",
          out);
}

static bool is(const char *word, const char *name)
{
    return !strcmp(word, name);
}

/* What belongs to one command is not to be given to another. */
static int check(const struct options *options, const char *word)
{
    if (options->json && !is(word, "status"))
        return cmd_fail("control %s: only status has --json", word);
    if (options->json_file)
        return cmd_fail("control: the object goes to standard output");
    if ((options->fence || options->epoch || options->patience) && !is(word, "protect"))
        return cmd_fail("control %s: --fence, --epoch and --patience belong to protect", word);
    if (options->secret && !is(word, "protect") && !is(word, "migrate"))
        return cmd_fail("control %s: --secret belongs to protect and to migrate", word);
    return 0;
}

/* The words, with the options between the first one and the others. false after a message. */
static bool make_line(const struct options *options, int argc, char **argv, char *line, size_t size)
{
    snprintf(line, size, "%s%s", argv[0], options->json ? " json" : "");
    if (options->secret && !ask_add_file(line, size, "secret", options->secret, true))
        return false;
    if (options->fence && !ask_add_file(line, size, "fence", options->fence, false))
        return false;
    size_t count = strlen(line);
    if (options->epoch)
        count += (size_t)snprintf(line + count, size - count, " epoch=%llu",
                                  (unsigned long long)options->epoch);
    if (options->patience)
        count += (size_t)snprintf(line + count, size - count, " patience=%llu",
                                  (unsigned long long)options->patience);
    for (int i = 1; i < argc; i++) {
        if (strpbrk(argv[i], " \n") || count + strlen(argv[i]) + 2 > size) {
            cmd_fail("%.200s: this cannot be passed on", argv[i]);
            return false;
        }
        count += (size_t)snprintf(line + count, size - count, " %s", argv[i]);
    }
    return true;
}

/* The last line decides. */
static int show_answer(FILE *answer, const char *session)
{
    char line[4096];
    while (fgets(line, sizeof line, answer)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "error: ", 7)) {
            cmd_fail("%s: %s", session, line + 7);
            return EXIT_STAYED;
        }
        if (!strncmp(line, "ok", 2) && (!line[2] || line[2] == ' ')) {
            if (line[2])
                puts(line + 3);
            return 0;
        }
        puts(line);
    }
    cmd_fail("%s: it is gone, before it has answered", session);
    return EXIT_STAYED;
}

int cmd_control(const struct options *options, int argc, char **argv)
{
    static char status[] = "status", *just_status[] = {status};
    char line[3072];
    char **words = argc > 1 ? argv + 1 : just_status;
    int failed = check(options, words[0]);
    if (failed || !make_line(options, argc > 1 ? argc - 1 : 1, words, line, sizeof line))
        return EXIT_USAGE;
    FILE *answer = ask(argv[0], line);
    if (!answer)
        return EXIT_USAGE;
    int result = show_answer(answer, argv[0]);
    fclose(answer);
    return result;
}
