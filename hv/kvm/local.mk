# x86 guests on the host's own processor. See hv/kvm/README.md for the reading order.
if KVM
hv_libhv_a_SOURCES += \
	%D%/acpi.c %D%/acpi.h \
	%D%/backend.c \
	%D%/backend-disk.c %D%/backend-file.c \
	%D%/backend-exits.c \
	%D%/backend-move.c \
	%D%/backend-run.c \
	%D%/backend-snapshot.c \
	%D%/backend-view.c \
	%D%/backend_priv.h \
	%D%/board.c %D%/board.h \
	%D%/boot.c %D%/boot.h \
	%D%/boot-elf.c \
	%D%/boot-firmware.c \
	%D%/boot-flat.c \
	%D%/boot-linux.c \
	%D%/boot-map.c \
	%D%/boot-multiboot.c \
	%D%/boot-multiboot2.c \
	%D%/boot-pvh.c \
	%D%/boot-state.c \
	%D%/boot_priv.h \
	%D%/capstone.c %D%/capstone.h \
	%D%/complete.c \
	%D%/confine.c %D%/confine.h \
	%D%/cpuid.c %D%/cpuid.h \
	%D%/dev/cmos.c %D%/dev/cmos.h \
	%D%/dev/debugport.c %D%/dev/debugport.h \
	%D%/dev/fwcfg.c %D%/dev/fwcfg.h \
	%D%/dev/i8042.c %D%/dev/i8042.h \
	%D%/dev/pm.c %D%/dev/pm.h \
	%D%/dev/power.h \
	%D%/disasm.c %D%/disasm.h \
	%D%/exits.c \
	%D%/explain.c %D%/explain.h \
	%D%/explain_priv.h \
	%D%/host.c %D%/host.h \
	%D%/kvm-exit.def \
	%D%/layers.c %D%/layers.h \
	%D%/memory.c %D%/memory.h \
	%D%/mptable.c %D%/mptable.h \
	%D%/net.c %D%/net.h %D%/net-hold.c %D%/net-hold.h %D%/net-filter.c %D%/net-filter.h %D%/net-options.c \
	%D%/registers.c %D%/registers.def %D%/registers.h \
	%D%/sensitive.def \
	%D%/state.c %D%/state.h \
	%D%/triple-fault.c \
	%D%/vcpu.c \
	%D%/virtio.c %D%/virtio.h \
	%D%/vm.c %D%/vm.h \
	%D%/walk.c %D%/walk.h
endif
