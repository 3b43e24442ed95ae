/* The application object: style sheet, icon, dark or light, and its one window. */
#include "config.h"

#include "gui/app.h"

struct _VitrineApp {
    GtkApplication parent;
    const struct window_options *options;
    gboolean failed;
};

G_DEFINE_FINAL_TYPE(VitrineApp, vitrine_app, GTK_TYPE_APPLICATION)

static void load_style(void)
{
    GtkCssProvider *style = gtk_css_provider_new();
    gtk_css_provider_load_from_resource(style, "/org/vitrine/Vitrine/style.css");
    gtk_style_context_add_provider_for_display(gdk_display_get_default(), GTK_STYLE_PROVIDER(style),
                                               GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
    g_object_unref(style);
}

static void startup(GApplication *application)
{
    G_APPLICATION_CLASS(vitrine_app_parent_class)->startup(application);
    load_style();
    if (VITRINE_APP(application)->options->dark)
        g_object_set(gtk_settings_get_default(), "gtk-application-prefer-dark-theme", TRUE, NULL);
}

static void activate(GApplication *application)
{
    VitrineApp *app = VITRINE_APP(application);
    GError *why = NULL;
    GtkWidget *window = vitrine_window_new(GTK_APPLICATION(app), app->options, &why);
    if (window) {
        gtk_window_present(GTK_WINDOW(window));
        return;
    }
    g_printerr("vitrine-gui: %s\n", why->message);
    g_error_free(why);
    app->failed = TRUE;
}

static void vitrine_app_class_init(VitrineAppClass *class)
{
    G_APPLICATION_CLASS(class)->startup = startup;
    G_APPLICATION_CLASS(class)->activate = activate;
}

static void vitrine_app_init(VitrineApp *app) {}

VitrineApp *vitrine_app_new(const struct window_options *options)
{
    VitrineApp *app =
        g_object_new(VITRINE_TYPE_APP, "application-id", "org.vitrine.Vitrine", "flags",
                     G_APPLICATION_NON_UNIQUE, "resource-base-path", "/org/vitrine/Vitrine", NULL);
    app->options = options;
    return app;
}

gboolean vitrine_app_failed(VitrineApp *app)
{
    return app->failed;
}
