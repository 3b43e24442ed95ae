/*
 * Start-up, in the order in which the parts need each other, and then the scheduler for ever.
 */
#include "minios.h"

extern char kernel_end[];

void kernel_main(uint32_t hart, const void *device_tree);

void kernel_main(uint32_t hart, const void *device_tree)
{
    (void)hart; /* there is one */
    print("minios: a small system in a glass case\n");

    uint32_t memory_end = fdt_memory_end(device_tree);
    if (memory_end <= (uint32_t)kernel_end)
        memory_end = RAM + (8 << 20); /* every `virt` machine has as much */
    if (memory_end > RAM + (128u << 20))
        memory_end = RAM + (128u << 20); /* and nobody here needs more */
    page_init((uint32_t)kernel_end, memory_end);
    vm_init(memory_end);
    trap_init();
    plic_init();
    uart_init();
    fs_init();
    proc_start_init();
    proc_scheduler();
}
