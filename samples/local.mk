# The guests, built with the RISC-V cross compiler where configure has found one. See README.md.
SAMPLES_CC_OPTIONS = -march=rv32ima_zicsr_zifencei -mabi=ilp32 -std=gnu17 -g \
	-ffreestanding -fno-builtin -fno-pic -fno-stack-protector -fno-tree-loop-distribute-patterns \
	-fno-asynchronous-unwind-tables -msmall-data-limit=0 -Wall -Wextra -I$(srcdir)/%D%
SAMPLES_LD_OPTIONS = -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--no-warn-rwx-segments
SAMPLES_COMPILE = $(MKDIR_P) $(@D) && $(RISCV_CC) $(SAMPLES_CC_OPTIONS)
# What a rule compiles: its sources, wherever make has found them.
SAMPLES_INPUT = $(filter %.S %.c,$^)
SAMPLES_LINK = $(SAMPLES_LD_OPTIONS) -T $(filter %.ld,$^) -o $@ $(SAMPLES_INPUT)

SAMPLES_SUPPORT = %D%/link.ld %D%/crt0.S %D%/csr.h %D%/uart.h %D%/virt.h
SAMPLES_WILD = jump trapstorm flood tables wfi selfmod finisher htif
SAMPLES_WILD_ELF = $(SAMPLES_WILD:%=%D%/wild/%.elf) %D%/wild/flood-forever.elf

SAMPLES_FIRMWARE = %D%/firmware/entry.S %D%/firmware/sbi.c
SAMPLES_KERNEL = \
	%D%/minios/boot.S %D%/minios/trap.S %D%/minios/switch.S %D%/minios/rom.S \
	%D%/minios/main.c %D%/minios/trap.c %D%/minios/proc.c %D%/minios/vm.c %D%/minios/page.c \
	%D%/minios/syscall.c %D%/minios/exec.c %D%/minios/fs.c %D%/minios/virtio.c \
	%D%/minios/plic.c %D%/minios/uart.c %D%/minios/console.c %D%/minios/sbi.c %D%/minios/fdt.c \
	%D%/minios/print.c %D%/minios/string.c
SAMPLES_KERNEL_H = %D%/minios/minios.h %D%/minios/abi.h %D%/minios/fs.h %D%/minios/syscall.def
SAMPLES_USER = init sh ls cat echo ps count primes forktest cowtest demand crash
SAMPLES_USER_BIN = $(SAMPLES_USER:%=%D%/minios/user/%.bin)
SAMPLES_USER_COMMON = %D%/minios/user/user.ld %D%/minios/user/start.S %D%/minios/user/lib.c
SAMPLES_FILES = %D%/minios/files/README %D%/minios/files/glass

# Named one by one where automake has to see them.
SAMPLES_MAIN = %D%/hello.elf %D%/primes.elf %D%/traps.elf %D%/paging.elf %D%/virtio/virtio.elf \
	%D%/firmware/firmware.elf %D%/minios/minios.elf %D%/minios/minios-fw.elf %D%/minios/fs.img
SAMPLES_OTHER = %D%/primes-short.elf $(SAMPLES_WILD_ELF)
SAMPLES_BETWEEN = $(SAMPLES_USER:%=%D%/minios/user/%.elf) $(SAMPLES_USER_BIN) \
	%D%/minios/rom.img %D%/firmware/firmware.o

EXTRA_DIST += %D%/README.md $(SAMPLES_SUPPORT) \
	%D%/hello.S %D%/primes.c %D%/traps.c %D%/paging.c \
	%D%/virtio/virtio.c %D%/virtio/queue.h %D%/virtio/board-riscv.h %D%/virtio/board-x86.h \
	$(SAMPLES_WILD:%=%D%/wild/%.S) \
	$(SAMPLES_FIRMWARE) $(SAMPLES_KERNEL) $(SAMPLES_KERNEL_H) $(SAMPLES_FILES) \
	$(SAMPLES_USER_COMMON) $(SAMPLES_USER:%=%D%/minios/user/%.c) %D%/minios/user/user.h \
	%D%/minios/README.md %D%/minios/minios.ld %D%/minios/mkfs.c \
	%D%/minios/session.expect %D%/minios/session-nodisk.expect \
	%D%/linux/build.sh %D%/linux/config %D%/linux/initramfs.list %D%/linux/init.c
CLEANFILES += $(SAMPLES_MAIN) $(SAMPLES_OTHER) $(SAMPLES_BETWEEN)

if HAVE_RISCV_CC
samplesdir = $(pkgdatadir)/samples
samples_DATA = $(SAMPLES_MAIN)
noinst_DATA += $(SAMPLES_OTHER)

# A tool of the build's own computer.
noinst_PROGRAMS += %D%/minios/mkfs
%C%_minios_mkfs_SOURCES = %D%/minios/mkfs.c

%D%/hello.elf: %D%/hello.S $(SAMPLES_SUPPORT)
	$(AM_V_GEN)$(SAMPLES_COMPILE) $(SAMPLES_LD_OPTIONS) -T $(filter %.ld,$^) -o $@ $<
%D%/primes.elf: %D%/primes.c $(SAMPLES_SUPPORT)
	$(AM_V_GEN)$(SAMPLES_COMPILE) -O2 $(SAMPLES_LINK)
%D%/primes-short.elf: %D%/primes.c $(SAMPLES_SUPPORT)
	$(AM_V_GEN)$(SAMPLES_COMPILE) -O2 -DSHORT $(SAMPLES_LINK)
%D%/traps.elf: %D%/traps.c $(SAMPLES_SUPPORT)
	$(AM_V_GEN)$(SAMPLES_COMPILE) -O1 $(SAMPLES_LINK)
%D%/paging.elf: %D%/paging.c $(SAMPLES_SUPPORT)
	$(AM_V_GEN)$(SAMPLES_COMPILE) -O1 $(SAMPLES_LINK)
%D%/virtio/virtio.elf: %D%/virtio/virtio.c %D%/virtio/queue.h %D%/virtio/board-riscv.h $(SAMPLES_SUPPORT)
	$(AM_V_GEN)$(SAMPLES_COMPILE) -O1 $(SAMPLES_LINK)

$(SAMPLES_WILD:%=%D%/wild/%.elf): %D%/wild/%.elf: %D%/wild/%.S $(SAMPLES_SUPPORT)
	$(AM_V_GEN)$(SAMPLES_COMPILE) $(SAMPLES_LD_OPTIONS) -T $(filter %.ld,$^) -o $@ $<
%D%/wild/flood-forever.elf: %D%/wild/flood.S $(SAMPLES_SUPPORT)
	$(AM_V_GEN)$(SAMPLES_COMPILE) -DFOREVER $(SAMPLES_LD_OPTIONS) -T $(filter %.ld,$^) -o $@ $<

# The firmware alone, and as one object whose only name to the outside is firmware_start.
%D%/firmware/firmware.elf: $(SAMPLES_FIRMWARE) %D%/link.ld %D%/csr.h %D%/uart.h %D%/virt.h
	$(AM_V_GEN)$(SAMPLES_COMPILE) -O1 $(SAMPLES_LINK)
%D%/firmware/firmware.o: $(SAMPLES_FIRMWARE) %D%/csr.h %D%/uart.h %D%/virt.h
	$(AM_V_GEN)$(SAMPLES_COMPILE) -O1 $(SAMPLES_LD_OPTIONS) -r -o $@ $(SAMPLES_INPUT) && \
	$(RISCV_OBJCOPY) --keep-global-symbol=firmware_start $@

# The programs of minios. In the images they are without symbols.
$(SAMPLES_USER:%=%D%/minios/user/%.elf): %D%/minios/user/%.elf: %D%/minios/user/%.c \
		$(SAMPLES_USER_COMMON) %D%/minios/user/user.h %D%/minios/abi.h %D%/minios/syscall.def
	$(AM_V_GEN)$(SAMPLES_COMPILE) -O1 -I$(srcdir)/%D%/minios -Wl,--gc-sections $(SAMPLES_LINK)
$(SAMPLES_USER_BIN): %.bin: %.elf
	$(AM_V_GEN)$(RISCV_OBJCOPY) -S $< $@
%D%/minios/rom.img: %D%/minios/mkfs$(EXEEXT) $(SAMPLES_USER_BIN)
	$(AM_V_GEN)%D%/minios/mkfs$(EXEEXT) $@ $(SAMPLES_USER_BIN)
%D%/minios/fs.img: %D%/minios/mkfs$(EXEEXT) $(SAMPLES_FILES) $(SAMPLES_USER_BIN)
	$(AM_V_GEN)%D%/minios/mkfs$(EXEEXT) $@ $(filter-out %mkfs$(EXEEXT),$^)

SAMPLES_KERNEL_OPTIONS = -O1 -I$(srcdir)/%D%/minios -DROM_IMAGE='"%D%/minios/rom.img"'
%D%/minios/minios.elf: $(SAMPLES_KERNEL) $(SAMPLES_KERNEL_H) %D%/minios/minios.ld \
		%D%/minios/rom.img %D%/csr.h %D%/virt.h
	$(AM_V_GEN)$(SAMPLES_COMPILE) $(SAMPLES_KERNEL_OPTIONS) -Wl,-e,_start $(SAMPLES_LINK)
%D%/minios/minios-fw.elf: $(SAMPLES_KERNEL) $(SAMPLES_KERNEL_H) %D%/minios/minios.ld \
		%D%/minios/rom.img %D%/csr.h %D%/virt.h %D%/firmware/firmware.o
	$(AM_V_GEN)$(SAMPLES_COMPILE) $(SAMPLES_KERNEL_OPTIONS) -Wl,-e,firmware_start $(SAMPLES_LINK) \
		%D%/firmware/firmware.o
endif
