# The visualizer. See gui/README.md for the reading order.

# Drawings need cairo alone: `vitrine draw` has them without the window, too.
noinst_LIBRARIES += %D%/libdraw.a
%C%_libdraw_a_CFLAGS = $(AM_CFLAGS) $(CAIRO_CFLAGS)
%C%_libdraw_a_SOURCES = \
	%D%/draw/draw.h \
	%D%/draw/exits.c \
	%D%/draw/file.c \
	%D%/draw/paint.c \
	%D%/draw/scene.c %D%/draw/scene.h %D%/draw/scene_priv.h \
	%D%/draw/tables.c \
	%D%/draw/translation.c

EXTRA_DIST += %D%/README.md
