/* A session directory beside a model of it, and deaths at any step. See snapshot-plan.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/snapshot-plan.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/qcow2.h"

enum { EXIT_DIED = 42, EXIT_ORDER = 43, EXIT_REFUSED = 44, PENDING = 16, NAME = 300 };

static uint64_t next(struct plan *p)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return p->random >> 33;
}

void plan_begin(struct plan *p, unsigned seed)
{
    *p = (struct plan){.seed = seed, .random = seed * 2654435761u + 1};
    next(p);
}

/* A page full of each number. */
static const uint8_t *page_of(uint8_t number)
{
    static uint8_t pages[256][SNAPSHOT_PAGE];
    static bool made;
    for (int i = 0; i < 256 && !made; i++)
        memset(pages[i], i, SNAPSHOT_PAGE);
    made = true;
    return pages[number];
}

/* What the guest's disk has in its own file. */
enum { ON_DISK = 77 };

static void make_disk(const char *path)
{
    FILE *file = access(path, F_OK) ? fopen(path, "w") : NULL;
    for (int i = 0; file && i < PLAN_BLOCKS; i++)
        fwrite(page_of(ON_DISK), 1, SNAPSHOT_PAGE, file);
    if (file)
        fclose(file);
}

void plan_configure(struct snapshot_config *c, const char *disk)
{
    *c = (struct snapshot_config){.under = 1, .memory = PLAN_PAGES * SNAPSHOT_PAGE, .cpus = 1};
    strcpy(c->image.path, "/nowhere/guest.elf");
    c->image.size = 1234;
    c->image.digest = 5678;
    make_disk(disk);
    snprintf(c->disk.path, sizeof c->disk.path, "%s", disk);
    c->disk.size = PLAN_BLOCKS * SNAPSHOT_PAGE;
}

/* ---- content -------------------------------------------------------------------------------- */

static void add_changed(struct snapshot_file *f, struct snapshot_part *part, const uint8_t *is,
                        const uint8_t *was, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (is[i] != was[i])
            snapshot_add_page(f, part, i, page_of(is[i]));
}

static struct snapshot_file *file_of(const struct plan_content *is, const struct plan_content *was)
{
    struct snapshot_file *f = snapshot_new();
    state_buffer_add(&f->tables, is->page, PLAN_PAGES); /* any bytes: nobody loads them */
    struct snapshot_part *memory =
        snapshot_add_part(f, "memory", PLAN_PAGES * SNAPSHOT_PAGE - 100, 1, false);
    add_changed(f, memory, is->page, was->page, PLAN_PAGES);
    struct snapshot_part *disk = snapshot_add_part(f, "disk", PLAN_BLOCKS * SNAPSHOT_PAGE, 1, true);
    add_changed(f, disk, is->block, was->block, PLAN_BLOCKS);
    snapshot_sort(f);
    return f;
}

static bool part_is(const struct snapshot_part *part, const uint8_t *is, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct snapshot_page *page = snapshot_look(part, i);
        uint8_t number = page && page->bytes ? page->bytes[0] : 0;
        bool full = !page || !page->bytes || !memcmp(page->bytes, page_of(number), 3900);
        if (number != is[i] || !full)
            return false;
    }
    return true;
}

static bool file_is(const struct snapshot_file *f, const struct plan_content *is)
{
    return f->tables.count == PLAN_PAGES && !memcmp(f->tables.bytes, is->page, PLAN_PAGES) &&
           part_is(snapshot_find_part(f, "memory"), is->page, PLAN_PAGES) &&
           part_is(snapshot_find_part(f, "disk"), is->block, PLAN_BLOCKS);
}

/* The disk that an image shows, with all that it stands on, is this one. */
static bool chain_is(struct qcow2 *image, const struct plan_content *is)
{
    uint8_t bytes[SNAPSHOT_PAGE];
    for (unsigned i = 0; i < PLAN_BLOCKS; i++) {
        const uint8_t *wanted = page_of(is->block[i] ? is->block[i] : ON_DISK);
        if (qcow2_read(image, (uint64_t)i * SNAPSHOT_PAGE, bytes, sizeof bytes) ||
            memcmp(bytes, wanted, sizeof bytes))
            return false;
    }
    return true;
}

static bool overlay_is(const char *folder, int number, const struct plan_content *is,
                       const struct plan_content *other, char *why)
{
    char path[NAME];
    struct qcow2_verdict verdict;
    snprintf(path, sizeof path, "%s/disk-%d.qcow2", folder, number);
    struct qcow2 *image = qcow2_open(path, QCOW2_READONLY, why);
    if (!image)
        return false;
    bool sound =
        !qcow2_check(image, false, NULL, NULL, &verdict) && !verdict.corruptions && !verdict.leaks;
    bool same = chain_is(image, is) || (other && chain_is(image, other));
    qcow2_close(image);
    snprintf(why, SNAPSHOT_ERROR, "%s %s", path, sound ? "shows another disk" : "is not sound");
    return sound && same;
}

/* ---- operations ----------------------------------------------------------------------------- */

/* One of those that are there; 0: none. */
static int choose(struct plan *p)
{
    for (int tries = 0; tries < 200; tries++) {
        int id = 1 + (int)(next(p) % PLAN_SNAPSHOTS);
        if (id < PLAN_SNAPSHOTS && p->model.snapshot[id].there)
            return id;
    }
    return 0;
}

static void change_some(struct plan *p, struct plan_content *c)
{
    for (unsigned n = next(p) % 6; n; n--)
        c->page[next(p) % PLAN_PAGES] = (uint8_t)next(p);
    if (next(p) % 2)
        c->block[next(p) % PLAN_BLOCKS] = (uint8_t)(1 + next(p) % 255);
}

static bool add(struct plan *p, struct snapshot_dir *dir, const struct plan_content *is, char *why)
{
    static const struct plan_content nothing;
    const struct plan_content *was = is->parent ? &p->model.snapshot[is->parent] : &nothing;
    struct snapshot_file *f = dir ? file_of(is, was) : NULL;
    int id = p->model.last + 1;
    if (f) {
        f->about.parent = is->parent;
        snprintf(f->about.name, sizeof f->about.name, "number %d", id);
        id = snapshot_dir_add(dir, f, why);
    }
    snapshot_free(f);
    if (id != p->model.last + 1)
        return false;
    p->model.snapshot[++p->model.last] = *is;
    return true;
}

static bool add_some(struct plan *p, struct snapshot_dir *dir, char *why)
{
    int parent = next(p) % 8 ? choose(p) : 0;
    struct plan_content is = {.there = true};
    if (parent)
        is = p->model.snapshot[parent];
    is.parent = parent;
    change_some(p, &is);
    return add(p, dir, &is, why);
}

static void model_reparent(struct plan_model *m, int from, int to)
{
    for (int i = 1; i <= m->last; i++)
        if (m->snapshot[i].there && m->snapshot[i].parent == from)
            m->snapshot[i].parent = to;
}

static bool delete_one(struct plan *p, struct snapshot_dir *dir, int id, char *why)
{
    if (dir && snapshot_dir_delete(dir, id, why))
        return false;
    p->model.snapshot[id].there = false;
    model_reparent(&p->model, id, p->model.snapshot[id].parent);
    return true;
}

static bool commit_one(struct plan *p, struct snapshot_dir *dir, int id, char *why)
{
    struct plan_model *m = &p->model;
    int parent = m->snapshot[id].parent, above = m->snapshot[parent].parent;
    if (dir && snapshot_dir_commit(dir, id, why))
        return false;
    m->snapshot[id].there = false;
    model_reparent(m, parent, above);
    model_reparent(m, id, parent);
    m->snapshot[parent] = m->snapshot[id];
    m->snapshot[parent].there = true;
    m->snapshot[parent].parent = above;
    return true;
}

/* Out and in again: a new one without a parent. */
static bool move_one(struct plan *p, struct snapshot_dir *dir, int id, const char *export,
                     char *why)
{
    if (dir && (snapshot_dir_export(dir, id, export, why) ||
                snapshot_dir_import(dir, export, why) != p->model.last + 1))
        return false;
    p->model.snapshot[++p->model.last] = p->model.snapshot[id];
    p->model.snapshot[p->model.last].parent = 0;
    return true;
}

/* What comes next, without doing it. */
static struct plan_step peek(const struct plan *plan)
{
    struct plan p = *plan;
    unsigned kind = next(&p) % 10;
    int id = choose(&p);
    struct plan_step step = {PLAN_ADD, p.model.last + 1};
    if (p.model.last < 4 || kind < 5 || !id)
        return step;
    step.id = id;
    step.what = kind < 7                                  ? PLAN_DELETE
                : kind < 9 && p.model.snapshot[id].parent ? PLAN_COMMIT
                                                          : PLAN_MOVE;
    return step;
}

bool plan_next(struct plan *p, struct snapshot_dir *dir, const char *export, char *why)
{
    struct plan_step step = peek(p);
    next(p);
    choose(p);
    switch (step.what) {
    case PLAN_ADD: return add_some(p, dir, why);
    case PLAN_DELETE: return delete_one(p, dir, step.id, why);
    case PLAN_COMMIT: return commit_one(p, dir, step.id, why);
    case PLAN_MOVE: return move_one(p, dir, step.id, export, why);
    }
    return false;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static bool say(char *why, const char *what, int id)
{
    snprintf(why, SNAPSHOT_ERROR, "snapshot %d %s", id, what);
    return false;
}

bool plan_agrees(const struct plan_model *m, struct snapshot_dir *dir, int spare, int changed,
                 int as, char *why)
{
    const struct snapshot_about *a;
    for (int i = 0; (a = snapshot_dir_at(dir, i)); i++)
        if (a->id != spare && (a->id > m->last || !m->snapshot[a->id].there))
            return say(why, "should not be there", a->id);
    for (int id = 1; id < PLAN_SNAPSHOTS; id++) {
        bool there = snapshot_dir_find(dir, id), wanted = id <= m->last && m->snapshot[id].there;
        if (!there && wanted && id != spare)
            return say(why, "is gone", id);
        struct snapshot_file *f = there ? snapshot_dir_load(dir, id, true, why) : NULL;
        if (there && !f)
            return false;
        bool ok = !f || id > m->last || file_is(f, &m->snapshot[id]) ||
                  (id == changed && as && file_is(f, &m->snapshot[as]));
        int overlay = f ? f->about.overlay : 0;
        snapshot_free(f);
        if (!ok)
            return say(why, "is another one than it was", id);
        if (overlay && id <= m->last &&
            !overlay_is(snapshot_dir_path(dir), overlay, &m->snapshot[id],
                        id == changed && as ? &m->snapshot[as] : NULL, why))
            return false;
    }
    return true;
}

/* ---- dying ---------------------------------------------------------------------------------- */

/* A change of a name that no flush has made durable yet. */
struct pending {
    char path[NAME], backup[NAME];
    bool existed;
};

struct death {
    unsigned at, steps;
    enum plan_loss loss;
    struct pending pending[PENDING];
    unsigned count, backups;
    bool flushing;      /* the last step was the flush of the folder */
    char flushed[NAME]; /* the file that was flushed last, and not written since */
    const char *folder;
};

/* The disk as it would be without the names that were not flushed. */
static void lose_names(struct death *d)
{
    while (d->count) {
        struct pending *p = &d->pending[--d->count];
        if (p->existed)
            rename(p->backup, p->path);
        else
            unlink(p->path);
    }
}

static void remember_name(struct death *d, const char *path)
{
    if (d->count == PENDING)
        _exit(EXIT_ORDER); /* so many names without a flush cannot be right */
    struct pending *p = &d->pending[d->count++];
    snprintf(p->path, sizeof p->path, "%s", path);
    snprintf(p->backup, sizeof p->backup, "%s/../backup-%u", d->folder, d->backups++);
    p->existed = link(path, p->backup) == 0;
}

/* Only what has reached the disk may be given its name, and names are flushed before others need
 * them: nothing is removed while a new name is not durable. */
static void check_order(struct death *d, const struct snapshot_step *step)
{
    if (!strcmp(step->what, "rename") && strcmp(step->path, d->flushed))
        _exit(EXIT_ORDER);
    if (!strcmp(step->what, "unlink") && d->count)
        _exit(EXIT_ORDER);
    if (!strcmp(step->what, "fsync"))
        snprintf(d->flushed, sizeof d->flushed, "%s", step->path);
    if (!strcmp(step->what, "write"))
        d->flushed[0] = 0;
}

static void step(void *context, const struct snapshot_step *s)
{
    struct death *d = context;
    if (d->flushing)
        d->count = 0;
    check_order(d, s);
    if (++d->steps == d->at) {
        if (d->loss == PLAN_TORN && s->fd >= 0 && s->bytes &&
            write(s->fd, s->bytes, s->count / 2) < 0)
            _exit(EXIT_ORDER);
        if (d->loss == PLAN_POWER)
            lose_names(d);
        _exit(EXIT_DIED);
    }
    d->flushing = !strcmp(s->what, "fsync folder");
    if (!strcmp(s->what, "rename"))
        remember_name(d, s->to);
    if (!strcmp(s->what, "unlink"))
        remember_name(d, s->path);
}

/* In the child: counts the operations that were acknowledged. */
static int live(struct plan *p, const char *folder, struct death *d, unsigned *acknowledged)
{
    char why[SNAPSHOT_ERROR], export[NAME + 20];
    struct snapshot_config config;
    struct snapshot_dir *dir = snapshot_dir_open(folder, SNAPSHOT_CREATE, why);
    if (!dir)
        return EXIT_REFUSED;
    char disk[NAME + 20];
    snprintf(export, sizeof export, "%s/../export", folder);
    snprintf(disk, sizeof disk, "%s/../disk", folder);
    snapshot_dir_watch(dir, step, d);
    plan_configure(&config, disk);
    if (snapshot_dir_configure(dir, &config, why))
        return EXIT_REFUSED;
    for (unsigned i = 0; i < PLAN_OPERATIONS; i++) {
        if (!plan_next(p, dir, export, why)) {
            fprintf(stderr, "# refused: %s\n", why);
            return EXIT_REFUSED;
        }
        ++*acknowledged;
    }
    snapshot_dir_close(dir);
    return 0;
}

/* Whoever has opened the folder for writing has swept away what belongs to no snapshot. */
static bool nothing_else(const char *folder, const struct snapshot_dir *dir, char *why)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;
    bool ok = entries;
    while (ok && (entry = readdir(entries))) {
        bool used = !strchr(entry->d_name, '.') || entry->d_name[0] == '.';
        for (int i = 0; !used && i < snapshot_dir_count(dir); i++) {
            char name[40];
            snprintf(name, sizeof name, "disk-%d.qcow2", snapshot_dir_at(dir, i)->overlay);
            used = !strcmp(name, entry->d_name);
        }
        ok = used;
        if (!used)
            snprintf(why, SNAPSHOT_ERROR, "%.200s is left over", entry->d_name);
    }
    if (entries)
        closedir(entries);
    return ok;
}

/* What is there is what the acknowledged operations have made, but for the one under way. */
static bool look(const struct plan *p, const char *folder, char *why)
{
    struct plan_step under_way = peek(p);
    int changed = 0, as = 0;
    if (under_way.what == PLAN_COMMIT) {
        changed = p->model.snapshot[under_way.id].parent;
        as = under_way.id;
    }
    int spare = under_way.what == PLAN_MOVE ? p->model.last + 1 : under_way.id;
    struct snapshot_dir *dir = snapshot_dir_open(folder, SNAPSHOT_CREATE, why);
    bool ok = dir && plan_agrees(&p->model, dir, spare, changed, as, why) &&
              nothing_else(folder, dir, why);
    snapshot_dir_close(dir);
    return ok;
}

const char *plan_folder(void)
{
    static char folder[64];
    bool memory = access("/dev/shm", W_OK | X_OK) == 0;
    snprintf(folder, sizeof folder, "%s/vitrine-snapshot.XXXXXX", memory ? "/dev/shm" : "/tmp");
    return mkdtemp(folder);
}

static void remove_all(const char *folder)
{
    char command[NAME + 20];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command))
        perror(folder);
}

/* How the child has ended; `acknowledged` operations were done. */
static int run_child(unsigned seed, const char *folder, struct death *d, unsigned *acknowledged)
{
    unsigned *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = -1;
    if (shared == MAP_FAILED)
        return -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct plan p;
        plan_begin(&p, seed);
        int result = live(&p, folder, d, &shared[0]);
        shared[1] = d->steps;
        _exit(result);
    }
    if (child > 0)
        waitpid(child, &status, 0);
    *acknowledged = shared[0];
    d->steps = shared[1];
    munmap(shared, 4096);
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool die_once(unsigned seed, enum plan_loss loss, unsigned at, const char *folder,
                     unsigned *steps, char *why)
{
    char root[NAME], dir[NAME + 10];
    unsigned acknowledged = 0;
    struct plan p;
    snprintf(root, sizeof root, "%s/death", folder);
    snprintf(dir, sizeof dir, "%s/dir", root);
    if (mkdir(root, 0777))
        return say(why, "cannot be tried", 0);
    struct death d = {.at = at, .loss = loss, .folder = dir};
    int ended = run_child(seed, dir, &d, &acknowledged);
    bool ok = ended == (at ? EXIT_DIED : 0);
    snprintf(why, SNAPSHOT_ERROR, "the program has ended with %d", ended);
    plan_begin(&p, seed);
    for (unsigned i = 0; at && i < acknowledged; i++)
        plan_next(&p, NULL, NULL, why);
    ok = ok && (!at || look(&p, dir, why));
    *steps = d.steps;
    remove_all(root);
    return ok;
}

void plan_crash(unsigned seed, enum plan_loss loss, unsigned from, unsigned every,
                const char *folder, struct plan_result *r)
{
    char why[SNAPSHOT_ERROR];
    unsigned steps;
    *r = (struct plan_result){0};
    if (!die_once(seed, loss, 0, folder, &r->steps, why)) {
        r->failed = 1;
        snprintf(r->first, sizeof r->first, "a whole run: %s", why);
        return;
    }
    for (unsigned at = 1 + from; at <= r->steps; at += every) {
        r->points++;
        if (die_once(seed, loss, at, folder, &steps, why))
            continue;
        if (!r->failed++)
            snprintf(r->first, sizeof r->first, "seed %u, step %u: %s", seed, at, why);
    }
}
