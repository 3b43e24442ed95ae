/*
 * Bytes that outlive the program: what an image format stands on.
 *
 * A storage is a file seen as an array of bytes that grows when it is written behind its end. It
 * makes one promise, the one that disks make too, and no other: what was written is durable after
 * the next storage_flush() that returns 0. Until then a crash of the machine may keep any of it,
 * in any order, in pieces of 512 bytes. Image formats that survive crashes are made of nothing but
 * writes with flushes between them; tests put a storage in the place of the file that records both,
 * and then try every crash.
 *
 * Offsets and counts are bytes. Functions return 0 or -errno.
 */
#ifndef VITRINE_HV_STORAGE_H
#define VITRINE_HV_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORAGE_ERROR = 512, /* bytes of a reason */
    STORAGE_TORN = 512,  /* a crash leaves aligned pieces of this size whole: old or new */
};

struct storage;

struct storage_ops {
    /* Bytes behind the end read as zero. */
    int (*read)(struct storage *storage, uint64_t at, void *bytes, size_t count);
    int (*write)(struct storage *storage, uint64_t at, const void *bytes, size_t count);
    int (*flush)(struct storage *storage);
    int (*size)(struct storage *storage, uint64_t *size);
    void (*close)(struct storage *storage);
    /* The file's descriptor, -1: there is none. */
    int (*descriptor)(const struct storage *storage);
    /* Which file this is, to recognize one that is opened twice; 0 and 0: none. */
    void (*identity)(struct storage *storage, uint64_t *device, uint64_t *inode);
    /* Takes a writer's lock, or gives it back. NULL: nobody else can have this storage. */
    int (*lock)(struct storage *storage);
    void (*unlock)(struct storage *storage);
};

/* The first member of every implementation. */
struct storage {
    const struct storage_ops *ops;
};

/* Opens a regular file of the host and locks it: one writer and nobody else, or any number of
 * readers. The locks are those of QEMU's tools, so these exclude each other too; they end with the
 * program. NULL and one line in `why` (STORAGE_ERROR bytes) that names the file and the reason.
 * When too many files are open the process's soft limit is raised to the hard one. */
struct storage *storage_open(const char *path, bool readonly, char *why);
/* The same for writing, without a lock: another program may have it. Nothing is to be written
 * before storage_lock(). */
struct storage *storage_open_unlocked(const char *path, char *why);
/* A new file, not to be there yet; its descriptor stays open for writing, locked. */
struct storage *storage_create(const char *path, char *why);

int storage_read(struct storage *storage, uint64_t at, void *bytes, size_t count);
int storage_write(struct storage *storage, uint64_t at, const void *bytes, size_t count);
int storage_flush(struct storage *storage);
int storage_size(struct storage *storage, uint64_t *size);
int storage_descriptor(const struct storage *storage);
bool storage_is_same(struct storage *a, struct storage *b);
/* The writer's lock of a file that is open for writing: 0, -EBUSY: another has it, or -errno. */
int storage_lock(struct storage *storage);
void storage_unlock(struct storage *storage);
/* The same of a file that is no storage, and the lock of its readers. */
int storage_lock_file(int fd, bool readonly);
void storage_unlock_file(int fd);
/* Why a lock could not be had: that error in words. */
const char *storage_lock_error(int error);
/* Makes a file's name durable, of one that is new or was renamed: flushes the folder that it is in.
 * A file system that flushes no folders is no error. */
int storage_flush_folder(const char *path);
/* Does not flush. NULL is allowed. */
void storage_close(struct storage *storage);

#endif
