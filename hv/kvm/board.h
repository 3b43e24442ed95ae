/*
 * The board of an x86 virtual machine: what devices it has, where, on which interrupt lines.
 *
 *   ports   0x060      i8042: keyboard controller, of which the reset line is used
 *           0x070      CMOS memory and real-time clock
 *           0x0e9 0x402 debug console: a byte written is printed
 *           0x092      reset and A20
 *           0x3f8      COM1, 16550A, IRQ 4: the console
 *           0x501      debug exit: a byte written ends the run with it as exit code
 *           0x510      fw_cfg: what firmware asks of the monitor
 *           0x600      power management: power-off (ACPI); 0xcf9 reset
 *   memory  0xd0000000 virtio-mmio slots, 4 KiB each: see virtio.h
 *
 * Interrupt controllers, the interval timer and the local APICs are KVM's. The devices themselves
 * know neither KVM nor the board: those in cpu/dev are the same that the simulated computer has.
 *
 * All functions are called with the VM's vCPUs parked or its `io` lock held, unless they say
 * otherwise.
 */
#ifndef VITRINE_KVM_BOARD_H
#define VITRINE_KVM_BOARD_H

#include "cpu/dev/disk.h"
#include "cpu/state.h"
#include "hv/backend.h"
#include "hv/kvm/boot.h"
#include "hv/kvm/vm.h"

struct kvm_board;

struct kvm_board_config {
    const char *disk; /* image, NULL: none */
    bool disk_readonly;
    disk_open_fn disk_open; /* who opens it; NULL: disk_open(), for raw images */
    const char *net;        /* as net_config_parse() reads it; NULL: none */
    /* What is typed goes to the virtio console, as soon as its driver has buffers, and not to COM1.
     * What either of them prints goes to `console`. */
    bool virtio_console;
    uint32_t balloon_pages; /* asked for at power-on */
    /* What the guest prints, on a vCPU's thread, with the VM's `io` lock held. */
    void (*console)(void *context, const uint8_t *bytes, size_t count);
    /* The same of what comes by the debug ports. */
    void (*debug)(void *context, const uint8_t *bytes, size_t count);
    void *context;
};

/* Plugs all devices into the VM. NULL and one line in `why` (512 bytes) on failure. */
struct kvm_board *kvm_board_new(struct kvm_vm *vm, const struct kvm_board_config *config,
                                char *why);
/* Ends the devices' threads. The VM must not run. */
void kvm_board_free(struct kvm_board *board);

/* Typed bytes for the console; returns how many it took. */
size_t kvm_board_input(struct kvm_board *board, const uint8_t *bytes, size_t count);

/* Asks the guest to give back so many pages of 4 KiB in all. */
void kvm_board_set_balloon(struct kvm_board *board, uint32_t pages);

/* The disk, NULL: there is none. */
struct disk *kvm_board_disk(const struct kvm_board *board);

/* The devices that the guest must be told of, because it cannot find them. */
const struct kvm_boot_device *kvm_board_announce(const struct kvm_board *board, unsigned *count);

/* What the firmware reads of the machine: filled in by kvm_boot_fwcfg(). */
struct fwcfg;
struct fwcfg *kvm_board_fwcfg(struct kvm_board *board);

/* As after power-on. */
void kvm_board_reset(struct kvm_board *board);

/* All devices' state, by their state tables. 0, -ENOMEM; -EINVAL, -EPROTO as state_load(). Not in a
 * table are the network's connections: where other ones are open, kvm_board_reconnect() ends them
 * (-errno as net_restart()). */
int kvm_board_save(struct kvm_board *board, struct state_buffer *buffer);
int kvm_board_load(struct kvm_board *board, const uint8_t *bytes, size_t count, size_t *at);
int kvm_board_reconnect(struct kvm_board *board);
/* What the guest sends to its network: see struct backend_move. 0 or -ENOMEM. */
int kvm_board_sent(struct kvm_board *board, enum move_sent how);
/* Digest of the same. */
void kvm_board_digest(struct kvm_board *board, struct digest *digest);

#endif
