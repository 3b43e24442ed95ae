/*
 * The virtio devices of an x86 board, in slots of the memory-mapped transport:
 *
 *      slot  address      line  device
 *      0     0xd0000000   5     virtio-blk       if there is a disk
 *      1     0xd0001000   10    virtio-net       if there is a network
 *      2     0xd0002000   11    virtio-console
 *      3     0xd0003000   6     virtio-rng       the host's random numbers
 *      4     0xd0004000   14    virtio-balloon
 *
 * A guest cannot find them: it is told by the kernel's command line and by ACPI (boot.h), where the
 * lines are level-triggered; whoever takes them as edges is served as well, because a line falls
 * when the driver acknowledges. A slot without a device answers as the transport has it (device ID
 * 0) and is not announced.
 *
 * The lines are those of a PC's devices that are not here, and reach PIC and I/O APIC: 5 (sound),
 * 10 and 11 (free), 6 (floppy), 14 (IDE). Not 3 and 12, where kernels look for a second serial port
 * and a mouse; not 7 and 15, on which the PICs report interrupts that were none; not 9, ACPI's own.
 *
 * What these functions change they change under the VM's `io` lock, or with its vCPUs parked, as
 * cpu/dev/virtio.h asks for.
 */
#ifndef VITRINE_KVM_VIRTIO_H
#define VITRINE_KVM_VIRTIO_H

#include "hv/backend.h"
#include "hv/kvm/board.h"

struct kvm_virtio;

/* Plugs all of them into the VM's memory bus. NULL and one line in `why` (512 bytes) on failure. */
struct kvm_virtio *kvm_virtio_new(struct kvm_vm *vm, const struct kvm_board_config *config,
                                  char *why);
void kvm_virtio_free(struct kvm_virtio *virtio);

/* The disk, NULL: there is none. */
struct disk *kvm_virtio_disk(const struct kvm_virtio *virtio);

/* Those that the guest must be told of. */
const struct kvm_boot_device *kvm_virtio_announce(const struct kvm_virtio *virtio, unsigned *count);

/* Typed bytes for the console; returns how many the driver has taken. */
size_t kvm_virtio_input(struct kvm_virtio *virtio, const uint8_t *bytes, size_t count);
/* Connections of the network, which are in no table of state, end. 0 or -errno: it does not come
 * back. */
int kvm_virtio_reconnect(struct kvm_virtio *virtio);
/* What the guest sends to its network: see struct backend_move. 0 or -ENOMEM. */
int kvm_virtio_sent(struct kvm_virtio *virtio, enum move_sent how);
/* Asks the guest to give back so many pages of 4 KiB. */
void kvm_virtio_set_balloon(struct kvm_virtio *virtio, uint32_t pages);

#endif
