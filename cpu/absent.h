/*
 * Pages that are elsewhere (struct ram_absent): an instruction that needs one is executed again
 * when the page has come.
 *
 * A load, a store or a fetch changes nothing before it has all its pages, so there is nothing to
 * undo. A store to a device's register may make the device read and write memory (DMA), and an
 * ecall the firmware: these may find a page missing in the middle. So while pages are missing they
 * are an attempt: the state of all devices is kept before, and so is what they overwrite in memory,
 * and both are put back if a page was missing; what they print is printed when they have succeeded.
 * (What they write to a disk they write again, and it is the same.)
 *
 * While nothing is missing each of these is the plain call.
 */
#ifndef VITRINE_CPU_ABSENT_H
#define VITRINE_CPU_ABSENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;

/* From struct ram_absent's here(), within a run: the page is not here. Whatever the instruction
 * raises now is dropped, it counts as not executed, and the run ends with STOP_ABSENT. */
void machine_absent(struct machine *machine, uint32_t index);

/* As bus_write(). */
bool absent_device_write(struct machine *machine, uint32_t pa, unsigned size, uint32_t value);
/* As sbi_call(); false: it must be made again. */
bool absent_firmware_call(struct machine *machine);
/* As virtio_console_input(), which may be between two runs. */
size_t absent_console_input(struct machine *machine, const uint8_t *bytes, size_t count);
/* All console output goes through here. */
void absent_print(struct machine *machine, const uint8_t *bytes, size_t count);

#endif
