/*
 * cairo, loaded when the first drawing is made.
 *
 * A run of a guest draws nothing; but cairo as a library of the program would bring thirty others
 * with it, and half of the time from the command to the guest's first instruction. So the functions
 * of cairo that gui/draw uses are defined here, and each calls the one of that name in the library,
 * which is opened at the first. The compiler checks them against cairo's headers.
 */
#include "config.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <dlfcn.h>
#include <stdlib.h>

#include "hv/cmd/cmd.h"

#define LIBRARY "libcairo.so.2"

/* A host that has built this has had it: so nothing goes on if it is not there. */
static void *function(const char *name)
{
    static void *library;
    if (!library)
        library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    void *found = library ? dlsym(library, name) : NULL;
    if (!found)
        exit(cmd_fail("%s: drawing needs it, and it is not on this host", LIBRARY));
    return found;
}

#define DO(name, parameters, arguments)                                                            \
    void name parameters                                                                           \
    {                                                                                              \
        ((__typeof__(&name))function(#name)) arguments;                                            \
    }
#define GET(type, name, parameters, arguments)                                                     \
    type name parameters                                                                           \
    {                                                                                              \
        return ((__typeof__(&name))function(#name))arguments;                                      \
    }

DO(cairo_arc, (cairo_t * cr, double xc, double yc, double radius, double angle1, double angle2),
   (cr, xc, yc, radius, angle1, angle2))
DO(cairo_close_path, (cairo_t * cr), (cr))
GET(cairo_t *, cairo_create, (cairo_surface_t * target), (target))
DO(cairo_destroy, (cairo_t * cr), (cr))
DO(cairo_fill, (cairo_t * cr), (cr))
DO(cairo_fill_preserve, (cairo_t * cr), (cr))
DO(cairo_font_extents, (cairo_t * cr, cairo_font_extents_t *extents), (cr, extents))
GET(cairo_font_options_t *, cairo_font_options_create, (void), ())
DO(cairo_font_options_destroy, (cairo_font_options_t * options), (options))
DO(cairo_font_options_set_antialias, (cairo_font_options_t * options, cairo_antialias_t antialias),
   (options, antialias))
DO(cairo_font_options_set_hint_metrics,
   (cairo_font_options_t * options, cairo_hint_metrics_t hint_metrics), (options, hint_metrics))
DO(cairo_font_options_set_hint_style,
   (cairo_font_options_t * options, cairo_hint_style_t hint_style), (options, hint_style))
GET(cairo_surface_t *, cairo_image_surface_create, (cairo_format_t format, int width, int height),
    (format, width, height))
DO(cairo_line_to, (cairo_t * cr, double x, double y), (cr, x, y))
DO(cairo_move_to, (cairo_t * cr, double x, double y), (cr, x, y))
DO(cairo_new_path, (cairo_t * cr), (cr))
DO(cairo_new_sub_path, (cairo_t * cr), (cr))
GET(cairo_surface_t *, cairo_pdf_surface_create_for_stream,
    (cairo_write_func_t write_func, void *closure, double width_in_points, double height_in_points),
    (write_func, closure, width_in_points, height_in_points))
DO(cairo_pdf_surface_set_metadata,
   (cairo_surface_t * surface, cairo_pdf_metadata_t metadata, const char *utf8),
   (surface, metadata, utf8))
DO(cairo_rectangle, (cairo_t * cr, double x, double y, double width, double height),
   (cr, x, y, width, height))
DO(cairo_restore, (cairo_t * cr), (cr))
DO(cairo_save, (cairo_t * cr), (cr))
DO(cairo_scale, (cairo_t * cr, double sx, double sy), (cr, sx, sy))
DO(cairo_select_font_face,
   (cairo_t * cr, const char *family, cairo_font_slant_t slant, cairo_font_weight_t weight),
   (cr, family, slant, weight))
DO(cairo_set_dash, (cairo_t * cr, const double *dashes, int num_dashes, double offset),
   (cr, dashes, num_dashes, offset))
DO(cairo_set_font_options, (cairo_t * cr, const cairo_font_options_t *options), (cr, options))
DO(cairo_set_font_size, (cairo_t * cr, double size), (cr, size))
DO(cairo_set_line_width, (cairo_t * cr, double width), (cr, width))
DO(cairo_set_source_rgb, (cairo_t * cr, double red, double green, double blue),
   (cr, red, green, blue))
DO(cairo_show_text, (cairo_t * cr, const char *utf8), (cr, utf8))
GET(cairo_status_t, cairo_status, (cairo_t * cr), (cr))
DO(cairo_stroke, (cairo_t * cr), (cr))
DO(cairo_stroke_preserve, (cairo_t * cr), (cr))
DO(cairo_surface_destroy, (cairo_surface_t * surface), (surface))
DO(cairo_surface_finish, (cairo_surface_t * surface), (surface))
GET(cairo_status_t, cairo_surface_status, (cairo_surface_t * surface), (surface))
GET(cairo_status_t, cairo_surface_write_to_png_stream,
    (cairo_surface_t * surface, cairo_write_func_t write_func, void *closure),
    (surface, write_func, closure))
GET(cairo_surface_t *, cairo_svg_surface_create_for_stream,
    (cairo_write_func_t write_func, void *closure, double width_in_points, double height_in_points),
    (write_func, closure, width_in_points, height_in_points))
DO(cairo_text_extents, (cairo_t * cr, const char *utf8, cairo_text_extents_t *extents),
   (cr, utf8, extents))
