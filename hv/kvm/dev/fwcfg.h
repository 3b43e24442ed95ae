/*
 * fw_cfg: how a machine hands files to its firmware. Ports 0x510 (which item), 0x511 (its bytes,
 * one after the other) and 0x514 (address of a DMA request).
 *
 * Items have a number; the files among them have a name as well, in the directory (item 0x19).
 */
#ifndef VITRINE_KVM_FWCFG_H
#define VITRINE_KVM_FWCFG_H

#include <stddef.h>

#include "cpu/dev/device.h"
#include "hv/kvm/memory.h"

enum { FWCFG_PORT = 0x510, FWCFG_ITEMS = 32, FWCFG_NAME = 56 };
/* Numbers of items without a name. */
enum {
    FWCFG_SIGNATURE = 0,
    FWCFG_ID = 1,
    FWCFG_RAM_SIZE = 3,
    FWCFG_CPUS = 5,
    FWCFG_CPUS_MAX = 15,
    FWCFG_DIRECTORY = 0x19,
    FWCFG_FIRST_FILE = 0x20
};

struct fwcfg;

/* `memory` is where DMA goes, and lives as long. NULL: no memory on the host. */
struct fwcfg *fwcfg_new(const struct kvm_memory *memory);
struct device *fwcfg_device(struct fwcfg *fwcfg);

/* Adds an item; the bytes are copied. 0, -ENOMEM, or -ENOSPC after FWCFG_ITEMS. */
int fwcfg_add(struct fwcfg *fwcfg, uint16_t number, const void *bytes, size_t count);
/* Adds a file; its name has fewer than FWCFG_NAME bytes. */
int fwcfg_add_file(struct fwcfg *fwcfg, const char *name, const void *bytes, size_t count);

#endif
