/*
 * What a vCPU's thread may ask of the host's kernel: next to nothing.
 *
 * A guest that finds a hole in a device model runs its code in a vCPU thread. There it may enter
 * the guest, raise interrupt lines, wait for locks, read and write descriptors that are open
 * already, and get memory; it may not open a file, make a socket, start a program, trace another
 * process or make memory executable: such calls fail with EPERM. The filter is the kernel's
 * seccomp, made by libseccomp, and holds for the calling thread until it ends.
 *
 * Source: seccomp(2); the list is confine.c's table, with the reason of each row.
 */
#ifndef VITRINE_KVM_CONFINE_H
#define VITRINE_KVM_CONFINE_H

/* 0, or -errno if the kernel takes no filter. Suits kvm_vm_config.confine. */
int kvm_confine(void *unused);

/* The thread of a network: as above, but with sockets of the Internet's kind (no local ones, none
 * that begin to listen, no raw packets) and without disks and vCPUs. 0 or -errno. */
int kvm_confine_network(void);

/* Gives the calling thread a table of descriptors of its own, which holds the `count` at `keep` and
 * nothing more. 0 or -errno: -ENOSYS from a kernel before 5.9. */
int kvm_confine_descriptors(const int *keep, unsigned count);

#endif
