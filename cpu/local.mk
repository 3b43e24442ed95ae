# The simulated computer. See cpu/README.md for the reading order.
noinst_LIBRARIES += %D%/libcpu.a
%C%_libcpu_a_CFLAGS = $(AM_CFLAGS) $(ELF_CFLAGS) $(DW_CFLAGS)
%C%_libcpu_a_SOURCES = \
	%D%/absent.c %D%/absent.h \
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
	%D%/machine.c %D%/machine.h %D%/port.c \
	%D%/mmu.c %D%/mmu.h \
	%D%/pmp.c %D%/pmp.h \
	%D%/ram.c %D%/ram.h \
	%D%/rv.h \
	%D%/state.c %D%/state.h \
	%D%/threaded.c %D%/threaded.h %D%/threaded-block.c %D%/threaded-data.c \
	%D%/threaded-execute.c \
	%D%/threaded-ops.def %D%/threaded-ops.h %D%/threaded-pairs.def \
	%D%/tlb.c %D%/tlb.h \
	%D%/trap.c \
	%D%/fdt.c %D%/fdt.h \
	%D%/image.c %D%/image.h \
	%D%/sbi.c %D%/sbi.h \
	%D%/symbols.c %D%/symbols.h \
	%D%/dev/clint.c %D%/dev/clint.h \
	%D%/dev/device.h \
	%D%/dev/disk.c %D%/dev/disk.h \
	%D%/dev/disk-memory.c %D%/dev/disk-memory.h \
	%D%/dev/finisher.c %D%/dev/finisher.h \
	%D%/dev/plic.c %D%/dev/plic.h \
	%D%/dev/rtc.c %D%/dev/rtc.h \
	%D%/dev/uart.c %D%/dev/uart.h \
	%D%/dev/dma.h \
	%D%/dev/virtio.c %D%/dev/virtio.h %D%/dev/virtio-queue.c %D%/dev/virtio_priv.h \
	%D%/dev/virtio-balloon.c %D%/dev/virtio-balloon.h \
	%D%/dev/virtio-blk.c %D%/dev/virtio-blk.h \
	%D%/dev/virtio-console.c %D%/dev/virtio-console.h \
	%D%/dev/virtio-net.c %D%/dev/virtio-net.h \
	%D%/dev/virtio-rng.c %D%/dev/virtio-rng.h
if HAVE_JIT
AM_CPPFLAGS += -DHAVE_JIT
%C%_libcpu_a_SOURCES += \
	%D%/jit/block.c %D%/jit/codegen.c %D%/jit/emit.h %D%/jit/glue.c %D%/jit/jit.h \
	%D%/jit/run.c %D%/jit/translate.c %D%/jit/window.c
endif
EXTRA_DIST += %D%/README.md %D%/jit/README.md
