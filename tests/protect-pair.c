/* A protected guest whose hosts and links break. See protect-pair.h. */
#include "config.h"

#include "tests/protect-pair.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, FENCE_MS = 5000, WAIT_MS = 20000, PRINTED = 1 << 18 };

static const char TYPED[] = "typed before";

/* ---- both sides ----------------------------------------------------------------------------- */

static void type_text(struct session *session)
{
    session_input(session, (const uint8_t *)TYPED, sizeof TYPED - 1);
}

void protect_pair_init(struct protect_pair *pair, enum session_under primary,
                       enum session_under backup)
{
    pair->primary = pair_session(PAIR_STEADY, primary, "auto");
    pair->backup = pair_session(PAIR_STEADY, backup, "auto");
    pair->fence[0].fd = pair->fence[1].fd = -1;
    type_text(pair->primary);
    if (!pair->fenced)
        return;
    strcpy(pair->path, "/tmp/test-protect-XXXXXX");
    int fd = mkstemp(pair->path);
    if (fd < 0 || close(fd) || fence_open(&pair->fence[0], pair->path) ||
        fence_open(&pair->fence[1], pair->path) || fence_begin(&pair->fence[1], FENCE_MS))
        abort();
}

void protect_pair_init_half(struct protect_pair *pair, bool primary, const char *path)
{
    pair->fence[0].fd = pair->fence[1].fd = -1;
    if (primary)
        pair->primary = pair->out ? pair_session_to(PAIR_STEADY, SESSION_HV, &pair->out)
                                  : pair_session(PAIR_STEADY, SESSION_HV, "auto");
    else
        pair->backup = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    if (primary)
        type_text(pair->primary);
    if (pair->fenced && (fence_open(&pair->fence[primary], path) ||
                         (primary && fence_begin(&pair->fence[1], FENCE_MS))))
        abort();
}

static struct protect_options options_of(struct protect_pair *pair, bool primary)
{
    return (struct protect_options){
        .instructions = PROTECT_STEP,
        .epochs = pair->epochs ? pair->epochs : 4,
        .patience_ms = pair->patience_ms ? pair->patience_ms : FENCE_MS,
        .fence = pair->fenced && (primary || !pair->one_sided) ? &pair->fence[primary] : NULL};
}

static void run_primary(struct protect_pair *pair, struct link *link)
{
    struct protect_options options = options_of(pair, true);
    struct protection *p = protect_begin(pair->primary, link, &options, pair->primary_why);
    /* Nobody was found who would protect it: it is as it was. */
    pair->primary_end = p ? protect_run(p, pair->primary_why) : PROTECT_ALONE;
    protect_free(p);
}

static void run_backup(struct protect_pair *pair, struct link *link)
{
    struct protect_options options = options_of(pair, false);
    pair->backup_end = protect_receive(pair->backup, link, &options, &pair->runs, pair->backup_why);
}

void protect_pair_half(struct protect_pair *pair, int fd, bool primary)
{
    int patience = pair->patience_ms ? (int)pair->patience_ms : PATIENCE_MS;
    struct breaking own = breaking_of(fd, primary, pair->plan, patience);
    struct link link = breaking_link(&own);
    if (primary)
        run_primary(pair, &link);
    else
        run_backup(pair, &link);
    link_close(&link);
    pair->calls[primary] = own.calls;
}

struct half {
    struct protect_pair *pair;
    int fd;
};

static void *backup_thread(void *context)
{
    struct half *half = context;
    protect_pair_half(half->pair, half->fd, false);
    return NULL;
}

void protect_pair_run(struct protect_pair *pair)
{
    int fd[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        abort();
    struct half half = {pair, fd[0]};
    if (pthread_create(&thread, NULL, backup_thread, &half))
        abort();
    protect_pair_half(pair, fd[1], true);
    pthread_join(thread, NULL);
}

/* ---- what the world has seen ---------------------------------------------------------------- */

/* In pieces as the survivor's run has had: a byte that was typed is delivered between two. */
static bool run_reference(const struct protect_pair *pair, struct session *reference, uint64_t to)
{
    uint64_t piece = pair->real_time ? SLICE_STEP : PROTECT_STEP;
    for (uint64_t at = piece; at < to; at += piece)
        if (!pair_step_to(reference, at))
            return false;
    return pair_step_to(reference, to);
}

/* A run that was never protected, up to this instruction: its text, and its state. */
static const char *compare(const struct protect_pair *pair, struct session *survivor, char *text,
                           size_t *count)
{
    uint64_t at = pair_instructions(survivor);
    struct session *reference = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    type_text(reference);
    const char *wrong = run_reference(pair, reference, at)
                            ? NULL
                            : "the reference does not come where the survivor is";
    if (!wrong && session_digest(reference) != session_digest(survivor))
        wrong = "the state is another than that of a run that was never protected";
    *count = session_output(reference, (uint8_t *)text, PRINTED);
    session_free(reference);
    return wrong;
}

/* Bytes that were shown from number `from` on are those of the reference. */
static const char *match(const char *seen, size_t count, uint64_t from, const char *text,
                         size_t wanted)
{
    if (from > wanted || count > wanted - from)
        return "the world has seen more than the guest has printed";
    return memcmp(seen, text + from, count) ? "the world has seen what the guest denies" : NULL;
}

static const char *go_on(struct session *survivor, uint64_t more)
{
    session_pause(survivor);
    if (session_wait(survivor, WAIT_MS))
        return "the guest does not come to a stop";
    return pair_step_to(survivor, pair_instructions(survivor) + more) ? NULL
                                                                      : "the guest does not go on";
}

/* ---- one side ------------------------------------------------------------------------------- */

const char *protect_pair_check_primary(struct protect_pair *pair, uint64_t more)
{
    static char seen[PRINTED], text[PRINTED];
    size_t count;
    const char *wrong = go_on(pair->primary, more);
    wrong = wrong ? wrong : compare(pair, pair->primary, text, &count);
    if (wrong)
        return wrong;
    pair->shown[1] = session_output(pair->primary, (uint8_t *)seen, PRINTED);
    if (pair->shown[1] != count)
        return "output of the primary is missing";
    return match(seen, count, 0, text, count);
}

const char *protect_pair_check_backup(struct protect_pair *pair, uint64_t more, const char *seen,
                                      size_t count)
{
    static char own[PRINTED], text[PRINTED];
    struct view_protection v;
    size_t wanted;
    session_view_protection(pair->backup, &v);
    const char *wrong = go_on(pair->backup, more);
    wrong = wrong ? wrong : compare(pair, pair->backup, text, &wanted);
    wrong = wrong ? wrong : match(seen, count, 0, text, wanted);
    if (wrong)
        return wrong;
    if (v.shown_from > count)
        return "output between the primary and the backup is missing";
    pair->shown[0] = session_output(pair->backup, (uint8_t *)own, PRINTED);
    if (v.shown_from + pair->shown[0] != wanted)
        return "output of the backup is missing";
    return match(own, pair->shown[0], v.shown_from, text, wanted);
}

/* ---- who runs it ---------------------------------------------------------------------------- */

/* What has been acknowledged has not been lost. */
static const char *check_acknowledged(struct protect_pair *pair)
{
    struct view_protection primary, backup;
    session_view_protection(pair->primary, &primary);
    session_view_protection(pair->backup, &backup);
    return primary.acknowledged > backup.epochs ? "an acknowledged epoch is lost" : NULL;
}

static const char *check_fence(struct protect_pair *pair, bool primary)
{
    if (!pair->fenced)
        return NULL;
    if (fence_enter(&pair->fence[primary], FENCE_MS))
        return "who runs the guest does not have the fence";
    fence_leave(&pair->fence[primary]);
    int error =
        pair->fence[!primary].generation ? fence_enter(&pair->fence[!primary], FENCE_MS) : -ESTALE;
    if (!error)
        fence_leave(&pair->fence[!primary]);
    /* A backup that never claimed knows the primary's turn, as long as that lasts. */
    bool same = pair->fence[0].generation == pair->fence[1].generation;
    return !error && !same ? "both sides have the fence" : NULL;
}

static const char *check_away(struct protect_pair *pair)
{
    struct session *primary = pair->primary;
    if (session_run(primary) != -ESHUTDOWN || session_reset(primary) != -ESHUTDOWN)
        return "the primary can run a guest that may have been taken over";
    if (pair->primary_end == PROTECT_FENCED && session_take_back(primary) != -EINVAL)
        return "the primary takes a guest back that has been taken over";
    return NULL;
}

/* Nobody runs it on its own account; a person lets the primary go on. */
static const char *check_nobody(struct protect_pair *pair, uint64_t more)
{
    if (pair->fenced)
        return "nobody runs the guest";
    if (session_take_back(pair->primary))
        return "the primary cannot take the guest back";
    return protect_pair_check_primary(pair, more);
}

const char *protect_pair_check(struct protect_pair *pair, uint64_t more)
{
    static char seen[PRINTED];
    bool primary = pair->primary_end == PROTECT_ALONE || pair->primary_end == PROTECT_OVER;
    bool backup = pair->backup_end == BACKUP_TAKEN;
    if (primary && backup)
        return "both sides run the guest";
    const char *wrong = primary ? NULL : check_away(pair);
    if (wrong)
        return wrong;
    if (!primary && !backup)
        return check_nobody(pair, more);
    wrong = check_fence(pair, primary);
    wrong = wrong ? wrong : check_acknowledged(pair);
    if (wrong || primary)
        return wrong ? wrong : protect_pair_check_primary(pair, more);
    pair->shown[1] = session_output(pair->primary, (uint8_t *)seen, PRINTED);
    return protect_pair_check_backup(pair, more, seen, pair->shown[1]);
}

void protect_pair_free(struct protect_pair *pair)
{
    session_free(pair->primary);
    session_free(pair->backup);
    fence_close(&pair->fence[0]);
    fence_close(&pair->fence[1]);
    if (*pair->path)
        unlink(pair->path);
}
