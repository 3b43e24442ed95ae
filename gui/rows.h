/*
 * Rows of monospaced text: what all panes of the window are made of.
 *
 * A fixed set of labels, one for each row that is visible, refreshed in place: a pane may change
 * all of its text many times a second and no widget is created or resized. The owner gives a
 * function that fills in what is visible; it is called when the rows are scrolled, resized or
 * refreshed, and only while they can be seen.
 */
#ifndef VITRINE_GUI_ROWS_H
#define VITRINE_GUI_ROWS_H

#include <gtk/gtk.h>

#define VITRINE_TYPE_ROWS (vitrine_rows_get_type())
G_DECLARE_FINAL_TYPE(VitrineRows, vitrine_rows, VITRINE, ROWS, GtkWidget)

/* How a row stands out. */
typedef enum { ROW_PLAIN, ROW_HEADING, ROW_CURRENT, ROW_SELECTED } RowLook;

/* How a word in it does. */
typedef enum {
    SPAN_PLAIN,
    SPAN_DIM,
    SPAN_STRONG,
    SPAN_CHANGED,
    SPAN_ACCENT,
    SPAN_SENSITIVE,
    SPAN_FAULT,
    SPAN_NUMBER,
} RowSpan;

/* Fills the visible rows: calls vitrine_rows_set for 0..count-1; what it leaves out is cleared. */
typedef void (*VitrineRowsFill)(VitrineRows *rows, guint first, guint count, gpointer data);
typedef char *(*VitrineRowsTooltip)(VitrineRows *rows, guint visible_row, gpointer data);
/* The wheel, where there is no scrollbar. */
typedef void (*VitrineRowsScroll)(VitrineRows *rows, int delta, gpointer data);

/* `name` is what screen readers call the list. Signals "clicked" and, for the secondary button,
 * "menu" (guint visible_row, int column). */
GtkWidget *vitrine_rows_new(const char *name);
void vitrine_rows_set_functions(VitrineRows *rows, VitrineRowsFill fill, VitrineRowsTooltip tooltip,
                                VitrineRowsScroll scroll, gpointer data);
/* A line above that does not scroll; NULL: none. */
void vitrine_rows_set_header(VitrineRows *rows, const char *text);
/* The least width and height that it asks for, in characters and rows. */
void vitrine_rows_set_least(VitrineRows *rows, int columns, int lines);

/* How many rows there are to scroll through. `follow`: keeps the end in sight while it is there. */
void vitrine_rows_set_total(VitrineRows *rows, guint total, gboolean follow);
void vitrine_rows_scroll_to(VitrineRows *rows, guint first);
guint vitrine_rows_first(VitrineRows *rows);
guint vitrine_rows_visible(VitrineRows *rows);
int vitrine_rows_columns(VitrineRows *rows); /* characters that fit */
void vitrine_rows_refresh(VitrineRows *rows);
/* Where these characters are, in the widget's coordinates. */
GdkRectangle vitrine_rows_place(VitrineRows *rows, guint visible_row, int column, int columns);

void vitrine_rows_set(VitrineRows *rows, guint visible_row, const char *markup, RowLook look);
/* Adds text to a row's markup in a style that suits the theme, light or dark. */
void vitrine_rows_span(VitrineRows *rows, GString *markup, RowSpan span, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* Is the widget's theme dark? */
gboolean vitrine_is_dark(GtkWidget *widget);

#endif
