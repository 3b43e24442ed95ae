/* i8042: the keyboard controller of a PC, without a keyboard. Ports 0x60 and 0x64. */
#ifndef VITRINE_KVM_I8042_H
#define VITRINE_KVM_I8042_H

#include "cpu/dev/device.h"
#include "hv/kvm/dev/power.h"

enum { I8042_PORT = 0x60 };

struct i8042;

/* `keyboard` is ISA interrupt 1. NULL: no memory. */
struct i8042 *i8042_new(struct power power, struct irq_line keyboard);
struct device *i8042_device(struct i8042 *i8042);

#endif
