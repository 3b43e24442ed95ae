/* A session's console queues, and the list of its breakpoints. */
#include <errno.h>
#include <string.h>

#include "hv/session_priv.h"

/* ---- console ------------------------------------------------------------------------------ */

size_t session_input(struct session *s, const uint8_t *bytes, size_t count)
{
    session_enter(s);
    size_t taken = 0;
    for (; taken < count && s->input_count < INPUT_QUEUE; taken++, s->input_count++)
        s->input[(s->input_head + s->input_count) % INPUT_QUEUE] = bytes[taken];
    pthread_cond_signal(&s->wake);
    session_leave(s);
    return taken;
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
    size_t count = 0;
    while (s->output && count < size && s->output_count) {
        bytes[count++] = s->output[s->output_head];
        s->output_head = (s->output_head + 1) % OUTPUT_RING;
        s->output_count--;
    }
    session_leave(s);
    return count;
}

/* ---- breakpoints -------------------------------------------------------------------------- */

int session_break_add(struct session *s, const struct session_break *wanted)
{
    unsigned all = BREAK_EXECUTE | BREAK_READ | BREAK_WRITE;
    uint32_t length = wanted->length ? wanted->length : 1;
    if (!wanted->kind || wanted->kind & ~all || wanted->address > UINT32_MAX - (length - 1))
        return -EINVAL;
    session_enter(s);
    int id = -ENOSPC;
    if (s->point_count < SESSION_BREAKS) {
        id = s->next_id++;
        s->points[s->point_count] = *wanted;
        s->points[s->point_count++].id = id;
        session_load_points(s);
    }
    session_leave(s);
    return id;
}

int session_break_remove(struct session *s, int id)
{
    session_enter(s);
    int error = -ENOENT;
    for (int i = 0; i < s->point_count && error; i++) {
        if (s->points[i].id != id)
            continue;
        s->points[i] = s->points[--s->point_count];
        session_load_points(s);
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
