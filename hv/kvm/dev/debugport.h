/*
 * The ports by which a guest without drivers says something and ends its run.
 *
 *      0x501    exit: a write of n ends the run with exit code n (QEMU's isa-debug-exit is there,
 *               too, but makes 2n + 1 of it)
 *      0x402    debug console: SeaBIOS writes its messages there
 *      0x0e9    debug console of Bochs
 *
 * Both consoles read as 0xe9, by which guests find out that they are there.
 */
#ifndef VITRINE_KVM_DEBUGPORT_H
#define VITRINE_KVM_DEBUGPORT_H

#include <stddef.h>

#include "cpu/dev/device.h"
#include "hv/kvm/dev/power.h"

enum { DEBUG_EXIT_PORT = 0x501, DEBUG_CONSOLE_PORT = 0x402, DEBUG_BOCHS_PORT = 0xe9 };

struct debugport;

/* `out` gets each byte during the guest's store. The exit code is what was written, as an int.
 * NULL: no memory. */
struct debugport *debugport_new(struct power power,
                                void (*out)(void *context, const uint8_t *bytes, size_t count),
                                void *context);
/* Three windows of one device, each of which is to be freed. */
struct device *debugport_exit(struct debugport *debugport);
struct device *debugport_console(struct debugport *debugport);
struct device *debugport_bochs(struct debugport *debugport);

#endif
