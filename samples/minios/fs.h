/*
 * minifs: the file system on the disk, as mkfs.c writes it and fs.c reads it.
 *
 *   block 0        header (32 bytes) and directory: up to 127 entries of 32 bytes
 *   block 1 ...    the files, each in consecutive blocks
 *
 * A block has 4096 bytes, so that a page of a program is one read of the disk. There are no
 * folders, no owners and no writing. Numbers are little-endian.
 */
#ifndef MINIOS_FS_H
#define MINIOS_FS_H

#include <stdint.h>

#define FS_MAGIC "minifs1" /* with its zero byte: 8 characters */

enum { FS_BLOCK = 4096, FS_NAME = 24, FS_FILES = 127 };

struct fs_header {
    char magic[8];
    uint32_t blocks; /* of the whole image */
    uint32_t files;  /* entries that are used */
    uint32_t unused[4];
};

struct fs_entry {
    char name[FS_NAME]; /* ends with a zero byte */
    uint32_t first;     /* block */
    uint32_t size;      /* bytes */
};

struct fs_directory {
    struct fs_header header;
    struct fs_entry entry[FS_FILES];
};

#endif
