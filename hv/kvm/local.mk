# x86 guests on the host's own processor. See hv/kvm/README.md for the reading order.
if KVM
hv_libhv_a_SOURCES += \
	%D%/disasm.c %D%/disasm.h %D%/sensitive.def \
	%D%/explain.c %D%/explain.h %D%/explain_priv.h %D%/kvm-exit.def \
	%D%/memory.c %D%/memory.h \
	%D%/registers.c %D%/registers.h %D%/registers.def \
	%D%/triple-fault.c \
	%D%/walk.c %D%/walk.h
endif
