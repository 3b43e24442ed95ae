/* A link for fuzz targets: what one side would have sent is written to a tape, and played to the
 * other one. The input decides what that is. */
#ifndef VITRINE_TESTS_FUZZ_TAPE_H
#define VITRINE_TESTS_FUZZ_TAPE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/migrate-stream.h"
#include "hv/session.h"

static inline void require(bool sound)
{
    if (!sound)
        abort();
}

/* A file with these bytes; `path` is a pattern for mkstemps(), with four letters behind the X. */
static inline void make_file(char *path, const void *bytes, size_t count)
{
    int fd = mkstemps(path, 4);
    require(fd >= 0 && write(fd, bytes, count) == (ssize_t)count);
    close(fd);
}

/* `disk` NULL: none. */
static inline struct session *make_session(const char *image, const char *disk, uint64_t memory,
                                           bool bare)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = image;
    config.disk = disk;
    config.disk_discard = disk;
    config.memory = memory;
    config.under = bare ? SESSION_BARE : SESSION_HV;
    struct session *session = session_new(&config, why);
    require(session != NULL);
    return session;
}

/* What is sent goes into a buffer; what our side says goes nowhere. */
struct tape {
    struct state_buffer bytes;
    size_t at;
};

static inline int tape_send(void *self, const void *bytes, size_t count)
{
    struct tape *t = self;
    state_buffer_add(&t->bytes, bytes, count);
    return 0;
}

static inline int nowhere_send(void *self, const void *bytes, size_t count)
{
    (void)self, (void)bytes, (void)count;
    return 0;
}

static inline int tape_receive(void *self, void *bytes, size_t count)
{
    struct tape *t = self;
    if (t->bytes.count - t->at < count)
        return -ECONNRESET;
    memcpy(bytes, t->bytes.bytes + t->at, count);
    t->at += count;
    return 0;
}

static const struct link_ops RECORD = {tape_send, NULL, NULL};
static const struct link_ops PLAY = {nowhere_send, tape_receive, NULL};

static inline void put_item(void *context, const char *name, const char *value)
{
    struct stream *s = context;
    stream_put(s, name, strlen(name));
    stream_put(s, "=", 1);
    stream_put(s, value, strlen(value));
    stream_put(s, "\n", 1);
}

struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t take(struct input *in)
{
    return in->left ? in->left--, *in->at++ : 0;
}

static inline void put_some(struct stream *s, struct input *in, size_t count)
{
    count = count < in->left ? count : in->left;
    stream_put(s, in->at, count);
    in->at += count;
    in->left -= count;
}

#endif
