/* Recording a run, and following one. See recorder.h. */
#include "hv/recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/simulated_priv.h"

static int refuse(char *why, int error, const char *text)
{
    snprintf(why, SESSION_ERROR, "%s", text);
    return error;
}

/* ---- recording ------------------------------------------------------------------------------ */

static int describe(struct simulated *s, struct record *r, char *why)
{
    const struct session_config *c = s->config;
    r->under = (uint8_t)c->under;
    r->misaligned_trap = c->misaligned_trap;
    r->ad_trap = c->ad_trap;
    r->disk_readonly = c->disk_readonly;
    r->no_reboot = c->no_reboot;
    r->virtio_console = c->virtio_console;
    r->rng = c->rng;
    r->rng_seed = c->rng_seed;
    r->balloon = c->balloon;
    r->balloon_pages = c->balloon_pages;
    r->memory = c->memory;
    r->max_instructions = c->max_instructions;
    if (c->kernel_args && strlen(c->kernel_args) >= sizeof r->kernel_args)
        return refuse(why, -EINVAL, "the kernel's arguments are too long for a record");
    snprintf(r->kernel_args, sizeof r->kernel_args, "%s", c->kernel_args ? c->kernel_args : "");
    int error = record_look_at(&r->image, c->image, why);
    return error || !c->disk ? error : record_look_at(&r->disk, c->disk, why);
}

int recorder_start(struct simulated *s, const char *path, char *why)
{
    struct recorder *rec = &s->recorder;
    if (s->config->host_clock)
        return refuse(why, -ENOTSUP,
                      "a run with the host's clock cannot be repeated, so it "
                      "cannot be recorded");
    if (rec->mode != RECORDER_OFF)
        return refuse(why, -EBUSY, "the session is recorded, or follows a record, already");
    if (simulated_now(s) || session_log_count(s->session))
        return refuse(why, -EINVAL, "a record begins at the first instruction");
    int error = record_may_replace(path, why);
    if (error)
        return error;
    rec->record = record_new();
    rec->path = strdup(path);
    error = rec->record && rec->path ? describe(s, rec->record, why)
                                     : refuse(why, -ENOMEM, "the host has no memory left");
    if (error)
        recorder_free(s);
    else
        rec->mode = RECORDER_RECORDS;
    return error;
}

void recorder_free(struct simulated *s)
{
    record_free(s->recorder.record);
    free(s->recorder.path);
    s->recorder = (struct recorder){0};
}

void recorder_spoil(struct simulated *s, const char *why)
{
    if (s->recorder.mode == RECORDER_RECORDS && !s->recorder.spoilt)
        s->recorder.spoilt = why;
}

static void add(struct simulated *s, struct record_entry entry)
{
    if (!record_add(s->recorder.record, entry))
        recorder_spoil(s, "the host had no memory left for it");
}

void recorder_cut(struct simulated *s)
{
    struct recorder *rec = &s->recorder;
    while (rec->mode == RECORDER_RECORDS && rec->record->count > rec->from &&
           rec->record->entry[rec->record->count - 1].instruction > simulated_now(s))
        rec->record->count--;
}

static enum record_kind record_kind_of(enum input_kind kind)
{
    return kind == INPUT_BALLOON ? RECORD_BALLOON : RECORD_INPUT;
}

static bool is_input(const struct record_entry *e)
{
    return e->kind == RECORD_INPUT || e->kind == RECORD_BALLOON;
}

/* Puts what was typed since the newest reset among the digests. */
static void merge_input(struct simulated *s)
{
    struct record *r = s->recorder.record;
    const struct input_record *input;
    size_t digests = r->count - s->recorder.from, typed = 0;
    for (; typed < s->history.delivered && (input = session_log_at(s->session, typed)); typed++)
        add(s, (struct record_entry){record_kind_of(input->kind), input->instruction, input->value,
                                     input->idle});
    if (s->recorder.spoilt || !typed || !digests)
        return;
    struct record_entry *merged = malloc((digests + typed) * sizeof *merged);
    if (!merged) {
        recorder_spoil(s, "the host had no memory left for it");
        return;
    }
    const struct record_entry *a = &r->entry[s->recorder.from], *b = a + digests;
    for (size_t i = 0, j = 0; i < digests || j < typed;) {
        /* A digest is taken before the input that arrives there. */
        bool digest = j == typed || (i < digests && a[i].instruction <= b[j].instruction);
        size_t at = i + j;
        merged[at] = digest ? a[i++] : b[j++];
    }
    memcpy(&r->entry[s->recorder.from], merged, (digests + typed) * sizeof *merged);
    free(merged);
}

static void take_digest(struct simulated *s)
{
    const struct record *r = s->recorder.record;
    uint64_t position = simulated_now(s);
    bool there = r->count > s->recorder.from && r->entry[r->count - 1].instruction >= position;
    if (position && position % RECORD_DIGESTS == 0 && s->between && !there)
        add(s, (struct record_entry){RECORD_DIGEST, position, machine_digest(s->guest), 0});
}

int recorder_finish(struct simulated *s, char *why)
{
    struct recorder *rec = &s->recorder;
    if (rec->mode != RECORDER_RECORDS)
        return refuse(why, -EINVAL, "the session is not recorded");
    const struct backend_stop *last = &s->last_stop;
    enum record_end how = last->stop == STOPPED_POWEROFF ? END_POWEROFF
                          : last->stop == STOPPED_STUCK  ? END_STUCK
                          : last->stop == STOPPED_IDLE   ? END_ASLEEP
                                                         : END_STOPPED;
    bool same = how != END_STOPPED || s->between;
    recorder_cut(s);
    merge_input(s);
    add(s, (struct record_entry){RECORD_END, simulated_now(s),
                                 how | (uint64_t)(unsigned)last->exit_code << 8,
                                 same ? machine_digest(s->guest) : 0});
    int error = 0;
    if (rec->spoilt) {
        snprintf(why, SESSION_ERROR, "%.400s: not written: %s", rec->path, rec->spoilt);
        error = -EIO;
    } else {
        error = record_write(rec->record, rec->path, why);
    }
    recorder_free(s);
    return error;
}

/* ---- following ------------------------------------------------------------------------------ */

/* What was typed up to the next reset goes into the session's log. */
static bool load_input(struct simulated *s)
{
    const struct record *r = s->recorder.record;
    for (size_t i = s->recorder.at; i < r->count; i++) {
        const struct record_entry *e = &r->entry[i];
        if (e->kind == RECORD_RESET || e->kind == RECORD_END)
            return true;
        enum input_kind kind = e->kind == RECORD_BALLOON ? INPUT_BALLOON : INPUT_TYPED;
        if (is_input(e) &&
            !session_log_add(s->session,
                             (struct input_record){e->instruction, e->b, kind, (uint32_t)e->a}))
            return false;
    }
    return true;
}

static const struct record_entry *next_entry(const struct simulated *s)
{
    return &s->recorder.record->entry[s->recorder.at];
}

static void skip_input(struct simulated *s)
{
    while (is_input(next_entry(s)))
        s->recorder.at++;
}

/* The files must be those of the record, wherever they are now. */
static int compare_file(const struct record_file *then, const char *path, char *why)
{
    struct record_file file;
    if (!*then->path != !path)
        return refuse(why, -EINVAL, path ? "the record has no disk" : "the record has a disk");
    int error = path ? record_look_at(&file, path, why) : 0;
    if (error || !path || (file.size == then->size && file.digest == then->digest))
        return error;
    snprintf(why, SESSION_ERROR, "%.400s: not the file that was there when this was recorded",
             path);
    return -EINVAL;
}

int recorder_follow(struct simulated *s, struct record *record, char *why)
{
    int error = compare_file(&record->image, s->config->image, why);
    error = error ? error : compare_file(&record->disk, s->config->disk, why);
    s->recorder = (struct recorder){.mode = RECORDER_FOLLOWS, .record = record};
    if (!error && !load_input(s))
        error = refuse(why, -ENOMEM, "the host has no memory left");
    skip_input(s);
    return error;
}

bool recorder_follows(const struct simulated *s)
{
    return s->recorder.mode == RECORDER_FOLLOWS;
}

static void differs(const struct simulated *s, struct backend_stop *stop, const char *what)
{
    char text[VIEW_TEXT];
    snprintf(text, sizeof text, "the run differs from the record %s instruction %" PRIu64, what,
             next_entry(s)->instruction);
    simulated_say(stop, SESSION_ENDED, STOPPED_DIFFERS, text);
}

static void finished(struct backend_stop *stop)
{
    simulated_say(stop, SESSION_ENDED, STOPPED_RECORD_END, "the record ends here");
}

static bool compare(struct simulated *s, struct backend_stop *stop)
{
    const struct record_entry *e = next_entry(s);
    if (e->kind == RECORD_END && (e->a & UINT8_MAX) != END_STOPPED)
        return false; /* the machine will stop by itself */
    uint64_t wanted = e->kind == RECORD_END ? e->b : e->a;
    if (e->kind == RECORD_RESET) /* comes with the next instruction, or is missed behind it */
        return false;
    if (wanted && machine_digest(s->guest) != wanted) {
        differs(s, stop, "at");
        return true;
    }
    if (e->kind == RECORD_END) {
        finished(stop);
        return true;
    }
    s->recorder.at++;
    skip_input(s);
    return false;
}

void recorder_ended(struct simulated *s, struct backend_stop *told)
{
    if (s->recorder.mode != RECORDER_FOLLOWS)
        return;
    const struct record_entry *e = next_entry(s);
    static const enum session_stop stops[] = {
        [END_STOPPED] = STOPPED_LIMIT,
        [END_ASLEEP] = STOPPED_IDLE,
        [END_POWEROFF] = STOPPED_POWEROFF,
        [END_STUCK] = STOPPED_STUCK,
    };
    bool same = e->kind == RECORD_END && e->instruction == simulated_now(s) &&
                stops[e->a & UINT8_MAX] == told->stop &&
                (told->stop != STOPPED_POWEROFF || e->a >> 8 == (unsigned)told->exit_code) &&
                (!e->b || e->b == machine_digest(s->guest));
    if (!same)
        differs(s, told, "before");
    else if (told->stop != STOPPED_POWEROFF)
        finished(told);
}

/* ---- both ----------------------------------------------------------------------------------- */

bool recorder_reset(struct simulated *s, struct backend_stop *stop)
{
    struct recorder *rec = &s->recorder;
    if (rec->mode == RECORDER_RECORDS) {
        merge_input(s);
        add(s, (struct record_entry){RECORD_RESET, simulated_now(s), 0, 0});
        rec->from = rec->record->count;
    } else if (rec->mode == RECORDER_FOLLOWS) {
        const struct record_entry *e = next_entry(s);
        if (e->kind != RECORD_RESET || e->instruction != simulated_now(s)) {
            differs(s, stop, "before");
            return false;
        }
        rec->at++;
    }
    return true;
}

bool recorder_restarted(struct simulated *s)
{
    if (s->recorder.mode != RECORDER_FOLLOWS)
        return true;
    bool ok = load_input(s);
    skip_input(s);
    return ok;
}

uint64_t recorder_bound(const struct simulated *s)
{
    uint64_t position = simulated_now(s);
    if (s->recorder.mode == RECORDER_RECORDS)
        return RECORD_DIGESTS - position % RECORD_DIGESTS;
    if (s->recorder.mode == RECORDER_FOLLOWS)
        return next_entry(s)->instruction > position ? next_entry(s)->instruction - position : 1;
    return UINT64_MAX;
}

bool recorder_look(struct simulated *s, struct backend_stop *stop)
{
    if (s->recorder.mode == RECORDER_RECORDS)
        take_digest(s);
    if (s->recorder.mode != RECORDER_FOLLOWS || !s->between)
        return false;
    const struct input_record *input = session_log_at(s->session, s->history.delivered);
    bool missed = input && input->instruction <
                               simulated_now(s); /* it has not slept so long as it did then */
    if (missed ||
        next_entry(s)->instruction < simulated_now(s)) { /* there the machine should have stopped */
        differs(s, stop, "at");
        return true;
    }
    return next_entry(s)->instruction == simulated_now(s) && compare(s, stop);
}
