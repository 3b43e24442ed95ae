# The manual, manual pages, completion.
dist_man_MANS += %D%/vitrine.1
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = %D%/completion/vitrine
EXTRA_DIST += %D%/architecture.md %D%/compare.md %D%/disks.md %D%/jit.md %D%/kvm.md %D%/linux.md %D%/machine.md \
	%D%/migration.md %D%/monitor.md %D%/time.md %D%/tools.md %D%/images/window.png
