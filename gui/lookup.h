/* Addresses as people type them into the window's entries. */
#ifndef VITRINE_GUI_LOOKUP_H
#define VITRINE_GUI_LOOKUP_H

#include <gtk/gtk.h>

#include "hv/session.h"

/* Finds the address that the entry names: a symbol, file:line, or a number, which is hexadecimal
 * with and without 0x, as everything in the window is. Marks the entry as wrong if there is none.
 */
gboolean lookup_entry(GtkEditable *entry, struct session *session, uint64_t *address);

#endif
