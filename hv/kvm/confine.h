/*
 * What a vCPU's thread may ask of the host's kernel: next to nothing.
 *
 * A guest that finds a hole in a device model runs its code in a vCPU thread. Two walls stand
 * around that thread from before its first entry into the guest until it ends:
 *
 *   descriptors     It has a table of its own, which holds what it was given and nothing more. What
 *                   other threads open later (a trace, a debugger's socket, another guest's disk)
 *                   is not in it.
 *   system calls    It may enter the guest, raise interrupt lines, wait for locks, read and write
 *                   those descriptors, and get memory. It may not open a file, make a socket or a
 *                   virtual machine, start a program, trace or signal another process, or make
 *                   memory executable: such a call fails with EPERM and does nothing.
 *
 * It fails and does not kill, because the C library tries calls that it can do without, and each
 * release others: gmtime_r(), for the CMOS clock, looks for the time zone's file once. A program
 * with a window and other guests in it should not end because of that, and whoever has broken out
 * gains nothing: what was refused once is refused a second time.
 *
 * What this cannot do: the thread shares the program's memory, so code that runs in it can corrupt
 * what other threads work with, and those are not confined. Whoever runs guests of strangers puts
 * the whole program into a sandbox, and hands /dev/kvm over as a descriptor (--kvm-fd).
 *
 * Source: seccomp(2), unshare(2), close_range(2); the list is confine.c's table, with the reason of
 * each row.
 */
#ifndef VITRINE_KVM_CONFINE_H
#define VITRINE_KVM_CONFINE_H

/* Confines the calling thread to the `count` descriptors at `keep`, in any order and with
 * repetitions, and to those calls. 0, or -errno: -ENOSYS from a kernel before 5.9, -EINVAL from one
 * without seccomp. Suits kvm_vm_config.confine. */
int kvm_confine(const int *keep, unsigned count);

/* The first half of it: gives the calling thread a table of descriptors of its own, which holds the
 * `count` at `keep` and nothing more. 0 or -errno: -ENOSYS from a kernel before 5.9. */
int kvm_confine_descriptors(const int *keep, unsigned count);

/* The second half for the thread of a network, which makes its sockets in a table of its own: as
 * above, but with connections and datagrams of the Internet's kind (no local sockets, none that
 * begin to listen, no raw packets), and without disks and vCPUs. 0 or -errno. */
int kvm_confine_network(void);

#endif
