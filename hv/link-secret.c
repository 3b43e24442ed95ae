/* The secret that both ends of a link know. See link.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/link.h"

enum { NONCE = 32, PROOF = SHA256_DIGEST_SIZE };

static int refuse(char *why, const char *path, int error, const char *reason)
{
    snprintf(why, LINK_ERROR, "%.200s: %s", path, reason);
    return error;
}

static ssize_t read_whole(int fd, uint8_t *bytes, size_t size)
{
    size_t count = 0;
    for (ssize_t got = 1; got && count < size; count += (size_t)got) {
        got = read(fd, bytes + count, size - count);
        if (got < 0)
            return -errno;
    }
    return (ssize_t)count;
}

int link_read_secret(const char *path, struct link_secret *secret, char *why)
{
    struct stat st;
    uint8_t bytes[LINK_SECRET_MAX + 2];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return refuse(why, path, -errno, strerror(errno));
    bool open_to_others = fstat(fd, &st) || st.st_mode & (S_IRGRP | S_IROTH);
    ssize_t count = read_whole(fd, bytes, sizeof bytes);
    close(fd);
    if (count < 0)
        return refuse(why, path, (int)count, strerror((int)-count));
    if (open_to_others)
        return refuse(why, path, -EACCES, "others can read this secret: its mode must be 0600");
    if (count && bytes[count - 1] == '\n')
        count--;
    if (count < LINK_SECRET_MIN || count > LINK_SECRET_MAX)
        return refuse(why, path, -EINVAL, "a secret has 16 to 4096 bytes");
    memcpy(secret->bytes, bytes, (size_t)count);
    secret->count = (size_t)count;
    return 0;
}

/* What the side of this role must send. */
static void prove(const struct link_secret *secret, bool calls, const uint8_t *callers,
                  const uint8_t *listeners, uint8_t proof[PROOF])
{
    const char *role = calls ? "vitrine: caller" : "vitrine: listener";
    struct hmac_sha256_ctx hmac;
    hmac_sha256_set_key(&hmac, secret->count, secret->bytes);
    hmac_sha256_update(&hmac, strlen(role), (const uint8_t *)role);
    hmac_sha256_update(&hmac, NONCE, callers);
    hmac_sha256_update(&hmac, NONCE, listeners);
    hmac_sha256_digest(&hmac, PROOF, proof);
}

static int check(struct link *link, const uint8_t wanted[PROOF])
{
    uint8_t got[PROOF];
    int error = link_receive(link, got, PROOF);
    if (error)
        return error;
    return memeql_sec(wanted, got, PROOF) ? 0 : -EACCES;
}

/* The caller proves itself first: a stranger gets nothing from which to guess the secret. */
static int exchange(struct link *link, const struct link_secret *secret, bool calls)
{
    uint8_t nonce[2][NONCE], own[PROOF], wanted[PROOF];
    if (getrandom(nonce[!calls], NONCE, 0) != NONCE) /* nonce[0] is the caller's */
        return -EIO;
    int error = link_send(link, nonce[!calls], NONCE);
    error = error ? error : link_receive(link, nonce[calls], NONCE);
    if (error)
        return error;
    prove(secret, calls, nonce[0], nonce[1], own);
    prove(secret, !calls, nonce[0], nonce[1], wanted);
    if (calls)
        error = link_send(link, own, PROOF);
    error = error ? error : check(link, wanted);
    if (!error && !calls)
        error = link_send(link, own, PROOF);
    return error;
}

/* A stranger who sends a byte now and then must not keep others from being heard. */
int link_prove(struct link *link, const struct link_secret *secret, bool calls)
{
    link_hurry(link, true);
    int error = exchange(link, secret, calls);
    link_hurry(link, false);
    return error;
}
