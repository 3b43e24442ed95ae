# Guests for the monitor on KVM, built with the computer's own compiler. See README.md.
X86_GUEST = $(MKDIR_P) $(@D) && $(CC) -std=gnu17 -g -ffreestanding -fno-builtin -fno-pic -fno-pie \
	-fno-stack-protector -fcf-protection=none -Wall -Wextra -I$(srcdir)/%D%
# A kernel must not touch what it does not save, nor what lies below its stack pointer.
X86_KERNEL = $(X86_GUEST) -O1 -mgeneral-regs-only -mno-red-zone -fno-asynchronous-unwind-tables \
	-nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack
X86_FLAT = $(X86_KERNEL) -Wl,--oformat=binary

X86_SUPPORT = %D%/pc.h %D%/com1.h
X86_MULTIBOOT_C = %D%/multiboot/boot.S %D%/multiboot/main.c
X86_MULTIBOOT = $(X86_MULTIBOOT_C) %D%/multiboot/multiboot.h %D%/multiboot/multiboot.ld
X86_LONGMODE_C = %D%/longmode/boot.S %D%/longmode/trap.S %D%/longmode/main.c \
	%D%/longmode/segment.c %D%/longmode/trap.c %D%/longmode/vm.c %D%/longmode/timer.c
X86_LONGMODE = $(X86_LONGMODE_C) %D%/longmode/user.c %D%/longmode/longmode.h \
	%D%/longmode/longmode.ld
X86_BENCH_C = %D%/start.S %D%/bench/entry.S %D%/bench/kernel.c
X86_BENCH = $(X86_BENCH_C) %D%/bench/user.c %D%/bench/door.h %D%/guest.ld

X86_GUESTS = %D%/hello16.img %D%/hello16-bios.img %D%/hello64.elf %D%/hello64.bin \
	%D%/multiboot/multiboot.elf %D%/multiboot/multiboot2.elf %D%/longmode/longmode.elf \
	%D%/chaos.elf %D%/net.elf %D%/virtio.elf
X86_BENCH_LONG = $(BENCH_KERNELS:%=%D%/bench/%-x86.elf)
X86_BENCH_SHORT = $(BENCH_KERNELS:%=%D%/bench/%-x86-short.elf)

EXTRA_DIST += %D%/README.md $(X86_SUPPORT) %D%/hello16.S %D%/hello16-bios.S %D%/hello64.S %D%/chaos.c %D%/net.c \
	$(X86_MULTIBOOT) $(X86_LONGMODE) %D%/longmode/README.md $(X86_BENCH) \
	%D%/linux.sh %D%/linux/config %D%/linux/config-smp %D%/linux/init %D%/linux/nocall.c
CLEANFILES += $(X86_GUESTS) %D%/longmode/user.o $(X86_BENCH_LONG) $(X86_BENCH_SHORT) \
	$(X86_BENCH_LONG:%.elf=%-user.o) $(X86_BENCH_SHORT:%.elf=%-user.o)

if KVM
x86samplesdir = $(pkgdatadir)/samples/x86
x86samples_DATA = $(X86_GUESTS)
x86benchdir = $(pkgdatadir)/samples/x86/bench
x86bench_DATA = $(X86_BENCH_LONG)
noinst_DATA += $(X86_BENCH_SHORT)

%D%/hello16.img: %D%/hello16.S $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_FLAT) -m32 -Wl,-Ttext=0x7c00 -o $@ $<
%D%/hello16-bios.img: %D%/hello16-bios.S $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_FLAT) -m32 -Wl,-Ttext=0x7c00 -o $@ $<
# -N: the segment is the text and nothing before it, as below 1 MiB there is no room.
%D%/hello64.elf: %D%/hello64.S $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_KERNEL) -m64 -Wl,-N -Wl,-Ttext=0x100000 -Wl,--no-warn-rwx-segments -o $@ $<
%D%/hello64.bin: %D%/hello64.S $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_FLAT) -m64 -Wl,-Ttext=0x100000 -o $@ $<

%D%/multiboot/multiboot.elf: $(X86_MULTIBOOT) $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_KERNEL) -m32 -o $@ $(filter %.S %.c,$^) -T $(filter %.ld,$^)
%D%/multiboot/multiboot2.elf: $(X86_MULTIBOOT) $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_KERNEL) -m32 -DMULTIBOOT2 -o $@ $(filter %.S %.c,$^) -T $(filter %.ld,$^)

# The tasks are linked to another place than the kernel, which the linker script knows by their name.
%D%/longmode/user.o: %D%/longmode/user.c %D%/longmode/longmode.h $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_KERNEL) -m64 -c -o $@ $<
%D%/longmode/longmode.elf: $(X86_LONGMODE) $(X86_SUPPORT) %D%/longmode/user.o
	$(AM_V_GEN)$(X86_KERNEL) -m64 -o $@ $(X86_LONGMODE_C:%=$(srcdir)/%) %D%/longmode/user.o \
	-T $(filter %.ld,$^)

# The same source as for the simulated computer.
%D%/virtio.elf: %D%/start.S samples/virtio/virtio.c samples/virtio/queue.h \
		samples/virtio/board-x86.h %D%/guest.ld $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_KERNEL) -m64 -o $@ $(filter %.S %.c,$^) -T $(filter %.ld,$^)
%D%/net.elf: %D%/start.S %D%/net.c samples/virtio/queue.h samples/virtio/board-x86.h %D%/guest.ld \
		$(X86_SUPPORT)
	$(AM_V_GEN)$(X86_KERNEL) -m64 -I$(srcdir)/samples/virtio -o $@ $(filter %.S %.c,$^) \
	-T $(filter %.ld,$^)
%D%/chaos.elf: %D%/start.S %D%/chaos.c %D%/guest.ld $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_KERNEL) -m64 -o $@ $(filter %.S %.c,$^) -T $(filter %.ld,$^)

# The kernels of the speed comparison, compiled as natively (samples/bench/local.mk), and the few
# lines below them. guest.ld knows the first by their name.
X86_BENCH_USER = $(X86_GUEST) -m64 -O2 -fno-tree-vectorize -fno-tree-loop-distribute-patterns \
	-I$(srcdir)/samples/bench -I$(srcdir)/%D%/bench -nostdlib -r -o $(@:.elf=-user.o) \
	$< $(srcdir)/%D%/bench/user.c
X86_BENCH_LINK = $(X86_KERNEL) -m64 -I$(srcdir)/samples/bench -DNAME='"$*"' -o $@ \
	$(X86_BENCH_C:%=$(srcdir)/%) $(@:.elf=-user.o) -T $(srcdir)/%D%/guest.ld
$(X86_BENCH_LONG): %D%/bench/%-x86.elf: samples/bench/%.c $(BENCH_H) $(X86_BENCH) $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_BENCH_USER) && $(X86_BENCH_LINK)
$(X86_BENCH_SHORT): %D%/bench/%-x86-short.elf: samples/bench/%.c $(BENCH_H) $(X86_BENCH) $(X86_SUPPORT)
	$(AM_V_GEN)$(X86_BENCH_USER) -DSHORT && $(X86_BENCH_LINK)
endif
