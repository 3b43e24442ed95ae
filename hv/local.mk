# The monitor and the session. See hv/README.md for the reading order.
noinst_LIBRARIES += %D%/libhv.a
%C%_libhv_a_SOURCES = \
	%D%/backend.h \
	%D%/bytes.c %D%/bytes.h \
	%D%/disk-format.c %D%/disk-format.h \
	%D%/emulate.c \
	%D%/exit.c %D%/exit.def \
	%D%/gdb.c %D%/gdb.h %D%/gdb_priv.h \
	%D%/gdb-packet.c \
	%D%/gdb-registers.c \
	%D%/gdb-riscv.c \
	%D%/gdb-x86.c \
	%D%/fence.c %D%/fence.h \
	%D%/gpa.c %D%/gpa.h \
	%D%/guard.c %D%/guard.h \
	%D%/hw.c %D%/hw.h \
	%D%/inject.c \
	%D%/link.c %D%/link-call.c %D%/link-secret.c %D%/link.h \
	%D%/migrate.c %D%/migrate.h %D%/migrate_priv.h \
	%D%/migrate-arrive.c \
	%D%/migrate-push.c \
	%D%/migrate-receive.c \
	%D%/migrate-send.c \
	%D%/migrate-stream.c %D%/migrate-stream.h \
	%D%/mover.c %D%/mover.h \
	%D%/overlay.c %D%/overlay.h \
	%D%/page-pool.c %D%/page-pool.h \
	%D%/postcopy.c %D%/postcopy.h \
	%D%/protect.h %D%/protect_priv.h \
	%D%/protect-backup.c %D%/protect-epoch.c %D%/protect-primary.c \
	%D%/qcow2.c %D%/qcow2.h %D%/qcow2_priv.h \
	%D%/qcow2-check.c \
	%D%/qcow2-copy.c \
	%D%/qcow2-create.c \
	%D%/qcow2-guard.c \
	%D%/qcow2-header.c \
	%D%/qcow2-inflate.c \
	%D%/qcow2-read.c \
	%D%/qcow2-rebase.c \
	%D%/qcow2-refcount.c \
	%D%/qcow2-rename.c \
	%D%/qcow2-resize.c \
	%D%/qcow2-table.c \
	%D%/qcow2-hand.c \
	%D%/qcow2-which.c \
	%D%/qcow2-write.c \
	%D%/storage-memory.c %D%/storage-memory.h \
	%D%/deadline.c %D%/deadline.h \
	%D%/record.c %D%/record.h %D%/recorder.c %D%/recorder.h \
	%D%/replay.c %D%/replay-search.c %D%/replay.h %D%/replay_priv.h \
	%D%/sched.c \
	%D%/session-files.c %D%/session-snapshot.c \
	%D%/session.c %D%/session-ask.c %D%/session-guess.c %D%/session-io.c %D%/session.h \
	%D%/session-record.c %D%/session-state.c %D%/session-state.h %D%/session_priv.h \
	%D%/shadow.c %D%/shadow.h \
	%D%/simulated-file.c \
	%D%/snapshot.c %D%/snapshot-config.c %D%/snapshot-diff.c %D%/snapshot-disk.c \
	%D%/snapshot-file.c %D%/snapshot-merge.c %D%/snapshot-overlay.c %D%/snapshot-view.c %D%/snapshot.h %D%/snapshot_priv.h \
	%D%/simulated.c %D%/simulated-absent.c %D%/simulated-disk.c %D%/simulated-input.c %D%/simulated-move.c %D%/simulated-state.c %D%/simulated-time.c %D%/simulated-view.c %D%/simulated_priv.h \
	%D%/move-disk.c %D%/move-disk.h \
	%D%/storage.c %D%/storage.h \
	%D%/trap-log.c %D%/trap-log.h \
	%D%/view.h %D%/view-layers.c %D%/view-layers.h \
	%D%/vm.c %D%/vm-check.c %D%/vm.h
EXTRA_DIST += %D%/README.md %D%/kvm/README.md
