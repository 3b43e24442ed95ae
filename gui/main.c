/* vitrine-gui: the command line of the visualizer. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "gui/app.h"

enum { EXIT_USAGE = 2 };

struct command_line {
    char *disk, *memory, *size, *console_log;
    gboolean bare, dark, version;
    char **guests;
};

static int fail(const char *format, const char *what)
{
    fputs("vitrine-gui: ", stderr);
    fprintf(stderr, format, what);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

/* "64M", "1G", "65536K": bytes. */
static gboolean parse_memory(const char *text, uint64_t *bytes)
{
    char *end;
    guint64 n = g_ascii_strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == text || (*end && end[1]) || (*end && !shift) || n > (1u << 30 >> shift))
        return FALSE;
    *bytes = n << shift;
    return *bytes >= 4u << 20 && *bytes % (4u << 20) == 0;
}

static gboolean parse_size(const char *text, int *width, int *height)
{
    char extra;
    return sscanf(text, "%dx%d%c", width, height, &extra) == 2 && *width >= 640 && *height >= 400 &&
           *width <= 16384 && *height <= 16384;
}

static int check(const struct command_line *c, struct window_options *options)
{
    if (c->guests && c->guests[0] && c->guests[1])
        return fail("one guest at a time: %s", c->guests[1]);
    if (c->memory && !parse_memory(c->memory, &options->memory))
        return fail("--memory %s: a multiple of 4M, from 4M to 1G", c->memory);
    if (c->size && !parse_size(c->size, &options->width, &options->height))
        return fail("--size %s: WIDTHxHEIGHT, from 640x400 on", c->size);
    options->guest = c->guests ? c->guests[0] : NULL;
    options->disk = c->disk;
    options->bare = c->bare;
    options->dark = c->dark;
    options->console_log = c->console_log;
    return 0;
}

static int parse(int *argc, char ***argv, struct command_line *c)
{
    const GOptionEntry entries[] = {
        {"disk", 'd', 0, G_OPTION_ARG_FILENAME, &c->disk, "Disk image for the guest", "FILE"},
        {"memory", 'm', 0, G_OPTION_ARG_STRING, &c->memory, "Guest memory (default 64M)", "SIZE"},
        {"bare", 'b', 0, G_OPTION_ARG_NONE, &c->bare, "Run on the bare machine, without a monitor",
         NULL},
        {"dark", 0, 0, G_OPTION_ARG_NONE, &c->dark, "Light on dark", NULL},
        {"size", 0, 0, G_OPTION_ARG_STRING, &c->size, "Size of the window", "WIDTHxHEIGHT"},
        {"console-log", 0, 0, G_OPTION_ARG_FILENAME, &c->console_log,
         "Append what the console shows to a file", "FILE"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &c->version, "Print the version", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &c->guests, NULL, "[GUEST]"},
        {NULL},
    };
    GError *why = NULL;
    GOptionContext *context = g_option_context_new("- see a guest run under glass");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_summary(
        context, "Opens GUEST, a RISC-V ELF file or flat binary, or the demo guest minios.");
    gboolean ok = g_option_context_parse(context, argc, argv, &why);
    g_option_context_free(context);
    if (ok)
        return 0;
    int status = fail("%s; try --help", why->message);
    g_error_free(why);
    return status;
}

static int run(const struct window_options *options)
{
    if (!gtk_init_check())
        return fail("%s", "no display: set DISPLAY or WAYLAND_DISPLAY, or use \"vitrine debug\"");
    VitrineApp *app = vitrine_app_new(options);
    int status = g_application_run(G_APPLICATION(app), 0, NULL);
    if (vitrine_app_failed(app))
        status = EXIT_FAILURE;
    g_object_unref(app);
    return status;
}

int main(int argc, char **argv)
{
    struct command_line c = {0};
    struct window_options options = {0};
    g_set_prgname("vitrine-gui");
    g_set_application_name("Vitrine");
    int status = parse(&argc, &argv, &c);
    if (status == 0 && c.version)
        puts("vitrine-gui (" PACKAGE_NAME ") " PACKAGE_VERSION);
    else if (status == 0 && (status = check(&c, &options)) == 0)
        status = run(&options);
    g_free(c.disk);
    g_free(c.memory);
    g_free(c.size);
    g_free(c.console_log);
    g_strfreev(c.guests);
    return status;
}
