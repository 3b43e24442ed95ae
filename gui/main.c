/* vitrine-gui: the command line of the visualizer. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib-unix.h>

#include "gui/app.h"

enum { EXIT_USAGE = 2 };

struct command_line {
    char *disk, *memory, *size, *console_log, *history;
    char *kernel_args, *initrd, *firmware, *boot, *net;
    int cpus, kvm_fd;
    gboolean bare, kvm, dark, version;
    char **guests;
};

static int fail(const char *format, const char *what)
{
    fputs("vitrine-gui: ", stderr);
    fprintf(stderr, format, what);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

/* "64M", "1G", "65536K": bytes, more than 0. */
static gboolean parse_bytes(const char *text, uint64_t *bytes)
{
    char *end;
    guint64 n = g_ascii_strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == text || (*end && end[1]) || (*end && !shift) || !n || n > 1ull << 40 >> shift)
        return FALSE;
    *bytes = n << shift;
    return TRUE;
}

/* A simulated guest takes a multiple of 4M to 1G; what KVM takes the session says. */
static gboolean parse_memory(const char *text, gboolean kvm, uint64_t *bytes)
{
    if (!parse_bytes(text, bytes))
        return FALSE;
    return kvm || (*bytes <= 1u << 30 && *bytes % (4u << 20) == 0);
}

/* "256M", or "off": bytes. */
static gboolean parse_history(const char *text, uint64_t *bytes)
{
    *bytes = 0;
    return g_strcmp0(text, "off") == 0 || parse_bytes(text, bytes);
}

static gboolean parse_size(const char *text, int *width, int *height)
{
    char extra;
    return sscanf(text, "%dx%d%c", width, height, &extra) == 2 && *width >= 640 && *height >= 400 &&
           *width <= 16384 && *height <= 16384;
}

/* The simulated computer or KVM: what was asked for, else what the file is made for. */
static enum session_under where(const struct command_line *c, const char *image)
{
    if (c->kvm || c->firmware)
        return SESSION_KVM;
    if (c->bare)
        return SESSION_BARE;
    return image && session_is_x86(image) ? SESSION_KVM : SESSION_HV;
}

/* What a session directory says itself. */
static gboolean says_too_much(const struct command_line *c)
{
    return c->bare || c->kvm || c->memory || c->kernel_args || c->boot || c->cpus || c->net;
}

static int check(const struct command_line *c, struct window_options *options)
{
    const char *image = c->guests ? c->guests[0] : NULL;
    struct guest *guest = &options->guest;
    if (image && c->guests[1])
        return fail("one guest at a time: %s", c->guests[1]);
    if (image && g_file_test(image, G_FILE_TEST_IS_DIR)) {
        if (says_too_much(c))
            return fail("%s: a session directory says itself how its guest runs", image);
        guest->kept = g_strdup(image);
        image = NULL;
    }
    if (c->bare && (c->kvm || c->firmware))
        return fail("%s", "--bare is for simulated guests, --kvm and --firmware are not");
    if (c->kvm && !image && !c->firmware)
        return fail("%s", "--kvm needs a guest, or --firmware");
    guest->under = where(c, image);
    if (c->memory && !parse_memory(c->memory, guest->under == SESSION_KVM, &guest->memory))
        return fail(guest->under == SESSION_KVM ? "--memory %s: a size such as 64M"
                                                : "--memory %s: a multiple of 4M, from 4M to 1G",
                    c->memory);
    if (c->history && guest->under == SESSION_KVM)
        return fail("%s",
                    "--history is for simulated guests: one under KVM cannot go back in time");
    if (c->history && !parse_history(c->history, &guest->history))
        return fail("--history %s: off, or a size such as 256M", c->history);
    if (c->size && !parse_size(c->size, &options->width, &options->height))
        return fail("--size %s: WIDTHxHEIGHT, from 640x400 on", c->size);
    if (c->cpus < 0 || c->cpus > 64)
        return fail("%s", "--cpus: a number from 1 to 64");
    guest->image = g_strdup(image);
    guest->disk = g_strdup(c->disk);
    guest->kernel_args = g_strdup(c->kernel_args);
    guest->initrd = g_strdup(c->initrd);
    guest->firmware = g_strdup(c->firmware);
    guest->boot = g_strdup(c->boot);
    guest->net = g_strdup(c->net);
    guest->cpus = (unsigned)c->cpus;
    guest->kvm_fd = c->kvm_fd;
    options->dark = c->dark;
    options->console_log = c->console_log;
    return 0;
}

static int parse(int *argc, char ***argv, struct command_line *c)
{
    const GOptionEntry entries[] = {
        {"disk", 'd', 0, G_OPTION_ARG_FILENAME, &c->disk, "Disk image for the guest", "FILE"},
        {"memory", 'm', 0, G_OPTION_ARG_STRING, &c->memory, "Guest memory (default 64M)", "SIZE"},
        {"history", 0, 0, G_OPTION_ARG_STRING, &c->history,
         "Host memory that going back in time may take (default 256M)", "SIZE|off"},
        {"bare", 'b', 0, G_OPTION_ARG_NONE, &c->bare, "Run on the bare machine, without a monitor",
         NULL},
        {"kvm", 'k', 0, G_OPTION_ARG_NONE, &c->kvm,
         "Run an x86 guest on the host's processor, through KVM", NULL},
        {"kernel-args", 0, 0, G_OPTION_ARG_STRING, &c->kernel_args, "The kernel's command line",
         "TEXT"},
        {"initrd", 0, 0, G_OPTION_ARG_FILENAME, &c->initrd, "KVM: initial RAM disk, or module",
         "FILE"},
        {"firmware", 0, 0, G_OPTION_ARG_FILENAME, &c->firmware,
         "KVM: BIOS image that boots from the disk", "FILE"},
        {"boot", 0, 0, G_OPTION_ARG_STRING, &c->boot,
         "KVM: what GUEST is, if it cannot be told by looking", "FORMAT"},
        {"cpus", 0, 0, G_OPTION_ARG_INT, &c->cpus, "KVM: virtual processors (default 1)", "N"},
        {"net", 0, 0, G_OPTION_ARG_STRING, &c->net, "KVM: a network card on a network of its own",
         "user"},
        {"kvm-fd", 0, 0, G_OPTION_ARG_INT, &c->kvm_fd,
         "KVM: /dev/kvm is already open as descriptor N", "N"},
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
        context, "Opens GUEST: a RISC-V ELF file or flat binary, or an x86 boot sector or kernel,\n"
                 "which runs through KVM; or the newest snapshot in a session directory.\n"
                 "Without GUEST, the demo guest minios.");
    gboolean ok = g_option_context_parse(context, argc, argv, &why);
    g_option_context_free(context);
    if (ok)
        return 0;
    int status = fail("%s; try --help", why->message);
    g_error_free(why);
    return status;
}

/* Whoever ends the program so means the guest's disk to be written all the same. Once: the next
 * signal does what it does. */
static gboolean on_end(gpointer app)
{
    GList *windows = g_list_copy(gtk_application_get_windows(app));
    g_list_free_full(windows, (GDestroyNotify)gtk_window_destroy);
    return G_SOURCE_REMOVE;
}

static int run(const struct window_options *options)
{
    if (!gtk_init_check())
        return fail("%s", "no display: set DISPLAY or WAYLAND_DISPLAY, or use \"vitrine debug\"");
    VitrineApp *app = vitrine_app_new(options);
    g_unix_signal_add(SIGTERM, on_end, app);
    g_unix_signal_add(SIGINT, on_end, app);
    g_unix_signal_add(SIGHUP, on_end, app);
    int status = g_application_run(G_APPLICATION(app), 0, NULL);
    if (vitrine_app_failed(app))
        status = EXIT_FAILURE;
    g_object_unref(app);
    return status;
}

static void free_command_line(struct command_line *c)
{
    char *const strings[] = {c->disk,   c->memory,   c->size, c->console_log, c->kernel_args,
                             c->initrd, c->firmware, c->boot, c->net,         c->history};
    for (gsize i = 0; i < G_N_ELEMENTS(strings); i++)
        g_free(strings[i]);
    g_strfreev(c->guests);
}

int main(int argc, char **argv)
{
    struct command_line c = {.kvm_fd = -1};
    struct window_options options = {0};
    guest_init(&options.guest);
    g_set_prgname("vitrine-gui");
    g_set_application_name("Vitrine");
    int status = parse(&argc, &argv, &c);
    if (status == 0 && c.version)
        puts("vitrine-gui (" PACKAGE_NAME ") " PACKAGE_VERSION);
    else if (status == 0 && (status = check(&c, &options)) == 0)
        status = run(&options);
    guest_clear(&options.guest);
    free_command_line(&c);
    return status;
}
