# x86 guests on the host's own processor. See hv/kvm/README.md for the reading order.
if KVM
hv_libhv_a_SOURCES += \
	%D%/complete.c \
	%D%/confine.c %D%/confine.h \
	%D%/cpuid.c \
	%D%/exits.c \
	%D%/host.c %D%/host.h \
	%D%/layers.c %D%/layers.h \
	%D%/memory.c %D%/memory.h \
	%D%/state.c %D%/state.h \
	%D%/vcpu.c \
	%D%/vm.c %D%/vm.h \
	%D%/walk.c %D%/walk.h
endif
