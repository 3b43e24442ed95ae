/*
 * Finding the demo guest: next to the program (the build tree), in the folder one is in, or where
 * `make install` put it.
 */
#include "gui/guests.h"

#include <gio/gio.h>

static const char *const places[][2] = {
    {"samples/minios/minios.elf", "samples/minios/fs.img"},
    {"samples/minios.elf", "samples/fs.img"},
    {"samples/minios.elf", "samples/minios/fs.img"},
};

static char *existing(const char *folder, const char *name)
{
    char *path = g_build_filename(folder, name, NULL);
    if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return path;
    g_free(path);
    return NULL;
}

static char *find_in(const char *folder, char **disk)
{
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        char *guest = existing(folder, places[i][0]);
        if (guest) {
            *disk = existing(folder, places[i][1]);
            return guest;
        }
    }
    return NULL;
}

char *guests_find_demo(char **disk)
{
    char *program = g_file_read_link("/proc/self/exe", NULL);
    char *folder = program ? g_path_get_dirname(program) : NULL;
    *disk = NULL;
    char *guest = folder ? find_in(folder, disk) : NULL;
    if (!guest)
        guest = find_in(".", disk);
    if (!guest)
        guest = find_in(VITRINE_DATADIR, disk);
    g_free(folder);
    g_free(program);
    return guest;
}
