/* Disks that change hands. See disk-pair.h. */
#include "config.h"

#include "tests/disk-pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/disk-format.h"
#include "hv/qcow2.h"
#include "tests/disk-writer.h"
#include "tests/small-guest.h"

enum { BEFORE = 150000, MORE = 100000, WAIT_MS = 300000, FENCE_MS = 5000 };
enum { CLUSTER = 65536, SIZE = FLUSHER_CLUSTERS * CLUSTER, MEMORY = 12 << 20 };

/* ---- files ---------------------------------------------------------------------------------- */

static void create(const char *path, const char *backing)
{
    char why[QCOW2_ERROR];
    struct qcow2_creation creation = {.size = SIZE, .backing = backing};
    if (qcow2_create(path, &creation, why)) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
}

static void in_folder(const struct disk_pair *p, const char *name, char path[64])
{
    snprintf(path, 64, "%s/%s", p->folder, name);
}

void disk_pair_make(struct disk_pair *p, enum disk_kind kind)
{
    char below[64];
    *p = (struct disk_pair){.kind = kind};
    /* Flushing memory is fast, and what a crash of the host would do is no matter here. */
    snprintf(p->folder, sizeof p->folder, "%s/test-disks-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(p->folder))
        abort();
    guest_disk_flusher(p->image);
    in_folder(p, "top", p->disk);
    in_folder(p, "base", below);
    const char *raw = kind == DISK_RAW ? p->disk : below;
    FILE *file = kind == DISK_QCOW2 ? NULL : fopen(raw, "we");
    if (file && (ftruncate(fileno(file), SIZE) || fclose(file)))
        abort();
    in_folder(p, "mid", below);
    if (kind == DISK_CHAIN)
        create(below, "base");
    if (kind != DISK_RAW)
        create(p->disk, kind == DISK_CHAIN ? "mid" : NULL);
}

void disk_pair_remove(struct disk_pair *p)
{
    static const char *const NAMES[] = {"top", "mid", "base"};
    char path[64];
    for (unsigned i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        in_folder(p, NAMES[i], path);
        unlink(path);
    }
    rmdir(p->folder);
    unlink(p->image);
}

struct session *disk_pair_session(const struct disk_pair *p, enum session_under under, bool away)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.under = under;
    config.engine = "auto";
    config.image = p->image;
    config.memory = MEMORY;
    config.disk = p->disk;
    config.disk_away = away;
    struct session *session = session_new(&config, why);
    if (!session) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return session;
}

/* ---- what must be there --------------------------------------------------------------------- */

const char *disk_pair_check_image(const struct disk_pair *p)
{
    char why[QCOW2_ERROR];
    struct qcow2_verdict verdict = {0};
    if (p->kind == DISK_RAW)
        return NULL;
    struct qcow2 *q = qcow2_open(p->disk, QCOW2_READONLY | QCOW2_ALONE, why);
    if (!q)
        return "the image cannot be opened any more";
    int error = qcow2_check(q, false, NULL, NULL, &verdict);
    qcow2_close(q);
    return error || verdict.corruptions ? "the image is corrupt" : NULL;
}

/* The last count that went to this cluster, up to `count`. */
static uint32_t last_of(uint32_t cluster, uint32_t count)
{
    uint32_t back = (count - cluster) % FLUSHER_CLUSTERS;
    return back < count ? count - back : 0;
}

/* The guest may stand in front of its last write. */
static bool is_right(uint32_t cluster, uint32_t count, uint32_t value)
{
    uint32_t last = last_of(cluster, count);
    if (last == count && last)
        return value == last || value == last_of(cluster, count - 1);
    return value == last;
}

static const char *check_content(struct disk *disk, uint32_t count)
{
    uint32_t sector[DISK_SECTOR / 4];
    for (uint32_t i = 0; i < FLUSHER_CLUSTERS; i++) {
        if (disk_read(disk, (uint64_t)i * CLUSTER / DISK_SECTOR, sector, sizeof sector))
            return "the disk cannot be read";
        if (!is_right(i, count, sector[0]))
            return "the disk does not hold what its guest has written";
    }
    return NULL;
}

const char *disk_pair_check_file(const struct disk_pair *p, uint32_t count)
{
    char why[DISK_ERROR];
    const char *wrong = disk_pair_check_image(p);
    if (wrong)
        return wrong;
    struct disk *disk = disk_format_open(p->disk, true, why);
    if (!disk)
        return "the disk is still locked, or gone";
    wrong = check_content(disk, count);
    disk_close(disk);
    return wrong;
}

/* ---- who has the guest ---------------------------------------------------------------------- */

static uint32_t count_of(struct session *s)
{
    static struct view_hart hart;
    session_view_hart(s, VIEW_VIRTUAL, &hart);
    if (!hart.present) /* on the bare computer */
        session_view_hart(s, VIEW_REAL, &hart);
    return hart.x[S0];
}

/* The survivor goes on, and the other one cannot; both are closed. Who closes last must not harm what
 * the other has written. */
static const char *settle(const struct disk_pair *p, struct session *survivor,
                          struct session *other, bool other_first)
{
    const char *wrong = NULL;
    session_pause(survivor);
    session_wait(survivor, WAIT_MS);
    if (other && session_step(other, 1) == 0)
        wrong = "two have the disk";
    if (!wrong &&
        !pair_step_to(survivor, pair_instructions(survivor) + MORE))
        wrong = "the guest does not go on";
    uint32_t count = count_of(survivor);
    session_free(other_first ? other : survivor);
    session_free(other_first ? survivor : other);
    return wrong ? wrong : disk_pair_check_file(p, count);
}

static void start(struct session *s)
{
    if (session_step(s, BEFORE) || session_wait(s, WAIT_MS) || session_run(s))
        abort();
}

/* ---- migration ------------------------------------------------------------------------------ */

/* In doubt the lock knows more than the source: if the guest runs there, its disk is there, too. */
static const char *find_survivor(struct pair *pair, struct session **survivor)
{
    bool there = pair->destination_end == MIGRATE_MOVED;
    *survivor = there ? pair->destination : pair->source;
    if (pair->source_end == MIGRATE_STAYED)
        return there ? "both sides run the guest" : NULL;
    if (pair->source_end == MIGRATE_MOVED)
        return there ? NULL : "nobody runs the guest";
    if (!there)
        return session_take_back(pair->source) ? "the source cannot take the guest back" : NULL;
    return session_take_back(pair->source) == -EBUSY ? NULL
                                                     : "the source takes back what runs elsewhere";
}

const char *disk_pair_migrate(enum disk_kind kind, enum session_under from, enum session_under to,
                              const struct fault_plan *plan, unsigned *calls)
{
    struct disk_pair p;
    struct session *survivor;
    disk_pair_make(&p, kind);
    struct pair pair = {.source = disk_pair_session(&p, from, false),
                        .destination = disk_pair_session(&p, to, true),
                        .plan = *plan};
    start(pair.source);
    pair_migrate(&pair, &(struct migrate_options){.downtime = 10});
    *calls = pair.calls[plan->source];
    const char *wrong = find_survivor(&pair, &survivor);
    struct session *other = survivor == pair.source ? pair.destination : pair.source;
    if (!wrong)
        wrong = settle(&p, survivor, other, plan->call & 1);
    disk_pair_remove(&p);
    return wrong;
}

/* ---- protection ----------------------------------------------------------------------------- */

static struct protect_pair protection_of(struct disk_pair *p, enum session_under from,
                                         enum session_under to, const struct fault_plan *plan)
{
    struct protect_pair pair = {.fenced = true, .plan = *plan};
    protect_pair_init(&pair, from, to);
    session_free(pair.primary);
    session_free(pair.backup);
    pair.primary = disk_pair_session(p, from, false);
    pair.backup = disk_pair_session(p, to, true);
    return pair;
}

const char *disk_pair_protect(enum disk_kind kind, enum session_under from, enum session_under to,
                              const struct fault_plan *plan, unsigned *calls)
{
    struct disk_pair p;
    disk_pair_make(&p, kind);
    struct protect_pair pair = protection_of(&p, from, to, plan);
    protect_pair_run(&pair);
    *calls = pair.calls[plan->source];
    bool here = pair.primary_end == PROTECT_ALONE || pair.primary_end == PROTECT_OVER;
    bool there = pair.backup_end == BACKUP_TAKEN;
    const char *wrong = here == there ? "not exactly one side runs the guest" : NULL;
    if (!wrong)
        wrong = settle(&p, here ? pair.primary : pair.backup, here ? pair.backup : pair.primary,
                       plan->call & 1);
    pair.primary = pair.backup = NULL;
    protect_pair_free(&pair);
    disk_pair_remove(&p);
    return wrong;
}

/* ---- processes that die --------------------------------------------------------------------- */

/* Runs `side` of the pair in a process of its own. */
static bool run_and_die(void (*side)(void *pair, int fd, bool first), void *pair, bool first,
                        int *status)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        abort();
    pid_t child = fork();
    if (child == 0) {
        close(fd[0]);
        side(pair, fd[1], first);
        _exit(0);
    }
    close(fd[1]);
    side(pair, fd[0], !first);
    return waitpid(child, status, 0) == child;
}

struct migrating {
    const struct disk_pair *files;
    struct pair pair;
};

static void migrating_side(void *context, int fd, bool source)
{
    struct migrating *m = context;
    if (source)
        start(m->pair.source = disk_pair_session(m->files, SESSION_HV, false));
    else
        m->pair.destination = disk_pair_session(m->files, SESSION_HV, true);
    pair_half(&m->pair, fd, source, &(struct migrate_options){.downtime = 10});
}

/* A source that is left takes the guest back, a destination that has it whole runs it: by the word of
 * a person, who knows that the other is dead. */
static const char *go_on(struct migrating *m, bool source)
{
    struct session *s = source ? m->pair.source : m->pair.destination;
    if (source && m->pair.source_end == MIGRATE_DOUBT && session_take_back(s))
        return "the source cannot take the guest back";
    if (source || m->pair.destination_end != MIGRATE_STAYED)
        return settle(m->files, s, NULL, false);
    session_free(s);
    return disk_pair_check_image(m->files);
}

const char *disk_pair_kill_migration(enum disk_kind kind, const struct fault_plan *plan,
                                     bool *died)
{
    struct disk_pair p;
    int status = 0;
    const char *wrong = NULL;
    disk_pair_make(&p, kind);
    struct migrating m = {&p, {.plan = *plan}};
    *died = run_and_die(migrating_side, &m, plan->source, &status) && WIFSIGNALED(status);
    if (*died)
        wrong = go_on(&m, !plan->source);
    else
        session_free(plan->source ? m.pair.destination : m.pair.source);
    disk_pair_remove(&p);
    return wrong;
}

struct protecting {
    struct disk_pair *files;
    struct protect_pair pair;
    char fence[64];
};

static void protecting_side(void *context, int fd, bool primary)
{
    struct protecting *t = context;
    struct protect_pair *pair = &t->pair;
    protect_pair_init_half(pair, primary, t->fence);
    session_free(primary ? pair->primary : pair->backup);
    if (primary)
        pair->primary = disk_pair_session(t->files, SESSION_HV, false);
    else
        pair->backup = disk_pair_session(t->files, SESSION_HV, true);
    protect_pair_half(pair, fd, primary);
}

/* What died has lost what was not acknowledged, and no more. */
static const char *outlive(struct protecting *t, bool primary)
{
    struct protect_pair *pair = &t->pair;
    struct session **s = primary ? &pair->primary : &pair->backup;
    const char *wrong;
    if (primary && pair->primary_end != PROTECT_ALONE && pair->primary_end != PROTECT_OVER)
        return "the primary does not go on without a backup that is dead";
    if (!primary && pair->backup_end == BACKUP_UNSURE)
        return "the backup does not take over from a primary that is dead";
    if (primary || pair->backup_end == BACKUP_TAKEN) {
        wrong = settle(t->files, *s, NULL, false);
    } else {
        session_free(*s);
        wrong = disk_pair_check_image(t->files);
    }
    *s = NULL;
    return wrong;
}

const char *disk_pair_kill_protection(enum disk_kind kind, const struct fault_plan *plan,
                                      bool *died)
{
    struct disk_pair p;
    int status = 0;
    const char *wrong = NULL;
    disk_pair_make(&p, kind);
    struct protecting t = {&p, {.fenced = true, .plan = *plan}, ""};
    snprintf(t.fence, sizeof t.fence, "%s/fence", p.folder);
    FILE *file = fopen(t.fence, "we");
    if (!file || fclose(file))
        abort();
    *died = run_and_die(protecting_side, &t, plan->source, &status) && WIFSIGNALED(status);
    if (*died)
        wrong = outlive(&t, !plan->source);
    protect_pair_free(&t.pair);
    unlink(t.fence);
    disk_pair_remove(&p);
    return wrong;
}
