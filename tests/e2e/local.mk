# End-to-end tests: scripts that drive the command as a person would, and speak TAP.
check_PROGRAMS += %D%/gdb-fuzz
%C%_gdb_fuzz_SOURCES = %D%/gdb-fuzz.c
%C%_scripts = \
	%D%/bad-input.sh \
	%D%/compare.sh \
	%D%/debug.sh \
	%D%/disk.sh \
	%D%/disk-change.sh \
	%D%/gdb.sh \
	%D%/kvm.sh \
	%D%/kvm-debug.sh \
	%D%/kvm-input.sh \
	%D%/linux.sh \
	%D%/migrate.sh \
	%D%/minios.sh \
	%D%/net.sh \
	%D%/options.sh \
	%D%/oracle.sh \
	%D%/protect.sh \
	%D%/report.sh \
	%D%/samples.sh \
	%D%/snapshot.sh \
	%D%/terminal.sh \
	%D%/time.sh \
	%D%/virtio.sh \
	%D%/wild.sh
TESTS += $(%C%_scripts)
EXTRA_DIST += $(%C%_scripts) %D%/lib.sh

# make check-slow: those that take minutes. They need the command and its guests, no test program.
%C%_slow = %D%/linux-x86.sh
check-slow: all
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(%C%_slow)' check_PROGRAMS= \
		TEST_LIMIT=7200
.PHONY: check-slow
EXTRA_DIST += $(%C%_slow)
