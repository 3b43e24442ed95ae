/* What both sides of a migration share. See migrate_priv.h and migrate.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cpu/dev/disk.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"

double migrate_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

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

static void put_item(void *context, const char *name, const char *value)
{
    struct stream *stream = context;
    stream_put(stream, name, strlen(name));
    stream_put(stream, "=", 1);
    for (; *value; value++) /* kernel arguments may hold anything */
        stream_put_u8(stream, *value == '\n' ? ' ' : (uint8_t)*value);
    stream_put(stream, "\n", 1);
}

int migrate_greet(struct session *session, struct stream *s)
{
    int error = migrate_send_hello(s);
    error = error ? error : migrate_expect_hello(s);
    if (error)
        return error;
    stream_begin(s);
    migrate_describe(session, put_item, s);
    error = stream_send(s, MESSAGE_CONFIG);
    return error ? error : stream_expect(s, MESSAGE_ACCEPT);
}

/* The other side's items, to be compared one by one. */
struct comparison {
    struct stream *stream;
    const char *left; /* of its text */
    bool differs;
};

/* Both sides name the same items in the same order, or they differ. */
static void compare_item(void *context, const char *name, const char *value)
{
    struct comparison *c = context;
    char own[1024];
    if (c->differs)
        return;
    int length = snprintf(own, sizeof own, "%s=%s", name, value);
    for (char *at = own; *at; at++)
        *at = *at == '\n' ? ' ' : *at;
    size_t theirs = strcspn(c->left, "\n");
    c->differs =
        length >= (int)sizeof own || theirs != (size_t)length || memcmp(own, c->left, theirs);
    if (c->differs)
        snprintf(c->stream->why, sizeof c->stream->why,
                 "the guests differ: %.120s here, %.*s there", own,
                 theirs < 120 ? (int)theirs : 120, c->left);
    c->left += theirs + (c->left[theirs] == '\n');
}

static int compare_config(struct session *session, struct stream *s)
{
    char *text = strndup((const char *)s->payload, s->length);
    if (!text) {
        snprintf(s->why, sizeof s->why, "the host has no memory left");
        return -ENOMEM;
    }
    struct comparison c = {.stream = s, .left = text};
    migrate_describe(session, compare_item, &c);
    if (!c.differs && *c.left)
        snprintf(s->why, sizeof s->why, "the guests differ: more is said of the one there");
    int error = c.differs || *c.left ? -EINVAL : 0;
    free(text);
    return error;
}

int migrate_answer(struct session *session, struct stream *s)
{
    int error = migrate_expect_hello(s);
    error = error ? error : migrate_send_hello(s);
    error = error ? error : stream_expect(s, MESSAGE_CONFIG);
    error = error ? error : compare_config(session, s);
    return error ? error : stream_send_empty(s, MESSAGE_ACCEPT);
}

int migrate_clear(struct session *session, struct stream *s)
{
    const struct backend_move *move = session->ops->move;
    uint64_t pages = move->pages(session->backend);
    bool has_run = session->stop != STOPPED_RESET || session->state != SESSION_STOPPED;
    int error = has_run ? -EBUSY : 0;
    for (uint64_t i = 0; i < pages && !error; i++)
        error = move->put(session->backend, i, NULL);
    if (error)
        snprintf(s->why, sizeof s->why, "%s",
                 has_run ? "the session here has run" : "the host has no memory left");
    return error;
}

/* ---- the disk ------------------------------------------------------------------------------- */

int migrate_disk(struct session *session, enum move_hand how, char *why)
{
    const struct backend_move *move = session->ops->move;
    return move->hand ? move->hand(session->backend, how, why) : 0;
}

bool migrate_keeps_disk(const struct session *s)
{
    const struct disk *disk =
        s->config.disk_discard && s->ops->disk_image ? s->ops->disk_image(s->backend) : NULL;
    return disk && !disk_is_readonly(disk);
}

/* The kernel gives the locks of a program back that has died, but a moment after its sockets. */
int migrate_take_disk(struct session *session, int patience_ms, char *why)
{
    enum { PAUSE_MS = 5 };
    for (;; patience_ms -= PAUSE_MS) {
        session_enter(session);
        int error = migrate_disk(session, MOVE_HAND_TAKE, why);
        session_leave(session);
        if (error != -EBUSY || patience_ms <= 0)
            return error;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    }
}

/* ---- pages ---------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, MIGRATE_PAGE - 1) == 0;
}

bool migrate_put_page(struct stream *s, uint32_t index, const uint8_t *page)
{
    bool zero = !page || is_zero(page);
    stream_put_u32(s, index);
    stream_put_u8(s, !zero);
    if (!zero)
        stream_put(s, page, MIGRATE_PAGE);
    return zero;
}

static int torn(struct stream *s, const char *reason)
{
    snprintf(s->why, sizeof s->why, "the stream is damaged: %s", reason);
    return -EPROTO;
}

int migrate_take_pages(struct stream *s, uint64_t pages,
                       int (*put)(void *context, uint64_t page, const uint8_t *bytes),
                       void *context)
{
    const uint8_t *at = s->payload, *end = at + s->length;
    while (at < end) {
        if (end - at < 5 || at[4] > 1 || (at[4] && end - at < 5 + MIGRATE_PAGE))
            return torn(s, "a torn page");
        uint32_t index = stream_u32(at);
        bool zero = !at[4];
        if (index >= pages)
            return torn(s, "a page outside memory");
        int error = put(context, index, zero ? NULL : at + 5);
        if (error == -EINVAL)
            return torn(s, "a page that was not missing");
        if (error) {
            snprintf(s->why, sizeof s->why, "the host has no memory left");
            return error;
        }
        at += zero ? 5 : 5 + MIGRATE_PAGE;
    }
    return 0;
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

void migrate_put_set(struct stream *s, const struct page_set *set)
{
    for (uint64_t byte = 0; byte < (set->pages + 7) / 8; byte++)
        stream_put_u8(s, (uint8_t)(set->bits[byte / 8] >> 8 * (byte % 8)));
}

int migrate_take_set(struct stream *s, struct page_set *set)
{
    const uint8_t *at = s->payload + 8;
    uint64_t bytes = (set->pages + 7) / 8;
    if (s->length != 8 + bytes)
        return torn(s, "a set of pages of another size");
    if (set->pages % 8 && at[bytes - 1] >> set->pages % 8)
        return torn(s, "a page outside memory");
    memset(set->bits, 0, words(set) * sizeof *set->bits);
    for (uint64_t byte = 0; byte < bytes; byte++)
        set->bits[byte / 8] |= (uint64_t)at[byte] << 8 * (byte % 8);
    return 0;
}
