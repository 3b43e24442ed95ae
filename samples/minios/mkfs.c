/*
 * mkfs: packs files into a minifs image (fs.h). Runs on the computer that builds, not on minios.
 *
 *     mkfs IMAGE FILE...
 *
 * A file's name in the image is its last path component without ".bin". The image is
 * the same, byte for byte, whenever the files are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"

static FILE *image;
static struct fs_directory directory;

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "mkfs: %s: %s\n", name, what);
    exit(1);
}

static void write_block(const void *block, const char *name)
{
    if (fwrite(block, FS_BLOCK, 1, image) != 1)
        fail("cannot write", name);
}

static void set_name(char *name, const char *path)
{
    const char *last = strrchr(path, '/');
    last = last ? last + 1 : path;
    size_t length = strlen(last);
    if (length > 4 && !strcmp(last + length - 4, ".bin"))
        length -= 4;
    if (length == 0 || length >= FS_NAME)
        fail("name too long", path);
    memcpy(name, last, length);
}

/* Appends the file's blocks, the last one filled up with zeros. */
static void add(const char *path)
{
    if (directory.header.files == FS_FILES)
        fail("too many files", path);
    struct fs_entry *entry = &directory.entry[directory.header.files++];
    set_name(entry->name, path);
    entry->first = directory.header.blocks;

    FILE *file = fopen(path, "rb");
    if (!file)
        fail("cannot open", path);
    for (;;) {
        char block[FS_BLOCK] = {0};
        size_t count = fread(block, 1, sizeof block, file);
        if (count == 0)
            break;
        write_block(block, path);
        entry->size += (uint32_t)count;
        directory.header.blocks++;
    }
    if (ferror(file))
        fail("cannot read", path);
    fclose(file);
}

/* The header is in the image's byte order: little-endian, whatever this computer has. */
static void put32(uint32_t *at)
{
    uint32_t value = *at;
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    memcpy(at, bytes, 4);
}

static void write_directory(const char *path)
{
    for (uint32_t i = 0; i < directory.header.files; i++) {
        put32(&directory.entry[i].first);
        put32(&directory.entry[i].size);
    }
    put32(&directory.header.files);
    put32(&directory.header.blocks);
    if (fseek(image, 0, SEEK_SET) != 0)
        fail("cannot seek", path);
    write_block(&directory, path);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: mkfs IMAGE FILE...\n");
        return 1;
    }
    _Static_assert(sizeof directory == FS_BLOCK, "the directory is block 0");
    image = fopen(argv[1], "wb");
    if (!image)
        fail("cannot create", argv[1]);
    memcpy(directory.header.magic, FS_MAGIC, sizeof FS_MAGIC);
    directory.header.blocks = 1;
    write_block(&directory, argv[1]);
    for (int i = 2; i < argc; i++)
        add(argv[i]);
    write_directory(argv[1]);
    if (fclose(image) != 0)
        fail("cannot write", argv[1]);
    return 0;
}
