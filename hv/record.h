/*
 * A session as one small file: what a run is a function of, and what it must come to.
 *
 *      magic  version | configuration | entries, in the order of the run | checksum
 *
 * All numbers are little-endian. A string is a u16 count and its bytes; a file is its path, its
 * size (u64) and a digest of its bytes (u64). Neither image nor disk are in the record: they must
 * be there as they were, which the digests tell.
 *
 *      magic          8 bytes "VITRREC" and 0, then u32 version, 1 or 2
 *      configuration  u8 under | u8 misaligned_trap | u8 ad_trap | u8 disk_readonly | u8 no_reboot |
 *                     u8 virtio_console | u8 rng | u8 balloon | u64 rng_seed | u32 balloon_pages |
 *                     u64 memory | u64 max_instructions |
 *                     string kernel arguments | file image | file disk
 *      entries        u32 count, then each: u8 kind | u64 instruction | u64 a | u64 b
 *      checksum       u64 digest of all before it
 *
 * A record has the lowest version that can tell all that is in it. Version 2 came with what the
 * balloon is asked for.
 *
 * Whoever reads one must expect anything: record_parse() refuses with one line, and takes no more
 * memory than the bytes suggest.
 */
#ifndef VITRINE_HV_RECORD_H
#define VITRINE_HV_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECORD_ERROR = 512, RECORD_VERSION = 2, RECORD_TEXT = 4096 };

/* A digest is taken whenever so many instructions were executed. */
#define RECORD_DIGESTS 10000000u

enum record_kind {
    RECORD_INPUT,  /* byte `a` was delivered when the guest had slept for `b` (struct clock) */
    RECORD_DIGEST, /* the guest's digest is `a` */
    RECORD_RESET,  /* the guest has reset its machine: instructions count from 0 again */
    RECORD_END, /* the record ends. a: enum record_end; b: the guest's digest, 0: none was taken */
    RECORD_BALLOON, /* the balloon was asked for `a` pages when the guest had slept for `b` */
    RECORD_KINDS,
};

/* How, in the low byte of `a`; above it the exit code. */
enum record_end { END_STOPPED, END_ASLEEP, END_POWEROFF, END_STUCK, RECORD_ENDS };

struct record_entry {
    uint8_t kind;
    uint64_t instruction, a, b;
};

struct record_file {
    char path[RECORD_TEXT]; /* "": none */
    uint64_t size, digest;
};

struct record {
    uint8_t under; /* enum session_under: bare or hv */
    bool misaligned_trap, ad_trap, disk_readonly, no_reboot, virtio_console, rng, balloon;
    uint64_t rng_seed;
    uint32_t balloon_pages;
    uint64_t memory, max_instructions;
    char kernel_args[RECORD_TEXT]; /* "": none */
    struct record_file image, disk;
    struct record_entry *entry;
    size_t count, room;
};

/* Empty: no entries. NULL: no memory. */
struct record *record_new(void);
void record_free(struct record *record);
/* false: no memory. */
bool record_add(struct record *record, struct record_entry entry);

/* Size and digest of the file at this path, which is copied. 0, or -errno with `why` (RECORD_ERROR
 * bytes): one line that names the file. */
int record_look_at(struct record_file *file, const char *path, char *why);

/* Would a record replace something here that is no file? 0, -EEXIST. */
int record_may_replace(const char *path, char *why);
/* Writes the file aside, flushes and renames it, so that there is never half of one. Same errors.
 */
int record_write(const struct record *record, const char *path, char *why);
/* NULL and `why`: it cannot be read, or is no record, torn, damaged, or of a newer version. */
struct record *record_read(const char *path, char *why);
struct record *record_parse(const uint8_t *bytes, size_t count, char *why);

#endif
