/*
 * Files: minifs (fs.h) on the disk or, if there is none, in the kernel's own image.
 *
 * The directory stays in memory. Blocks of the disk go through a small cache, whose oldest page is
 * given up for a new block. Reading sleeps, so a lock lets one process in at a time: that protects
 * the cache, and the driver below, which knows one request only.
 */
#include "minios.h"
#include "fs.h"

enum { CACHED = 8 };

extern const struct fs_directory rom_image;

static const struct fs_directory *directory; /* NULL until something is mounted */
static bool on_disk;

static struct cached {
    uint32_t block; /* 0 is the directory, which is not cached: unused */
    uint32_t when;
    void *page;
} cache[CACHED];
static uint32_t clock;
static bool locked;

static bool is_good(const struct fs_directory *d, uint32_t blocks)
{
    if (strcmp(d->header.magic, FS_MAGIC) || d->header.files > FS_FILES ||
        d->header.blocks > blocks)
        return false;
    for (const struct fs_entry *e = d->entry; e < d->entry + d->header.files; e++)
        if (e->name[FS_NAME - 1] || e->first > d->header.blocks ||
            e->size > (d->header.blocks - e->first) * FS_BLOCK)
            return false;
    return true;
}

/* The cache has its pages from the start: reading must not fail for want of memory. */
static bool cache_init(void)
{
    for (struct cached *c = cache; c < cache + CACHED; c++)
        if (!(c->page = page_new()))
            return false;
    return true;
}

void fs_init(void)
{
    uint32_t blocks = disk_init();
    struct fs_directory *block = blocks ? page_new() : NULL;
    if (block && disk_read(0, block) == 0 && is_good(block, blocks) && cache_init()) {
        directory = block;
        on_disk = true;
        print("minios: %d files on the disk\n", directory->header.files);
        return;
    }
    if (block)
        page_drop(block);
    directory = &rom_image;
    print("minios: %s, %d files in the kernel\n",
          blocks ? "the disk has no file system" : "no disk", directory->header.files);
}

/* ---- blocks ------------------------------------------------------------------------------ */

static struct cached *oldest_or(uint32_t block)
{
    struct cached *oldest = cache;
    for (struct cached *c = cache; c < cache + CACHED; c++) {
        if (c->block == block)
            return c;
        if (c->when < oldest->when)
            oldest = c;
    }
    return oldest;
}

/* The block's content, NULL if it cannot be read. Only with the lock. */
static const char *get_block(uint32_t block)
{
    if (!on_disk)
        return (const char *)directory + block * FS_BLOCK;
    struct cached *c = oldest_or(block);
    if (c->block != block) {
        c->block = 0;
        if (disk_read(block, c->page) != 0)
            return NULL;
        c->block = block;
    }
    c->when = ++clock;
    return c->page;
}

static void lock(void)
{
    while (locked)
        proc_sleep(&locked);
    locked = true;
}

static void unlock(void)
{
    locked = false;
    proc_wakeup(&locked);
}

/* ---- files ------------------------------------------------------------------------------- */

int fs_open(const char *name)
{
    for (uint32_t i = 0; i < directory->header.files; i++)
        if (!strcmp(directory->entry[i].name, name))
            return (int)i;
    return -1;
}

/* Reads at most `count` bytes into the kernel's memory; fewer at the end of the file. */
int fs_read(int file, uint32_t position, void *to, uint32_t count)
{
    const struct fs_entry *entry = &directory->entry[file];
    if (position >= entry->size)
        return 0;
    if (count > entry->size - position)
        count = entry->size - position;
    uint32_t done = 0;
    lock();
    while (done < count) {
        uint32_t offset = position % FS_BLOCK, part = FS_BLOCK - offset;
        if (part > count - done)
            part = count - done;
        const char *block = get_block(entry->first + position / FS_BLOCK);
        if (!block)
            break;
        memcpy((char *)to + done, block + offset, part);
        done += part, position += part;
    }
    unlock();
    return done == count ? (int)done : -1;
}

int fs_info(unsigned index, struct file_info *info)
{
    if (index >= directory->header.files)
        return -1;
    memset(info, 0, sizeof *info);
    string_copy(info->name, directory->entry[index].name, sizeof info->name);
    info->size = directory->entry[index].size;
    return 0;
}
