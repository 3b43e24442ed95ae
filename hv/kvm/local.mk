# x86 guests on the host's own processor. See hv/kvm/README.md for the reading order.
if KVM
hv_libhv_a_SOURCES += \
	%D%/memory.c %D%/memory.h \
	%D%/walk.c %D%/walk.h
endif
