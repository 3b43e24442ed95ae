/*
 * The configuration of a session directory: as bytes, and compared.
 *
 *      u8 under | u8 misaligned_trap | u8 ad_trap | u8 host_clock | u8 disk_readonly |
 *      u8 virtio_console | u8 rng | u8 balloon | u64 rng_seed | u64 memory |
 *      u32 balloon_pages | u32 cpus | string kernel_args | string boot_format | string net |
 *      file image | file disk | file initrd | file firmware
 *
 * A file is its name (string), its size (u64) and its digest (u64).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/session.h"
#include "hv/snapshot_priv.h"

static void put_file(struct state_buffer *b, const struct record_file *file)
{
    bytes_put_text(b, file->path);
    bytes_put(b, file->size, 8);
    bytes_put(b, file->digest, 8);
}

void snapshot_config_put(const struct snapshot_config *c, struct state_buffer *b)
{
    const bool flags[] = {c->misaligned_trap, c->ad_trap, c->host_clock, c->disk_readonly,
                          c->virtio_console,  c->rng,     c->balloon};
    bytes_put(b, c->under, 1);
    for (unsigned i = 0; i < sizeof flags; i++)
        bytes_put(b, flags[i], 1);
    bytes_put(b, c->rng_seed, 8);
    bytes_put(b, c->memory, 8);
    bytes_put(b, c->balloon_pages, 4);
    bytes_put(b, c->cpus, 4);
    bytes_put_text(b, c->kernel_args);
    bytes_put_text(b, c->boot_format);
    bytes_put_text(b, c->net);
    put_file(b, &c->image);
    put_file(b, &c->disk);
    put_file(b, &c->initrd);
    put_file(b, &c->firmware);
}

static void take_file(struct bytes_reader *r, struct record_file *file)
{
    bytes_take_text(r, file->path, sizeof file->path);
    file->size = bytes_take(r, 8);
    file->digest = bytes_take(r, 8);
}

int snapshot_config_take(struct snapshot_config *c, const uint8_t *bytes, size_t count)
{
    struct bytes_reader r = {bytes, count, 0, false};
    bool *const flags[] = {&c->misaligned_trap, &c->ad_trap, &c->host_clock, &c->disk_readonly,
                           &c->virtio_console,  &c->rng,     &c->balloon};
    *c = (struct snapshot_config){.under = (uint8_t)bytes_take(&r, 1)};
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++)
        *flags[i] = bytes_take(&r, 1) & 1;
    c->rng_seed = bytes_take(&r, 8);
    c->memory = bytes_take(&r, 8);
    c->balloon_pages = (uint32_t)bytes_take(&r, 4);
    c->cpus = (uint32_t)bytes_take(&r, 4);
    bytes_take_text(&r, c->kernel_args, sizeof c->kernel_args);
    bytes_take_text(&r, c->boot_format, sizeof c->boot_format);
    bytes_take_text(&r, c->net, sizeof c->net);
    take_file(&r, &c->image);
    take_file(&r, &c->disk);
    take_file(&r, &c->initrd);
    take_file(&r, &c->firmware);
    bool named = *c->image.path || *c->disk.path || *c->firmware.path;
    return r.torn || r.at != count || c->under > SESSION_KVM || !named ? -EINVAL : 0;
}

/* Where the files are is no part of it; what they are is. */
uint64_t snapshot_config_digest(const struct snapshot_config *config)
{
    struct snapshot_config *c = malloc(sizeof *c);
    struct state_buffer b = {0};
    uint64_t digest = 0;
    if (c) {
        *c = *config;
        *c->image.path = *c->disk.path = *c->initrd.path = *c->firmware.path = 0;
        snapshot_config_put(c, &b);
        digest = snapshot_checksum("config", b.bytes, b.count);
    }
    state_buffer_free(&b);
    free(c);
    return digest;
}

static bool same_file(const struct record_file *a, const struct record_file *b)
{
    return a->size == b->size && a->digest == b->digest && !*a->path == !*b->path;
}

const char *snapshot_config_difference(const struct snapshot_config *a,
                                       const struct snapshot_config *b)
{
    if (!same_file(&a->image, &b->image))
        return "the guest is another file";
    if (!same_file(&a->disk, &b->disk))
        return "the disk is another file";
    if (!same_file(&a->initrd, &b->initrd) || !same_file(&a->firmware, &b->firmware))
        return "initrd or firmware is another file";
    if (a->under != b->under)
        return "bare, hv and kvm are not the same";
    if (a->memory != b->memory)
        return "the guest's memory has another size";
    return "the options are others";
}

static int check_file(const struct record_file *was, const char *what, char *why)
{
    struct record_file *is = *was->path ? malloc(sizeof *is) : NULL;
    int error = *was->path ? -ENOMEM : 0;
    if (is) {
        error = record_look_at(is, was->path, why);
        if (!error && (is->size != was->size || is->digest != was->digest)) {
            error = -EINVAL;
            snprintf(why, SNAPSHOT_ERROR, "%.400s: the %s is not what it was at the first snapshot",
                     was->path, what);
        }
    }
    free(is);
    return error;
}

int snapshot_config_check(const struct snapshot_config *c, char *why)
{
    int error = check_file(&c->image, "guest", why);
    error = error ? error : check_file(&c->disk, "disk", why);
    error = error ? error : check_file(&c->initrd, "initrd", why);
    return error ? error : check_file(&c->firmware, "firmware", why);
}
