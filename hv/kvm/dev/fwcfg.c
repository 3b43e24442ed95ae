/*
 * fw_cfg. Read-only: firmware that wants to write gets an error. Behind the end of an item are
 * zeros, and so is an item that does not exist.
 *
 * Source: QEMU, docs/specs/fw_cfg.rst.
 */
#include "config.h"

#include "hv/kvm/dev/fwcfg.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct item {
    uint16_t number;
    uint32_t count;
    uint8_t *bytes;
};

/* An entry of the directory, big-endian. */
struct file {
    uint32_t size;
    uint16_t number, reserved;
    char name[FWCFG_NAME];
};

struct directory {
    uint32_t count;
    struct file file[FWCFG_ITEMS];
};

struct fwcfg {
    struct device device;
    const struct kvm_memory *memory;
    struct item item[FWCFG_ITEMS];
    unsigned items;
    struct directory directory;
    uint16_t selected;
    uint32_t at; /* the next byte of the selected item */
    uint32_t dma_high;
};

/* A DMA request in the guest's memory, big-endian. */
struct request {
    uint32_t control, length;
    uint64_t address;
};

enum { SELECT = 0, DATA = 1, DMA_HIGH = 4, DMA_LOW = 8 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
enum { ID_PORTS = 1, ID_DMA = 2 };
enum { READ_MAX = 4 << 20 }; /* bytes of one request */
#define DMA_SIGNATURE 0x51454d5520434647ull /* "QEMU CFG" */

static const struct device_register registers[] = {
    {"SELECT", SELECT, 2, "w", "number of the item to be read, from its beginning"},
    {"DATA", DATA, 1, "r", "its next byte"},
    {"DMA_HIGH", DMA_HIGH, 4, "rw", "address of a request, high half, big-endian; reads \"QEMU\""},
    {"DMA_LOW", DMA_LOW, 4, "rw", "low half: does it; reads \" CFG\""},
};

static const struct state_field fields[] = {
    STATE_NOT(struct fwcfg, device, "wiring"),
    STATE_NOT(struct fwcfg, memory, "wiring"),
    STATE_NOT(struct fwcfg, item, "from the configuration"),
    STATE_NOT(struct fwcfg, items, "from the configuration"),
    STATE_NOT(struct fwcfg, directory, "from the configuration"),
    STATE(struct fwcfg, U16, selected),
    STATE(struct fwcfg, U32, at),
    STATE(struct fwcfg, U32, dma_high),
};
static const struct state_table table = STATE_TABLE("fwcfg", struct fwcfg, 1, fields);

/* ---- items -------------------------------------------------------------------------------- */

static void find_item(const struct fwcfg *f, uint16_t number, const uint8_t **bytes,
                      uint32_t *count)
{
    *bytes = NULL;
    *count = 0;
    if (number == FWCFG_DIRECTORY) {
        *bytes = (const uint8_t *)&f->directory;
        *count = sizeof f->directory;
    }
    for (unsigned i = 0; i < f->items; i++) {
        if (f->item[i].number == number) {
            *bytes = f->item[i].bytes;
            *count = f->item[i].count;
        }
    }
}

/* The next bytes of the selected item: at most `count`, which is set to how many they are. */
static const uint8_t *next_bytes(struct fwcfg *f, uint32_t *count)
{
    const uint8_t *bytes;
    uint32_t size, at = f->at;
    find_item(f, f->selected, &bytes, &size);
    uint32_t left = at < size ? size - at : 0;
    *count = *count < left ? *count : left;
    f->at += *count;
    return *count ? bytes + at : NULL;
}

static void select_item(struct fwcfg *f, uint16_t number)
{
    f->selected = number;
    f->at = 0;
}

/* ---- DMA ---------------------------------------------------------------------------------- */

/* With zeros behind the item's end. false: that is not all RAM, or more than anybody needs: a guest
 * must not keep the host busy for long by one store. */
static bool read_item(struct fwcfg *f, uint64_t address, uint32_t length)
{
    static const uint8_t ZEROS[KVM_PAGE];
    uint32_t done = length;
    if (length > READ_MAX || !kvm_memory_at(f->memory, address, length))
        return false;
    const uint8_t *bytes = next_bytes(f, &done);
    if (bytes)
        kvm_memory_write(f->memory, address, bytes, done);
    for (uint32_t part; done < length; done += part) {
        part = length - done < KVM_PAGE ? length - done : KVM_PAGE;
        kvm_memory_write(f->memory, address + done, ZEROS, part);
    }
    return true;
}

/* false: it cannot be done. */
static bool transfer(struct fwcfg *f, uint32_t control, uint32_t length, uint64_t address)
{
    if (control & DMA_SELECT)
        select_item(f, (uint16_t)(control >> 16));
    if (control & DMA_READ)
        return read_item(f, address, length);
    if (control & DMA_SKIP)
        next_bytes(f, &length);
    return !(control & DMA_WRITE);
}

/* The request says in its first word how it went. One that is not in RAM cannot be answered. */
static void serve(struct fwcfg *f, uint64_t at)
{
    struct request r;
    if (!kvm_memory_read(f->memory, at, &r, sizeof r))
        return;
    bool done = transfer(f, be32toh(r.control), be32toh(r.length), be64toh(r.address));
    uint32_t status = htobe32(done ? 0 : DMA_ERROR);
    kvm_memory_write(f->memory, at, &status, sizeof status);
}

/* ---- ports -------------------------------------------------------------------------------- */

static uint32_t fwcfg_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct fwcfg *f = self;
    const uint8_t *bytes;
    uint32_t count;
    switch (offset) {
    case SELECT: return f->selected;
    case DATA: find_item(f, f->selected, &bytes, &count); return f->at < count ? bytes[f->at] : 0;
    case DMA_HIGH: return htobe32((uint32_t)(DMA_SIGNATURE >> 32));
    case DMA_LOW: return htobe32((uint32_t)DMA_SIGNATURE);
    default: return 0;
    }
}

static bool fwcfg_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    uint32_t one = 1;
    *value = fwcfg_peek(self, offset, size);
    if (offset == DATA)
        next_bytes(self, &one);
    return true;
}

static bool fwcfg_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct fwcfg *f = self;
    if (offset == SELECT && size == 2) {
        select_item(f, (uint16_t)value);
    } else if (offset == DMA_HIGH && size == 4) {
        f->dma_high = be32toh(value);
    } else if (offset == DMA_LOW && size == 4) {
        uint64_t at = (uint64_t)f->dma_high << 32 | be32toh(value);
        f->dma_high = 0;
        serve(f, at);
    }
    return true;
}

static void fwcfg_reset(void *self)
{
    struct fwcfg *f = self;
    select_item(f, FWCFG_SIGNATURE);
    f->dma_high = 0;
}

static void fwcfg_free(void *self)
{
    struct fwcfg *f = self;
    for (unsigned i = 0; i < f->items; i++)
        free(f->item[i].bytes);
    free(f);
}

static const struct device_ops ops = {fwcfg_read, fwcfg_write, fwcfg_peek, fwcfg_reset, fwcfg_free};

/* ---- configuration ------------------------------------------------------------------------ */

int fwcfg_add(struct fwcfg *f, uint16_t number, const void *bytes, size_t count)
{
    if (f->items == FWCFG_ITEMS)
        return -ENOSPC;
    uint8_t *copy = malloc(count ? count : 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, bytes, count);
    f->item[f->items++] = (struct item){number, (uint32_t)count, copy};
    return 0;
}

int fwcfg_add_file(struct fwcfg *f, const char *name, const void *bytes, size_t count)
{
    unsigned n = be32toh(f->directory.count);
    struct file file = {
        .size = htobe32((uint32_t)count),
        .number = htobe16((uint16_t)(FWCFG_FIRST_FILE + n)),
    };
    int error = fwcfg_add(f, (uint16_t)(FWCFG_FIRST_FILE + n), bytes, count);
    if (error)
        return error;
    strncpy(file.name, name, sizeof file.name - 1);
    f->directory.file[n] = file;
    f->directory.count = htobe32(n + 1);
    return 0;
}

struct fwcfg *fwcfg_new(const struct kvm_memory *memory)
{
    static const uint8_t id[4] = {ID_PORTS | ID_DMA};
    struct fwcfg *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->memory = memory;
    f->device = (struct device){
        .name = "fwcfg",
        .about = "fw_cfg: files for the firmware",
        .base = FWCFG_PORT,
        .size = 12,
        .ops = &ops,
        .self = f,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, f},
    };
    if (fwcfg_add(f, FWCFG_SIGNATURE, "QEMU", 4) || fwcfg_add(f, FWCFG_ID, id, sizeof id)) {
        fwcfg_free(f);
        return NULL;
    }
    return f;
}

struct device *fwcfg_device(struct fwcfg *f)
{
    return &f->device;
}
