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

enum { PATIENCE_MS = 60000, FENCE_MS = 60000, WAIT_MS = 60000, PRINTED = PROTECT_SEEN };

static const char TYPED[] = "typed before";

/* ---- both sides ----------------------------------------------------------------------------- */

/* Where a slice ends, and the next byte can arrive, is up to the host's speed in real time: there
 * it is one only, which is there before the first instruction. */
static void type_text(const struct protect_pair *pair, struct session *session)
{
    session_input(session, (const uint8_t *)TYPED, pair->real_time ? 1 : sizeof TYPED - 1);
}

void protect_pair_init(struct protect_pair *pair, enum session_under primary,
                       enum session_under backup)
{
    pair->primary = pair_session(PAIR_STEADY, primary, "auto");
    pair->backup = pair_session(PAIR_STEADY, backup, "auto");
    pair->fence[0].fd = pair->fence[1].fd = -1;
    type_text(pair, pair->primary);
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
        type_text(pair, pair->primary);
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

/* ---- a host that is late -------------------------------------------------------------------- */

/* What it does next after a loss it does when the other side has come to its end. */
struct late {
    struct link below;
    int fd;
    sem_t *other_ended;
};

static int wait_for_other(struct late *late, int error)
{
    if (!error)
        return 0;
    shutdown(late->fd, SHUT_RDWR);
    while (sem_wait(late->other_ended)) {
    }
    sem_post(late->other_ended);
    return error;
}

static int late_send(void *self, const void *bytes, size_t count)
{
    struct late *late = self;
    return wait_for_other(late, link_send(&late->below, bytes, count));
}

static int late_receive(void *self, void *bytes, size_t count)
{
    struct late *late = self;
    return wait_for_other(late, link_receive(&late->below, bytes, count));
}

static void late_close(void *self)
{
    struct late *late = self;
    link_close(&late->below);
}

static const struct link_ops LATE = {late_send, late_receive, late_close};

static bool is_late(const struct protect_pair *pair, bool primary)
{
    return pair->late == (primary ? LATE_PRIMARY : LATE_BACKUP);
}

/* ---- both at once --------------------------------------------------------------------------- */

static void run_primary(struct protect_pair *pair, struct link *link)
{
    struct protect_options options = options_of(pair, true);
    struct protection *p = protect_begin(pair->primary, link, &options, pair->primary_why);
    /* Nobody was found who would protect it: it is as it was. */
    pair->begun = p != NULL;
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
    struct late late = {breaking_link(&own), fd, &pair->ended[!primary]};
    struct link link = is_late(pair, primary) ? (struct link){&LATE, &late} : late.below;
    if (primary)
        run_primary(pair, &link);
    else
        run_backup(pair, &link);
    if (pair->late)
        sem_post(&pair->ended[primary]);
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
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) || sem_init(&pair->ended[0], 0, 0) ||
        sem_init(&pair->ended[1], 0, 0))
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
    type_text(pair, reference);
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
    bool same = !count || memcmp(seen, text + from, count) == 0;
    return same ? NULL : "the world has seen what the guest denies";
}

static const char *go_on(struct session *survivor, uint64_t more)
{
    session_pause(survivor);
    if (session_wait(survivor, WAIT_MS))
        return "the guest does not come to a stop";
    return pair_step_to(survivor, pair_instructions(survivor) + more) ? NULL
                                                                      : "the guest does not go on";
}

/* What the world has seen of the hosts before, `count` bytes, and what it sees of the guest's last
 * one make one run's text; that of both, `shown` bytes of it by this session. */
static const char *check_last(const struct protect_pair *pair, struct session *last, uint64_t more,
                              const char *seen, size_t count, size_t *shown)
{
    static char own[PRINTED], text[PRINTED];
    struct view_protection v;
    size_t wanted;
    session_view_protection(last, &v);
    const char *wrong = go_on(last, more);
    wrong = wrong ? wrong : compare(pair, last, text, &wanted);
    wrong = wrong ? wrong : match(seen, count, 0, text, wanted);
    if (wrong)
        return wrong;
    if (v.shown_from > count)
        return "output between two hosts is missing";
    *shown = session_output(last, (uint8_t *)own, PRINTED);
    if (v.shown_from + *shown != wanted)
        return "output of the last host is missing";
    return match(own, *shown, v.shown_from, text, wanted);
}

/* ---- one side ------------------------------------------------------------------------------- */

const char *protect_pair_check_primary(struct protect_pair *pair, uint64_t more)
{
    return check_last(pair, pair->primary, more, pair->before, pair->before_count, &pair->shown[1]);
}

const char *protect_pair_check_backup(struct protect_pair *pair, uint64_t more, const char *seen,
                                      size_t count)
{
    return check_last(pair, pair->backup, more, seen, count, &pair->shown[0]);
}

/* ---- who runs it ---------------------------------------------------------------------------- */

/* What has been acknowledged has not been lost. */
static const char *check_acknowledged(struct protect_pair *pair)
{
    struct view_protection primary, backup;
    session_view_protection(pair->primary, &primary);
    session_view_protection(pair->backup, &backup);
    return pair->begun && primary.acknowledged > backup.epochs ? "an acknowledged epoch is lost"
                                                               : NULL;
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
static const char *check_nobody(struct protect_pair *pair)
{
    if (pair->fenced)
        return "nobody runs the guest";
    return session_take_back(pair->primary) ? "the primary cannot take the guest back" : NULL;
}

/* Who it is that runs the guest, before it goes on. */
static const char *check_sides(struct protect_pair *pair)
{
    bool primary = pair->primary_end == PROTECT_ALONE || pair->primary_end == PROTECT_OVER;
    bool backup = pair->backup_end == BACKUP_TAKEN;
    if (primary && backup)
        return "both sides run the guest";
    const char *wrong = primary ? NULL : check_away(pair);
    if (wrong)
        return wrong;
    if (!primary && !backup)
        return check_nobody(pair);
    wrong = check_fence(pair, primary);
    return wrong ? wrong : check_acknowledged(pair);
}

/* What the world has seen when the primary is lost: of the hosts before it, then of itself, from
 * where it says. Where both have shown something it must be the same. */
static const char *see(struct protect_pair *pair, char *seen, size_t *count)
{
    static char own[PRINTED];
    struct view_protection v;
    session_view_protection(pair->primary, &v);
    size_t before = *count = pair->before_count;
    size_t shown = pair->shown[1] = session_output(pair->primary, (uint8_t *)own, PRINTED);
    if (before)
        memcpy(seen, pair->before, before);
    if (v.shown_from > before)
        return "output between two hosts is missing";
    size_t from = (size_t)v.shown_from, twice = before - from;
    if (memcmp(seen + from, own, twice < shown ? twice : shown))
        return "the world has seen what the next host denies";
    memcpy(seen + from, own, shown);
    *count = from + shown > before ? from + shown : before;
    return NULL;
}

const char *protect_pair_check(struct protect_pair *pair, uint64_t more)
{
    static char seen[PRINTED];
    size_t count;
    const char *wrong = check_sides(pair);
    if (wrong || pair->backup_end != BACKUP_TAKEN)
        return wrong ? wrong : protect_pair_check_primary(pair, more);
    wrong = see(pair, seen, &count);
    return wrong ? wrong : protect_pair_check_backup(pair, more, seen, count);
}

/* ---- one host after the other --------------------------------------------------------------- */

/* It was the backup's until now, or still is the primary's. */
static void move_guest(struct protect_pair *pair, struct protect_pair *next, bool taken)
{
    struct session **survivor = taken ? &pair->backup : &pair->primary;
    struct fence *fence = &pair->fence[!taken];
    next->primary = *survivor;
    next->fence[1] = *fence;
    *survivor = NULL;
    fence->fd = -1;
}

const char *protect_pair_next(struct protect_pair *pair, struct protect_pair *next, char *seen)
{
    bool taken = pair->backup_end == BACKUP_TAKEN;
    const char *wrong = check_sides(pair);
    next->before = taken ? seen : pair->before;
    next->before_count = pair->before_count;
    if (!wrong && taken)
        wrong = see(pair, seen, &next->before_count);
    move_guest(pair, next, taken);
    next->backup = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    next->fenced = pair->fenced;
    next->fence[0].fd = -1;
    if (next->fenced && fence_open(&next->fence[0], pair->path))
        abort();
    if (!wrong && session_wait(next->primary, WAIT_MS))
        wrong = "the guest does not come to a stop";
    return wrong;
}

const char *protect_pair_check_left(struct protect_pair *pair)
{
    struct fence *fence = &pair->fence[1];
    if (!pair->primary)
        return NULL;
    const char *wrong = check_away(pair);
    if (wrong || !pair->fenced || fence_enter(fence, FENCE_MS))
        return wrong;
    fence_leave(fence);
    return "a host that was left has the fence";
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
