/*
 * The flattened device tree that tells a guest what there is, made with libfdt.
 */
#ifndef VITRINE_CPU_FDT_H
#define VITRINE_CPU_FDT_H

#include <stddef.h>
#include <stdint.h>

struct machine;

/* Writes the tree of this machine (memory, hart with riscv,isa "rv32ima_zicsr_zifencei" + sstc,
 * CLINT, PLIC, UART, RTC, finisher with poweroff/reboot, virtio-mmio slots, bootargs, stdout-path)
 * to `blob`. Returns its size in bytes, or -ENOSPC. Deterministic. */
int fdt_build(const struct machine *machine, void *blob, size_t size);

#endif
