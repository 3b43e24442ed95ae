/* Test finisher: how a guest switches the machine off, with an exit code. */
#ifndef VITRINE_CPU_FINISHER_H
#define VITRINE_CPU_FINISHER_H

#include "cpu/dev/device.h"

struct finisher;

enum finisher_request { FINISHER_POWEROFF, FINISHER_RESET };

/* `power` is called during the guest's store; code is 0..65535. NULL: no memory. */
struct finisher *finisher_new(void (*power)(void *context, enum finisher_request request, int code),
                              void *context);
struct device *finisher_device(struct finisher *finisher);

#endif
