
# Includes run downwards, and cpu/ links alone.
TESTS += %D%/layering.sh
EXTRA_DIST += %D%/layering.sh %D%/limit.py %D%/lsan.supp

%C%_random_programs = %D%/random-program.c %D%/random-program.h %D%/random-image.c \
	%D%/random-parts.h

# Unit tests, one program a file or part of it.
AM_CPPFLAGS += $(CHECK_CFLAGS)
%C%_unit_libs = cpu/libcpu.a $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS) $(KVM_LIBS) $(NETTLE_LIBS) $(ZLIB_LIBS) $(CHECK_LIBS)
%C%_unit_tests =
if HAVE_CHECK
%C%_unit_tests += %D%/test-clint
%C%_unit_tests += %D%/test-fdt
%C%_unit_tests += %D%/test-finisher
%C%_unit_tests += %D%/test-image
%C%_unit_tests += %D%/test-plic
%C%_unit_tests += %D%/test-rtc
%C%_unit_tests += %D%/test-sbi
%C%_unit_tests += %D%/test-uart
%C%_unit_tests += %D%/test-virtio
%C%_unit_tests += %D%/test-virtio-net
%C%_test_virtio_net_SOURCES = %D%/test-virtio-net.c %D%/tap.h %D%/device.c %D%/device.h \
	%D%/virtio-driver.c %D%/virtio-driver.h
%C%_test_virtio_net_LDADD = $(%C%_unit_libs)
%C%_unit_tests += %D%/test-virtio-devices
%C%_test_virtio_devices_SOURCES = %D%/test-virtio-devices.c %D%/tap.h %D%/device.c %D%/device.h \
	%D%/virtio-driver.c %D%/virtio-driver.h
%C%_test_virtio_devices_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-absent
%C%_test_absent_SOURCES = %D%/test-absent.c %D%/tap.h %D%/device.c %D%/device.h \
	%D%/virtio-driver.c %D%/virtio-driver.h
%C%_test_absent_LDADD = $(%C%_unit_libs)
%C%_test_clint_SOURCES = %D%/test-clint.c %D%/tap.h %D%/device.c %D%/device.h
%C%_test_clint_LDADD = $(%C%_unit_libs)
%C%_test_fdt_SOURCES = %D%/test-fdt.c %D%/tap.h
%C%_test_fdt_LDADD = $(%C%_unit_libs)
%C%_test_finisher_SOURCES = %D%/test-finisher.c %D%/tap.h %D%/device.c %D%/device.h
%C%_test_finisher_LDADD = $(%C%_unit_libs)
%C%_test_image_SOURCES = %D%/test-image.c %D%/tap.h %D%/device.c %D%/device.h \
	%D%/elf-sample.c %D%/elf-sample.h
%C%_test_image_LDADD = $(%C%_unit_libs)
%C%_unit_tests += %D%/test-json
%C%_test_json_SOURCES = %D%/test-json.c %D%/tap.h hv/cmd/json.c hv/cmd/json.h
%C%_test_json_LDADD = $(CHECK_LIBS)
%C%_test_plic_SOURCES = %D%/test-plic.c %D%/tap.h %D%/device.c %D%/device.h
%C%_test_plic_LDADD = $(%C%_unit_libs)
%C%_test_rtc_SOURCES = %D%/test-rtc.c %D%/tap.h %D%/device.c %D%/device.h
%C%_test_rtc_LDADD = $(%C%_unit_libs)
%C%_test_sbi_SOURCES = %D%/test-sbi.c %D%/tap.h %D%/device.c %D%/device.h
%C%_test_sbi_LDADD = $(%C%_unit_libs)
%C%_test_uart_SOURCES = %D%/test-uart.c %D%/tap.h %D%/device.c %D%/device.h
%C%_test_uart_LDADD = $(%C%_unit_libs)
%C%_test_virtio_SOURCES = %D%/test-virtio.c %D%/tap.h %D%/device.c %D%/device.h
%C%_test_virtio_LDADD = $(%C%_unit_libs)
# Disk images: layers and what is refused; QEMU's tools as the judge; crashes.
%C%_qcow2_parts = %D%/qcow2-crash.c %D%/qcow2-crash.h %D%/storage-trace.c %D%/storage-trace.h \
	%D%/qcow2-judge.c %D%/qcow2-judge.h
%C%_qcow2_files = %D%/qcow2-files.c %D%/qcow2-files.h %D%/tap.h $(%C%_qcow2_parts)
%C%_unit_tests += %D%/test-qcow2 %D%/test-qcow2-hostile %D%/test-qcow2-qemu %D%/test-qcow2-crash
%C%_unit_tests += %D%/test-qcow2-chain
%C%_test_qcow2_chain_SOURCES = %D%/test-qcow2-chain.c $(%C%_qcow2_files)
%C%_test_qcow2_chain_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_test_qcow2_SOURCES = %D%/test-qcow2.c $(%C%_qcow2_files)
%C%_test_qcow2_hostile_SOURCES = %D%/test-qcow2-hostile.c $(%C%_qcow2_files)
%C%_test_qcow2_hostile_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_test_qcow2_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_test_qcow2_qemu_SOURCES = %D%/test-qcow2-qemu.c %D%/tap.h $(%C%_qcow2_parts)
%C%_test_qcow2_qemu_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_test_qcow2_crash_SOURCES = %D%/test-qcow2-crash.c %D%/tap.h %D%/qcow2-change.c %D%/qcow2-change.h $(%C%_qcow2_parts)
%C%_test_qcow2_crash_LDADD = hv/libhv.a $(%C%_unit_libs)
# Bare and virtual, instruction by instruction.
%C%_unit_tests += %D%/test-equivalence
%C%_test_equivalence_SOURCES = %D%/test-equivalence.c %D%/tap.h %D%/lockstep.c %D%/lockstep.h \
	$(%C%_random_programs)
%C%_test_equivalence_LDADD = hv/libhv.a $(%C%_unit_libs)
# Samples in every engine, engines swapped, and what the random programs do.
%C%_unit_tests += %D%/test-engines
%C%_test_engines_SOURCES = %D%/test-engines.c %D%/tap.h %D%/lockstep.c %D%/lockstep.h \
	$(%C%_random_programs)
%C%_test_engines_LDADD = hv/libhv.a $(%C%_unit_libs)
# Tables of state against the structs' debug information; saving and loading.
%C%_unit_tests += %D%/test-state
%C%_test_state_SOURCES = %D%/test-state.c %D%/tap.h $(%C%_random_programs)
%C%_test_state_LDADD = hv/libhv.a $(%C%_unit_libs)
# Layers of pages against whole copies.
%C%_unit_tests += %D%/test-overlay
%C%_test_overlay_SOURCES = %D%/test-overlay.c %D%/tap.h $(%C%_random_programs)
%C%_test_overlay_LDADD = hv/libhv.a $(%C%_unit_libs)
# Any moment of the past is the moment that there was.
%C%_moments = %D%/moments.c %D%/moments.h %D%/tap.h %D%/small-guest.c %D%/small-guest.h \
	%D%/random-elf.c %D%/random-elf.h $(%C%_random_programs)
%C%_unit_tests += %D%/test-replay %D%/test-replay-stops %D%/test-replay-input
%C%_test_replay_SOURCES = %D%/test-replay.c $(%C%_moments)
%C%_test_replay_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_test_replay_stops_SOURCES = %D%/test-replay-stops.c %D%/disk-writer.c %D%/disk-writer.h \
	$(%C%_moments)
%C%_test_replay_stops_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_test_replay_input_SOURCES = %D%/test-replay-input.c %D%/disk-writer.c %D%/disk-writer.h \
	$(%C%_moments)
%C%_test_replay_input_LDADD = hv/libhv.a $(%C%_unit_libs)
# What a session tells of time and layers.
%C%_unit_tests += %D%/test-view-time
%C%_test_view_time_SOURCES = %D%/test-view-time.c %D%/tap.h %D%/small-guest.c %D%/small-guest.h
%C%_test_view_time_LDADD = hv/libhv.a $(%C%_unit_libs)
# Snapshots as files.
%C%_unit_tests += %D%/test-snapshot
%C%_snapshot_parts = %D%/snapshot-guest.c %D%/snapshot-guest.h %D%/tap.h %D%/small-guest.c \
	%D%/small-guest.h %D%/disk-writer.c %D%/disk-writer.h %D%/random-elf.c %D%/random-elf.h \
	%D%/snapshot-plan.c %D%/snapshot-plan.h $(%C%_random_programs)
%C%_test_snapshot_SOURCES = %D%/test-snapshot.c $(%C%_snapshot_parts)
%C%_test_snapshot_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-snapshot-files
%C%_test_snapshot_files_SOURCES = %D%/test-snapshot-files.c $(%C%_snapshot_parts)
%C%_test_snapshot_files_LDADD = hv/libhv.a $(%C%_unit_libs)
# Sessions as files.
%C%_unit_tests += %D%/test-record
%C%_test_record_SOURCES = %D%/test-record.c %D%/tap.h %D%/small-guest.c %D%/small-guest.h \
	$(%C%_random_programs)
%C%_test_record_LDADD = hv/libhv.a $(%C%_unit_libs)
# Guests that move from session to session, over links that break.
%C%_unit_tests += %D%/test-migrate
%C%_test_migrate_SOURCES = %D%/test-migrate.c %D%/tap.h %D%/migrate-pair.c %D%/migrate-pair.h
%C%_test_migrate_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-migrate-link
%C%_test_migrate_link_SOURCES = %D%/test-migrate-link.c %D%/tap.h %D%/migrate-pair.c %D%/migrate-pair.h
%C%_test_migrate_link_LDADD = hv/libhv.a $(%C%_unit_libs)
# Guests that outlive a host, whatever breaks.
%C%_unit_tests += %D%/test-protect
%C%_test_protect_SOURCES = %D%/test-protect.c %D%/tap.h %D%/migrate-pair.c %D%/migrate-pair.h \
	%D%/protect-pair.c %D%/protect-pair.h
%C%_test_protect_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_protect_chain = %D%/migrate-pair.c %D%/migrate-pair.h %D%/protect-pair.c %D%/protect-pair.h \
	%D%/protect-chain.c %D%/protect-chain.h
%C%_unit_tests += %D%/test-protect-chain
%C%_test_protect_chain_SOURCES = %D%/test-protect-chain.c %D%/tap.h $(%C%_protect_chain)
%C%_test_protect_chain_LDADD = hv/libhv.a $(%C%_unit_libs)
# Disks that change hands with their guests.
%C%_unit_tests += %D%/test-handover
%C%_disk_pair = %D%/disk-pair.c %D%/disk-pair.h %D%/disk-writer.c %D%/disk-writer.h \
	%D%/small-guest.c %D%/small-guest.h %D%/migrate-pair.c %D%/migrate-pair.h \
	%D%/protect-pair.c %D%/protect-pair.h
%C%_test_handover_SOURCES = %D%/test-handover.c %D%/tap.h $(%C%_disk_pair)
%C%_test_handover_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-fence
%C%_test_fence_SOURCES = %D%/test-fence.c %D%/tap.h
%C%_test_fence_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-guard
%C%_test_guard_SOURCES = %D%/test-guard.c %D%/tap.h %D%/migrate-pair.c %D%/migrate-pair.h \
	%D%/protect-pair.c %D%/protect-pair.h
%C%_test_guard_LDADD = hv/libhv.a $(%C%_unit_libs)
# The one door to all that.
%C%_unit_tests += %D%/test-session
%C%_test_session_SOURCES = %D%/test-session.c %D%/tap.h
%C%_test_session_LDADD = hv/libhv.a $(%C%_unit_libs)
# How long its slices are, by a made-up clock.
%C%_unit_tests += %D%/test-slices
%C%_test_slices_SOURCES = %D%/test-slices.c %D%/tap.h %D%/small-guest.c %D%/small-guest.h
%C%_test_slices_LDADD = hv/libhv.a $(%C%_unit_libs)
# CSRs, translation, PMP, encodings.
%C%_unit_tests += %D%/test-cpu
%C%_test_cpu_SOURCES = %D%/test-cpu.c %D%/tap.h $(%C%_random_programs)
%C%_test_cpu_LDADD = $(%C%_unit_libs)
# Guests beside each other, and monitors on virtual machines.
%C%_unit_tests += %D%/test-vm
%C%_test_vm_SOURCES = %D%/test-vm.c %D%/lockstep.c %D%/lockstep.h \
	$(%C%_random_programs)
%C%_test_vm_LDADD = hv/libhv.a $(%C%_unit_libs)
if KVM
# Virtual machines on the host's processor.
%C%_unit_tests += %D%/test-kvm-vm
%C%_test_kvm_vm_SOURCES = %D%/test-kvm-vm.c %D%/tap.h %D%/kvm-guest.h
%C%_test_kvm_vm_LDADD = hv/libhv.a $(%C%_unit_libs)
# Their network, with and without a guest.
%C%_unit_tests += %D%/test-net-filter
%C%_test_net_filter_SOURCES = %D%/test-net-filter.c %D%/tap.h %D%/frames.c %D%/frames.h \
	%D%/device.c %D%/device.h
%C%_test_net_filter_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-net
%C%_test_net_SOURCES = %D%/test-net.c %D%/tap.h %D%/frames.c %D%/frames.h
%C%_test_net_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-net-threads
%C%_test_net_threads_SOURCES = %D%/test-net-threads.c %D%/tap.h %D%/frames.c %D%/frames.h
%C%_test_net_threads_LDADD = hv/libhv.a $(%C%_unit_libs)
# What their threads may not do.
%C%_unit_tests += %D%/test-kvm-confine
%C%_test_kvm_confine_SOURCES = %D%/test-kvm-confine.c %D%/tap.h %D%/kvm-guest.h
%C%_test_kvm_confine_LDADD = hv/libhv.a $(%C%_unit_libs)
# Kicks, pauses and questions while they run.
%C%_unit_tests += %D%/test-kvm-race
%C%_test_kvm_race_SOURCES = %D%/test-kvm-race.c %D%/tap.h %D%/kvm-guest.h %D%/device.c %D%/device.h
%C%_test_kvm_race_LDADD = hv/libhv.a $(%C%_unit_libs)
# Their state as bytes, their memory in layers.
%C%_unit_tests += %D%/test-kvm-state
%C%_test_kvm_state_SOURCES = %D%/test-kvm-state.c %D%/tap.h %D%/kvm-guest.h
%C%_test_kvm_state_LDADD = hv/libhv.a $(%C%_unit_libs)
# Sessions of x86 guests.
%C%_unit_tests += %D%/test-kvm-session
%C%_test_kvm_session_SOURCES = %D%/test-kvm-session.c %D%/tap.h %D%/kvm-guest.h
%C%_test_kvm_session_LDADD = hv/libhv.a $(%C%_unit_libs)
# Their snapshots as files, with a disk.
%C%_unit_tests += %D%/test-kvm-snapshot
%C%_test_kvm_snapshot_SOURCES = %D%/test-kvm-snapshot.c %D%/tap.h %D%/kvm-guest.h
%C%_test_kvm_snapshot_LDADD = hv/libhv.a $(%C%_unit_libs)
# Their virtio devices, and a guest that drives them.
%C%_unit_tests += %D%/test-kvm-virtio
%C%_test_kvm_virtio_SOURCES = %D%/test-kvm-virtio.c %D%/tap.h %D%/kvm-guest.h %D%/device.c \
	%D%/device.h %D%/virtio-driver.c %D%/virtio-driver.h
%C%_test_kvm_virtio_LDADD = hv/libhv.a $(%C%_unit_libs)
# x86 guests that move.
%C%_unit_tests += %D%/test-kvm-migrate
%C%_test_kvm_migrate_SOURCES = %D%/test-kvm-migrate.c %D%/tap.h %D%/kvm-guest.h $(%C%_disk_pair)
%C%_test_kvm_migrate_LDADD = hv/libhv.a $(%C%_unit_libs)
# Looking into x86 guests.
%C%_unit_tests += %D%/test-kvm-walk
%C%_test_kvm_walk_SOURCES = %D%/test-kvm-walk.c %D%/kvm-probe.c %D%/kvm-probe.h %D%/tap.h \
	%D%/random-tables.c %D%/random-tables.h
%C%_test_kvm_walk_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-walk-qemu
%C%_test_kvm_walk_qemu_SOURCES = %D%/test-kvm-walk-qemu.c %D%/tap.h %D%/random-tables.c \
	%D%/random-tables.h
%C%_test_kvm_walk_qemu_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-inspect
%C%_test_kvm_inspect_SOURCES = %D%/test-kvm-inspect.c %D%/kvm-probe.c %D%/kvm-probe.h %D%/tap.h
%C%_test_kvm_inspect_LDADD = hv/libhv.a $(%C%_unit_libs)
# What stands before an x86 guest's first instruction.
%C%_unit_tests += %D%/test-kvm-boot
%C%_kvm_boot_parts = %D%/kvm-boot.c %D%/kvm-boot.h %D%/tap.h %D%/x86-sample.c %D%/x86-sample.h
%C%_test_kvm_boot_SOURCES = %D%/test-kvm-boot.c $(%C%_kvm_boot_parts)
%C%_test_kvm_boot_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-boot-refused
%C%_test_kvm_boot_refused_SOURCES = %D%/test-kvm-boot-refused.c $(%C%_kvm_boot_parts)
%C%_test_kvm_boot_refused_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-start
%C%_test_kvm_start_SOURCES = %D%/test-kvm-start.c %D%/tap.h %D%/kvm-harness.c %D%/kvm-harness.h \
	%D%/x86-sample.c %D%/x86-sample.h
%C%_test_kvm_start_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-explain
%C%_test_kvm_explain_SOURCES = %D%/test-kvm-explain.c %D%/kvm-probe.c %D%/kvm-probe.h %D%/tap.h
%C%_test_kvm_explain_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-gdb-x86
%C%_test_gdb_x86_SOURCES = %D%/test-gdb-x86.c %D%/tap.h
%C%_test_gdb_x86_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-firmware
%C%_test_kvm_firmware_SOURCES = %D%/test-kvm-firmware.c %D%/tap.h %D%/kvm-harness.c \
	%D%/kvm-harness.h
%C%_test_kvm_firmware_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-acpi
%C%_test_kvm_acpi_SOURCES = %D%/test-kvm-acpi.c %D%/tap.h
%C%_test_kvm_acpi_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-mptable
%C%_test_kvm_mptable_SOURCES = %D%/test-kvm-mptable.c %D%/tap.h
%C%_test_kvm_mptable_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-cpuid
%C%_test_kvm_cpuid_SOURCES = %D%/test-kvm-cpuid.c %D%/tap.h %D%/kvm-guest.h
%C%_test_kvm_cpuid_LDADD = hv/libhv.a $(%C%_unit_libs)
%C%_unit_tests += %D%/test-kvm-legacy
%C%_test_kvm_legacy_SOURCES = %D%/test-kvm-legacy.c %D%/tap.h %D%/device.c %D%/device.h
%C%_test_kvm_legacy_LDADD = hv/libhv.a $(%C%_unit_libs)
endif
check_PROGRAMS += $(%C%_unit_tests)
TESTS += $(%C%_unit_tests)
endif

# Random programs for this machine and QEMU's, run by tests/e2e/oracle.sh.
check_PROGRAMS += %D%/oracle/programs
%C%_oracle_programs_SOURCES = %D%/oracle/programs.c $(%C%_random_programs)
%C%_oracle_programs_LDADD = cpu/libcpu.a $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS)
EXTRA_DIST += %D%/oracle/guest.S %D%/oracle/guest.c %D%/oracle/guest.ld

# make fuzz FUZZ_SECONDS=600: every fuzz target with clang, this long each.
# make fuzz FUZZ_TARGETS=fuzz-walk: that one.
FUZZ_SECONDS = 60
FUZZ_TARGETS =
fuzz:
	$(AM_TESTS_ENVIRONMENT) $(SHELL) $(top_srcdir)/%D%/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)
.PHONY: fuzz
EXTRA_DIST += %D%/fuzz/fuzz-snapshot.c %D%/fuzz/tape.h
EXTRA_DIST += %D%/fuzz/run.sh %D%/fuzz/fuzz-decode.c %D%/fuzz/fuzz-image.c %D%/fuzz/fuzz-virtio.c \
	%D%/fuzz/fuzz-migrate.c %D%/fuzz/fuzz-protect.c %D%/fuzz/fuzz-record.c
EXTRA_DIST += %D%/fuzz/fuzz-boot.c %D%/fuzz/fuzz-net-filter.c %D%/fuzz/fuzz-virtio-net.c
EXTRA_DIST += %D%/fuzz/guarded.h %D%/fuzz/fuzz-boot.c %D%/fuzz/fuzz-explain.c \
	%D%/fuzz/fuzz-legacy.c %D%/fuzz/fuzz-state.c %D%/fuzz/fuzz-walk.c
EXTRA_DIST += %D%/fuzz/fuzz-qcow2.c

# make faults: every point at which something can fail, where make check takes a sample. Each program
# and script in faults/ speaks TAP.
%C%_faults = %D%/faults/migrate %D%/faults/protect %D%/faults/chain %D%/faults/handover \
	%D%/faults/qcow2 %D%/faults/snapshot
EXTRA_PROGRAMS += $(%C%_faults)
%C%_faults_qcow2_SOURCES = %D%/faults/qcow2.c %D%/qcow2-change.c %D%/qcow2-change.h $(%C%_qcow2_parts)
%C%_faults_qcow2_LDADD = hv/libhv.a cpu/libcpu.a $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS) $(ZLIB_LIBS)
%C%_faults_snapshot_SOURCES = %D%/faults/snapshot.c %D%/snapshot-plan.c %D%/snapshot-plan.h
%C%_faults_snapshot_LDADD = hv/libhv.a cpu/libcpu.a $(ZLIB_LIBS)
%C%_faults_migrate_SOURCES = %D%/faults/migrate.c %D%/migrate-pair.c %D%/migrate-pair.h
%C%_faults_migrate_LDADD = hv/libhv.a cpu/libcpu.a $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS) $(KVM_LIBS) \
	$(NETTLE_LIBS) $(ZLIB_LIBS)
%C%_faults_protect_SOURCES = %D%/faults/protect.c %D%/migrate-pair.c %D%/migrate-pair.h \
	%D%/protect-pair.c %D%/protect-pair.h
%C%_faults_protect_LDADD = $(%C%_faults_migrate_LDADD)
%C%_faults_chain_SOURCES = %D%/faults/chain.c $(%C%_protect_chain)
%C%_faults_chain_LDADD = $(%C%_faults_migrate_LDADD)
%C%_faults_handover_SOURCES = %D%/faults/handover.c $(%C%_disk_pair)
%C%_faults_handover_LDADD = $(%C%_faults_migrate_LDADD)
%C%_faults_scripts = %D%/faults/qcow2-kill.sh
faults: all $(%C%_faults)
	@failed=0; for test in $(%C%_faults); do \
		echo "==== $$test"; ./$$test || failed=1; done; \
	for test in $(%C%_faults_scripts); do echo "==== $$test"; \
		$(AM_TESTS_ENVIRONMENT) $(SHELL) $(top_srcdir)/$$test || failed=1; done; exit $$failed
.PHONY: faults
EXTRA_DIST += $(%C%_faults_scripts)

# The same targets in every make check, with inputs that follow from a seed.
%C%_seeded = %D%/fuzz/seeded-decode %D%/fuzz/seeded-image %D%/fuzz/seeded-qcow2 %D%/fuzz/seeded-record \
	%D%/fuzz/seeded-snapshot %D%/fuzz/seeded-virtio-net
%C%_seeded_libs = cpu/libcpu.a $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS)
%C%_fuzz_seeded_decode_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-decode.c
%C%_fuzz_seeded_decode_LDADD = $(%C%_seeded_libs)
%C%_fuzz_seeded_image_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-image.c %D%/elf-sample.c
%C%_fuzz_seeded_image_LDADD = $(%C%_seeded_libs)
%C%_fuzz_seeded_qcow2_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-qcow2.c \
	%D%/storage-trace.c %D%/storage-trace.h
%C%_fuzz_seeded_qcow2_LDADD = hv/libhv.a $(ZLIB_LIBS)
%C%_fuzz_seeded_record_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-record.c
%C%_fuzz_seeded_record_LDADD = hv/libhv.a $(%C%_seeded_libs) $(KVM_LIBS) $(NETTLE_LIBS) $(ZLIB_LIBS)
%C%_fuzz_seeded_snapshot_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-snapshot.c
%C%_fuzz_seeded_snapshot_LDADD = hv/libhv.a $(%C%_seeded_libs) $(KVM_LIBS) $(NETTLE_LIBS) $(ZLIB_LIBS)
%C%_seeded += %D%/fuzz/seeded-protect
%C%_fuzz_seeded_protect_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-protect.c %D%/fuzz/tape.h
%C%_fuzz_seeded_protect_CPPFLAGS = $(AM_CPPFLAGS) -DHAVE_LIBHV -DSEEDED_INPUTS=1000
%C%_fuzz_seeded_protect_LDADD = hv/libhv.a $(%C%_seeded_libs) $(KVM_LIBS) $(NETTLE_LIBS) $(ZLIB_LIBS)
%C%_seeded += %D%/fuzz/seeded-migrate
%C%_fuzz_seeded_migrate_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-migrate.c %D%/fuzz/tape.h
%C%_fuzz_seeded_migrate_CPPFLAGS = $(%C%_fuzz_seeded_protect_CPPFLAGS)
%C%_fuzz_seeded_migrate_LDADD = $(%C%_fuzz_seeded_protect_LDADD)
%C%_fuzz_seeded_virtio_net_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-virtio-net.c
%C%_fuzz_seeded_virtio_net_LDADD = $(%C%_seeded_libs)
if KVM
%C%_seeded += %D%/fuzz/seeded-boot %D%/fuzz/seeded-explain %D%/fuzz/seeded-legacy \
	%D%/fuzz/seeded-net-filter %D%/fuzz/seeded-state %D%/fuzz/seeded-virtio %D%/fuzz/seeded-walk
%C%_seeded_kvm_libs = hv/libhv.a $(%C%_seeded_libs) $(KVM_LIBS) $(NETTLE_LIBS) $(ZLIB_LIBS)
%C%_fuzz_seeded_boot_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-boot.c %D%/x86-sample.c
%C%_fuzz_seeded_boot_LDADD = $(%C%_seeded_kvm_libs)
%C%_fuzz_seeded_explain_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-explain.c
%C%_fuzz_seeded_explain_LDADD = $(%C%_seeded_kvm_libs)
%C%_fuzz_seeded_legacy_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-legacy.c
%C%_fuzz_seeded_legacy_LDADD = $(%C%_seeded_kvm_libs)
%C%_fuzz_seeded_net_filter_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-net-filter.c
%C%_fuzz_seeded_net_filter_LDADD = $(%C%_seeded_kvm_libs)
%C%_fuzz_seeded_state_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-state.c
%C%_fuzz_seeded_state_LDADD = $(%C%_seeded_kvm_libs)
%C%_fuzz_seeded_virtio_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-virtio.c
%C%_fuzz_seeded_virtio_LDADD = $(%C%_seeded_kvm_libs)
%C%_fuzz_seeded_walk_SOURCES = %D%/fuzz/seeded.c %D%/fuzz/fuzz-walk.c
%C%_fuzz_seeded_walk_LDADD = $(%C%_seeded_kvm_libs)
endif
check_PROGRAMS += $(%C%_seeded)
TESTS += $(%C%_seeded)

EXTRA_PROGRAMS += %D%/bench/time
%C%_bench_time_SOURCES = %D%/bench/time.c
%C%_bench_time_LDADD = hv/libhv.a cpu/libcpu.a $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS) $(KVM_LIBS) $(NETTLE_LIBS) $(ZLIB_LIBS)
# make bench: figures beside a peer's, in one run.
bench: all $(%C%_bench_kvm_program) %D%/bench/time$(EXEEXT) %D%/bench/disk$(EXEEXT) \
		%D%/bench/protect$(EXEEXT) %D%/bench/migrate$(EXEEXT)
	@$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(top_srcdir)/%D%/bench/bench.py
# make bench-kvm: its part about x86 guests.
bench-kvm: all $(%C%_bench_kvm_program)
	@$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(top_srcdir)/%D%/bench/kvm.py
EXTRA_PROGRAMS += %D%/bench/disk
%C%_bench_disk_SOURCES = %D%/bench/disk.c
%C%_bench_disk_LDADD = hv/libhv.a $(ZLIB_LIBS)
EXTRA_PROGRAMS += %D%/bench/migrate
%C%_bench_migrate_SOURCES = %D%/bench/migrate.c %D%/bench/pair.c %D%/bench/pair.h
%C%_bench_migrate_LDADD = hv/libhv.a cpu/libcpu.a $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS) $(KVM_LIBS) \
	$(NETTLE_LIBS) $(ZLIB_LIBS)
EXTRA_PROGRAMS += %D%/bench/protect
%C%_bench_protect_SOURCES = %D%/bench/protect.c %D%/bench/pair.c %D%/bench/pair.h
%C%_bench_protect_LDADD = $(%C%_bench_migrate_LDADD)
if KVM
%C%_bench_kvm_program = %D%/bench/kvm
EXTRA_PROGRAMS += %D%/bench/kvm
%C%_bench_kvm_SOURCES = %D%/bench/kvm.c
%C%_bench_kvm_LDADD = hv/libhv.a cpu/libcpu.a $(ELF_LIBS) $(DW_LIBS) $(FDT_LIBS) $(KVM_LIBS) \
	$(NETTLE_LIBS) $(ZLIB_LIBS)
endif
EXTRA_DIST += %D%/bench/bench.py %D%/bench/kvm.py %D%/bench/floors.json %D%/bench/README.md

# make torture TORTURE_SECONDS=3600: random programs, in pairs of ways to run them, without end.
if HAVE_CHECK
EXTRA_PROGRAMS += %D%/torture
%C%_torture_SOURCES = %D%/torture.c %D%/lockstep.c %D%/lockstep.h \
	$(%C%_random_programs)
%C%_torture_LDADD = hv/libhv.a $(%C%_unit_libs)
torture: %D%/torture %D%/test-replay
	VITRINE_TORTURE=1 top_builddir=. %D%/test-replay
	%D%/torture $(TORTURE_SECONDS)
endif
.PHONY: bench bench-kvm torture
