/* CLINT: software interrupt and timer of the hart, as a window on its clock. */
#ifndef VITRINE_CPU_CLINT_H
#define VITRINE_CPU_CLINT_H

#include "cpu/dev/device.h"

struct clint;
struct hart;

/* NULL: no memory. The hart must outlive it. */
struct clint *clint_new(struct hart *hart);
/* Freed with the device's ops->free. */
struct device *clint_device(struct clint *clint);

#endif
