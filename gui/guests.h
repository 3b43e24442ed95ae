/* Where the demo guest is: in the build tree, or where it was installed. */
#ifndef VITRINE_GUI_GUESTS_H
#define VITRINE_GUI_GUESTS_H

#include <glib.h>

/* The demo guest's path, to be freed; NULL: not found. `disk`: its disk image, or NULL. */
char *guests_find_demo(char **disk);

#endif
