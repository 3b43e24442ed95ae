/* The window's size, in a key file below the user's state folder. */
#include "gui/geometry.h"

static const struct {
    const char *key;
    int least, most, normal;
} sizes[] = {{"width", 640, 16384, 1280}, {"height", 400, 16384, 720}};

static const char GROUP[] = "window";

static char *file_name(void)
{
    return g_build_filename(g_get_user_state_dir(), "vitrine", "window.ini", NULL);
}

static int stored(GKeyFile *file, const char *key, int least, int most, int normal)
{
    int value = g_key_file_get_integer(file, GROUP, key, NULL);
    return value >= least && value <= most ? value : normal;
}

void geometry_load(struct geometry *g)
{
    GKeyFile *file = g_key_file_new();
    char *name = file_name();
    g_key_file_load_from_file(file, name, G_KEY_FILE_NONE, NULL);
    g->width = stored(file, sizes[0].key, sizes[0].least, sizes[0].most, sizes[0].normal);
    g->height = stored(file, sizes[1].key, sizes[1].least, sizes[1].most, sizes[1].normal);
    g->maximized = g_key_file_get_boolean(file, GROUP, "maximized", NULL);
    for (int i = 0; i < GEOMETRY_PANES; i++) {
        char key[] = {'p', 'a', 'n', 'e', (char)('0' + i), 0};
        g->pane[i] = stored(file, key, 50, 16384, 0);
    }
    g_free(name);
    g_key_file_unref(file);
}

void geometry_save(const struct geometry *g)
{
    GKeyFile *file = g_key_file_new();
    char *name = file_name(), *folder = g_path_get_dirname(name);
    g_key_file_set_integer(file, GROUP, "width", g->width);
    g_key_file_set_integer(file, GROUP, "height", g->height);
    g_key_file_set_boolean(file, GROUP, "maximized", g->maximized);
    for (int i = 0; i < GEOMETRY_PANES; i++) {
        char key[] = {'p', 'a', 'n', 'e', (char)('0' + i), 0};
        g_key_file_set_integer(file, GROUP, key, g->pane[i]);
    }
    if (g_mkdir_with_parents(folder, 0700) == 0)
        g_key_file_save_to_file(file, name, NULL);
    g_free(folder);
    g_free(name);
    g_key_file_unref(file);
}
