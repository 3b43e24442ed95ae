/*
 * The smallest monitor that can run what kvm_boot() has prepared: one processor, the kernel's
 * interrupt controllers and timer, and some ports. For tests of loaders and legacy devices.
 */
#ifndef VITRINE_TESTS_KVM_HARNESS_H
#define VITRINE_TESTS_KVM_HARNESS_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/kvm.h>

#include "cpu/dev/device.h"
#include "hv/kvm/boot.h"

enum { HARNESS_OUTPUT = 32768, HARNESS_WINDOWS = 16 };

enum harness_end {
    HARNESS_EXIT,     /* the guest wrote to the exit port: harness->code */
    HARNESS_STOP,     /* a device asked for it: harness->stop */
    HARNESS_TIMEOUT,
    HARNESS_SHUTDOWN, /* triple fault */
    HARNESS_FAILED,   /* KVM gave up: harness->reason */
};

struct harness {
    int kvm, vm, vcpu;
    struct kvm_run *run;
    size_t run_size;
    struct kvm_memory memory;
    struct kvm_boot_state state; /* as it was booted; has the firmware */
    struct device *port[HARNESS_WINDOWS]; /* device->base is a port */
    unsigned ports;
    struct device *mmio[HARNESS_WINDOWS]; /* device->base is an address */
    unsigned mmios;
    char output[HARNESS_OUTPUT]; /* of ports 0x402, 0xe9 and 0x3f8, unless a device has them */
    size_t output_count;
    int code;
    bool stop; /* set by a device: run no further */
    unsigned reason, detail; /* of the exit that ended the run */
};

/* false: there is no usable /dev/kvm; errno says why. */
bool harness_available(void);
/* A virtual machine with `memory` bytes. Fails the test if that does not work. */
void harness_open(struct harness *harness, uint64_t memory);
void harness_close(struct harness *harness);
/* Loads; fails the test if that is refused. */
void harness_boot(struct harness *harness, const struct kvm_boot_config *config);
enum harness_end harness_run(struct harness *harness, unsigned milliseconds);
/* An interrupt wire to the kernel's controllers. */
struct irq_line harness_irq(struct harness *harness, int number);
struct kvm_regs harness_regs(const struct harness *harness);

#endif
