/*
 * What passes over the link when a guest moves: questions during the hand-over, streams that are
 * damaged or made up and start nothing, addresses and secrets.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/migrate-stream.h"
#include "hv/migrate_priv.h"
#include "hv/session_priv.h"
#include "tests/migrate-pair.h"
#include "tests/tap.h"

/* ---- a destination that likes everything ------------------------------------------------------ */

/* A link that keeps what was sent, and answers as a destination would that likes everything. */
struct recorder {
    struct state_buffer sent;
    struct stream answer;
    struct state_buffer answers;
    size_t read;
};

static int answers_send(void *self, const void *bytes, size_t count)
{
    struct recorder *r = self;
    state_buffer_add(&r->answers, bytes, count);
    return 0;
}

static const struct link_ops ANSWERS = {answers_send, NULL, NULL};

static void answer(struct recorder *r, const uint8_t *message)
{
    stream_begin(&r->answer);
    switch (stream_u32(message)) {
    case MESSAGE_HELLO:
        stream_put(&r->answer, message + 24, 20);
        stream_send(&r->answer, MESSAGE_HELLO);
        break;
    case MESSAGE_CONFIG: stream_send(&r->answer, MESSAGE_ACCEPT); break;
    case MESSAGE_ROUND:
        stream_put(&r->answer, message + 24, 4);
        stream_send(&r->answer, MESSAGE_SYNC);
        break;
    case MESSAGE_PREPARE:
        stream_put(&r->answer, message + 24, 8);
        stream_send(&r->answer, MESSAGE_READY);
        break;
    case MESSAGE_COMMIT: stream_send(&r->answer, MESSAGE_DONE); break;
    }
}

static int recorder_send(void *self, const void *bytes, size_t count)
{
    struct recorder *r = self;
    state_buffer_add(&r->sent, bytes, count);
    answer(r, bytes);
    return 0;
}

static int recorder_receive(void *self, void *bytes, size_t count)
{
    struct recorder *r = self;
    if (r->answers.count - r->read < count)
        return -ECONNRESET;
    memcpy(bytes, r->answers.bytes + r->read, count);
    r->read += count;
    return 0;
}

static const struct link_ops RECORDER = {recorder_send, recorder_receive, NULL};

/* ---- questions while it is handed over -------------------------------------------------------- */

/* A destination that likes everything, but does not answer PREPARE before it may. */
struct slow_answer {
    struct recorder recorder;
    sem_t asked, may;
    struct session *source;
    enum migrate_end end;
};

static int slow_send(void *self, const void *bytes, size_t count)
{
    struct slow_answer *slow = self;
    int error = recorder_send(&slow->recorder, bytes, count);
    if (stream_u32(bytes) == MESSAGE_PREPARE) {
        sem_post(&slow->asked);
        sem_wait(&slow->may);
    }
    return error;
}

static int slow_receive(void *self, void *bytes, size_t count)
{
    struct slow_answer *slow = self;
    return recorder_receive(&slow->recorder, bytes, count);
}

static const struct link_ops SLOW = {slow_send, slow_receive, NULL};

static void *send_to_slow(void *context)
{
    struct slow_answer *slow = context;
    struct link link = {&SLOW, slow};
    char why[SESSION_ERROR];
    slow->end = migrate_send(slow->source, &link, &(struct migrate_options){.downtime = 10}, why);
    return NULL;
}

/* While the other side takes its time every question is answered, and nothing can be changed. */
START_TEST(test_questions_during_the_handover)
{
    struct slow_answer slow = {.source = pair_session(PAIR_STEADY, SESSION_HV, "auto")};
    struct link answers = {&ANSWERS, &slow.recorder};
    struct view_status before, after;
    struct view_migration view;
    pthread_t thread;
    stream_init(&slow.recorder.answer, &answers);
    sem_init(&slow.asked, 0, 0);
    sem_init(&slow.may, 0, 0);
    ck_assert_int_eq(session_run(slow.source), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, send_to_slow, &slow), 0);
    sem_wait(&slow.asked);
    session_status(slow.source, &before);
    session_view_migration(slow.source, &view);
    ck_assert_int_eq(view.phase, MIGRATION_HANDOVER);
    ck_assert_uint_eq(session_input(slow.source, (const uint8_t *)"x", 1), 0);
    ck_assert_int_eq(session_run(slow.source), -EBUSY);
    ck_assert_int_eq(session_reset(slow.source), -EBUSY);
    ck_assert_int_eq(session_write_register(slow.source, 1, 1), -EBUSY);
    ck_assert_int_eq(session_write_memory(slow.source, true, 0x80000000u, (uint8_t *)"", 1),
                     -EBUSY);
    usleep(20000);
    session_status(slow.source, &after);
    ck_assert_uint_eq(before.instructions, after.instructions);
    sem_post(&slow.may);
    pthread_join(thread, NULL);
    ck_assert_int_eq(slow.end, MIGRATE_MOVED);
    session_free(slow.source);
    stream_free(&slow.recorder.answer);
    state_buffer_free(&slow.recorder.answers);
    state_buffer_free(&slow.recorder.sent);
    sem_destroy(&slow.asked);
    sem_destroy(&slow.may);
}
END_TEST

/* ---- streams -------------------------------------------------------------------------------- */

/* A destination that gets exactly these bytes. */
struct bytes_link {
    const uint8_t *bytes;
    size_t count, at;
};

static int bytes_send(void *self, const void *bytes, size_t count)
{
    return 0;
}

static int bytes_receive(void *self, void *bytes, size_t count)
{
    struct bytes_link *b = self;
    if (b->count - b->at < count)
        return -ECONNRESET;
    memcpy(bytes, b->bytes + b->at, count);
    b->at += count;
    return 0;
}

static const struct link_ops BYTES = {bytes_send, bytes_receive, NULL};

static enum migrate_end feed(struct session *session, const uint8_t *bytes, size_t count, char *why)
{
    struct bytes_link self = {bytes, count, 0};
    struct link link = {&BYTES, &self};
    bool runs;
    return migrate_receive(session, &link, &runs, why);
}

static struct state_buffer record(void)
{
    struct session *source = pair_session(PAIR_STEADY, SESSION_HV, "interp");
    struct recorder r = {0};
    struct link answers = {&ANSWERS, &r}, link = {&RECORDER, &r};
    char why[SESSION_ERROR] = "";
    stream_init(&r.answer, &answers);
    ck_assert_int_eq(session_step(source, 1000), 0);
    ck_assert_int_eq(session_wait(source, -1), 0);
    enum migrate_end end = migrate_send(source, &link, &(struct migrate_options){0}, why);
    ck_assert_msg(end == MIGRATE_MOVED, "%s", why);
    session_free(source);
    stream_free(&r.answer);
    state_buffer_free(&r.answers);
    return r.sent;
}

START_TEST(test_recorded_stream)
{
    struct state_buffer stream = record();
    struct session *session = pair_session(PAIR_STEADY, SESSION_HV, "interp");
    char why[SESSION_ERROR] = "";
    enum migrate_end end = feed(session, stream.bytes, stream.count, why);
    ck_assert_msg(end == MIGRATE_MOVED, "%s", why);
    session_free(session);
    state_buffer_free(&stream);
}
END_TEST

/* One byte changed, or all after it missing: never does a guest come of it, but for the last
 * message. */
START_TEST(test_damaged_stream)
{
    struct state_buffer stream = record();
    size_t last = stream.count - 24, steps = 0;
    for (size_t at = _i; at < stream.count; at += at < 700 || at > last ? 16 : 4093, steps++) {
        struct session *session = pair_session(PAIR_STEADY, SESSION_BARE, "interp");
        char why[SESSION_ERROR] = "";
        stream.bytes[at] ^= (uint8_t)(1 << at % 8);
        enum migrate_end end = feed(session, stream.bytes, stream.count, why);
        stream.bytes[at] ^= (uint8_t)(1 << at % 8);
        ck_assert_msg(end == (at < last ? MIGRATE_STAYED : MIGRATE_WHOLE), "byte %zu", at);
        ck_assert_msg(*why && !strchr(why, '\n'), "byte %zu: '%s'", at, why);
        session_free(session);
        session = pair_session(PAIR_STEADY, SESSION_BARE, "interp");
        end = feed(session, stream.bytes, at, why);
        ck_assert_msg(end == (at < last ? MIGRATE_STAYED : MIGRATE_WHOLE), "up to byte %zu", at);
        session_free(session);
    }
    ck_assert_uint_gt(steps, 40);
    state_buffer_free(&stream);
}
END_TEST

/* ---- links ---------------------------------------------------------------------------------- */

static const struct {
    const char *address, *complaint;
    bool public;
} ADDRESSES[] = {
    {"unix:/tmp/x", NULL, false},
    {"tcp:127.0.0.1:7000", NULL, false},
    {"tcp:[::1]:7000", NULL, false},
    {"tcp:0.0.0.0:7000", NULL, true},
    {"tcp:192.0.2.1:7000", NULL, true},
    {"unix:", "1 to 107 bytes", false},
    {"tcp:localhost", "tcp:HOST:PORT", false},
    {"tcp::7000", "tcp:HOST:PORT", false},
    {"tcp:127.0.0.1:", "tcp:HOST:PORT", false},
    {"tcp:127.0.0.1:65536", "tcp:HOST:PORT", false},
    {"tcp:127.0.0.1:12x", "tcp:HOST:PORT", false},
    {"tcp:::1:7000", "brackets", false},
    {"here", "unix:PATH or tcp:HOST:PORT", false},
};

START_TEST(test_addresses)
{
    char why[LINK_ERROR] = "";
    bool public;
    int error = link_is_public(ADDRESSES[_i].address, &public, why);
    ck_assert_msg(!error == !ADDRESSES[_i].complaint, "%s: %s", ADDRESSES[_i].address, why);
    if (error)
        ck_assert_msg(strstr(why, ADDRESSES[_i].complaint) != NULL, "%s", why);
    else
        ck_assert_int_eq(public, ADDRESSES[_i].public);
}
END_TEST

struct proof {
    struct link link;
    struct link_secret secret;
    int error;
};

static void *prove(void *context)
{
    struct proof *p = context;
    p->error = link_prove(&p->link, &p->secret, true);
    link_close(&p->link);
    return NULL;
}

/* Check's loop index: 0 the same secret, 1 another one. */
START_TEST(test_secret)
{
    int fd[2];
    pthread_t thread;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct proof caller = {.link = link_of_socket(fd[0], 300000)}, listener = caller;
    listener.link = link_of_socket(fd[1], 300000);
    caller.secret.count = listener.secret.count = 20;
    memset(caller.secret.bytes, 's', 20);
    memset(listener.secret.bytes, _i ? 't' : 's', 20);
    ck_assert_int_eq(pthread_create(&thread, NULL, prove, &caller), 0);
    listener.error = link_prove(&listener.link, &listener.secret, false);
    link_close(&listener.link);
    pthread_join(thread, NULL);
    ck_assert_int_eq(listener.error, _i ? -EACCES : 0);
    ck_assert_int_eq(caller.error, _i ? -ECONNRESET : 0);
}
END_TEST

/* Nothing of an answer can be used against its sender: a mirror does not know the secret. */
START_TEST(test_mirror)
{
    int fd[2];
    uint8_t bytes[64];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct proof caller = {.link = link_of_socket(fd[0], 300000), .secret.count = 20};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, prove, &caller), 0);
    ck_assert_int_eq(recv(fd[1], bytes, 32, MSG_WAITALL), 32);
    ck_assert_int_eq(send(fd[1], bytes, 32, 0), 32);
    ck_assert_int_eq(recv(fd[1], bytes, 32, MSG_WAITALL), 32);
    ck_assert_int_eq(send(fd[1], bytes, 32, 0), 32);
    pthread_join(thread, NULL);
    ck_assert_int_eq(caller.error, -EACCES);
    close(fd[1]);
}
END_TEST

/* A byte now and then is no sign of life. */
static void *dawdle(void *context)
{
    const int *fd = context;
    while (send(*fd, "?", 1, MSG_NOSIGNAL) == 1)
        usleep(50000);
    return NULL;
}

START_TEST(test_stranger_who_takes_his_time)
{
    int fd[2];
    pthread_t thread;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct proof listener = {.link = link_of_socket(fd[0], 200), .secret.count = 20};
    ck_assert_int_eq(pthread_create(&thread, NULL, dawdle, &fd[1]), 0);
    ck_assert_int_eq(link_prove(&listener.link, &listener.secret, false), -ETIMEDOUT);
    link_close(&listener.link);
    pthread_join(thread, NULL);
    close(fd[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migrate-link");
    TCase *handover = tcase_create("hand-over"), *streams = tcase_create("streams"),
          *links = tcase_create("links");
    tcase_set_timeout(handover, 600);
    tcase_add_test(handover, test_questions_during_the_handover);
    suite_add_tcase(suite, handover);
    tcase_set_timeout(streams, 600);
    tcase_add_test(streams, test_recorded_stream);
    tcase_add_loop_test(streams, test_damaged_stream, 0, 2);
    suite_add_tcase(suite, streams);
    tcase_set_timeout(links, 600);
    tcase_add_loop_test(links, test_addresses, 0, ROWS(ADDRESSES));
    tcase_add_loop_test(links, test_secret, 0, 2);
    tcase_add_test(links, test_mirror);
    tcase_add_test(links, test_stranger_who_takes_his_time);
    suite_add_tcase(suite, links);
    return tap_run(suite);
}
