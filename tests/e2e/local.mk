# End-to-end tests: scripts that drive the command as a person would, and speak TAP.
check_PROGRAMS += %D%/gdb-fuzz
%C%_gdb_fuzz_SOURCES = %D%/gdb-fuzz.c
%C%_scripts = \
	%D%/bad-input.sh \
	%D%/compare.sh \
	%D%/debug.sh \
	%D%/gdb.sh \
	%D%/linux.sh \
	%D%/migrate.sh \
	%D%/minios.sh \
	%D%/options.sh \
	%D%/oracle.sh \
	%D%/protect.sh \
	%D%/report.sh \
	%D%/samples.sh \
	%D%/terminal.sh \
	%D%/time.sh \
	%D%/wild.sh
TESTS += $(%C%_scripts)
EXTRA_DIST += $(%C%_scripts) %D%/lib.sh
