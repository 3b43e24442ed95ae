/*
 * Power management: the ports by which a PC is switched off and reset.
 *
 *      0x600..0x607    ACPI's PM1a block: status, enable, control
 *      0x092           "system control port A": fast reset, A20
 *      0xcf9           reset control
 *
 * A write to the control register with bit 13 (SLP_EN) and sleep type 0 (bits 12:10) switches off:
 * outw(0x2000, 0x604), as on QEMU. There are no other sleep states.
 */
#ifndef VITRINE_KVM_PM_H
#define VITRINE_KVM_PM_H

#include "cpu/dev/device.h"
#include "hv/kvm/dev/power.h"

enum {
    PM_PORT = 0x600,
    PM_STATUS = 0, /* offsets in the block, 16 bits each */
    PM_ENABLE = 2,
    PM_CONTROL = 4,
    PM_SLEEP_OFF = 0, /* the sleep type of S5 */
    PM_PORT_92 = 0x92,
    PM_RESET_PORT = 0xcf9,
    PM_RESET_VALUE = 6,
};

struct pm;

/* NULL: no memory. */
struct pm *pm_new(struct power power);
/* Three windows of one device: the first resets it, and each of them is to be freed. */
struct device *pm_device(struct pm *pm);
struct device *pm_port_92(struct pm *pm);
struct device *pm_reset_port(struct pm *pm);

#endif
