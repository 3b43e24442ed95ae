/* What both sides of a migration share. See migrate_priv.h and migrate.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/migrate_priv.h"
#include "hv/session_priv.h"

/* ---- greeting ------------------------------------------------------------------------------- */

enum { MAGIC = sizeof MIGRATE_MAGIC - 1 };

int migrate_send_hello(struct stream *s)
{
    stream_begin(s);
    stream_put(s, MIGRATE_MAGIC, MAGIC);
    stream_put_u32(s, MIGRATE_VERSION);
    return stream_send(s, MESSAGE_HELLO);
}

int migrate_expect_hello(struct stream *s)
{
    int error = stream_expect(s, MESSAGE_HELLO);
    if (error)
        return error;
    uint32_t version = stream_u32(s->payload + MAGIC);
    if (memcmp(s->payload, MIGRATE_MAGIC, MAGIC))
        snprintf(s->why, sizeof s->why, "the other side does not speak of migration");
    else if (version != MIGRATE_VERSION)
        snprintf(s->why, sizeof s->why,
                 "the other side speaks version %u of the protocol, this one %u", version,
                 (unsigned)MIGRATE_VERSION);
    else
        return 0;
    return -EPROTO;
}

/* ---- what must be equal --------------------------------------------------------------------- */

/* SHA-256 of a file, in hexadecimal. "none" without a file, "unreadable" where it cannot be read.
 */
static void file_digest(const char *path, char out[2 * SHA256_DIGEST_SIZE + 1])
{
    uint8_t bytes[65536], digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = fd < 0 ? -1 : 1;
    sha256_init(&sha);
    while (got > 0) {
        got = read(fd, bytes, sizeof bytes);
        if (got > 0)
            sha256_update(&sha, (size_t)got, bytes);
    }
    if (fd >= 0)
        close(fd);
    sha256_digest(&sha, sizeof digest, digest);
    for (unsigned i = 0; i < sizeof digest; i++)
        sprintf(out + 2 * i, "%02x", digest[i]);
    if (got < 0)
        strcpy(out, path ? "unreadable" : "none");
}

/* A disk that the firmware boots from is `image`, too, but what it holds changes. */
void migrate_describe(struct session *session,
                      void (*item)(void *context, const char *name, const char *value),
                      void *context)
{
    const struct session_config *c = &session->config;
    char text[2 * SHA256_DIGEST_SIZE + 1];
    session_enter(session);
    session->ops->move->describe(session->backend, item, context);
    session_leave(session);
    file_digest(c->firmware ? c->firmware : c->image, text);
    item(context, c->firmware ? "firmware" : "image", text);
    file_digest(c->initrd, text);
    item(context, "initrd", text);
    item(context, "kernel arguments", c->kernel_args ? c->kernel_args : "");
}

/* ---- sets of pages -------------------------------------------------------------------------- */

static size_t words(const struct page_set *set)
{
    return (size_t)((set->pages + 63) / 64);
}

int page_set_init(struct page_set *set, uint64_t pages)
{
    set->pages = pages;
    set->bits = calloc(words(set) + 1, sizeof *set->bits);
    return set->bits ? 0 : -ENOMEM;
}

void page_set_free(struct page_set *set)
{
    free(set->bits);
    *set = (struct page_set){0};
}

uint64_t page_set_count(const struct page_set *set)
{
    uint64_t count = 0;
    for (size_t i = 0; i < words(set); i++)
        count += (unsigned)__builtin_popcountll(set->bits[i]);
    return count;
}

uint64_t page_set_next(const struct page_set *set, uint64_t page)
{
    while (page < set->pages) {
        uint64_t left = set->bits[page / 64] >> (page % 64);
        if (left)
            return page + (unsigned)__builtin_ctzll(left);
        page = (page / 64 + 1) * 64;
    }
    return set->pages;
}
