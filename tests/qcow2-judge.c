/* See qcow2-judge.h. */
#include "tests/qcow2-judge.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* ---- a digest of what the judge looks at -------------------------------------------------- */

static uint64_t number(const struct bytes *b, uint64_t at, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | (at + i < b->count ? b->at[at + i] : 0);
    return value;
}

/* FNV-1a, eight bytes at a time. */
static void digest(uint64_t *sum, const struct bytes *b, uint64_t at, uint64_t count)
{
    uint64_t word;
    for (uint64_t i = at; i < at + count && i < b->count; i += sizeof word) {
        size_t left = b->count - i < sizeof word ? b->count - i : sizeof word;
        word = 0;
        memcpy(&word, b->at + i, left);
        *sum = (*sum ^ word) * 0x100000001b3u;
        *sum ^= *sum >> 29;
    }
}

enum { OFFSET_HIGH = 0x00ffffff };

/* A table of entries, and the clusters that they refer to. */
static void digest_tree(uint64_t *sum, const struct bytes *b, uint64_t at, uint64_t entries)
{
    uint64_t cluster = 1ull << (number(b, 20, 4) & 31);
    digest(sum, b, at, 8 * entries);
    for (uint64_t i = 0; i < entries && at + 8 * i < b->count; i++) {
        uint64_t offset = number(b, at + 8 * i, 8) & ((uint64_t)OFFSET_HIGH << 32 | 0xfffffe00u);
        if (offset)
            digest(sum, b, offset, cluster);
    }
}

static uint64_t digest_metadata(const struct bytes *b)
{
    uint64_t sum = 0xcbf29ce484222325u ^ b->count, cluster = 1ull << (number(b, 20, 4) & 31);
    digest(&sum, b, 0, cluster);
    digest_tree(&sum, b, number(b, 40, 8), number(b, 36, 4));
    digest_tree(&sum, b, number(b, 48, 8), number(b, 56, 4) * cluster / 8);
    return sum ? sum : 1;
}

/* ---- the judge ---------------------------------------------------------------------------- */

enum { SLOTS = 1 << 18 }; /* more than twice the states of any plan */

void judge_init(struct judge *j, const char *folder, size_t every)
{
    *j = (struct judge){.every = every, .seen = calloc(SLOTS, sizeof *j->seen)};
    assert(j->seen);
    snprintf(j->path, sizeof j->path, "%.200s/judged.qcow2", folder);
}

void judge_free(struct judge *j)
{
    free(j->seen);
    *j = (struct judge){0};
}

static bool is_new(struct judge *j, uint64_t sum)
{
    uint64_t i = sum % SLOTS;
    while (j->seen[i] && j->seen[i] != sum)
        i = (i + 1) % SLOTS;
    if (j->seen[i])
        return false;
    assert(j->distinct < SLOTS / 2);
    j->seen[i] = sum;
    j->distinct++;
    return true;
}

int judge_ask(struct judge *j, const struct bytes *image)
{
    j->states++;
    if (!j->every || !is_new(j, digest_metadata(image)) || (j->distinct - 1) % j->every)
        return 0;
    j->judged++;
    return bytes_to_file(image, j->path) ? run_quietly("qemu-img check -f qcow2 '%s'", j->path)
                                         : -1;
}

/* ---- commands ----------------------------------------------------------------------------- */

int run_quietly(const char *format, ...)
{
    char command[2048], whole[2100];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "{ %s; } >/dev/null 2>&1", command);
    int status = system(whole);
    return status < 0 || !WIFEXITED(status) ? -1 : WEXITSTATUS(status);
}

bool have_qemu_img(void)
{
    return run_quietly("qemu-img --version") == 0;
}
