/*
 * The platform-level interrupt controller: which device has interrupted?
 *
 * Each device has a source number with a priority; each mode of each hart has a context with enable
 * bits and a threshold. Reading the claim register takes the most urgent source, writing the number
 * back says that it was served. Context 1 is S mode of hart 0. "RISC-V Platform-Level Interrupt
 * Controller Specification".
 */
#include "minios.h"

enum { SOURCES = 32, CONTEXT = 1 };

#define PRIORITY(source) (PLIC + 4 * (source))
#define ENABLE           (PLIC + 0x2000 + 0x80 * CONTEXT)
#define THRESHOLD        (PLIC + 0x200000 + 0x1000 * CONTEXT)
#define CLAIM            (THRESHOLD + 4)

static void (*handlers[SOURCES])(void);

void plic_init(void)
{
    MMIO32(ENABLE) = 0;
    MMIO32(THRESHOLD) = 0;
}

void plic_enable(int source, void (*handler)(void))
{
    handlers[source] = handler;
    MMIO32(PRIORITY(source)) = 1;
    MMIO32(ENABLE) |= 1u << source;
}

void plic_interrupt(void)
{
    uint32_t source;
    while ((source = MMIO32(CLAIM)) != 0) {
        if (source < SOURCES && handlers[source])
            handlers[source]();
        MMIO32(CLAIM) = source;
    }
}
