/* Addresses as people type them. See lookup.h. */
#include "gui/lookup.h"

static gboolean lookup_hex(struct session *session, const char *text, uint64_t *address)
{
    char *number = g_strdup_printf("0x%s", text);
    gboolean found = session_lookup(session, number, address) == 0;
    g_free(number);
    return found;
}

gboolean lookup_entry(GtkEditable *entry, struct session *session, uint64_t *address)
{
    char *text = g_strstrip(g_strdup(gtk_editable_get_text(entry)));
    gboolean number = g_ascii_isdigit(*text), found = FALSE;
    if (session && *text)
        found = (number && lookup_hex(session, text, address)) ||
                session_lookup(session, text, address) == 0 || lookup_hex(session, text, address);
    if (found || !*text)
        gtk_widget_remove_css_class(GTK_WIDGET(entry), "error");
    else
        gtk_widget_add_css_class(GTK_WIDGET(entry), "error");
    g_free(text);
    return found;
}
