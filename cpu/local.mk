# The simulated computer. See cpu/README.md for the reading order.
noinst_LIBRARIES += %D%/libcpu.a
%C%_libcpu_a_CFLAGS = $(AM_CFLAGS) $(ELF_CFLAGS) $(DW_CFLAGS)
%C%_libcpu_a_SOURCES = \
	%D%/bus.c %D%/bus.h \
	%D%/cause.def %D%/csr.def %D%/event.def %D%/isa.def \
	%D%/clock.c %D%/clock.h \
	%D%/csr.c \
	%D%/engine.c %D%/engine.h \
	%D%/event.c %D%/event.h \
	%D%/hart.c %D%/hart.h \
	%D%/htif.c \
	%D%/interp.c \
	%D%/isa.c %D%/isa.h \
	%D%/machine.c %D%/machine.h \
	%D%/mmu.c %D%/mmu.h \
	%D%/pmp.c %D%/pmp.h \
	%D%/ram.c %D%/ram.h \
	%D%/rv.h \
	%D%/state.c %D%/state.h \
	%D%/tlb.c %D%/tlb.h \
	%D%/trap.c \
	%D%/fdt.c %D%/fdt.h \
	%D%/image.c %D%/image.h \
	%D%/sbi.c %D%/sbi.h \
	%D%/dev/device.h
EXTRA_DIST += %D%/README.md
