# The kernels of the speed comparison; kernels.def says what they are.
BENCH_KERNELS = isort sieve matmul sha256 nqueens dhry memcopy stride fib vm
BENCH_TRAPS = ecall ecallfull fault switch0 switch1 switch8 switch64 switchasid8 timer mmio
BENCH_ALL = $(BENCH_KERNELS) $(BENCH_TRAPS)

BENCH_M = $(BENCH_KERNELS:%=%D%/%-m.elf)
BENCH_S = $(BENCH_ALL:%=%D%/%-s.elf)
BENCH_M_SHORT = $(BENCH_KERNELS:%=%D%/%-m-short.elf)
BENCH_S_SHORT = $(BENCH_ALL:%=%D%/%-s-short.elf)
BENCH_NATIVE = $(BENCH_KERNELS:%=%D%/%)
BENCH_H = %D%/bench.h %D%/print.h %D%/paged.h %D%/switch.h

EXTRA_DIST += %D%/kernels.def $(BENCH_H) %D%/native.c %D%/machine.c %D%/paged.c %D%/paged.S \
	%D%/paged.ld $(BENCH_ALL:%=%D%/%.c)
CLEANFILES += $(BENCH_M) $(BENCH_S) $(BENCH_M_SHORT) $(BENCH_S_SHORT) $(BENCH_NATIVE)

if HAVE_RISCV_CC
benchdir = $(pkgdatadir)/samples/bench
bench_DATA = $(BENCH_M) $(BENCH_S)
benchnativedir = $(pkglibexecdir)/bench
benchnative_SCRIPTS = $(BENCH_NATIVE)
noinst_DATA += $(BENCH_M_SHORT) $(BENCH_S_SHORT)

BENCH_COMPILE = $(MKDIR_P) $(@D) && $(RISCV_CC) $(SAMPLES_CC_OPTIONS) -I$(srcdir)/%D% -O2 \
	-DNAME='"$*"' $(SAMPLES_LD_OPTIONS) -o $@
BENCH_M_PARTS = $(srcdir)/%D%/machine.c $(srcdir)/samples/crt0.S -T $(srcdir)/samples/link.ld -lgcc
BENCH_S_PARTS = $(srcdir)/%D%/paged.c $(srcdir)/%D%/paged.S $(srcdir)/samples/crt0.S \
	-T $(srcdir)/%D%/paged.ld -lgcc
BENCH_M_NEEDS = $(BENCH_H) %D%/machine.c $(SAMPLES_SUPPORT)
BENCH_S_NEEDS = $(BENCH_H) %D%/paged.c %D%/paged.S %D%/paged.ld $(SAMPLES_SUPPORT)

$(BENCH_M): %D%/%-m.elf: %D%/%.c $(BENCH_M_NEEDS)
	$(AM_V_GEN)$(BENCH_COMPILE) $< $(BENCH_M_PARTS)
$(BENCH_M_SHORT): %D%/%-m-short.elf: %D%/%.c $(BENCH_M_NEEDS)
	$(AM_V_GEN)$(BENCH_COMPILE) -DSHORT $< $(BENCH_M_PARTS)
$(BENCH_S): %D%/%-s.elf: %D%/%.c $(BENCH_S_NEEDS)
	$(AM_V_GEN)$(BENCH_COMPILE) $< $(BENCH_S_PARTS)
$(BENCH_S_SHORT): %D%/%-s-short.elf: %D%/%.c $(BENCH_S_NEEDS)
	$(AM_V_GEN)$(BENCH_COMPILE) -DSHORT $< $(BENCH_S_PARTS)
# As the guests are compiled: nothing vectorised, no library functions recognised.
$(BENCH_NATIVE): %D%/%: %D%/%.c %D%/native.c $(BENCH_H)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(CC) -std=gnu17 -O2 -fno-tree-vectorize -fno-builtin \
	-fno-tree-loop-distribute-patterns -I$(srcdir)/%D% -DNAME='"$*"' -o $@ $< \
	$(srcdir)/%D%/native.c
endif
