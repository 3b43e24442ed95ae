/* A button whose menu lists the samples that were built, with a line about each. */
#ifndef VITRINE_GUI_SAMPLES_BUTTON_H
#define VITRINE_GUI_SAMPLES_BUTTON_H

#include <gtk/gtk.h>

/* A choice activates the action "win.sample" with the number that guests.h gives the sample. */
GtkWidget *samples_button_new(void);

#endif
