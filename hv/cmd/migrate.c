/*
 * `vitrine migrate`: asks a running `vitrine run --control` to move its guest, and shows how far it
 * is.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/ask.h"
#include "hv/cmd/cmd.h"
#include "hv/link.h"

void cmd_migrate_help(FILE *out)
{
    fputs(
        "\nADDRESS is unix:PATH or tcp:HOST:PORT, where `vitrine run --incoming ADDRESS` waits "
        "for\n"
        "the same guest. Exit status: 0 moved, 1 it goes on where it was, 2 nothing was tried,\n"
        "3 in doubt: look whether it runs there; if it does not, say take-back to SESSION;\n"
        "4 torn: it runs there, but the link was lost before all of its memory had arrived: keep\n"
        "both sides and say --recover when the link is there again. Ctrl-C calls it off, as long "
        "as\n"
        "the guest has not been handed over; once more leaves it alone.\n",
        out);
}

/* The request as one line; false: it cannot be put so. */
static bool make_request(const struct options *options, const char *address, char *line,
                         size_t size)
{
    char secret[PATH_MAX] = "";
    if (options->secret && !realpath(options->secret, secret)) {
        cmd_fail("--secret %s: %s", options->secret, strerror(errno));
        return false;
    }
    if (strpbrk(secret, " \n") || strpbrk(address, " \n")) {
        cmd_fail("%s: a space in a name cannot be passed on",
                 strpbrk(secret, " \n") ? secret : address);
        return false;
    }
    const char *name = options->secret ? " secret=" : "";
    if (options->recover)
        snprintf(line, size, "recover%s%s %s", name, secret, address);
    else
        snprintf(line, size, "migrate%s%s downtime=%llu rounds=%llu throttle=%llu postcopy=%d %s",
                 name, secret, (unsigned long long)options->downtime,
                 (unsigned long long)options->rounds, (unsigned long long)options->throttle,
                 options->postcopy, address);
    return true;
}

/* ---- Ctrl-C --------------------------------------------------------------------------------- */

static volatile sig_atomic_t connection = -1;

static void on_interrupt(int number)
{
    static const char cancel[] = "cancel\n";
    ssize_t sent = write(connection, cancel, sizeof cancel - 1);
    (void)sent; /* who is gone cannot be told */
}

/* The first one is passed on, and the answer waited for; the second one ends this program. Who
 * ignores it, as scripts make their background do, goes on doing so. */
static void pass_interrupts_on(FILE *answer)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART | SA_RESETHAND};
    struct sigaction before;
    connection = fileno(answer);
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGINT, &action, NULL);
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* Shows the answer's lines; the last decides. */
static int show_answer(FILE *answer, const char *session)
{
    char line[4096], last[64] = "";
    bool terminal = isatty(STDERR_FILENO);
    while (fgets(line, sizeof line, answer)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "progress ", 9)) {
            if (terminal || strncmp(last, line, strcspn(line, ":") + 1))
                fprintf(stderr, "%s%s%s", terminal ? "\r\033[K" : "", line + 9,
                        terminal ? "" : "\n");
            snprintf(last, sizeof last, "%.*s", (int)sizeof last - 1, line);
            continue;
        }
        if (terminal && *last)
            fputs("\r\033[K", stderr);
        if (!strncmp(line, "ok ", 3)) {
            printf("%s\n", line + 3);
            return 0;
        }
        cmd_fail("%s: %s", session, line + (strncmp(line, "error: ", 7) ? 0 : 7));
        return !strncmp(line, "error: in doubt", 15) ? EXIT_DOUBT
               : !strncmp(line, "error: torn", 11)   ? EXIT_TORN
                                                     : EXIT_STAYED;
    }
    cmd_fail("%s: it is gone, before it has answered", session);
    return EXIT_DOUBT;
}

int cmd_migrate(const struct options *options, int argc, char **argv)
{
    char line[4096 + PATH_MAX], why[LINK_ERROR];
    bool public;
    if (options->recover && (options->postcopy || options->rounds))
        return cmd_fail(
            "--recover goes on with what was begun: only --secret goes together with it");
    if (link_is_public(argv[1], &public, why))
        return cmd_fail("%s", why);
    if (!make_request(options, argv[1], line, sizeof line))
        return EXIT_USAGE;
    FILE *answer = ask(argv[0], line);
    if (!answer)
        return EXIT_USAGE;
    if (!options->recover)
        pass_interrupts_on(answer);
    int status = show_answer(answer, argv[0]);
    fclose(answer);
    return status;
}
