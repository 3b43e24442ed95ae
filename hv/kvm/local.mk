# x86 guests on the host's own processor. See hv/kvm/README.md for the reading order.
if KVM
hv_libhv_a_SOURCES += \
	%D%/memory.c %D%/memory.h
hv_libhv_a_SOURCES += \
	%D%/boot.c %D%/boot.h %D%/boot_priv.h \
	%D%/boot-elf.c \
	%D%/boot-firmware.c \
	%D%/boot-flat.c \
	%D%/boot-linux.c \
	%D%/boot-map.c \
	%D%/boot-multiboot.c \
	%D%/boot-multiboot2.c \
	%D%/boot-pvh.c \
	%D%/boot-state.c \
	%D%/acpi.c %D%/acpi.h \
	%D%/dev/cmos.c %D%/dev/cmos.h \
	%D%/dev/debugport.c %D%/dev/debugport.h \
	%D%/dev/fwcfg.c %D%/dev/fwcfg.h \
	%D%/dev/i8042.c %D%/dev/i8042.h \
	%D%/dev/pm.c %D%/dev/pm.h \
	%D%/dev/power.h
endif
