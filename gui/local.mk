# The visualizer. See gui/README.md for the reading order.

# Drawings need cairo alone: `vitrine draw` has them without the window, too.
noinst_LIBRARIES += %D%/libdraw.a
%C%_libdraw_a_CFLAGS = $(AM_CFLAGS) $(CAIRO_CFLAGS)
%C%_libdraw_a_SOURCES = \
	%D%/draw/chart.c %D%/draw/chart.h \
	%D%/draw/draw.h \
	%D%/draw/exits.c \
	%D%/draw/file.c \
	%D%/draw/heat.c \
	%D%/draw/layers.c \
	%D%/draw/migration.c \
	%D%/draw/paint.c \
	%D%/draw/protection.c \
	%D%/draw/scene.c %D%/draw/scene.h %D%/draw/scene_priv.h \
	%D%/draw/tables.c \
	%D%/draw/timeline.c \
	%D%/draw/translation.c \
	%D%/draw/walk-x86.c

EXTRA_DIST += %D%/README.md

# The window.
if GUI
bin_PROGRAMS += vitrine-gui
vitrine_gui_CPPFLAGS = $(AM_CPPFLAGS)
vitrine_gui_CFLAGS = $(AM_CFLAGS) $(GUI_CFLAGS) $(CAIRO_CFLAGS)
vitrine_gui_SOURCES = \
	%D%/app.c %D%/app.h \
	%D%/code-view.c %D%/code-view.h \
	%D%/console-view.c %D%/console-view.h \
	%D%/differences-view.c %D%/differences-view.h \
	%D%/drawing-view.c %D%/drawing-view.h \
	%D%/exits-view.c %D%/exits-view.h \
	%D%/farewell.c %D%/farewell.h \
	%D%/geometry.c %D%/geometry.h \
	%D%/guests.c %D%/guests.h \
	%D%/hosts-view.c %D%/hosts-view.h \
	%D%/list-view.c %D%/list-view.h \
	%D%/layers-view.c %D%/layers-view.h \
	%D%/lookup.c %D%/lookup.h \
	%D%/main.c \
	%D%/memory-view.c %D%/memory-view.h \
	%D%/registers-view.c %D%/registers-view.h \
	%D%/registers-x86.c %D%/registers-x86.h \
	%D%/rows.c %D%/rows.h \
	%D%/samples-button.c %D%/samples-button.h \
	%D%/snapshots-view.c %D%/snapshots-view.h \
	%D%/time-view.c %D%/time-view.h \
	%D%/window-hosts.c \
	%D%/window-time.c \
	%D%/window.c %D%/window.h %D%/window_priv.h \
	%D%/window-actions.c \
	%D%/window-build.c
nodist_vitrine_gui_SOURCES = %D%/resources.c
vitrine_gui_LDADD = %D%/libdraw.a hv/libhv.a cpu/libcpu.a \
	$(GUI_LIBS) $(CAIRO_LIBS) $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS) $(KVM_LIBS) $(NETTLE_LIBS) $(ZLIB_LIBS) -lutil -lm

# Style sheet, menus, shortcuts and icon are part of the program.
gui_resources = \
	%D%/data/menus.ui \
	%D%/data/org.vitrine.Vitrine.svg \
	%D%/data/shortcuts.ui \
	%D%/data/style.css
%D%/resources.c: %D%/data/vitrine.gresource.xml $(gui_resources)
	@$(MKDIR_P) %D%
	$(AM_V_GEN)`$(PKG_CONFIG) --variable=glib_compile_resources gio-2.0` --generate-source \
		--sourcedir=$(srcdir)/%D%/data --target=$@ $(srcdir)/%D%/data/vitrine.gresource.xml
CLEANFILES += %D%/resources.c

desktopdir = $(datadir)/applications
dist_desktop_DATA = %D%/data/org.vitrine.Vitrine.desktop
metainfodir = $(datadir)/metainfo
dist_metainfo_DATA = %D%/data/org.vitrine.Vitrine.metainfo.xml
icondir = $(datadir)/icons/hicolor/scalable/apps
dist_icon_DATA = %D%/data/org.vitrine.Vitrine.svg
dist_man_MANS += docs/vitrine-gui.1
endif

# Outside of the conditional: a tarball made without the window has its sources all the same.
EXTRA_DIST += \
	docs/images/fault.png \
	docs/images/kvm.png \
	docs/images/time.png \
	docs/images/window.png \
	docs/vitrine-gui.1 \
	%D%/data/menus.ui \
	%D%/data/org.vitrine.Vitrine.desktop \
	%D%/data/org.vitrine.Vitrine.metainfo.xml \
	%D%/data/org.vitrine.Vitrine.svg \
	%D%/data/shortcuts.ui \
	%D%/data/style.css \
	%D%/data/vitrine.gresource.xml

# Tests.
if HAVE_CHECK
check_PROGRAMS += tests/gui/test-draw tests/gui/test-draw-hosts tests/gui/test-draw-time tests/gui/test-draw-x86
TESTS += tests/gui/test-draw tests/gui/test-draw-hosts tests/gui/test-draw-time tests/gui/test-draw-x86
gui_draw_checks = \
	tests/gui/fake-views.c tests/gui/fake-views.h \
	tests/gui/scene-checks.c tests/gui/scene-checks.h
tests_gui_test_draw_SOURCES = $(gui_draw_checks) tests/gui/test-draw.c
tests_gui_test_draw_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(CAIRO_CFLAGS)
tests_gui_test_draw_LDADD = %D%/libdraw.a $(CAIRO_LIBS) $(CHECK_LIBS) -lm
tests_gui_test_draw_hosts_SOURCES = $(gui_draw_checks) tests/gui/test-draw-hosts.c
tests_gui_test_draw_hosts_CFLAGS = $(tests_gui_test_draw_CFLAGS)
tests_gui_test_draw_hosts_LDADD = $(tests_gui_test_draw_LDADD)
tests_gui_test_draw_x86_SOURCES = $(gui_draw_checks) tests/gui/test-draw-x86.c
tests_gui_test_draw_x86_CFLAGS = $(tests_gui_test_draw_CFLAGS)
tests_gui_test_draw_x86_LDADD = $(tests_gui_test_draw_LDADD)
tests_gui_test_draw_time_SOURCES = $(gui_draw_checks) tests/gui/test-draw-time.c
tests_gui_test_draw_time_CFLAGS = $(tests_gui_test_draw_CFLAGS)
tests_gui_test_draw_time_LDADD = $(tests_gui_test_draw_LDADD)
endif
if GUI
LONG_TESTS += tests/gui/window.py
endif
EXTRA_DIST += tests/gui/window.py
