/* The application: one window for what the command line asked for. */
#ifndef VITRINE_GUI_APP_H
#define VITRINE_GUI_APP_H

#include "gui/window.h"

#define VITRINE_TYPE_APP (vitrine_app_get_type())
G_DECLARE_FINAL_TYPE(VitrineApp, vitrine_app, VITRINE, APP, GtkApplication)

/* `options` must live as long as the application. */
VitrineApp *vitrine_app_new(const struct window_options *options);
/* After g_application_run(): was a window ever opened? */
gboolean vitrine_app_failed(VitrineApp *app);

#endif
