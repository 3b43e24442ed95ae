/* A session's console queues, the list of its breakpoints, and the ring of its events. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/event.h"
#include "hv/session_priv.h"

/* ---- console: the users' side -------------------------------------------------------------- */

size_t session_input(struct session *s, const uint8_t *bytes, size_t count)
{
    session_enter(s);
    size_t taken = 0;
    for (; taken < count && s->input_count < INPUT_QUEUE && !s->standing; taken++, s->input_count++)
        s->input[(s->input_head + s->input_count) % INPUT_QUEUE] = bytes[taken];
    s->typed += taken;
    pthread_cond_signal(&s->wake);
    session_leave(s);
    return taken;
}

void session_drop_file(struct session *s)
{
    if (s->file.fd >= 0)
        close(s->file.fd);
    s->file = (struct input_file){.fd = -1};
}

/* The queue is never seen empty while the file has more: so the guest cannot see how large it is,
 * and when it was filled. What cannot be read ends the file. The thread that runs the guest may be
 * confined so that it can read (pread) but not close. */
static void refill(struct session *s)
{
    struct input_file *f = &s->file;
    if (!f->more || s->input_count || s->standing)
        return;
    for (s->input_head = 0; s->input_count < INPUT_QUEUE;) {
        uint8_t *to = s->input + s->input_count;
        ssize_t got = pread(f->fd, to, INPUT_QUEUE - s->input_count, f->at);
        if (got < 0 && errno == EINTR)
            continue;
        f->more = got > 0;
        if (!f->more)
            return;
        s->input_count += (size_t)got;
        f->at += got;
    }
}

int session_input_file(struct session *s, int fd)
{
    struct stat st;
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (at < 0 || fstat(fd, &st))
        return at < 0 && errno == ESPIPE ? -EINVAL : -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return -errno;
    lseek(fd, 0, SEEK_END); /* all of it is ours: who reads on after us finds the end */
    session_enter(s);
    session_drop_file(s);
    s->file = (struct input_file){own, at, true};
    refill(s);
    s->input_ended = true;
    pthread_cond_signal(&s->wake);
    session_leave(s);
    return 0;
}

void session_input_end(struct session *s)
{
    session_enter(s);
    s->input_ended = true;
    pthread_cond_signal(&s->wake);
    session_leave(s);
}

size_t session_output(struct session *s, uint8_t *bytes, size_t size)
{
    session_enter(s);
    pthread_mutex_lock(&s->output_lock);
    size_t count = 0;
    while (s->output && count < size && s->output_count) {
        bytes[count++] = s->output[s->output_head];
        s->output_head = (s->output_head + 1) % OUTPUT_RING;
        s->output_count--;
    }
    pthread_mutex_unlock(&s->output_lock);
    session_leave(s);
    return count;
}

void session_clear_console(struct session *s)
{
    pthread_mutex_lock(&s->output_lock);
    s->output_count = s->held.count = 0;
    pthread_mutex_unlock(&s->output_lock);
    s->input_count = s->input_logged = 0;
    session_drop_file(s);
}

/* ---- console: the backend's side ----------------------------------------------------------- */

/* To the user, with the output lock held. */
static void show(struct session *s, const uint8_t *bytes, size_t count)
{
    if (!count) /* an epoch without output has no bytes at all */
        return;
    s->shown += count;
    if (s->config.output)
        s->config.output(s->config.context, bytes, count);
    for (size_t i = 0; i < count && s->output; i++) {
        s->output[(s->output_head + s->output_count) % OUTPUT_RING] = bytes[i];
        if (s->output_count < OUTPUT_RING)
            s->output_count++;
        else
            s->output_head = (s->output_head + 1) % OUTPUT_RING;
    }
}

static void hold(struct held_output *held, const uint8_t *bytes, size_t count)
{
    if (!count)
        return;
    if (held->count + count > held->size) {
        size_t size = 2 * (held->count + count) + 4096;
        uint8_t *grown = realloc(held->bytes, size);
        held->lost |= !grown;
        if (!grown)
            return;
        held->bytes = grown;
        held->size = size;
    }
    memcpy(held->bytes + held->count, bytes, count);
    held->count += count;
}

void session_console(struct session *s, const uint8_t *bytes, size_t count)
{
    pthread_mutex_lock(&s->output_lock);
    if (s->held.on)
        hold(&s->held, bytes, count);
    else
        show(s, bytes, count);
    pthread_mutex_unlock(&s->output_lock);
}

/* ---- console: output held back ------------------------------------------------------------- */

uint64_t session_hold_output(struct session *s)
{
    pthread_mutex_lock(&s->output_lock);
    s->held.on = true;
    uint64_t shown = s->shown;
    pthread_mutex_unlock(&s->output_lock);
    return shown;
}

int session_take_held(struct session *s, uint8_t **bytes, size_t *count)
{
    pthread_mutex_lock(&s->output_lock);
    *bytes = s->held.bytes;
    *count = s->held.count;
    int error = s->held.lost ? -ENOMEM : 0;
    s->held = (struct held_output){.on = s->held.on};
    pthread_mutex_unlock(&s->output_lock);
    return error;
}

void session_show(struct session *s, const uint8_t *bytes, size_t count)
{
    pthread_mutex_lock(&s->output_lock);
    show(s, bytes, count);
    pthread_mutex_unlock(&s->output_lock);
}

int session_unhold_output(struct session *s)
{
    pthread_mutex_lock(&s->output_lock);
    int error = s->held.lost ? -ENOMEM : 0;
    show(s, s->held.bytes, s->held.count);
    free(s->held.bytes);
    s->held = (struct held_output){0};
    pthread_mutex_unlock(&s->output_lock);
    return error;
}

/* What cannot be recorded is not delivered. */
static bool make_log_room(struct session *s)
{
    if (s->input_logged < s->input_log_size)
        return true;
    size_t size = s->input_log_size * 2 + 256;
    struct input_record *grown = realloc(s->input_log, size * sizeof *grown);
    if (!grown)
        return false;
    s->input_log = grown;
    s->input_log_size = size;
    return true;
}

bool session_input_peek(struct session *s, uint8_t *byte)
{
    refill(s);
    if (!s->input_count || !make_log_room(s))
        return false;
    *byte = s->input[s->input_head];
    return true;
}

void session_input_taken(struct session *s, uint64_t instruction, uint64_t idle)
{
    s->input_log[s->input_logged++] =
        (struct input_record){instruction, idle, INPUT_TYPED, s->input[s->input_head]};
    s->input_head = (s->input_head + 1) % INPUT_QUEUE;
    s->input_count--;
}

size_t session_log_count(const struct session *s)
{
    return s->input_logged;
}

const struct input_record *session_log_at(const struct session *s, size_t index)
{
    return index < s->input_logged ? &s->input_log[index] : NULL;
}

bool session_log_add(struct session *s, struct input_record record)
{
    if (!make_log_room(s))
        return false;
    s->input_log[s->input_logged++] = record;
    return true;
}

void session_log_cut(struct session *s, size_t count)
{
    if (count < s->input_logged)
        s->input_logged = count;
}

uint64_t session_typed(const struct session *s)
{
    return s->typed;
}

bool session_input_over(struct session *s)
{
    return s->input_ended;
}

/* ---- breakpoints -------------------------------------------------------------------------- */

static bool is_valid(const struct session *s, const struct session_break *wanted)
{
    unsigned all = BREAK_EXECUTE | BREAK_READ | BREAK_WRITE;
    uint64_t max = s->ops->address_max ? s->ops->address_max : UINT64_MAX;
    uint64_t length = wanted->length ? wanted->length : 1;
    return wanted->kind && !(wanted->kind & ~all) && length - 1 <= max &&
           wanted->address <= max - (length - 1);
}

int session_break_add(struct session *s, const struct session_break *wanted)
{
    if (!is_valid(s, wanted))
        return -EINVAL;
    session_enter(s);
    int result = s->point_count < SESSION_BREAKS ? 0 : -ENOSPC;
    if (!result) {
        s->points[s->point_count] = *wanted;
        s->points[s->point_count++].id = s->next_id;
        result = s->ops->points(s->backend, s->points, s->point_count);
        if (result)
            s->ops->points(s->backend, s->points, --s->point_count);
        else
            result = s->next_id++;
    }
    session_leave(s);
    return result;
}

int session_break_remove(struct session *s, int id)
{
    session_enter(s);
    int error = -ENOENT;
    for (int i = 0; i < s->point_count && error; i++) {
        if (s->points[i].id != id)
            continue;
        s->points[i] = s->points[--s->point_count];
        s->ops->points(s->backend, s->points, s->point_count);
        error = 0;
    }
    session_leave(s);
    return error;
}

int session_break_list(struct session *s, struct session_break *out, int max)
{
    session_enter(s);
    int count = s->point_count < max ? s->point_count : max;
    memcpy(out, s->points, (size_t)count * sizeof *out);
    session_leave(s);
    return count;
}

/* ---- events ------------------------------------------------------------------------------- */

void session_events_mask(struct session *s, uint32_t mask)
{
    session_enter(s);
    pthread_mutex_lock(&s->events_lock);
    if (!s->events)
        s->events = calloc(EVENT_RING, sizeof *s->events);
    bool ready = s->events;
    if (ready)
        s->events_mask = mask;
    pthread_mutex_unlock(&s->events_lock);
    if (ready && s->ops->events_mask)
        s->ops->events_mask(s->backend, mask);
    session_leave(s);
}

void session_publish(struct session *s, const struct event *event)
{
    if (!(s->events_mask & EVENT_BIT(event->type)))
        return;
    pthread_mutex_lock(&s->events_lock);
    if (s->events_count == EVENT_RING)
        s->events_dropped++;
    else
        s->events[(s->events_head + s->events_count++) % EVENT_RING] = *event;
    pthread_mutex_unlock(&s->events_lock);
}

int session_events(struct session *s, struct event *out, int max, uint64_t *dropped)
{
    session_enter(s);
    pthread_mutex_lock(&s->events_lock);
    int count = 0;
    while (count < max && s->events_count) {
        out[count++] = s->events[s->events_head];
        s->events_head = (s->events_head + 1) % EVENT_RING;
        s->events_count--;
    }
    *dropped = s->events_dropped;
    pthread_mutex_unlock(&s->events_lock);
    session_leave(s);
    return count;
}
