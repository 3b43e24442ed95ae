# The vitrine command: one file a subcommand.
bin_PROGRAMS += vitrine
vitrine_SOURCES = \
	%D%/cairo-late.c \
	%D%/cmd.h \
	%D%/compare.c %D%/compare.h \
	%D%/compare-chart.c \
	%D%/compare-evaluate.c \
	%D%/compare-json.c \
	%D%/compare-run.c \
	%D%/compare-table.c \
	%D%/ask.c %D%/ask.h \
	%D%/control.c %D%/control.h %D%/control-ask.c \
	%D%/console.c %D%/console.h \
	%D%/debug.c %D%/debug.h \
	%D%/debug-commands.c %D%/debug-snapshot.c \
	%D%/devices.c \
	%D%/disasm.c %D%/disasm.h %D%/disasm-x86.c \
	%D%/disk.c \
	%D%/ending.c %D%/ending.h \
	%D%/draw.c %D%/draw-move.c %D%/draw-move.h \
	%D%/guest.c \
	%D%/isa.c \
	%D%/json.c %D%/json.h \
	%D%/kvm-info.c \
	%D%/incoming.c %D%/incoming.h \
	%D%/control-move.c %D%/control-move.h \
	%D%/main.c \
	%D%/migrate.c \
	%D%/options.c \
	%D%/protect.c %D%/protect.h \
	%D%/replay.c \
	%D%/report.c %D%/report-move.c %D%/report.h \
	%D%/run.c \
	%D%/show.c %D%/show.h \
	%D%/snapshot.c %D%/snapshot-show.c %D%/snapshot-show.h \
	%D%/terminal.c %D%/terminal.h \
	%D%/trace.c %D%/trace.h \
	%D%/waker.c %D%/waker.h \
	%D%/walk.c
vitrine_CFLAGS = $(AM_CFLAGS) $(CAIRO_CFLAGS)
vitrine_LDADD = gui/libdraw.a hv/libhv.a cpu/libcpu.a \
	$(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS) $(KVM_LIBS) $(NETTLE_LIBS) $(ZLIB_LIBS) -lm
